"""Frames as the client reads them: it drops a whole answer for one field of the wrong type, so types are exact here."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from smalti.errors import LegendError
from smalti.iterate import Served, project
from smalti.mapping import LabelMapping
from smalti.records import Frame
from smalti.wire import to_dict

__all__ = ["frame_json", "served_json", "served_raw"]

_encode = msgspec.json.Encoder().encode
_UNKNOWN = b"__smalti_extra__"
_OURS = frozenset({"dataset", "saved", "saved_in_version", "updated", "updated_in_version", "new_ver"})

_WHOLE = ("timestamp", "width", "height", "saved", "updated", "num_frames")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "is_key_frame": bool,
    "key_frame": str,
    "video_gop": (int, float),
    "deleted": bool,
    "augmentation": list,
    "labels_size": int,
    "label_rule_counts": dict,
    "area": int,
    "label_num": int,
}
"""Keys that the records do not know and the client does, with the types that it accepts."""


def frame_json(record: Frame, dataset: str, version: str) -> dict[str, Any]:
    """The JSON of a frame, with the version that it is of."""
    found = _typed(to_dict(record))
    for source in found.get("sources", ()):
        for part in (source, source.get("preview"), *source.get("masks", ())):
            if isinstance(part, dict):
                _round(part)
    _round(found)
    found["rois"] = [_roi(roi) for roi in found.get("rois", ())]
    found["dataset"] = {"id": dataset, "version": version}
    return found


def served_json(served: Served, mapping: LabelMapping, paths: Iterable[str] | None) -> dict[str, Any]:
    """A frame as a view serves it: with the filter's name, numbers for its labels, and the parts that were asked for."""
    found = frame_json(served.record, served.dataset, served.version)
    found["rule_name"] = served.rule_name
    if mapping.numbers or mapping.rules:
        for roi in found["rois"]:
            roi["label_num"] = _number(mapping, roi.get("label", ()), served)
    return found if paths is None else project(found, list(paths))


def served_raw(served: Served, mapping: LabelMapping, paths: Iterable[str] | None) -> msgspec.Raw:
    """The same as JSON text. Most frames are as the client wants them, and are written without a look at each part."""
    record = served.record
    if paths is None and not mapping.numbers and not mapping.rules and _is_plain(record):
        extra, record.extra = record.extra, {}
        text = _encode(record)
        record.extra = extra
        if _UNKNOWN not in text:
            said: dict[str, Any] = {} if record.rois else {"rois": []}
            said |= {**extra, "dataset": {"id": served.dataset, "version": served.version}}
            return msgspec.Raw(text[:-1] + b"," + _encode({**said, "rule_name": served.rule_name})[1:])
    return msgspec.Raw(_encode(served_json(served, mapping, paths)))


def _is_plain(record: Frame) -> bool:
    """Whether the record is, as it stands, what the client accepts: but for unknown keys further down."""
    if not _OURS.issuperset(record.extra) or type(record.timestamp) is float:
        return False
    for source in record.sources:
        parts = (source, source.preview, *source.masks)
        if any(part is not None and type(part.timestamp) is float for part in parts):
            return False
    return all(roi.label for roi in record.rois)


def _number(mapping: LabelMapping, labels: Iterable[str], served: Served) -> int:
    names = mapping.names_of(labels, (served.dataset,), (served.version,))
    try:
        return mapping.number_of(names)
    except LegendError:  # several numbers on one ROI: the wire has room for one, so the first label's
        return next(mapping.numbers[name] for name in names if name in mapping.numbers)


def _typed(found: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in found.items()
        if key not in _TYPES
        or (isinstance(value, _TYPES[key]) and not (isinstance(value, bool) and _TYPES[key] is not bool))
    }


def _round(found: dict[str, Any]) -> None:
    for key in _WHOLE:
        value = found.get(key)
        if isinstance(value, float):
            found[key] = round(value)
        elif value is not None and not isinstance(value, int):
            del found[key]


def _roi(found: Mapping[str, Any]) -> dict[str, Any]:
    roi = _typed(dict(found))
    roi.setdefault("label", [])
    return roi
