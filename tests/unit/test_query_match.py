"""What queries mean on a frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import QueryError
from smalti.facts import MaskFacts, SegmentFacts
from smalti.query.match import asks_facts, count_things, lacks_facts, matches, roi_labels
from smalti.query.nodes import Some
from smalti.query.parse import parse
from smalti.query.rules import FilterRule, LabelRule, label_query
from smalti.query.values import ANY_CHAR, ANY_TEXT, analyse, canonical, like
from smalti.records import Frame, Mask, Roi, RoiMask, Source

FRAME = Frame(
    id="9a__frame_0036",
    sources=[
        Source(id="front", uri="s3://b/front_0.png", width=1920, masks=[Mask(id="seg", uri="m.png")]),
        Source(id="rear", uri="/data/rear_0.png", width=640, meta={"lens": "wide"}),
    ],
    rois=[
        Roi(label=["Car"], confidence=0.9, sources=["front"]),
        Roi(label=["car", "partly_occluded"], confidence=0.4, id="r2", meta={"track": 7}),
        Roi(label=["car"], confidence=None),
        Roi(label=["hot dog"], mask=RoiMask(id="seg", value=[1, 2, 3])),
        Roi(label=["seg"], mask=RoiMask(id="tram", value=[4, 5, 6])),
    ],
    meta={
        "city": "Bremen Nord",
        "cam": "at_front_left",
        "idx": 5,
        "rain": True,
        "tags": ["wet", "night shift"],
        "splits": {"generic": {"set": "train"}},
        "updated": "2024-10-20T08:30:00",
        "day": "2024-10-30",
        "price": "12.50",
    },
)
FACTS = {
    "seg": MaskFacts(
        source="front",
        mask="seg",
        size_hw=(10, 20),
        mode="P",
        codec="png",
        pixels={"car": 10, "traffic light": 1, "none": 0},
        void=100,
        segments=[SegmentFacts(id=1, pixels=10)],
    ),
    "inst": MaskFacts(source="front", mask="inst", size_hw=(5, 4), mode="RGB", pixels={"person": 20}),
}

YES = [
    "*",
    "car",
    "label:car",
    "label:Car",
    "(car AND partly_occluded)",
    "(car AND NOT partly_occluded)",
    '"hot dog"',
    "tram",
    "seg",
    "(seg AND tram)",
    "label:part*",
    "label:?ar",
    "(car AND confidence:[0.3 TO 0.5])",
    "(car AND NOT _exists_:confidence)",
    "confidence:0.90",
    "roi.id:r2",
    "roi.sources:front",
    "(roi.meta.track:7 AND car)",
    "roi.mask.value:2",
    "meta.city:bremen",
    "meta.city:NORD",
    'meta.city:"bremen nord"',
    'meta.city.keyword:"Bremen Nord"',
    "meta.city.keyword:Bremen*",
    "meta.city:nor*",
    "meta.cam:at_front*",
    "NOT meta.cam:at_rear*",
    "meta.idx:5",
    "meta.idx:5.0",
    "meta.idx.keyword:5",
    "meta.idx:[3 TO 7]",
    "meta.idx:{4 TO 6}",
    "meta.idx:>=5",
    "meta.rain:true",
    "meta.tags:wet",
    "meta.tags:shift",
    "meta.splits.generic.set:train",
    "_exists_:meta.splits",
    "_exists_:meta.splits.generic",
    "meta.idx:*",
    "meta.updated:[2024-10-20 TO 2024-10-30]",
    "meta.day:[2024-10-20 TO 2024-10-30]",
    "meta.updated:[2024-10 TO 2024-10]",
    "meta.updated:[2024 TO *]",
    "meta.updated:[2024-10-20T08:00:00 TO 2024-10-20T09:00:00]",
    'meta.updated:["2024-10-20 10:30:00+02:00" TO *]',
    "meta.price:[12 TO 13]",
    "meta.city:[A TO C]",
    "id:9a__frame_0036",
    "id:9a*",
    'context_id:"s3://b/front_0.png"',
    "timestamp:0",
    "sources.uri:s3://b/*",
    "(sources.id:rear AND sources.width:640)",
    "source.meta.lens:wide",
    "sources.masks.id:seg",
    "mask.car.share:[0.05 TO *]",
    "mask.car.pixels:10",
    'mask.label("traffic light").share:[* TO 0.01]',
    "mask.void.share:0.5",
    "mask.labels:(car AND NOT person)",
    "mask.labels:car AND mask.labels:person",
    "mask.size:20x10",
    "mask.size:[20 TO 20]",
    "mask.width:20",
    "mask.mode:P",
    "(mask.mode:RGB AND mask.person.share:1)",
    "mask.codec:png",
    "mask.segments:1",
    "mask.id:inst",
    "mask.bus.share:0",
]
NO = [
    "bus",
    "label:dog",
    "label:hot",
    "label:CAR",
    "(Car AND partly_occluded)",
    "(car AND confidence:>0.8)",
    "meta.city:brem",
    'meta.city:"nord bremen"',
    "meta.city.keyword:bremen",
    "meta.city.keyword:Bremen",
    "meta.idx:[6 TO *]",
    "meta.idx:{5 TO *}",
    "meta.idx:>5",
    "meta.rain:[0 TO 1]",
    "meta.rain:1",
    "meta.updated:[* TO 2024-10-19]",
    "meta.updated:[2024-10-20T08:30:01 TO *]",
    "meta.updated:{* TO 2024-10-20}",
    "meta.day:{* TO 2024-10-30}",
    "meta.price:[13 TO *]",
    "meta.city:[1 TO 9]",
    "meta.city:[2024-01-01 TO *]",
    "_exists_:meta.nothing",
    "_exists_:meta.splits.gen",
    "id:9A*",
    "(sources.id:rear AND sources.width:1920)",
    "mask.labels:(car AND person)",
    "mask.labels:none",
    "mask.person.share:[0.5 TO 0.9]",
    "(mask.mode:RGB AND mask.car.pixels:>0)",
]


@pytest.mark.parametrize("text", YES)
def test_holds(text: str) -> None:
    assert matches(parse(text), FRAME, FACTS)


@pytest.mark.parametrize("text", NO)
def test_does_not_hold(text: str) -> None:
    assert not matches(parse(text), FRAME, FACTS)


@pytest.mark.parametrize("text", ["tram", "(seg AND tram)"])
def test_written_labels_only(text: str) -> None:
    assert matches(parse(text), FRAME)
    assert not matches(parse(text), FRAME, labels="written")
    assert matches(parse("seg"), FRAME, labels="written")


def test_names_are_compared_letter_by_letter() -> None:
    frame = Frame(id="7", sources=[], rois=[Roi(label=["7"])])
    assert matches(parse("id:7 AND label:7"), frame)
    assert not matches(parse("id:007"), frame)
    assert not matches(parse("label:7.0"), frame)


def test_without_facts_no_mask_condition_holds() -> None:
    assert not matches(parse("mask.car.share:[0 TO *]"), FRAME)
    assert lacks_facts(FRAME, None)
    assert not lacks_facts(FRAME, FACTS)
    assert not lacks_facts(Frame(sources=[]), None)
    assert asks_facts(parse("a AND NOT mask.mode:P"))
    assert not asks_facts(parse("a AND meta.mask:P"))


def test_a_label_that_is_a_mask_id_is_joined_by_what_the_mask_id_says() -> None:
    assert [sorted(found) for found in roi_labels(FRAME)][3:] == [["hot dog"], ["seg", "tram"]]


class TestRules:
    def check(self, **rule: object) -> bool:
        return matches(LabelRule(**rule).tree(), FRAME)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("count_range", "expected"),
        [((2, 2), True), ((1, 1), False), ((3, -1), False), ((-1, 2), True), ((0, -1), True), ((2, 5), True)],
    )
    def test_count_range(self, count_range: tuple[int, int], expected: bool) -> None:
        assert self.check(label="car", count_range=count_range) is expected

    def test_confidence_counts_only_rois_that_have_one(self) -> None:
        assert self.check(label="car", conf_range=(0.4, 0.4))
        assert not self.check(label="car", conf_range=(0.5, -1))
        assert self.check(label="car", conf_range=(-1, -1), count_range=(2, 2))
        assert self.check(label="car", conf_range=(-1, 1), count_range=(1, 1))

    def test_must_not(self) -> None:
        assert self.check(label="bus", must_not=True)
        assert not self.check(label="car", must_not=True)
        assert self.check(label="car", must_not=True, count_range=(3, -1))

    @pytest.mark.parametrize("wrong", [{"count_range": (3, 1)}, {"conf_range": (0.9, 0.1)}, {"count_range": (1,)}])
    def test_ranges_upside_down_are_refused(self, wrong: dict[str, object]) -> None:
        with pytest.raises(QueryError):
            LabelRule("car", **wrong).tree()  # type: ignore[arg-type]

    def test_each_rule_of_a_filter_may_be_met_by_another_roi(self) -> None:
        rule = FilterRule(label_rules=(LabelRule("Car"), LabelRule("partly_occluded")))
        assert matches(rule.tree(), FRAME)
        assert not matches(FilterRule(label_rules=(LabelRule("Car AND partly_occluded"),)).tree(), FRAME)

    def test_a_filter_ands_everything(self) -> None:
        parts = {"frame_query": "meta.idx:5", "sources_query": "id:rear AND width:640", "query": "tram"}
        assert matches(FilterRule(label_rules=(LabelRule("car"),), **parts).tree(), FRAME)
        for name, text in [("frame_query", "meta.idx:6"), ("sources_query", "id:rear AND width:1"), ("query", "bus")]:
            assert not matches(FilterRule(label_rules=(LabelRule("car"),), **{**parts, name: text}).tree(), FRAME)

    def test_filter_by_roi(self) -> None:
        empty = Frame(sources=[])
        rules = (LabelRule("bus"),)
        assert not matches(FilterRule(label_rules=rules).tree(), FRAME)
        assert matches(FilterRule(label_rules=rules, filter_by_roi="disabled").tree(), FRAME)
        assert not matches(FilterRule(label_rules=rules, filter_by_roi="no_rois").tree(), FRAME)
        assert matches(FilterRule(label_rules=rules, filter_by_roi="no_rois").tree(), empty)

    def test_a_list_of_labels_is_one_roi_with_all(self) -> None:
        assert self.check(label=label_query(["car", "partly_occluded"]))
        assert not self.check(label=label_query(["Car", "partly_occluded"]))
        assert label_query(['a "b"']) == '"a \\"b\\""'


def test_counting() -> None:
    tree = parse("car", "roi")
    assert isinstance(tree, Some)
    assert count_things(tree, FRAME) == 2


def _like(text: str, pattern: str) -> bool:
    """Wildcards by the textbook's recursion, for short texts."""
    if not pattern:
        return not text
    if pattern[0] == ANY_TEXT:
        return any(_like(text[i:], pattern[1:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in (ANY_CHAR, text[0]) and _like(text[1:], pattern[1:])


@given(st.text("ab", max_size=8), st.text(f"ab{ANY_TEXT}{ANY_CHAR}", max_size=6))
def test_wildcards_equal_the_textbook(text: str, pattern: str) -> None:
    assert like(text, pattern) == _like(text, pattern)


def test_wildcards_do_not_explode() -> None:
    assert not like("a" * 4000, (ANY_TEXT + "a") * 20 + "b")


@given(st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6, width=32)))
def test_numbers_equal_by_value(number: float) -> None:
    frame = Frame(sources=[], meta={"n": number})
    for text in {repr(number), str(float(number)), canonical(number)}:
        assert matches(parse(f'meta.n:"{text}"'), frame)


def test_words() -> None:
    assert analyse("Bremen-Nord, at_front 3.5") == ["bremen", "nord", "at_front", "3", "5"]
