"""Frames from what a layout says: one source, its masks, its shapes, and the legends that explain the masks."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from smalti.annotations import MaskAnnotation
from smalti.frames import SingleFrame
from smalti.geometry import join_rings
from smalti.legend import Entry, Legend
from smalti.records import Frame, Mask, Roi, Source

__all__ = ["box_roi", "explained", "frame_of", "mask_of", "mask_roi", "polygon_roi", "rle_roi", "without_colors"]

_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}


def content_type_of(path: str | Path) -> str | None:
    """The content type that a file name promises."""
    return _TYPES.get("." + str(path).rpartition(".")[2].lower())


def mask_of(path: Path, mask_id: str, encoding: str | None, size_hw: tuple[int, int] | None = None) -> Mask:
    """A mask where it stands."""
    height, width = size_hw if size_hw is not None else (None, None)
    return Mask(
        id=mask_id,
        uri=str(path),
        content_type=content_type_of(path),
        encoding=encoding,
        height=height,
        width=width,
    )


def frame_of(
    frame_id: str,
    image: str | Path | None,
    *,
    masks: Sequence[Mask] = (),
    rois: Sequence[Roi] = (),
    legends: Mapping[str, Legend] | None = None,
    size_hw: tuple[int, int] | None = None,
    context: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> SingleFrame:
    """A frame with one source; `legends` are by mask id."""
    height, width = size_hw if size_hw is not None else (None, None)
    uri = "" if image is None else str(image)
    source = Source(
        id="default",
        uri=uri,
        content_type=content_type_of(uri),
        width=width,
        height=height,
        masks=list(masks),
    )
    record = Frame(sources=[source], id=frame_id, context_id=context, rois=list(rois), meta=dict(meta or {}))
    return SingleFrame.on(record, "default", mask_labels=dict(legends) if legends else None)


def mask_roi(value: Sequence[int], mask_id: str, labels: Sequence[str], meta: dict[str, Any] | None = None) -> Roi:
    """What a value of a mask means."""
    roi = MaskAnnotation(value, mask_id=mask_id, labels=list(labels)).roi
    roi.meta.update(meta or {})
    return roi


def polygon_roi(
    parts: Sequence[Sequence[float]],
    labels: Sequence[str],
    *,
    roi_id: str | None = None,
    confidence: float | None = None,
    meta: dict[str, Any] | None = None,
) -> Roi:
    """A polygon of one or more rings of flat x, y in pixels; rings add up unless `meta["holes"]` is true."""
    poly: list[Any] = list(parts[0]) if len(parts) == 1 else join_rings(parts)
    return Roi(label=list(labels), id=roi_id, poly=poly, confidence=confidence, meta={**(meta or {}), "_type": "p2d"})


def rle_roi(
    rle: Mapping[str, Any],
    box2d_xywh: Sequence[float] | None,
    labels: Sequence[str],
    *,
    roi_id: str | None = None,
    confidence: float | None = None,
    meta: dict[str, Any] | None = None,
) -> Roi:
    """An object as COCO run lengths, kept in `meta["rle"]`; its box is the geometry."""
    return box_roi(
        box2d_xywh or (0, 0, 0, 0), labels, roi_id=roi_id, confidence=confidence, meta={**(meta or {}), "rle": rle}
    )


def box_roi(
    box2d_xywh: Sequence[float],
    labels: Sequence[str],
    *,
    roi_id: str | None = None,
    confidence: float | None = None,
    meta: dict[str, Any] | None = None,
) -> Roi:
    """An upright box in pixels."""
    x, y, w, h = box2d_xywh
    poly: list[Any] = [x, y, x + w, y, x + w, y + h, x, y + h]
    return Roi(label=list(labels), id=roi_id, poly=poly, confidence=confidence, meta={**(meta or {}), "_type": "b2d"})


def explained(frame: SingleFrame) -> SingleFrame:
    """The frame with a ROI for each legend entry in place of its legends: it explains itself wherever it goes."""
    legends: Mapping[str, Legend] = frame.mask_labels or {}
    for mask in frame.source_record.masks:
        legend = legends.get(mask.id)
        if legend is not None:
            frame.record.rois += [
                mask_roi(value, mask.id, entry.labels, {"color": list(entry.color)} if entry.color else None)
                for entry in legend.entries
                if (value := _value(entry, legend)) is not None
            ]
    frame.mask_labels = None
    return frame


def _value(entry: Entry, legend: Legend) -> tuple[int, ...] | None:
    if legend.kind == "colors":
        return entry.color if entry.color is not None else _code(entry)
    return _code(entry)


def _code(entry: Entry) -> tuple[int] | None:
    return (entry.code,) if entry.code is not None and entry.code >= 0 else None


def without_colors(legends: Mapping[str, Legend]) -> dict[str, Legend]:
    """The legends as a version keeps them: one value an entry, the one that the mask stores."""
    kept = {}
    for mask_id, legend in legends.items():
        if legend.kind != "colors":
            entries: Iterable[Entry] = (
                Entry(e.labels, code=e.code) for e in legend if e.code is not None and e.code >= 0
            )
            legend = Legend.from_entries(entries, kind=legend.kind, scheme=legend.scheme)
        kept[mask_id] = legend
    return kept
