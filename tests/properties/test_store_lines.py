"""Lines of JSON become the same rows whether they are read all at once or one by one."""

import json
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smalti import wire
from smalti.store import adopt
from smalti.store.ingest import Failed
from smalti.store.schema import TRUTH

TEXT = st.text(max_size=5)
NAMES = st.sampled_from(["a", "b", "seg"])
NUMBER = st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([1.0, -0.0])
JSON = st.none() | st.booleans() | NUMBER | TEXT | st.lists(st.integers(0, 9), max_size=2)
OBJECT = st.dictionaries(st.text(max_size=4), JSON | st.dictionaries(TEXT, JSON, max_size=2), max_size=3)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of these keys."""
    return st.fixed_dictionaries({}, optional=fields)


MASK = some(id=NAMES, uri=TEXT, width=st.integers(0, 9), timestamp=NUMBER)
SOURCE = some(id=NAMES, uri=TEXT, timestamp=NUMBER, meta=OBJECT, masks=st.lists(MASK, max_size=2), preview=TEXT)
ROI = some(
    id=TEXT | st.integers(0, 9),
    label=st.lists(NAMES, max_size=2),
    labels=st.lists(NAMES, max_size=2),
    poly=st.lists(NUMBER, max_size=4),
    mask=some(id=NAMES, value=st.lists(st.integers(-2, 300), max_size=4)),
    confidence=NUMBER,
    sources=st.lists(NAMES, max_size=1),
    meta=OBJECT,
)
GOOD = st.fixed_dictionaries(
    {"sources": st.lists(st.fixed_dictionaries({"id": NAMES, "uri": TEXT}), min_size=1, max_size=1)},
    optional={
        "id": TEXT | st.integers(0, 99),
        "timestamp": NUMBER,
        "meta": OBJECT,
        "rois": st.lists(some(label=st.lists(NAMES, max_size=2), poly=st.lists(NUMBER, max_size=3), meta=OBJECT)),
    },
)
ODD = some(id=TEXT, sources=st.lists(SOURCE, max_size=2), rois=st.lists(ROI, max_size=2), meta=OBJECT, other=JSON)
FRAME = GOOD | GOOD | ODD
LINE = (
    FRAME.map(lambda frame: json.dumps(frame).encode())
    | FRAME.map(msgspec.json.encode)
    | st.sampled_from(
        [b"", b"  ", b"{", b"[]", b"\xff", b'\xef\xbb\xbf{"id": "x", "sources": [{"id": "a", "uri": ""}]}']
    )
)


def told(made: tuple[pa.RecordBatch | None, list[Failed]]) -> tuple[Any, list[Failed]]:
    rows, failed = made
    return [] if rows is None else rows.drop_columns("updated_ms").to_pylist(), failed


def one_by_one(data: bytes) -> tuple[Any, list[Failed]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(adopt, "_is_sound", lambda truth: False)
        return told(adopt.rows_of_lines(data, "x.jsonl", 7))


@settings(max_examples=80, deadline=None)
@given(st.lists(LINE, max_size=4), st.booleans())
def test_all_at_once_is_one_by_one(lines: list[bytes], is_ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if is_ended else b"")
    assert told(adopt.rows_of_lines(data, "x.jsonl", 7)) == one_by_one(data)


@settings(max_examples=30, deadline=None)
@given(st.lists(GOOD.map(msgspec.json.encode), min_size=1, max_size=3))
def test_what_is_read_at_once_is_what_the_wire_reads(lines: list[bytes]) -> None:
    rows, failed = adopt.rows_of_lines(b"\n".join(lines), "x.jsonl", 1)
    expected = []
    for line in lines:
        try:
            expected.append(wire.load(line))
        except wire.FrameError:
            continue
    found = [] if rows is None else adopt.from_rows(rows)
    assert len(found) == len(expected) == len(lines) - len(failed)
    for frame, wanted in zip(found, expected, strict=True):
        assert (frame.sources, frame.rois, frame.meta) == (wanted.sources, wanted.rois, wanted.meta)


@settings(max_examples=30, deadline=None)
@example(
    [b'{"sources":[{"id":"a","uri":"x"}],"timestamp":0.0,"rois":[{"label":["a","a"],"poly":[9007199254740993]}]}'], True
)
@example(
    [
        b'{"sources":[{"id":"a","uri":""}],"id":"","timestamp":9007199254740994.0}',
        b'{"sources":[{"id":"a","uri":""}],"id":0,"timestamp":9007199254740993}',
    ],
    False,
)
@example(
    [
        b'{"sources":[{"id":"a","uri":""}],"timestamp":-0.0}',
        b'{"sources":[{"id":"a","uri":""}],"id":"","rois":[{"poly":[9007199254740993]}]}',
    ],
    False,
)
@given(st.lists((GOOD | ODD).map(msgspec.json.encode), max_size=4), st.booleans())
def test_frames_survive_arrow_and_parquet(lines: list[bytes], is_parquet: bool) -> None:
    rows, _ = adopt.rows_of_lines(b"\n".join(lines), "x.jsonl", 1)
    if rows is None or not len(rows):
        return
    out = pa.BufferOutputStream()
    table = pa.Table.from_batches([rows.select(TRUTH.names)])
    if is_parquet:
        pq.write_table(table, out, compression="zstd")
        (back,) = pq.ParquetFile(pa.BufferReader(out.getvalue())).iter_batches(100)
    else:
        with pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
        back = pa.ipc.open_file(out.getvalue()).get_batch(0)
    assert told(adopt.made_rows(adopt.adopt(back, "x.parquet"))) == told((rows, []))
