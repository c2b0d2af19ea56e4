"""Rows that others made: brought to our columns, looked over as a whole, and one by one only where something is odd."""

import math
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
from smalti.kernels import group_sets
from smalti.records import Frame
from smalti.store.derive import derive
from smalti.store.ingest import Failed, calm, filled, id_of, record_of, rows_of
from smalti.store.rowhash import distinct_strings
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
                failed.append(Failed(id_of(line), str(error), "validation"))
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
            if not _is_finite(row):
                raise FrameError("a number is not finite: NaN and infinity have no JSON; leave out what is not known")
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
    sources, source_ends = _members(truth.column("sources"))
    rois, roi_ends = _members(truth.column("rois"))
    return (
        bool((np.diff(source_ends) > 0).all())
        and _is_finite(truth)
        and _sources_are_sound(sources, source_ends)
        and _rois_are_sound(rois, roi_ends, sources, source_ends)
        and all(_is_json(text) for text in _texts(truth, sources, rois))
    )


def _is_finite(truth: pa.RecordBatch) -> bool:
    """Whether there is no infinity and no NaN, which JSON has no words for. A sum shows them, unless it overflows."""
    sources, rois = truth.column("sources").flatten(), truth.column("rois").flatten()
    masks, previews = sources.field("masks").flatten(), sources.field("preview")
    columns = [
        *(part.field("timestamp") for part in (sources, masks)),
        previews.flatten()[previews.type.get_field_index("timestamp")],  # without what stands below an absent one
        truth.column("timestamp"),
        rois.field("poly").flatten(),
        rois.field("confidence"),
    ]
    return all(
        math.isfinite(pc.sum(column, min_count=0).as_py()) or pc.all(pc.is_finite(column.drop_null())).as_py()
        for column in columns
    )


def _members(column: pa.ListArray) -> tuple[pa.Array, Ints]:
    """The values of a list column, and where those of each list begin, with the end of the last."""
    sizes = pc.fill_null(column.value_lengths(), 0).to_numpy()
    return column.flatten(), np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


def _owners(ends: Ints) -> Ints:
    return np.repeat(np.arange(len(ends) - 1), np.diff(ends))


def _sources_are_sound(sources: pa.StructArray, ends: Ints) -> bool:
    masks = sources.field("masks")
    if sources.null_count or masks.null_count or not _full(sources, "id", "uri", "timestamp"):
        return False
    if _repeats(sources.field("id"), ends) or not _previews_are_sound(sources.field("preview")):
        return False
    if any((pc.min(sources.field(name)).as_py() or 0) < 0 for name in ("width", "height")):
        return False
    records, mask_ends = _members(masks)
    return (
        not records.null_count
        and _full(records, "id", "uri", "timestamp")
        and not _repeats(records.field("id"), mask_ends)
    )


def _previews_are_sound(previews: pa.StructArray) -> bool:
    there = _there(previews)  # what stands below an absent one means nothing
    return all(_there(previews.field(name))[there].all() for name in ("uri", "timestamp"))


def _there(array: pa.Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    return found


def _full(records: pa.StructArray, *names: str) -> bool:
    return not any(records.field(name).null_count for name in names)


def _repeats(names: pa.StringArray, ends: Ints) -> bool:
    """Whether a name stands twice in one group."""
    if (np.diff(ends) <= 1).all():
        return False
    codes = names.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.uint32)
    return len(group_sets(codes, ends)[0]) != len(codes)


def _rois_are_sound(rois: pa.StructArray, ends: Ints, sources: pa.StructArray, source_ends: Ints) -> bool:
    if rois.null_count or not _full(rois, "label", "poly", "sources"):
        return False
    if any(rois.field(name).flatten().null_count for name in ("label", "poly", "sources")):
        return False
    names, name_ends = _members(rois.field("sources"))
    if not _in_every_frame(names, sources.field("id"), len(source_ends) - 1):
        both = pa.concat_arrays([sources.field("id"), names]).dictionary_encode()
        codes = both.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        base = len(both.dictionary) + 1
        known = _owners(source_ends) * base + codes[: len(sources)]
        if not np.isin(_owners(name_ends[ends]) * base + codes[len(sources) :], known).all():
            return False
    return _roi_masks_are_sound(rois.field("mask"))


def _in_every_frame(names: pa.StringArray, ids: pa.StringArray, frames: int) -> bool:
    """Whether each of the names is that of a source in every frame, as it nearly always is; no frame has an id twice."""
    counts = pc.value_counts(ids)
    common = counts.field("values").filter(pc.equal(counts.field("counts"), frames))
    return set(distinct_strings(names)[0]) <= set(common.to_pylist())


def _roi_masks_are_sound(masks: pa.StructArray) -> bool:
    there = masks.is_valid()
    sizes = pc.fill_null(masks.field("value").value_lengths(), 0)
    if pc.any(pc.greater(pc.filter(sizes, pc.invert(there)), 0)).as_py():  # what no mask owns, whatever it is
        return _roi_masks_are_sound(masks.drop_null())
    numbers = masks.field("value").flatten()
    if pc.any(pc.and_not(there, masks.field("id").is_valid())).as_py() or numbers.null_count:
        return False
    sizes, numbers = sizes.to_numpy(), numbers.to_numpy(zero_copy_only=False)
    occur = np.bincount(sizes)  # 0 is that of no mask
    if (occur[:1] != masks.null_count).any() or not set(np.flatnonzero(occur[1:]) + 1) <= {1, 3, 4}:
        return False
    if (numbers < -1).any():
        return False
    highest = 255 if numbers.max(initial=0) <= 255 else np.repeat(np.where(sizes == 1, 0xFFFFFFFF, 255), sizes)
    return bool((numbers <= highest).all())


def _texts(truth: pa.RecordBatch, sources: pa.StructArray, rois: pa.StructArray) -> Iterator[pa.StringArray]:
    """The columns of JSON that nobody else will read before a user does."""
    yield truth.column("meta_blob")
    yield truth.column("extra")
    yield sources.field("meta")
    yield rois.field("meta")


def _is_json(texts: pa.StringArray) -> bool:
    if texts.null_count == len(texts):
        return True
    for text in distinct_strings(texts.drop_null() if texts.null_count else texts)[0]:
        _decode_object(text)
    return True
