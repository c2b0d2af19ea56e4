"""The nearest vectors, against a plain loop."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.errors import FrameError, QueryError, VersionError
from smalti.store import DatasetVersion, open_store, vectors
from smalti.store.maintain import tidy
from smalti.store.vectors import METRICS, nearest, vector_at
from smalti.view import DataView

RNG = np.random.default_rng(5)
VECTORS = {f"f{n:02}": RNG.normal(size=4).round(3).tolist() for n in range(30)}


@pytest.fixture(scope="module", params=["read from metadata", "declared", "declared later"])
def version(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> DatasetVersion:
    store = open_store(tmp_path_factory.mktemp("vectors"))
    dataset = store.create_dataset("d")
    if request.param == "declared":
        dataset.declare("meta.a.b", "vector[4]")
        dataset.declare("meta.c.d", "vector[ 4 , l2_norm ]")
    made = dataset.create_version("v1")
    source = [{"id": "s", "uri": "a.png"}]
    frames = [{"id": id_, "sources": source, "meta": {"a": {"b": v}, "c.d": v}} for id_, v in VECTORS.items()]
    odd = [None, [1.0], "x", [1, 2, 3, "4"], [True, 1, 2, 3], []]
    frames += [{"id": f"odd{n}", "sources": source, "meta": {"a": {"b": value}}} for n, value in enumerate(odd)]
    assert made.add_frames(frames) == []
    if request.param == "declared later":
        dataset.declare("meta.a.b", "vector[4]")
        dataset.declare("meta.c.d", "vector[4]")
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
    # A column holds 32 bit numbers; the metadata as many as were written.
    np.testing.assert_allclose([score for _, score in found], [score for score, _ in wanted], rtol=1e-6)


def test_what_cannot_be_near(version: DatasetVersion) -> None:
    assert nearest(version, [0.0, 0.0, 0.0, 0.0], 3, "a.b")[0][1] == 0.5  # no direction: neither near nor far
    if version.dataset.declared:
        with pytest.raises(QueryError, match="has 2 numbers"):
            nearest(version, [1.0, 2.0], 9, "a.b")
    else:
        assert nearest(version, [1.0], 9, "a.b") == [("odd1", 1.0)]
        assert nearest(version, [1.0, 2.0], 9, "a.b") == []
    assert nearest(version, [1.0], 9, "nothing") == []
    assert len(nearest(version, [1.0, 0, 0, 0], 999, "a.b")) == len(VECTORS)
    for vector, metric in (([], "cosine"), ([math.nan], "cosine"), ([1.0], "euclid")):
        with pytest.raises(QueryError):
            nearest(version, vector, 1, "a.b", metric=metric)
    with pytest.raises(QueryError, match="no index"):
        nearest(version, [1.0, 0, 0, 0], 1, "a.b", method="index")


def test_frames_like_a_frame(version: DatasetVersion) -> None:
    found = version.nearest("f07", 3, "meta.a.b", metric="l2_norm")
    away = sorted((math.dist(VECTORS["f07"], v), id_) for id_, v in VECTORS.items() if id_ != "f07")
    assert [id_ for id_, _ in found] == [id_ for _, id_ in away[:3]]
    found = version.nearest("f07", 3, "meta.a.b", metric="l2_norm", query="id:f1?")
    assert [id_ for id_, _ in found] == [id_ for _, id_ in away if id_.startswith("f1")][:3]
    for frame_id in ("odd0", "nobody"):
        with pytest.raises(FrameError):
            version.nearest(frame_id, 3, "meta.a.b")


def test_equal_vectors_come_in_the_order_of_ids(tmp_path: Path) -> None:
    dataset = open_store(tmp_path).create_dataset("d")
    dataset.declare("meta.v", "vector[2]")
    made = dataset.create_version("v1")
    frames = [frame(f"f{n:03}", [1.0, 0.0] if n % 2 else [0.0, 1.0]) for n in reversed(range(300))]
    made.add_frames(frames)
    for metric in METRICS:
        assert [id_ for id_, _ in made.nearest([2.0, 0.0], 70, "v", metric=metric)] == [
            f"f{n:03}" for n in range(1, 140, 2)
        ]


@pytest.mark.parametrize("kind", ["vector", "vector[0]", "vector[3,euclid]", "vector[70000]", "vector[x]", "vector[3"])
def test_a_type_of_vectors_that_is_none(tmp_path: Path, kind: str) -> None:
    dataset = open_store(tmp_path).create_dataset("d")
    with pytest.raises(VersionError, match="vector"):
        dataset.declare("meta.v", kind)
    assert dataset.declared == {}


def test_a_version_that_is_made_after_the_declaration_has_its_columns(tmp_path: Path) -> None:
    dataset = open_store(tmp_path).create_dataset("d")
    dataset.declare("meta.v", "vector[2]")
    dataset.declare("meta.n", "int")
    made = dataset.create_version("v1")
    assert {"m__v", "m__n"} <= set(made.rows().schema.names)
    made.add_frames([frame("a", [1.0, 2.0])])
    assert made.publish().child("v2").nearest([1.0, 2.0], 1, "v", metric="l2_norm") == [("a", 1.0)]


def test_queries_still_see_the_numbers_of_a_vector_but_the_index_does_not(tmp_path: Path) -> None:
    """A token for each number would be most of the index; one stands for all, and such frames are looked at."""
    made = open_store(tmp_path).create_dataset("d").create_version("v1")
    vectors = {"a": [n / 7 for n in range(50)], "b": [float(n) for n in range(200, 250)], "c": [0.5, 7.0]}
    made.add_frames([frame(id_, vector) for id_, vector in vectors.items()])
    tokens = made.rows().table(["meta_kv"]).column("meta_kv").to_pylist()
    assert max(map(len, tokens)) <= 3
    asked = (
        "meta.v:7",
        "meta.v:0.5",
        "meta.v.keyword:207",
        "NOT meta.v:7",
        "meta.v:[206.5 TO 207.5]",
        "meta.v:1e2",
        "meta.n:1",
    )
    for text in asked:
        expected = [s.record.id for s in DataView(list(made.records()), text).iterate(output="records")]
        assert [f.record.id for f in made.view(text)] == expected, text
    assert [f.record.id for f in made.view("meta.v:7")] == ["a", "c"]


def frame(frame_id: str, vector: Any) -> dict[str, Any]:
    return {"id": frame_id, "sources": [{"id": "s", "uri": "a.png"}], "meta": {"v": vector, "n": 1}}


def by_loop(known: dict[str, Any], asked: Any, count: int, metric: str) -> list[tuple[str, float]]:
    """What must come out: every vector compared, in 64 bits."""
    found = [(expected(metric, asked, v), id_) for id_, v in known.items() if v is not None]
    return [(id_, score) for score, id_ in sorted(found, key=lambda pair: (-pair[0], pair[1]))[:count]]


@pytest.mark.parametrize("metric", METRICS)
def test_the_index_and_the_exact_search_through_a_life_of_edits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    """Edits, deletions, upkeep, publishing and children: neither search may show what is no longer there."""
    monkeypatch.setattr(vectors, "WORTH_INDEXING", 300)
    rng = np.random.default_rng(11)
    dataset = open_store(tmp_path).create_dataset("d")
    dataset.declare("meta.v", f"vector[6,{metric}]")
    known: dict[str, Any] = {}

    def edit(version: DatasetVersion, numbers: Iterable[int]) -> None:
        vectors = {f"f{n:04}": None if n % 40 == 3 else rng.normal(size=6).astype(np.float32).tolist() for n in numbers}
        assert version.add_frames([frame(id_, vector) for id_, vector in vectors.items()]) == []
        known.update(vectors)

    def check(version: DatasetVersion, *, indexed: bool) -> None:
        hits = []
        for _ in range(6):
            asked = rng.normal(size=6).astype(np.float32).tolist()
            truth = by_loop(known, asked, 8, metric)
            found = version.nearest(asked, 8, "meta.v", metric=metric, method="exact")
            assert [id_ for id_, _ in found] == [id_ for id_, _ in truth]
            np.testing.assert_allclose([s for _, s in found], [s for _, s in truth], rtol=1e-6)
            if indexed:
                quick = dict(version.nearest(asked, 8, "meta.v", metric=metric, method="index"))
                hits.append(len(quick.keys() & {id_ for id_, _ in truth}) / 8)
                for id_, score in quick.items():
                    np.testing.assert_allclose(score, expected(metric, asked, known[id_]), rtol=1e-6)
        assert not indexed or np.mean(hits) >= 0.9

    draft = dataset.create_version("v1")
    edit(draft, range(700))
    check(draft, indexed=False)
    draft.publish()
    check(draft, indexed=True)
    frozen = dict(known)
    child = draft.child("v2")
    edit(child, range(0, 900, 3))
    child.delete_frames([id_ for id_ in list(known) if id_.endswith("7")])
    known = {id_: v for id_, v in known.items() if not id_.endswith("7")}
    check(child, indexed=True)
    with child.lease("a test") as renew, child.writing() as branch:
        tidy(branch, renew, thorough=True)
    check(child, indexed=True)
    edit(child, range(1, 200, 5))
    assert child.compute_stats()["frames"] == len(known)
    child.publish()
    check(child, indexed=True)
    known = frozen
    check(draft, indexed=True)


def test_auto_asks_the_index_of_a_large_version_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "WORTH_INDEXING", 300)
    asked: list[str] = []
    indexed = vectors._indexed
    monkeypatch.setattr(vectors, "_indexed", lambda rows, *more: asked.append("index") or indexed(rows, *more))
    dataset = open_store(tmp_path).create_dataset("d")
    dataset.declare("meta.v", "vector[2]")
    made = dataset.create_version("v1")
    made.add_frames([frame(f"f{n:03}", [math.cos(n / 100), math.sin(n / 100)]) for n in range(400)])
    made.publish()
    for smallest, ways in ((50_000, []), (400, ["index"])):
        monkeypatch.setattr(vectors, "_WORTH_ASKING", smallest)
        for method in ("auto", "exact"):
            assert made.nearest([1.0, 0.0], 3, "v", method=method)[0] == ("f000", 1.0)
        assert made.nearest([1.0, 0.0], 3, "v", metric="l2_norm")[0] == ("f000", 1.0)  # not what the index is for
        assert made.nearest([1.0, 0.0], 1, "v", query="id:f30?")[0][0] == "f300"  # some frames alone are looked at
        assert asked == ways


def test_vectors_go_along_into_copies_and_merges(tmp_path: Path) -> None:
    store = open_store(tmp_path / "one")
    dataset = store.create_dataset("d")
    first = dataset.create_version("v1")
    first.add_frames([frame("a", [1.0, 0.0]), frame("b", [0.0, 1.0]), frame("secret", [0.9, 0.0])])
    dataset.declare("meta.v", "vector[2,l2_norm]")
    first.publish()
    ours, theirs = first.child("ours"), first.child("theirs")
    ours.add_frames([frame("c", [5.0, 5.0])])
    theirs.add_frames([frame("b", [9.0, 9.0])])
    theirs.publish()
    merged = dataset.merge(ours, theirs)
    store.purge(["secret"], who="a test", why="to see that it is gone")
    store.backup(str(tmp_path / "two"))
    copy = open_store(tmp_path / "two")["d"]
    assert copy.declared == {"meta.v": "vector[2,l2_norm]"}
    for versions in (store["d"], copy):
        assert [id_ for id_, _ in versions["v1"].nearest([1.0, 0.0], 5, "v", metric="l2_norm")] == ["a", "b"]
        near = versions[merged.name].nearest([9.0, 9.0], 5, "v", metric="l2_norm")
        assert [id_ for id_, _ in near] == ["b", "c", "a"]
        assert near[0][1] == 1.0


def test_the_index_finds_nearly_all(tmp_path: Path) -> None:
    """Recall on clusters, as embeddings have them, at the size from which on there is an index."""
    rng = np.random.default_rng(2)
    size, dims = vectors.WORTH_INDEXING, 24
    found = (rng.normal(size=(60, dims))[rng.integers(0, 60, size)] + rng.normal(size=(size, dims))).astype(np.float32)
    dataset = open_store(tmp_path).create_dataset("d")
    dataset.declare("meta.v", f"vector[{dims}]")
    made = dataset.create_version("v1")
    made.add_frames(frame(f"f{n:05}", vector) for n, vector in enumerate(found.tolist()))
    made.publish()
    hits = 0
    for number in range(40):
        asked = found[number * 7] + 0.2 * rng.normal(size=dims)
        cosines = found @ asked / np.linalg.norm(found, axis=1)
        truth = {f"f{n:05}" for n in np.argsort(-cosines)[:10].tolist()}
        hits += len(truth & {id_ for id_, _ in made.nearest(asked.tolist(), 10, "v", method="index")})
    assert hits / 400 >= 0.95


def test_a_literal_key_goes_before_a_nested_one() -> None:
    assert vector_at({"a.b": [1], "a": {"b": [2]}}, "meta.a.b") == [1]
    assert vector_at({"a": {"b": [2]}}, "meta.a.b") == [2]
    assert vector_at({"a": [2]}, "meta.a.b") is None
