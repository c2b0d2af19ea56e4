"""Any valid frame survives being a row, and its computed columns say what plain Python says."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.query.match import roi_labels
from smalti.records import Frame, Mask, Preview, Roi, RoiMask, Source
from smalti.store.derive import derive
from smalti.store.schema import from_rows, to_rows

TEXT = st.text(max_size=6)
NAMES = st.sampled_from(["a", "b", "seg", "ä", ""])
REAL = st.floats(allow_nan=False, allow_infinity=False)
NUMBER = st.integers(-(2**62), 2**62) | REAL
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | REAL | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(st.text(max_size=4), JSON, max_size=3)
SIZE = st.none() | st.integers(0, 2**31)

MASK = st.builds(Mask, id=NAMES, uri=TEXT, content_type=st.none() | TEXT, width=SIZE, timestamp=NUMBER, extra=OBJECT)
PREVIEW = st.none() | st.builds(Preview, uri=TEXT, height=SIZE, timestamp=NUMBER, extra=OBJECT)
SOURCE = st.builds(
    Source, id=NAMES, uri=TEXT, width=SIZE, timestamp=NUMBER, preview=PREVIEW,
    masks=st.lists(MASK, max_size=2), meta=OBJECT, extra=OBJECT,
)  # fmt: skip
ROI_MASK = st.none() | st.builds(RoiMask, id=NAMES, value=st.lists(st.integers(-1, 2**40), max_size=3), extra=OBJECT)
ROI = st.builds(
    Roi, label=st.lists(NAMES, max_size=3), id=st.none() | TEXT, poly=st.lists(NUMBER, max_size=4), mask=ROI_MASK,
    confidence=st.none() | NUMBER, sources=st.lists(NAMES, max_size=2), meta=OBJECT, extra=OBJECT,
)  # fmt: skip
FRAME = st.builds(
    Frame, id=TEXT, context_id=st.none() | TEXT, timestamp=st.none() | NUMBER, sources=st.lists(SOURCE, max_size=2),
    rois=st.lists(ROI, max_size=3), meta=OBJECT, meta_blob=OBJECT, blob=st.none() | TEXT, extra=OBJECT,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(FRAME, max_size=4))
def test_frames_survive(frames: list[Frame]) -> None:
    assert from_rows(to_rows(frames)) == frames


def scalars(value: Any, path: str) -> set[tuple[str, Any]]:
    if isinstance(value, dict):
        return {found for key, item in value.items() for found in scalars(item, f"{path}.{key}" if path else key)}
    if isinstance(value, list):
        return {found for item in value for found in scalars(item, path)}
    return {(path, value)} if value is not None else set()


def token(path: str, value: Any) -> str:
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = value
    elif value == int(value):
        text = str(int(value))
    else:
        return ""  # how a fraction is written is the writer's business
    return f"{path}={text[:120]}"


@settings(max_examples=60, deadline=None)
@given(st.lists(FRAME, min_size=1, max_size=4))
def test_computed_columns_follow_from_the_frames(frames: list[Frame]) -> None:
    rows = derive(to_rows(frames)).to_pylist()
    for frame, row in zip(frames, rows, strict=True):
        sets = roi_labels(frame)
        assert row["roi_ls"] == [json.dumps(sorted(s), ensure_ascii=False, separators=(",", ":")) for s in sets]
        assert sorted(row["labelsets"]) == sorted(set(row["roi_ls"]))
        assert row["labels"] == sorted({label for labels in sets for label in labels})
        wanted = {token(path, value) for path, value in scalars(frame.meta, "")} - {""}
        assert wanted <= set(row["meta_kv"])
        assert len(row["meta_kv"]) == len(set(row["meta_kv"]))


@settings(max_examples=60, deadline=None)
@given(FRAME, FRAME)
def test_equal_rows_and_only_they_have_equal_hashes(a: Frame, b: Frame) -> None:
    first, second = to_rows([a]), to_rows([b])
    etags = [derive(rows).column("etag")[0].as_py() for rows in (first, second)]
    assert (etags[0] == etags[1]) == (first.to_pylist() == second.to_pylist())
