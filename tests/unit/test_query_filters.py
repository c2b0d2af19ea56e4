"""The parts of which filters over a store's columns are made, each against the plain evaluation."""

from itertools import chain, combinations, product

import numpy as np
import pyarrow as pa
import pytest

from smalti.facts import MaskFacts
from smalti.query.match import matches
from smalti.query.nodes import All, And, Exists, Node, Not, Or, Range, Some, Term
from smalti.query.parse import parse
from smalti.query.values import in_range
from smalti.records import Frame, Mask, Roi, RoiMask, Source
from smalti.store.buckets import MANY_MASKS, ONE_MASK, VOID, bucket_tokens, buckets
from smalti.store.derive import meta_token
from smalti.store.pushdown import Columns, _on_labels, conjunction, disjunction, negation, plan
from smalti.store.residue import columns_of, evaluate

SHARES = [0.0, 1e-9, 1e-7, 0.00449, 0.005, 0.0499999, 0.05, 0.05 + 1e-12, 0.125, 0.126, 0.3, 0.99, 0.9999, 1.0]


@pytest.mark.parametrize("low_open", [False, True])
@pytest.mark.parametrize("low", [share for share in SHARES if share > 0] + [2.0, 0.1249, 5e-324])
def test_buckets_are_around_and_within_a_bound(low: float, low_open: bool) -> None:
    for share in SHARES:
        size = 10**9
        facts = [MaskFacts(source="a", mask="m", size_hw=(1, size), pixels={"x": round(share * size)})]
        exact = facts[0].share("x")
        token = set(bucket_tokens(facts)) - {ONE_MASK}
        holds = exact > low if low_open else exact >= low
        assert holds <= bool(token & set(buckets("x", low, low_open=low_open, sure=False)))
        assert bool(token & set(buckets("x", low, low_open=low_open, sure=True))) <= holds


def test_bounds_on_marks_leave_nothing_open() -> None:
    for mark in [0.01, 0.05, 0.07, 0.29, 0.57, 1.0, 0.002, 0.0075, 1e-6]:
        for low_open in (False, True):
            sure = buckets("x", mark, low_open=low_open, sure=True)
            assert sure == buckets("x", mark, low_open=low_open, sure=False)
    assert buckets("x", 0.0123, low_open=False, sure=True) != buckets("x", 0.0123, low_open=False, sure=False)


def test_buckets_speak_of_the_largest_share_of_any_mask() -> None:
    small = MaskFacts(source="a", mask="m", size_hw=(10, 10), pixels={"car": 1, "bus": 0}, void=50)
    large = MaskFacts(source="a", mask="n", size_hw=(10, 10), pixels={"car": 90})
    assert set(bucket_tokens([small, large])) == {
        MANY_MASKS,
        *(set(bucket_tokens([large])) - {ONE_MASK}),
        *(t for t in bucket_tokens([small]) if t.startswith(VOID)),
    }
    assert bucket_tokens([]) == []


LABELS = ["car", "seg", "tram"]
SETS = [frozenset(found) for size in range(4) for found in combinations(LABELS, size)]


def _trees() -> list[Node]:
    leaves: list[Node] = [Term("roi", "label", name, exact=True) for name in LABELS]
    leaves += [Exists("roi", "label"), Range("roi", "confidence", "0.5"), Range("roi", "label", "d"), All()]
    deeper: list[Node] = [Not(leaf) for leaf in leaves]
    deeper += list(chain.from_iterable((And(pair), Or(pair)) for pair in combinations([*leaves, *deeper], 2)))
    return [*leaves, *deeper, *map(Not, deeper)]


def test_what_a_label_set_decides_it_decides_rightly() -> None:
    decided = 0
    for labels, tree in product(SETS, _trees()):
        answers = [
            matches(Some("roi", tree), Frame(sources=[], rois=[Roi(label=sorted(labels), confidence=c)]))
            for c in (0.1, 0.9, None)
        ]
        found = _on_labels(tree, labels, "either")
        assert found is None or set(answers) == {found}
        decided += found is not None
    assert decided > 500


def test_labels_that_may_not_be_written_decide_nothing_wrongly() -> None:
    source = Source(id="a", uri="x", masks=[Mask(id="seg", uri="m")])
    frames = [
        Frame(sources=[source], rois=[Roi(label=["seg"], mask=RoiMask(id="tram", value=[1]))]),
        Frame(sources=[source], rois=[Roi(label=["seg", "tram"])]),
    ]
    sets = [frozenset(["seg", "tram"])] * 2
    for tree, (frame, labels) in product(_trees(), zip(frames, sets, strict=True)):
        found = _on_labels(tree, labels, "written")
        assert found is None or matches(Some("roi", tree), frame, labels="written") == found
    assert _on_labels(Term("roi", "label", "car", exact=True), sets[0], "written") is False


@pytest.mark.parametrize("count", [(1, None), (0, None), (0, 0), (0, 1), (2, None), (1, 2), (2, 3)])
def test_counts_bound_by_label_sets(count: tuple[int, int | None]) -> None:
    tree = Some("roi", And((Term("roi", "label", "car", exact=True), Range("roi", "confidence", "0.5"))), *count)
    found = plan(tree, Columns({'["car"]': frozenset(["car"]), '["x"]': frozenset(["x"])}))
    car = "array_has_any(labelsets, ['[\"car\"]'])"
    expected = {
        (1, None): (car, "false"),
        (0, None): ("true", "true"),
        (0, 0): ("true", f"(NOT {car})"),
        (0, 1): ("true", f"(NOT {car})"),
    }
    assert (found.may, found.must) == expected.get(count, (car, "false"))


def test_columns_of_numbers_are_compared_as_values_are() -> None:
    ends = [None, "0.3", "0.30", "1", "0", "-1", "x", "2024-10-20"]
    values = [None, 0.0, 0.3, 0.30000001, 1.0, 5.0, -1.0]
    batch = pa.record_batch(
        {
            "roi_ls": pa.array([["[]"]] * len(values)),
            "roi_conf": pa.array([[value] for value in values], pa.list_(pa.float64())),
        }
    )
    for low, high, low_open, high_open in product(ends, ends, [False, True], [False, True]):
        bounds = Range("roi", "confidence", low, high, low_open, high_open)
        hits = evaluate(Some("roi", bounds), batch).tolist()
        assert hits == [value is not None and in_range(value, bounds) for value in values], bounds


def test_tokens_of_keys_and_values_with_an_equals_sign_prove_nothing() -> None:
    assert meta_token("a", "b=c") == meta_token("a=b", "c")
    for text in ('meta.a.keyword:"b=c"', 'meta.a\\=b.keyword:"c"'):
        assert plan(parse(text), Columns()).must == "false"
    assert plan(parse('meta.a.keyword:"b"'), Columns()).exact
    long = plan(parse(f'meta.a.keyword:"{"x" * 130}"'), Columns())
    assert (long.must, long.exact) == ("false", False)


def test_truth_values_and_numbers_have_tokens_of_their_own() -> None:
    assert [meta_token("a", value) for value in (1, True, 1.0, "1", 0, False)] == [
        "a=1",
        "a=true",
        "a=1",
        "a=1",
        "a=0",
        "a=false",
    ]


def test_sql() -> None:
    assert conjunction(["true", "a", "a"]) == "a"
    assert conjunction(["a", "false"]) == "false"
    assert disjunction(["a", "true"]) == "true"
    assert disjunction([]) == "false"
    assert negation(negation("(a AND b)")) == "(a AND b)"
    assert plan(parse('id:"it\'s"'), Columns()).may == "(id = 'it''s')"
    assert plan(parse("nothing"), Columns({})).may == "false"


def test_no_more_columns_are_read_than_the_query_speaks_of() -> None:
    cases = {
        "car": ["roi_ls"],
        "(car AND confidence:>0.5)": ["roi_ls", "roi_conf"],
        "meta.a:1 AND id:x*": ["meta_kv", "meta", "id"],
        "_exists_:meta.a": ["meta"],
        "mask.car.pixels:>5": ["px_label", "px_count", "px_masks"],
        "mask.car.share:>0.5": ["px_masks"],
    }
    for text, columns in cases.items():
        assert columns_of(parse(text)) == columns
    assert "sources" in columns_of(parse("sources.id:a AND car"))
    assert "rois" in columns_of(parse("car"), "written")


def test_many_label_sets_are_not_listed() -> None:
    sets = {f'["{i}"]': frozenset([str(i)]) for i in range(5000)}
    assert plan(parse("NOT label:3"), Columns(sets)).exact
    assert plan(parse("(NOT label:3)"), Columns(sets)) == plan(parse("sources.id:x"), Columns(sets))


def test_an_empty_batch() -> None:
    batch = pa.record_batch({"roi_ls": pa.array([], pa.list_(pa.string()))})
    assert evaluate(parse("car"), batch).tolist() == []
    assert evaluate(parse("car"), batch).dtype == np.bool_
