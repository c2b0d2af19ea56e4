"""The nearest vectors, against a plain loop."""

import math

import numpy as np
import pytest

from smalti.errors import QueryError
from smalti.store import DatasetVersion, open_store
from smalti.store.vectors import METRICS, nearest, vector_at

RNG = np.random.default_rng(5)
VECTORS = {f"f{n:02}": RNG.normal(size=4).round(3).tolist() for n in range(30)}


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> DatasetVersion:
    store = open_store(tmp_path_factory.mktemp("vectors"))
    made = store.create_dataset("d").create_version("v1")
    source = [{"id": "s", "uri": "a.png"}]
    frames = [{"id": id_, "sources": source, "meta": {"a": {"b": v}, "c.d": v}} for id_, v in VECTORS.items()]
    odd = [None, [1.0], "x", [1, 2, 3, "4"], [True, 1, 2, 3], []]
    frames += [{"id": f"odd{n}", "sources": source, "meta": {"a": {"b": value}}} for n, value in enumerate(odd)]
    assert made.add_frames(frames) == []
    return made


def expected(metric: str, asked: list[float], found: list[float]) -> float:
    dot = sum(a * b for a, b in zip(asked, found, strict=True))
    if metric == "l2_norm":
        return 1 / (1 + math.dist(asked, found) ** 2)
    return (1 + (dot if metric == "dot_product" else dot / math.hypot(*asked) / math.hypot(*found))) / 2


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("field", ["meta.a.b", "a.b", "meta.c.d"])
def test_nearest_first_with_scores(version: DatasetVersion, metric: str, field: str) -> None:
    asked = [0.3, -1.0, 0.5, 2.0]
    wanted = sorted(((expected(metric, asked, v), id_) for id_, v in VECTORS.items()), reverse=True)[:7]
    found = nearest(version, asked, 7, field, metric=metric)
    assert [id_ for id_, _ in found] == [id_ for _, id_ in wanted]
    np.testing.assert_allclose([score for _, score in found], [score for score, _ in wanted], rtol=1e-12)


def test_what_cannot_be_near(version: DatasetVersion) -> None:
    assert nearest(version, [0.0, 0.0, 0.0, 0.0], 3, "a.b")[0][1] == 0.5  # no direction: neither near nor far
    assert nearest(version, [1.0], 9, "a.b") == [("odd1", 1.0)]
    assert nearest(version, [1.0, 2.0], 9, "a.b") == []
    assert nearest(version, [1.0], 9, "nothing") == []
    assert len(nearest(version, [1.0, 0, 0, 0], 999, "a.b")) == len(VECTORS)
    for vector, metric in (([], "cosine"), ([math.nan], "cosine"), ([1.0], "euclid")):
        with pytest.raises(QueryError):
            nearest(version, vector, 1, "a.b", metric=metric)


def test_a_literal_key_goes_before_a_nested_one() -> None:
    assert vector_at({"a.b": [1], "a": {"b": [2]}}, "meta.a.b") == [1]
    assert vector_at({"a": {"b": [2]}}, "meta.a.b") == [2]
    assert vector_at({"a": [2]}, "meta.a.b") is None
