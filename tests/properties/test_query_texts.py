"""Texts of every syntax, put together at random: a version (draft or published) answers as a plain list does."""

import random
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.facts import MaskFacts
from smalti.query.parse import parse
from smalti.query.rules import LabelRule
from smalti.records import Frame, Mask, Preview, Roi, RoiMask, Source
from smalti.store import open_store
from smalti.store.derive import derive
from smalti.store.loading import load_rows
from smalti.store.schema import to_rows
from smalti.store.version import DatasetVersion
from smalti.view import DataView

pytestmark = pytest.mark.filterwarnings("ignore:.*without stored facts")
LABELS = ["car", "Car", "traffic light", "person", "a:b", 'say "x"', "occluded"]


def _roi(draw: random.Random) -> Roi:
    if draw.random() < 0.1:
        return Roi(label=["front-seg"], mask=RoiMask(id="tram", value=[1, 2, 3]))
    return Roi(
        label=draw.sample(LABELS, draw.randint(0, 2)),
        confidence=draw.choice([None, 0, 0.25, 0.5, 1]),
        id=draw.choice([None, "r1"]),
        meta=draw.choice([{}, {"track": 7}, {"track": "a7", "when": "2024-10-21T09:30:00"}]),
    )


def _frame(number: int) -> Frame:
    draw = random.Random(number)
    sources = [
        Source(
            id=name,
            uri=f"s3://bucket/{name}/{number}.png",
            content_type="image/png",
            width=draw.choice([None, 640, 1920]),
            preview=Preview(uri=f"p{number}.jpg") if draw.random() < 0.3 else None,
            masks=[
                Mask(id=f"{name}-{kind}", uri=f"{kind}.png")
                for kind in draw.sample(["seg", "inst"], draw.randint(0, 2))
            ],
        )
        for name in ("front", "rear")[: draw.randint(1, 2)]
    ]
    meta = {
        "city": draw.choice(["Bremen", "Bremen Nord", "ulm", "at_front_left"]),
        "idx": draw.choice([3, 5.5, "7", True, [1, 30], None]),
        "day": draw.choice(["2024-10-20", "2024-10-20T08:15:00", "2024-10-30T23:59:59", "2023", 1729411200]),
        "splits": {"generic": {"set": draw.choice(["train", "val"])}},
        "a.b": draw.randint(0, 3),
        "odd (key)": draw.choice(["x*y", "q?", "back\\slash", "c:d"]),
    }
    for key in draw.sample(sorted(meta), draw.randint(0, 3)):
        del meta[key]
    return Frame(
        id=f"f{number:03}",
        context_id=f"drive {number % 4}",
        timestamp=draw.choice([0, 33, 66.5, 100]),
        sources=sources,
        rois=[_roi(draw) for _ in range(draw.randint(0, 4))],
        meta=meta,
    )


def _facts(frame: Frame) -> list[MaskFacts] | None:
    draw = random.Random(f"facts {frame.id}")
    masks = [(source.id, mask.id) for source in frame.sources for mask in source.masks]
    if draw.random() < 0.1:
        return None
    return [
        MaskFacts(
            source=source,
            mask=mask,
            size_hw=draw.choice([(10, 20), (4, 5)]),
            mode=draw.choice(["P", "RGB"]),
            codec=draw.choice(["png", "h264"]),
            pixels={name: draw.choice([0, 1, 5, 10, 20]) for name in draw.sample(LABELS[:4], draw.randint(0, 3))},
            void=draw.choice([0, 1, 7]),
        )
        for source, mask in masks
    ]


FRAMES = [_frame(number) for number in range(90)]
FACTS = {str(frame.id): found for frame in FRAMES if (found := _facts(frame)) is not None}
ON_FRAMES = [
    "meta.city:bremen", "meta.city.keyword:Bremen", 'meta.city:"bremen nord"', "meta.city:at_front*", "meta.city:br?men",
    "meta.city:*", "meta.idx:[3 TO 7]", "meta.idx:{3 TO 7}", "meta.idx:[3 TO 7}", "meta.idx:{* TO 5.5]", "meta.idx:>=5.5",
    "meta.idx:<30", "meta.idx:true", "meta.idx:(1 OR 7)", "meta.day:[2024-10-20 TO 2024-10-20]", "meta.day:{2022 TO 2024-10-20}",
    "meta.day:[2024-10-20T08:00:00 TO 2024-10-20T09:00:00]", "meta.day:[2024-10 TO *]", "meta.day:>2024-10-20",
    "_exists_:meta.idx", "_exists_:meta.splits", "_exists_:meta.splits.generic.set", 'meta.splits.generic.set:"train"',
    "meta.a.b:2", "meta.a.b:[1 TO 2]", "id:f00?", "id:(f001 OR f002 OR f050)", 'context_id:"drive 1"', "context_id:drive\\ 2",
    'meta.idx:("-3" OR "-7")', "meta.idx:.7", "meta.day:17294*",
    "context_id:drive*", "timestamp:[33 TO 100}", "timestamp:66.5", "timestamp:>0", "_exists_:timestamp",
]  # fmt: skip
ON_ROIS = [
    "car", "label:car", "label:Car", '"traffic light"', "'traffic light'", "label.keyword:\"traffic light\"", "traffic\\ light",
    "label:tra*", "label:?ar", "label:a\\:b", 'label:"say \\"x\\""', "tram", "front-seg", "label:*", "_exists_:label", "confidence:>0.25",
    "confidence:[0.25 TO 0.5]", "confidence:{0.25 TO *]", "_exists_:confidence", "confidence:0.50", "roi.meta.track:7",
    "roi.meta.track:a*", "roi.id:r1", "roi.mask.id:tram", "rois.label.keyword:car", "roi.meta.when:[2024-10-21 TO 2024-10-21]",
    "_exists_:roi.meta.track", "label:(car OR person)", "confidence:<=0",
]  # fmt: skip
ON_SOURCES = [
    "sources.uri:*rear*", "source.id:rear", "sources.width:>=1920", "sources.content_type:image\\/png", "_exists_:sources.preview.uri",
    "sources.masks.id:front-seg", "sources.width:[640 TO 1000]",
]  # fmt: skip
ON_MASKS = [
    "mask.car.share:[0.05 TO *]", "mask.car.share:[0.05 TO 0.25]", "mask.car.share:{0.05 TO 0.5}", "mask.car.share:0.05",
    "mask.car.share:<0.1", "mask.car.share:0", 'mask.label("traffic light").share:>0.01', 'mask.label("traffic light").pixels:[1 TO 10]',
    "mask.label('Car').pixels:>=20", "mask.car.pixels:>0", "mask.person.pixels:[* TO 5]", "mask.void.share:>=0.35", "mask.void.pixels:0",
    "mask.labels:(car AND person)", "mask.labels:traffic*", "_exists_:mask.labels", "mask.mode:P", "mask.codec:h264", "mask.size:20x10",
    "mask.size:20", "mask.width:[10 TO 20]", "mask.height:4", "mask.id:*seg", "mask.source:rear", "mask.segments:0", "mask.car.share:*",
    "mask.share.share:0",
]  # fmt: skip
LEAVES = st.one_of(*(st.sampled_from(group) for group in (ON_FRAMES, ON_ROIS, ON_ROIS, ON_SOURCES, ON_MASKS, ON_MASKS)))


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(lambda both: f"{both[0]} AND {both[1]}"),
        pair.map(lambda both: f"{both[0]} {both[1]}"),
        pair.map(lambda both: f"{both[0]} || {both[1]}"),
        pair.map(lambda both: f"({both[0]} OR {both[1]})"),
        pair.map(lambda both: f"({both[0]} && NOT {both[1]})"),
        pair.map(lambda both: f"+{both[0]} -{both[1]}"),
        inner.map(lambda one: f"NOT ({one})"),
        inner.map(lambda one: f"!({one})^2"),
    )


TEXTS = st.recursive(LEAVES, _joined, max_leaves=4)
RULES = st.builds(
    LabelRule,
    st.one_of(
        st.sampled_from(ON_ROIS),
        st.tuples(st.sampled_from(ON_ROIS), st.sampled_from(ON_ROIS)).map(lambda two: f"{two[0]} AND NOT {two[1]}"),
    ),
    st.sampled_from([None, (1, 2), (2, -1), (-1, 1), (0, 0)]),
    st.sampled_from([None, (0.25, 0.5), (-1, 0.25), (0.5, -1)]),
    st.booleans(),
)


@pytest.fixture(scope="module", params=["draft", "published, two paths declared"])
def version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DatasetVersion:
    dataset = open_store(tmp_path_factory.mktemp("texts")).create_dataset("drive")
    if request.param != "draft":
        dataset.declare("meta.idx", "float")
        dataset.declare("meta.day", "timestamp")
    made = dataset.create_version("v1")
    if request.param == "draft":
        load_rows(made, [derive(to_rows(FRAMES), [FACTS.get(str(frame.id)) for frame in FRAMES])])
    else:
        made.add_frames(FRAMES)
        from smalti.store.counting import _facts_rows, _write

        with made.writing() as branch:
            etags = {
                f: e
                for b in branch.scan(["id", "etag"])
                for f, e in zip(*(c.to_pylist() for c in b.columns), strict=True)
            }
            _write(branch, [_facts_rows([(name, etags[name], found) for name, found in FACTS.items()])])
        made.publish()
    return made


@pytest.mark.parametrize("text", [*ON_FRAMES, *ON_ROIS, *ON_SOURCES, *ON_MASKS])
def test_each_condition_tells_some_frames_from_others(text: str) -> None:
    found = DataView(FRAMES, text, facts=FACTS).count()
    everywhere = {
        "meta.city:*",
        "label:*",
        "_exists_:timestamp",
        "mask.segments:0",
        "context_id:drive*",
        "mask.car.share:*",
    }
    everywhere |= {"sources.content_type:image\\/png", "mask.share.share:0", "_exists_:label"}
    assert 0 < found < len(FRAMES) or text in everywhere, (text, found)


@given(TEXTS)
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_a_version_finds_what_a_list_finds(version: DatasetVersion, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = [s.record.id for s in DataView(FRAMES, text, facts=FACTS).iterate(output="records")]
        view = version.view(text)
        assert view.count() == len(expected), text
        assert [s.record.id for s in view.iterate(output="records")] == expected, text
        assert version.table.count(parse(text)) == len(expected), text


@given(st.lists(RULES, min_size=1, max_size=2), st.sampled_from([None, "meta.city:bremen", "timestamp:>0"]))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
def test_rules_with_counts_and_confidences(
    version: DatasetVersion, rules: list[LabelRule], frame_query: str | None
) -> None:
    views = DataView(FRAMES, facts=FACTS), DataView(version)
    for view in views:
        view.add_multi_query(roi_queries=rules, frame_query=frame_query)
        view.add_query("meta.splits.generic.set:val")
    assert views[0].get_count() == views[1].get_count()
    assert [s.record.id for s in views[0].iterate(output="records")] == [
        s.record.id for s in views[1].iterate(output="records")
    ]


def test_the_draft_answers_anew_after_a_change(tmp_path: Path) -> None:
    made = open_store(tmp_path).create_dataset("drive").create_version("v1")
    made.add_frames(FRAMES[:30])
    rule = LabelRule("car", (1, 2), (0.25, 1))
    before = DataView(made).add_multi_query(roi_queries=[rule]).count()
    assert before == DataView(FRAMES[:30]).add_multi_query(roi_queries=[rule]).count()
    made.add_frames(FRAMES[30:])
    after = DataView(made).add_multi_query(roi_queries=[rule]).count()
    assert after == DataView(FRAMES).add_multi_query(roi_queries=[rule]).count() > before
