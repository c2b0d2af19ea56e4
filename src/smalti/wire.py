"""JSON ⇄ records: every dialect that frames come in is read, one canonical dialect is written.

A frame that is already canonical is decoded straight into records. Anything else (integer ids, `labels` for `label`,
nested polygons, keys that the records do not know) goes through `_normalise`, which keeps unknown keys in `extra`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from smalti.errors import FrameError
from smalti.records import Frame, Mask, Preview, Roi, RoiMask, Source

__all__ = ["RING_SEPARATOR", "dump", "dump_line", "from_dict", "load", "load_lines", "stable_id", "to_dict", "validate"]

RING_SEPARATOR = -999999999
"""Stands between the rings of one flat polygon on the wire."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Editors on Windows write it before UTF-8; JSON does not allow it."""
_EXTRA = "__smalti_extra__"
_decoder = msgspec.json.Decoder(Frame)
_encoder = msgspec.json.Encoder()
_KNOWN: dict[type[msgspec.Struct], tuple[str, ...]] = {
    record: tuple(f.encode_name for f in msgspec.structs.fields(record) if f.name != "extra")
    for record in (Frame, Source, Mask, Preview, Roi, RoiMask)
}


def load(data: bytes | str, *, where: str = "frame") -> Frame:
    """The frame in a JSON text.

    Args:
        data: UTF-8 JSON of one frame.
        where: what to call the text in messages: a file name, "line 7 of x.jsonl", ...

    Raises:
        FrameError: not JSON (with line and column), a wrong type, or an id that leads nowhere (with the JSON path).
    """
    raw = (data.encode() if isinstance(data, str) else bytes(data)).removeprefix(_BYTE_ORDER_MARK)
    try:
        frame = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return from_dict(_parse(raw, where), where=where)
    validate(frame, where=where)
    return frame


def load_lines(lines: Iterable[bytes | str], *, where: str = "frames") -> Iterator[Frame]:
    """Frames from JSON-lines; blank lines are skipped, messages name the line."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield load(line, where=f"{where}:{number}")


def from_dict(found: Any, *, where: str = "frame") -> Frame:
    """The frame in decoded JSON. The dict is not changed."""
    frame = _convert(_normalise(found), where)
    validate(frame, where=where)
    return frame


def to_dict(frame: Frame) -> dict[str, Any]:
    """The canonical JSON object of a frame, unknown keys where they were found."""
    merged: dict[str, Any] = _merge_extra(msgspec.to_builtins(frame))
    return merged


def dump(frame: Frame, *, indent: int = 0) -> bytes:
    """The canonical JSON text of a frame, UTF-8."""
    text = _encoder.encode(to_dict(frame))
    return msgspec.json.format(text, indent=indent) if indent else text


def dump_line(frame: Frame) -> bytes:
    """One JSON line, with its end."""
    return dump(frame) + b"\n"


def stable_id(frame: Frame) -> str:
    """32 hex digits that follow from source URIs, timestamps and context: two pictures of one clip never collide."""
    digest = hashlib.blake2b(digest_size=16)
    parts = [frame.context_id or "", str(frame.timestamp if frame.timestamp is not None else "")]
    for source in frame.sources:
        parts += [source.id, source.uri, str(source.timestamp)]
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "little") + raw)
    return digest.hexdigest()


def _parse(raw: bytes, where: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError as error:
        raise FrameError(f"{where}: byte {error.start} is not UTF-8; frames are UTF-8 JSON") from None
    except RecursionError:
        raise FrameError(f"{where}: the JSON is nested too deeply to be a frame") from None
    except msgspec.DecodeError as error:
        raise FrameError(f"{where}: {_locate(raw, str(error))}") from None


def _locate(raw: bytes, message: str) -> str:
    """The decoder's complaint with line and column instead of a byte offset, and the likely slip."""
    found = re.search(r"\(byte (\d+)\)", message)
    offset = int(found[1]) if found else len(raw)
    before = raw[:offset]
    newline = b"\n"
    place = f"line {before.count(newline) + 1}, column {offset - before.rfind(newline)}"
    reason = re.sub(r"\s*\(byte \d+\)", "", message)
    hint = ""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        hint = "; the text looks like UTF-16: save it as UTF-8"
    elif b"\0" in raw[:512] or raw[:3] in (b"\x89PN", b"\xff\xd8\xff"):
        hint = "; this is no text: name a file with frames, or make frames of pictures and masks with `smalti import`"
    elif not raw.strip():
        hint = "; the text is empty"
    elif raw.lstrip().startswith(b'"') and "trailing" in message:
        hint = "; it looks like the inside of an object: put { before it and } after it"
    elif not found or "truncated" in message:
        hint = "; a bracket or brace seems to be missing at the end"
    return f"{place}: {reason}{hint}"


def _convert(plain: Any, where: str) -> Frame:
    try:
        return msgspec.convert(plain, Frame)
    except msgspec.ValidationError as error:
        text = str(error)
        found = re.search(r" - at `(?:key in )?([^`]*)`$", text)
        path = found[1] if found else "$"
        reason = text[: found.start()] if found else text
        raise FrameError(f"{where}: {path}: {reason}", path=path) from None


def _normalise(found: Any) -> Any:
    """The canonical form of a decoded frame; what is not of the expected shape is left for the type check to refuse."""
    if not isinstance(found, Mapping):
        return found
    frame = _split(found, Frame)
    _as_text(frame, "id", "context_id")
    _as_time(frame)
    frame["sources"] = _each(frame.get("sources"), _normalise_source)
    frame["rois"] = _each(frame.get("rois"), _normalise_roi)
    return {key: value for key, value in frame.items() if value is not None}


def _normalise_source(found: Any) -> Any:
    if not isinstance(found, Mapping):
        return found
    source = _split(found, Source)
    _as_text(source, "id")
    _as_time(source)
    _as_whole(source, "width", "height")
    source["masks"] = _each(source.get("masks"), _normalise_media(Mask))
    if isinstance(source.get("preview"), str):
        source["preview"] = {"uri": source["preview"]}
    elif source.get("preview") is not None:
        source["preview"] = _normalise_media(Preview)(source["preview"])
    return {key: value for key, value in source.items() if value is not None}


def _normalise_media(record: type[Mask] | type[Preview]) -> Any:
    def normalise(found: Any) -> Any:
        if not isinstance(found, Mapping):
            return found
        media = _split(found, record)
        _as_text(media, "id")
        _as_time(media)
        _as_whole(media, "width", "height")
        return {key: value for key, value in media.items() if value is not None}

    return normalise


def _normalise_roi(found: Any) -> Any:
    if not isinstance(found, Mapping):
        return found
    roi = _split(found, Roi, aside=("labels",))
    _as_text(roi, "id")
    labels: list[Any] = []
    for key in ("label", "labels"):
        given = found.get(key)
        labels += (
            [given]
            if isinstance(given, str)
            else given
            if isinstance(given, list)
            else [given]
            if given is not None
            else []
        )
    roi["label"] = labels if any(not isinstance(label, str) for label in labels) else list(dict.fromkeys(labels))
    roi["sources"] = _each([s] if isinstance(s := roi.get("sources"), (str, int)) else s, _text)
    roi["poly"] = _flatten(roi.get("poly"))
    if isinstance(roi.get("mask"), Mapping):
        mask = _split(roi["mask"], RoiMask)
        _as_text(mask, "id")
        mask["value"] = _each(mask.get("value"), _whole)
        roi["mask"] = {key: value for key, value in mask.items() if value is not None}
    return {key: value for key, value in roi.items() if value is not None}


def _split(found: Mapping[str, Any], record: type[msgspec.Struct], aside: tuple[str, ...] = ()) -> dict[str, Any]:
    known = {key: value for key, value in found.items() if key in _KNOWN[record]}
    extra = {key: value for key, value in found.items() if key not in _KNOWN[record] and key not in aside}
    if extra:
        known[_EXTRA] = extra
    return known


def _each(found: Any, change: Any) -> Any:
    return [change(item) for item in found] if isinstance(found, list) else found


def _text(found: Any) -> Any:
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else found


def _whole(found: Any) -> Any:
    return int(found) if isinstance(found, float) and found.is_integer() else found


def _as_text(record: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if key in record:
            record[key] = _text(record[key])


def _as_whole(record: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if key in record:
            record[key] = _whole(record[key])


def _as_time(record: dict[str, Any]) -> None:
    _as_whole(record, "timestamp")


def _flatten(poly: Any) -> Any:
    """Nested polygons become the flat wire form: points are chained, rings are separated."""
    if not isinstance(poly, list) or not any(isinstance(part, list) for part in poly):
        return poly
    if all(
        isinstance(part, list) and len(part) in (2, 3) and not any(isinstance(p, list) for p in part) for part in poly
    ):
        return [number for point in poly for number in point]
    flat: list[Any] = []
    for ring in poly:
        inner = _flatten(ring)
        flat += ([RING_SEPARATOR] if flat else []) + (inner if isinstance(inner, list) else [inner])
    return flat


def _merge_extra(found: Any) -> Any:
    if isinstance(found, list):
        return [_merge_extra(item) for item in found]
    if not isinstance(found, dict):
        return found
    merged = {
        key: _merge_extra(value) if key in ("sources", "masks", "preview", "rois", "mask") else value
        for key, value in found.items()
    }
    merged.update(merged.pop(_EXTRA, {}))
    return merged


def validate(frame: Frame, *, where: str = "frame") -> None:
    """Check what types cannot say: ids that are unique and lead somewhere, sizes and colours that are some.

    Raises:
        FrameError: with the JSON path of the first fault.
    """
    if not frame.sources:
        raise FrameError(f"{where}: $.sources is empty; a frame has at least one source", path="$.sources")
    known: dict[str, int] = {}
    for i, source in enumerate(frame.sources):
        if known.setdefault(source.id, i) != i:
            path = f"$.sources[{i}].id"
            raise FrameError(
                f"{where}: {path} is {source.id!r}, which $.sources[{known[source.id]}] has already", path=path
            )
        for name, size in (("width", source.width), ("height", source.height)):
            if size is not None and not (isinstance(size, int) and size >= 0):
                path = f"$.sources[{i}].{name}"
                raise FrameError(f"{where}: {path} is {size!r}; allowed: pixels from 0, or null if unknown", path=path)
        mask_ids = [mask.id for mask in source.masks]
        if len(set(mask_ids)) != len(mask_ids):
            again = next(j for j, mask_id in enumerate(mask_ids) if mask_id in mask_ids[:j])
            path = f"$.sources[{i}].masks[{again}].id"
            raise FrameError(
                f"{where}: {path} is {mask_ids[again]!r}, which another mask of this source has already", path=path
            )
    for i, roi in enumerate(frame.rois):
        for j, name in enumerate(roi.sources):
            if name not in known:
                path = f"$.rois[{i}].sources[{j}]"
                raise FrameError(
                    f"{where}: {path} is {name!r}; the frame has sources {', '.join(map(repr, known))}", path=path
                )
        if roi.mask is not None:
            _validate_value(roi.mask.value, f"$.rois[{i}].mask.value", where)


def _validate_value(value: list[int], path: str, where: str) -> None:
    if len(value) not in (1, 3, 4) or not all(-1 <= c <= (255 if len(value) > 1 else 0xFFFFFFFF) for c in value):
        raise FrameError(
            f"{where}: {path} is {value}; allowed: three channels 0..255 (-1 = any), or one number for a mask of indices",
            path=path,
        )
