"""Rows that others made: brought to our columns, looked over as a whole, and one by one only where something is odd."""

import os
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from smalti import wire
from smalti.errors import FrameError
from smalti.records import Frame
from smalti.store.derive import derive
from smalti.store.ingest import Failed, calm, filled, record_of, rows_of
from smalti.store.schema import TRUTH, from_rows, to_rows

__all__ = ["adopt", "made_rows", "rows_of_lines"]

Ints = NDArray[np.int64]
_decode_frames = msgspec.json.Decoder(Frame).decode_lines
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


def adopt(batch: pa.RecordBatch, where: str) -> pa.RecordBatch:
    """A batch with exactly our truth columns: cast where that loses nothing, absent ones empty.

    Raises:
        FrameError: a column is missing or of another type.
    """
    missing = [name for name in ("id", "sources") if name not in batch.schema.names]
    if missing:
        raise FrameError(f"{where} lacks the column {missing[0]!r}; columns are those of the Arrow schema of frames")
    columns = [_column(batch, field, where) for field in TRUTH]
    return pa.RecordBatch.from_arrays(columns, names=TRUTH.names)


def _column(batch: pa.RecordBatch, field: pa.Field, where: str) -> pa.Array:
    if field.name not in batch.schema.names:
        empty = {"rois": [], "meta": "{}"}.get(field.name)
        return pa.array([empty] * len(batch), field.type)
    column = batch.column(field.name)
    try:
        column = column if column.type == field.type else column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise FrameError(
            f"{where}: column {field.name!r} is {column.type}, allowed is {field.type} ({error})"
        ) from None
    if column.null_count and field.name == "meta":
        return pc.fill_null(column, "{}")
    return column


def made_rows(truth: pa.RecordBatch) -> tuple[pa.RecordBatch | None, list[Failed]]:
    """Whole rows for truth columns from outside, and the frames that break a rule."""
    try:
        if _is_sound(truth):
            sound = truth.set_column(0, TRUTH.field(0), truth.column(0)).cast(TRUTH)
            return derive(sound), []
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    return _one_by_one(truth)


def rows_of_lines(data: bytes, where: str, first: int) -> tuple[pa.RecordBatch | None, list[Failed]]:
    """Whole rows for JSON-lines, and the lines that are not valid frames; `first` is the number of the first line.

    Lines in the canonical dialect are decoded and looked over all at once; if one of them is anything else, each is
    read by itself, with the same result. A relative path becomes absolute where it leads to a file beside `where`.
    """
    folder = os.path.dirname(where)
    try:
        with calm():
            truth = to_rows([_anchored(filled(frame), folder) for frame in _decode_frames(data)])
        if _is_sound(truth):
            return derive(truth), []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, FrameError, IndexError):
        pass
    frames: list[Frame] = []
    failed: list[Failed] = []
    for number, line in enumerate(data.split(b"\n"), first):
        if line.strip():
            try:
                frames.append(_anchored(record_of(wire.load(line, where=f"{where}:{number}")), folder))
            except FrameError as error:
                failed.append(Failed(None, str(error), "validation"))
    rows, refused = rows_of(frames)
    return rows, failed + refused


def _anchored(frame: Frame, folder: str) -> Frame:
    for source in frame.sources:
        source.uri = _absolute(source.uri, folder)
        if source.preview is not None:
            source.preview.uri = _absolute(source.preview.uri, folder)
        for mask in source.masks:
            mask.uri = _absolute(mask.uri, folder)
    return frame


def _absolute(uri: str, folder: str) -> str:
    if not uri or uri.startswith("/") or "://" in uri:
        return uri
    path = os.path.abspath(os.path.join(folder, uri))
    return path if os.path.exists(path) else uri


def _one_by_one(truth: pa.RecordBatch) -> tuple[pa.RecordBatch | None, list[Failed]]:
    frames: list[Frame] = []
    failed: list[Failed] = []
    for position in range(len(truth)):
        row = truth.slice(position, 1)
        try:
            record = from_rows(row)[0]
            # Rows may hold nulls where a record must not: its own JSON goes through the checks of the wire.
            frames.append(record_of(wire.dump(record)))
        except (FrameError, msgspec.MsgspecError, TypeError, ValueError, AttributeError) as error:
            failed.append(Failed(row.column("id")[0].as_py(), str(error), "validation"))
    rows, refused = rows_of(frames)
    return rows, failed + refused


def _is_sound(truth: pa.RecordBatch) -> bool:
    """Whether every row keeps every rule, and needs nothing filled in."""
    if any(truth.column(name).null_count for name in ("id", "context_id", "timestamp", "sources", "rois", "meta")):
        return False
    if truth.column("exact").null_count != len(truth) or pc.any(pc.equal(truth.column("id"), "")).as_py():
        return False
    sources, source_owner = _members(truth.column("sources"), np.arange(len(truth)))
    rois, roi_owner = _members(truth.column("rois"), np.arange(len(truth)))
    return (
        len(np.unique(source_owner)) == len(truth)
        and _sources_are_sound(sources, source_owner)
        and _rois_are_sound(rois, roi_owner, sources, source_owner)
        and all(_is_json(text) for text in _texts(truth, sources, rois))
    )


def _members(column: pa.ListArray, owner: Ints) -> tuple[pa.Array, Ints]:
    """The values of a list column, and the owner of each."""
    return column.flatten(), np.repeat(owner, pc.fill_null(column.value_lengths(), 0).to_numpy())


def _sources_are_sound(sources: pa.StructArray, owner: Ints) -> bool:
    masks = sources.field("masks")
    if sources.null_count or masks.null_count or not _full(sources, "id", "uri", "timestamp"):
        return False
    if _repeats(owner, sources.field("id")) or not _previews_are_sound(sources.field("preview")):
        return False
    records, source_of_mask = _members(masks, np.arange(len(sources)))
    return (
        not records.null_count
        and _full(records, "id", "uri", "timestamp")
        and not _repeats(source_of_mask, records.field("id"))
    )


def _previews_are_sound(previews: pa.StructArray) -> bool:
    return all(previews.field(name).null_count == previews.null_count for name in ("uri", "timestamp"))


def _full(records: pa.StructArray, *names: str) -> bool:
    return not any(records.field(name).null_count for name in names)


def _repeats(owner: Ints, names: pa.StringArray) -> bool:
    codes = names.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = owner * (int(codes.max(initial=0)) + 1) + codes
    return len(np.unique(pairs)) != len(pairs)


def _rois_are_sound(rois: pa.StructArray, owner: Ints, sources: pa.StructArray, source_owner: Ints) -> bool:
    if rois.null_count or not _full(rois, "label", "poly", "sources"):
        return False
    if any(rois.field(name).flatten().null_count for name in ("label", "poly", "sources")):
        return False
    names, frame_of_name = _members(rois.field("sources"), owner)
    both = pa.concat_arrays([sources.field("id"), names]).dictionary_encode()
    codes = both.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    base = len(both.dictionary) + 1
    known = source_owner * base + codes[: len(sources)]
    if not np.isin(frame_of_name * base + codes[len(sources) :], known).all():
        return False
    masks = rois.field("mask").drop_null()
    values = masks.field("value")
    if not _full(masks, "id", "value") or values.flatten().null_count:
        return False
    sizes = values.value_lengths().to_numpy(zero_copy_only=False)
    numbers = values.flatten().to_numpy(zero_copy_only=False)
    highest = np.repeat(np.where(sizes == 1, 0xFFFFFFFF, 255), sizes)
    return bool(np.isin(sizes, (1, 3, 4)).all() and (numbers >= -1).all() and (numbers <= highest).all())


def _texts(truth: pa.RecordBatch, sources: pa.StructArray, rois: pa.StructArray) -> Iterator[pa.StringArray]:
    """The columns of JSON that nobody else will read before a user does."""
    yield truth.column("meta_blob")
    yield truth.column("extra")
    yield sources.field("meta")
    yield rois.field("meta")


def _is_json(texts: pa.StringArray) -> bool:
    if texts.null_count == len(texts):
        return True
    for text in pc.unique(texts).to_pylist():
        if text is not None:
            _decode_object(text)
    return True
