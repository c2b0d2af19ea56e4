"""The Arrow schema of frames, and the only code that turns `Frame` records into rows and rows into records.

A row holds the *truth* (the record, column by column) and what `smalti.store.derive` computes from it (labels, tokens,
content hash). Nested columns follow the records field by field; three things differ, each for a reason:

* free JSON (`meta`, `meta_blob`) is text: it is lossless, and five times smaller than a binary JSON column;
* the `extra` keys of a frame and of everything in it share one text column, keyed by their path (`rois/3/mask`): they
  are rare, and each nested column costs a read in every lookup;
* `exact` holds the whole record as JSON where a typed column cannot say a number exactly (an integer beyond 2**53).

`id`, `context_id` and `timestamp` may be missing in a record; `smalti.store.ingest` fills them in before a row is made.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, pairwise
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smalti.errors import FrameError
from smalti.records import Frame, Mask, Preview, Roi, RoiMask, Source

__all__ = ["DERIVED", "SCHEMA", "SCHEMA_REVISION", "TRUTH", "from_rows", "to_rows"]

SCHEMA_REVISION = 1
"""Goes up with every change of the columns; kept with each dataset in the catalog."""

_TEXT, _INT, _REAL = pa.string(), pa.int64(), pa.float64()

MASK = pa.struct(
    {
        "id": _TEXT,
        "uri": _TEXT,
        "content_type": _TEXT,
        "width": _INT,
        "height": _INT,
        "timestamp": _REAL,
        "encoding": _TEXT,
    }
)
PREVIEW = pa.struct({"uri": _TEXT, "content_type": _TEXT, "width": _INT, "height": _INT, "timestamp": _REAL})
SOURCE = pa.struct(
    {
        "id": _TEXT,
        "uri": _TEXT,
        "content_type": _TEXT,
        "width": _INT,
        "height": _INT,
        "timestamp": _REAL,
        "preview": PREVIEW,
        "masks": pa.list_(MASK),
        "meta": _TEXT,
    }
)
ROI_MASK = pa.struct({"id": _TEXT, "value": pa.list_(_INT)})
ROI = pa.struct(
    {
        "label": pa.list_(_TEXT),
        "id": _TEXT,
        "poly": pa.list_(_REAL),
        "mask": ROI_MASK,
        "confidence": _REAL,
        "sources": pa.list_(_TEXT),
        "meta": _TEXT,
    }
)

_PRIMARY = {"lance-schema:unenforced-primary-key": "true"}

TRUTH = pa.schema(
    [
        pa.field("id", _TEXT, nullable=False, metadata=_PRIMARY),
        pa.field("context_id", _TEXT),
        pa.field("timestamp", _REAL),
        pa.field("sources", pa.list_(SOURCE)),
        pa.field("rois", pa.list_(ROI)),
        pa.field("meta", _TEXT),
        pa.field("meta_blob", _TEXT),
        pa.field("blob", _TEXT),
        pa.field("extra", _TEXT),
        pa.field("exact", _TEXT),
    ]
)
"""The record itself."""

DERIVED = pa.schema(
    [
        pa.field("labels", pa.list_(_TEXT)),
        pa.field("labelsets", pa.list_(_TEXT)),
        pa.field("roi_ls", pa.list_(_TEXT)),
        pa.field("roi_conf", pa.list_(_REAL)),
        pa.field("meta_kv", pa.list_(_TEXT)),
        pa.field("etag", pa.uint64()),
        pa.field("updated_ms", _INT),
        pa.field("px_known", pa.bool_()),
        pa.field("px_label", pa.list_(_TEXT)),
        pa.field("px_count", pa.list_(_INT)),
        pa.field("px_bucket", pa.list_(_TEXT)),
        pa.field("px_void", _REAL),
        pa.field("px_masks", _TEXT),
    ]
)
"""What our writer computes. Lists are [], never null: a null would drop out of a negated filter."""

SCHEMA = pa.schema([*TRUTH, *DERIVED])

_EXTRA_OF = attrgetter("extra")
_BREAK = ord("\n")
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.Decoder().decode
_decode_frame = msgspec.json.Decoder(Frame).decode


# ---------------------------------------------------------------------------------------------- records → rows
def to_rows(frames: Sequence[Frame]) -> pa.RecordBatch:
    """The truth columns of some frames, as one batch in the same order.

    Raises:
        FrameError: a value has a type that its field does not allow; the frames before and after are not the cause.
    """
    try:
        return _batch(frames, [None] * len(frames))
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, OverflowError, ValueError):
        parts = [_one(frame) for frame in frames]
    return pa.Table.from_batches(parts, TRUTH).combine_chunks().to_batches()[0]


def _one(frame: Frame) -> pa.RecordBatch:
    """One frame that a plain batch refused: with its numbers rounded and kept as JSON, or an error with its id."""
    try:
        return _batch([frame], [None])
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, OverflowError, ValueError):
        pass
    try:
        exact = _encode(frame).decode()
        checked = _decode_frame(exact)
        if checked != frame:
            raise FrameError("its JSON reads back as something else (not a number, or an integer beyond 64 bits)")
        rounded = _rounded(checked)
        # 2**53 + 2 is a number of a typed column: a row must not depend on whether it came as 9007199254740994.0
        return _batch([rounded], [None if rounded == checked else exact])
    except FrameError as error:
        raise FrameError(f"frame {frame.id!r}: {error}", path=error.path) from None
    except (msgspec.MsgspecError, pa.ArrowException, TypeError, OverflowError, ValueError) as error:
        raise FrameError(f"frame {frame.id!r} cannot be stored: {error}; correct that value") from None


def _rounded(frame: Frame) -> Frame:
    """The frame with every typed number as the nearest that a column can hold; the input is already validated."""

    def real(value: float | None) -> float | None:
        return None if value is None else float(value)

    def whole(value: int | None) -> int | None:
        return None if value is None else max(-(2**63), min(2**63 - 1, value))

    replace = msgspec.structs.replace
    sources = [
        replace(
            source,
            timestamp=float(source.timestamp),
            width=whole(source.width),
            height=whole(source.height),
            preview=source.preview
            and replace(
                source.preview,
                timestamp=float(source.preview.timestamp),
                width=whole(source.preview.width),
                height=whole(source.preview.height),
            ),
            masks=[
                replace(m, timestamp=float(m.timestamp), width=whole(m.width), height=whole(m.height))
                for m in source.masks
            ],
        )
        for source in frame.sources
    ]
    rois = [
        replace(
            roi,
            poly=[float(value) for value in roi.poly],
            confidence=real(roi.confidence),
            mask=roi.mask and replace(roi.mask, value=[whole(value) for value in roi.mask.value]),
        )
        for roi in frame.rois
    ]
    return replace(frame, timestamp=real(frame.timestamp), sources=sources, rois=rois)


def _text(value: dict[str, Any]) -> str | None:
    if not value:
        return None
    text = _encode(value)
    if b"null" in text and _decode(text) != value:  # what is not a number is written as null
        raise ValueError("free JSON holds a number that is not finite")
    return text.decode()


def _texts(values: Sequence[dict[str, Any]], *, empty: str | None = None) -> pa.StringArray:
    """Free JSON as a column of texts, `empty` for nothing. All are written in one go: a frame has many."""
    lines = _encode_lines(values)
    if b"null" in lines:
        return pa.array([_text(value) or empty for value in values], _TEXT)
    text = np.frombuffer(lines, np.uint8)
    breaks = np.flatnonzero(text == _BREAK)
    offsets = np.zeros(len(values) + 1, np.int32)
    np.subtract(breaks, np.arange(len(breaks)), out=offsets[1:], casting="unsafe")
    joined = pa.py_buffer(lines.replace(b"\n", b""))
    found = pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), joined)
    is_empty = np.diff(offsets) == len("{}")
    if empty is not None or not is_empty.any():
        return found
    return pc.if_else(pa.array(~is_empty), found, pa.scalar(None, _TEXT))


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Python values as a column; unlike `pyarrow.array` it cuts no fraction off, and takes no truth value for a number.

    Raises:
        ValueError, TypeError, pa.ArrowException: a value is not of this type.
    """
    if kind == _TEXT:
        return pa.array(values, kind)
    found = pa.array(values) if kind == _INT else pa.array(values, kind, from_pandas=False)
    if pa.types.is_boolean(found.type) or bool in set(map(type, values)):
        raise TypeError("a truth value stands where a number is expected")
    if kind == _REAL and pc.any(pc.invert(pc.is_finite(found))).as_py():
        raise ValueError("a number is not finite")
    return found if found.type == kind else found.cast(kind)


def _offsets(lists: Iterable[Sequence[Any]]) -> pa.Array:
    return pa.array(np.fromiter(accumulate(map(len, lists), initial=0), np.int32))


def _lists(lists: Sequence[Sequence[Any]], kind: pa.ListType) -> pa.ListArray:
    flat = _array(list(chain.from_iterable(lists)), kind.value_type)
    return pa.ListArray.from_arrays(_offsets(lists), flat, type=kind)


def _struct(kind: pa.StructType, columns: Sequence[pa.Array], present: Sequence[Any] | None = None) -> pa.StructArray:
    mask = None if present is None else pa.array([item is None for item in present], pa.bool_())
    return pa.StructArray.from_arrays(list(columns), fields=list(kind), mask=mask)


def _column(items: Sequence[Any], name: str, kind: pa.DataType) -> pa.Array:
    return _array(list(map(attrgetter(name), items)), kind)


def _batch(frames: Sequence[Frame], exact: Sequence[str | None]) -> pa.RecordBatch:
    sources = [f.sources for f in frames]
    rois = [f.rois for f in frames]
    flat_sources: list[Source] = list(chain.from_iterable(sources))
    flat_rois: list[Roi] = list(chain.from_iterable(rois))
    columns = [
        pa.array([f.id for f in frames], _TEXT),
        pa.array([f.context_id for f in frames], _TEXT),
        _array([f.timestamp for f in frames], _REAL),
        pa.ListArray.from_arrays(_offsets(sources), _sources(flat_sources)),
        pa.ListArray.from_arrays(_offsets(rois), _rois(flat_rois)),
        _texts([f.meta for f in frames], empty="{}"),  # null would drop out of a negated filter
        _texts([f.meta_blob for f in frames]),
        pa.array([f.blob for f in frames], _TEXT),
        _extra_column(frames, flat_sources, flat_rois),
        pa.array(exact, _TEXT),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=TRUTH)


def _sources(sources: Sequence[Source]) -> pa.StructArray:
    previews = [s.preview for s in sources]
    masks = [s.masks for s in sources]
    flat = list(chain.from_iterable(masks))
    return _struct(
        SOURCE,
        [
            *(_column(sources, f.name, f.type) for f in list(SOURCE)[:6]),
            _previews(previews),
            pa.ListArray.from_arrays(
                _offsets(masks), _struct(MASK, [_column(flat, f.name, f.type) for f in MASK]), type=pa.list_(MASK)
            ),
            _texts([s.meta for s in sources]),
        ],
    )


def _previews(previews: Sequence[Preview | None]) -> pa.StructArray:
    if not any(previews):
        return pa.nulls(len(previews), PREVIEW)
    columns = [_array([p and getattr(p, f.name) for p in previews], f.type) for f in PREVIEW]
    return _struct(PREVIEW, columns, previews)


def _rois(rois: Sequence[Roi]) -> pa.StructArray:
    masks = [r.mask for r in rois]
    values = _lists([() if m is None else m.value for m in masks], pa.list_(_INT))
    return _struct(
        ROI,
        [
            _lists([r.label for r in rois], pa.list_(_TEXT)),
            _column(rois, "id", _TEXT),
            _lists([r.poly for r in rois], pa.list_(_REAL)),
            _struct(ROI_MASK, [pa.array([m and m.id for m in masks], _TEXT), values], masks),
            _column(rois, "confidence", _REAL),
            _lists([r.sources for r in rois], pa.list_(_TEXT)),
            _texts([r.meta for r in rois]),
        ],
    )


def _extra_column(frames: Sequence[Frame], sources: Sequence[Source], rois: Sequence[Roi]) -> pa.StringArray:
    """The unknown keys; nearly always there are none anywhere, and this is the quick way to know."""
    masks = chain.from_iterable([s.masks for s in sources])
    rare = filter(None, chain([s.preview for s in sources], [r.mask for r in rois]))
    if any(map(_EXTRA_OF, chain(frames, sources, rois, masks, rare))):
        return pa.array([_extras(f) for f in frames], _TEXT)
    return pa.nulls(len(frames), _TEXT)


def _extras(frame: Frame) -> str | None:
    """The unknown keys of a frame and of its parts by path, as JSON; None where there are none."""
    found: dict[str, Any] = {}
    if frame.extra:
        found[""] = frame.extra
    for i, source in enumerate(frame.sources):
        if source.extra:
            found[f"sources/{i}"] = source.extra
        if source.preview is not None and source.preview.extra:
            found[f"sources/{i}/preview"] = source.preview.extra
        for j, mask in enumerate(source.masks):
            if mask.extra:
                found[f"sources/{i}/masks/{j}"] = mask.extra
    for i, roi in enumerate(frame.rois):
        if roi.extra:
            found[f"rois/{i}"] = roi.extra
        if roi.mask is not None and roi.mask.extra:
            found[f"rois/{i}/mask"] = roi.mask.extra
    return _text(found)


# ---------------------------------------------------------------------------------------------- rows → records
def from_rows(rows: pa.RecordBatch | pa.Table) -> list[Frame]:
    """The frames of some rows, in the same order; columns that are not part of the record are ignored."""
    batches = rows.to_batches() if isinstance(rows, pa.Table) else [rows]
    return [frame for batch in batches for frame in _read(batch)]


def _read(batch: pa.RecordBatch) -> list[Frame]:
    texts = {name: batch.column(name).to_pylist() for name in TRUTH.names if name not in ("sources", "rois")}
    frames = [
        Frame(
            id=id_,
            context_id=context,
            timestamp=_number(timestamp),
            sources=sources,
            rois=rois,
            meta=_json(meta),
            meta_blob=_json(meta_blob),
            blob=blob,
        )
        for id_, context, timestamp, sources, rois, meta, meta_blob, blob in zip(
            texts["id"],
            texts["context_id"],
            texts["timestamp"],
            _unnest(batch.column("sources"), _read_sources),
            _unnest(batch.column("rois"), _read_rois),
            texts["meta"],
            texts["meta_blob"],
            texts["blob"],
            strict=True,
        )
    ]
    for i, (extra, exact) in enumerate(zip(texts["extra"], texts["exact"], strict=True)):
        if exact is not None:
            frames[i] = _decode_frame(exact)
        elif extra is not None:
            _give_back(frames[i], _decode(extra))
    return frames


def _json(text: str | None) -> dict[str, Any]:
    return _decode(text) if text else {}


def _number(value: float | None) -> int | float | None:
    """A whole number as int: that is how it is nearly always written."""
    return int(value) if value is not None and value.is_integer() else value


def _numbers(values: pa.Array) -> list[int | float | None]:
    return [_number(value) for value in values.to_pylist()]


def _unnest(column: pa.ListArray, read: Callable[[Any], list[Any]]) -> list[list[Any]]:
    """A list column as one list per row, its values read all at once; null reads as []."""
    if column.null_count:
        column = column.fill_null([])
    starts = column.offsets.to_numpy()
    if not len(starts):
        return []
    first, last = int(starts[0]), int(starts[-1])
    flat = read(column.values.slice(first, last - first))
    bounds = (starts - first).tolist()
    return [flat[a:b] for a, b in pairwise(bounds)]


def _fields(array: pa.StructArray, *names: str) -> list[list[Any]]:
    return [array.field(name).to_pylist() for name in names]


def _read_masks(array: pa.StructArray) -> list[Mask]:
    columns = _fields(array, "id", "uri", "content_type", "width", "height", "encoding")
    return [
        Mask(
            id=id_, uri=uri, content_type=kind, width=width, height=height, timestamp=timestamp or 0, encoding=encoding
        )
        for id_, uri, kind, width, height, encoding, timestamp in zip(
            *columns, _numbers(array.field("timestamp")), strict=True
        )
    ]


def _read_previews(array: pa.StructArray) -> list[Preview | None]:
    if array.null_count == len(array):
        return [None] * len(array)
    columns = _fields(array, "uri", "content_type", "width", "height")
    there = array.is_valid().to_pylist()
    return [
        Preview(uri=uri, content_type=kind, width=width, height=height, timestamp=timestamp or 0) if is_there else None
        for is_there, uri, kind, width, height, timestamp in zip(
            there, *columns, _numbers(array.field("timestamp")), strict=True
        )
    ]


def _read_sources(array: pa.StructArray) -> list[Source]:
    columns = _fields(array, "id", "uri", "content_type", "width", "height", "meta")
    return [
        Source(
            id=id_,
            uri=uri,
            content_type=kind,
            width=width,
            height=height,
            timestamp=timestamp or 0,
            preview=preview,
            masks=masks,
            meta=_json(meta),
        )
        for id_, uri, kind, width, height, meta, timestamp, preview, masks in zip(
            *columns,
            _numbers(array.field("timestamp")),
            _read_previews(array.field("preview")),
            _unnest(array.field("masks"), _read_masks),
            strict=True,
        )
    ]


def _read_roi_masks(array: pa.StructArray) -> list[RoiMask | None]:
    values = _unnest(array.field("value"), lambda flat: flat.to_pylist())
    there = array.is_valid().to_pylist()
    ids = array.field("id").to_pylist()
    return [
        RoiMask(id=id_, value=value) if is_there else None
        for is_there, id_, value in zip(there, ids, values, strict=True)
    ]


def _read_rois(array: pa.StructArray) -> list[Roi]:
    lists = [_unnest(array.field(name), lambda flat: flat.to_pylist()) for name in ("label", "sources")]
    return [
        Roi(label=label, id=id_, poly=poly, mask=mask, confidence=confidence, sources=sources, meta=_json(meta))
        for id_, meta, label, sources, poly, mask, confidence in zip(
            *_fields(array, "id", "meta"),
            *lists,
            _unnest(array.field("poly"), _numbers),
            _read_roi_masks(array.field("mask")),
            _numbers(array.field("confidence")),
            strict=True,
        )
    ]


def _give_back(frame: Frame, extras: dict[str, dict[str, Any]]) -> None:
    for path, extra in extras.items():
        target: Any = frame
        for step in path.split("/") if path else ():
            target = target[int(step)] if step.isdigit() else getattr(target, step)
        target.extra = extra
