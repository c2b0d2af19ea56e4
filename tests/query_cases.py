"""Hypothesis strategies for frames, facts and queries that have something to do with one another."""

from typing import Any

from hypothesis import strategies as st

from smalti.facts import MaskFacts
from smalti.query.nodes import All, And, Exists, Node, Not, Or, Range, Some, Term
from smalti.query.values import ANY_CHAR, ANY_TEXT
from smalti.records import Frame, Mask, Roi, RoiMask, Source

LABELS = ["car", "person", "Car", "traffic light", "seg", "a\"b'c", "7", ""]
WORDS = [
    "Bremen",
    "bremen",
    "Bremen Nord",
    "at_front_left",
    "3",
    "3.0",
    "true",
    "x=1",
    "it's 5 %",
    "2024-10-20T08:00:00",
    "-1",
    ".5",
    "true!",
    "1e17",
    "10000",
]
SCALARS = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from([0, 1, 3, 3.0, 2.5, 1e-7, True, False, -4, -1, 5, 0.5, 1e17, 1e20]),
    st.sampled_from(["2024-10-20", "2024-10-30T12:30", "word " * 20 + "end", "Straße Ünal"]),
)
PATHS = ["city", "n", "deep.a", "a", "a=b", "list"]
METAS = st.fixed_dictionaries(
    {},
    optional={
        "city": SCALARS,
        "n": st.one_of(SCALARS, st.none()),
        "deep": st.fixed_dictionaries({}, optional={"a": SCALARS, "b": st.lists(SCALARS, max_size=2)}),
        "deep.a": SCALARS,
        "a": SCALARS,
        "a=b": SCALARS,
        "list": st.lists(SCALARS, max_size=3),
    },
)


@st.composite
def rois(draw: Any) -> Roi:
    """A ROI; now and then one that names its mask by its label."""
    if draw(st.integers(0, 4)) == 0:
        return Roi(label=["seg"], mask=RoiMask(id=draw(st.sampled_from(["car", "person", "seg"])), value=[1, 2, 3]))
    return Roi(
        label=draw(st.lists(st.sampled_from(LABELS), max_size=3)),
        confidence=draw(st.sampled_from([None, 0, 0.3, 0.5, 0.8, 1])),
        id=draw(st.sampled_from([None, "r1"])),
        meta=draw(st.sampled_from([{}, {"k": 1}, {"k": "at_front"}])),
    )


@st.composite
def frames(draw: Any, number: int = 0) -> Frame:
    """A frame with one or two sources, some with masks."""
    with_masks = draw(st.booleans())
    sources = [
        Source(
            id=f"s{i}",
            uri=draw(st.sampled_from(["s3://b/x_0.png", "s3://b/y.png", "/data/Z.mp4"])),
            masks=[Mask(id="seg" if i == 0 else "other", uri="m.png")] if with_masks else [],
            width=draw(st.sampled_from([None, 640, 1920])),
        )
        for i in range(draw(st.integers(1, 2)))
    ]
    return Frame(
        id=f"f{number}",
        context_id=draw(st.sampled_from([None, "c1", "c2", "it's"])),
        timestamp=draw(st.sampled_from([None, 0, 33, 66.5])),
        sources=sources,
        rois=draw(st.lists(rois(), max_size=4)),
        meta=draw(METAS),
    )


@st.composite
def facts(draw: Any, frame: Frame) -> list[MaskFacts] | None:
    """What is stored about the masks of a frame, or that nothing is."""
    if draw(st.booleans()):
        return None
    return [
        MaskFacts(
            source=source.id,
            mask=mask.id,
            size_hw=(10, 20),
            mode=draw(st.sampled_from(["P", "RGB"])),
            codec="png",
            pixels=draw(
                st.dictionaries(st.sampled_from(LABELS[:4]), st.sampled_from([0, 1, 10, 25, 100, 200]), max_size=3)
            ),
            void=draw(st.sampled_from([0, 3, 100])),
        )
        for source in frame.sources
        for mask in source.masks
    ]


@st.composite
def many(draw: Any, most: int = 8) -> tuple[list[Frame], list[list[MaskFacts] | None]]:
    """Some frames with what is stored about their masks."""
    found = [draw(frames(i)) for i in range(draw(st.integers(1, most)))]
    return found, [draw(facts(frame)) for frame in found]


def _patterns(words: list[str]) -> st.SearchStrategy[str]:
    pieces = st.sampled_from([word[:3] for word in words if word] + [word[-3:] for word in words if word])
    ends = st.sampled_from([f"{ANY_TEXT}", f"{ANY_CHAR}"])
    return st.one_of(
        st.builds(lambda p, e: p + e, pieces, ends), st.builds(lambda p, e: e + p + ANY_TEXT, pieces, ends)
    )


@st.composite
def terms(draw: Any, scope: Any, field: str, words: list[str], exact: bool) -> Term:
    """A word, phrase or pattern."""
    kind = draw(st.sampled_from(["word", "phrase", "wildcard"]))
    text = draw(_patterns(words)) if kind == "wildcard" else draw(st.sampled_from([w for w in words if w]))
    return Term(scope, field, text, kind, exact)


BOUNDS = st.sampled_from([None, "0", "1", "3", "2.5", "2024-10-20", "2024", "2024-10-20T08:00:00", "b", "true"])


@st.composite
def ranges(draw: Any, scope: Any, field: str, bounds: Any = BOUNDS, of: str | None = None) -> Range:
    """A range, open or not at its ends."""
    return Range(scope, field, draw(bounds), draw(bounds), draw(st.booleans()), draw(st.booleans()), of)


def _frame_leaves() -> st.SearchStrategy[Node]:
    fields = st.sampled_from([f"meta.{path}" for path in PATHS])
    meta = fields.flatmap(
        lambda f: st.one_of(
            terms("frame", f, [*WORDS, "word", "null"], True),
            terms("frame", f, [*WORDS, "word", "nord", "word end", "straße"], False),
            ranges("frame", f),
            st.just(Exists("frame", f)),
        )
    )
    own = st.sampled_from(["id", "context_id"]).flatmap(lambda f: terms("frame", f, ["f0", "f1", "c1", "it's"], True))
    more = st.one_of(ranges("frame", "timestamp"), st.just(Exists("frame", "meta.deep")), ranges("frame", "id"))
    return st.one_of(meta, meta, own, more)


def _roi_leaves() -> st.SearchStrategy[Node]:
    confidence = st.sampled_from([None, "0", "0.3", "0.5", "1", "x"])
    return st.one_of(
        terms("roi", "label", LABELS, True),
        terms("roi", "label", LABELS, True),
        ranges("roi", "confidence", confidence),
        st.sampled_from(
            [
                Exists("roi", "label"),
                Exists("roi", "confidence"),
                Term("roi", "confidence", "0.50"),
                All(),
                Term("roi", "meta.k", "1"),
                Term("roi", "mask.id", "car", exact=True),
                Range("roi", "label", "b", "d"),
            ]
        ),
    )


def _mask_leaves() -> st.SearchStrategy[Node]:
    shares = st.sampled_from([None, "0", "0.05", "0.125", "0.5", "1", "0.005", "-1", "z"])
    labels = st.sampled_from(LABELS[:4])
    return st.one_of(
        labels.flatmap(lambda label: ranges("mask", "share", shares, label)),
        labels.flatmap(lambda label: ranges("mask", "share", shares, label)),
        labels.flatmap(lambda label: ranges("mask", "pixels", st.sampled_from([None, "0", "1", "25"]), label)),
        ranges("mask", "void.share", shares),
        terms("mask", "labels", LABELS[:4], True),
        st.sampled_from(
            [Term("mask", "mode", "P", exact=True), Exists("mask", "labels"), Term("mask", "size", "20x10")]
        ),
    )


def _source_leaves() -> st.SearchStrategy[Node]:
    return st.one_of(terms("source", "uri", ["s3://b/y.png", "/data/Z.mp4"], True), ranges("source", "width"))


def _combined(leaves: st.SearchStrategy[Node], most: int = 4) -> st.SearchStrategy[Node]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda items: And(tuple(items))),
            st.lists(inner, min_size=1, max_size=3).map(lambda items: Or(tuple(items))),
            inner.map(Not),
        ),
        max_leaves=most,
    )


def _somes() -> st.SearchStrategy[Node]:
    counts = st.sampled_from([(1, None), (1, None), (1, None), (2, 3), (0, 1), (0, 0), (0, None), (2, None)])
    items = st.one_of(
        st.tuples(st.just("roi"), _combined(_roi_leaves())),
        st.tuples(st.just("mask"), _combined(_mask_leaves())),
        st.tuples(st.just("source"), _combined(_source_leaves())),
    )
    return st.builds(lambda scoped, count: Some(scoped[0], scoped[1], *count), items, counts)


def queries() -> st.SearchStrategy[Node]:
    """Trees as the parser makes them, and more."""
    return _combined(st.one_of(_somes(), _somes(), _frame_leaves()), 5)
