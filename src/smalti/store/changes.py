"""What differs between two records of one frame, part by part.

A frame is compared in parts that have an identity of their own: a metadata leaf, a field of a source, a mask, a ROI. A
ROI is known by its id; without one, a mask ROI by its mask and value, any other by its content.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from smalti.records import Frame, Mask, Roi, Source

__all__ = ["MISSING", "Change", "changes", "parts_of", "rebuilt"]

Kind = Literal["added", "removed", "changed"]
Key = tuple[str, ...]

_FRAME_FIELDS = ("context_id", "timestamp", "blob")
_SOURCE_FIELDS = tuple(name for name in Source.__struct_fields__ if name not in ("id", "masks", "meta", "extra"))
_TREES = ("meta", "meta_blob", "extra")
_encode = msgspec.json.Encoder(order="deterministic").encode


class _Missing(msgspec.Struct, frozen=True):
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""Stands where a side has no such part."""


class Change(msgspec.Struct, frozen=True):
    """One part of a frame that differs; `before` and `after` are MISSING where a side does not have it.

    Attributes:
        what: "meta" (any field of the frame), "source", "mask" or "roi".
        path: e.g. `meta.city`, `sources.front.uri`, `sources.front.masks.seg`, `rois.r7`.
    """

    what: Literal["meta", "source", "mask", "roi"]
    path: str
    before: Any
    after: Any

    @property
    def kind(self) -> Kind:
        """How it differs."""
        return "added" if self.before is MISSING else "removed" if self.after is MISSING else "changed"


def changes(before: Frame | None, after: Frame | None) -> list[Change]:
    """The parts that differ, in the order in which they stand in the frame."""
    old, new = parts_of(before), parts_of(after)
    sides = [(key, old.get(key, MISSING), new.get(key, MISSING)) for key in dict.fromkeys([*old, *new])]
    return [Change(_what(key), ".".join(key), a, b) for key, a, b in sides if not (same(a, b) or _is_unsaid(key, a, b))]


def _is_unsaid(key: Key, a: Any, b: Any) -> bool:
    """Whether a field has no value on one side and the other has no such frame or source: nothing was there to change."""
    is_field = key[0] in _FRAME_FIELDS or (key[0] == "sources" and len(key) == 3 and key[2] in _SOURCE_FIELDS)
    return is_field and {a is MISSING, b is MISSING} == {True, False} and (a is None or b is None)


def same(a: Any, b: Any) -> bool:
    """Whether two parts are equal; True and 1 are not."""
    if a is MISSING or b is MISSING:
        return a is b
    return a is b or _encode(_plain(a)) == _encode(_plain(b))


def _plain(value: Any) -> Any:
    """A part with whole floats as integers, so that 1 and 1.0 are the same number everywhere."""
    found = msgspec.to_builtins(value)
    return _whole(found)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value


def _what(key: Key) -> Literal["meta", "source", "mask", "roi"]:
    if key[0] == "rois":
        return "roi"
    if key[0] == "sources":
        return "mask" if len(key) == 4 and key[2] == "masks" else "source"
    return "meta"


def parts_of(frame: Frame | None) -> dict[Key, Any]:
    """The parts of a frame by identity; none for no frame."""
    if frame is None:
        return {}
    parts: dict[Key, Any] = {(name,): getattr(frame, name) for name in _FRAME_FIELDS}
    for name in _TREES:
        parts |= {(name, *path): leaf for path, leaf in _leaves(getattr(frame, name))}
    for source in frame.sources:
        place = ("sources", source.id)
        parts |= {(*place, name): getattr(source, name) for name in _SOURCE_FIELDS}
        for name in ("meta", "extra"):
            parts |= {(*place, name, *path): leaf for path, leaf in _leaves(getattr(source, name))}
        parts |= {(*place, "masks", mask.id): mask for mask in source.masks}
    for key, roi in _named(frame.rois):
        parts["rois", key] = roi
    return parts


def _leaves(tree: dict[str, Any], path: Key = ()) -> Iterator[tuple[Key, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _named(rois: list[Roi]) -> Iterator[tuple[str, Roi]]:
    ids = [roi.id for roi in rois]
    seen: dict[str, int] = {}
    for roi in rois:
        if roi.id is not None and ids.count(roi.id) == 1:
            key = roi.id
        elif roi.mask is not None:
            key = f"{'+'.join(roi.sources)}/{roi.mask.id}={','.join(map(str, roi.mask.value))}"
        else:
            key = _encode(_plain(roi)).decode()
        seen[key] = seen.get(key, 0) + 1
        yield key if seen[key] == 1 else f"{key}#{seen[key]}", roi


def rebuilt(frame_id: str, parts: dict[Key, Any]) -> Frame:
    """The frame that consists of these parts; sources, masks and ROIs in the order of the parts."""
    frame = Frame(id=frame_id, sources=[])
    for name in _FRAME_FIELDS:
        setattr(frame, name, parts.get((name,)))
    sources: dict[str, Source] = {}
    for key, value in parts.items():
        if key[0] in _TREES:
            _plant(getattr(frame, key[0]), key[1:], value)
        elif key[0] == "rois":
            frame.rois.append(value)
        elif key[0] == "sources":
            _put(sources.setdefault(key[1], Source(id=key[1], uri="")), key[2:], value)
    frame.sources = list(sources.values())
    return frame


def _put(source: Source, key: Key, value: Any) -> None:
    if key[0] == "masks":
        mask: Mask = value
        source.masks.append(mask)
    elif key[0] in ("meta", "extra") and len(key) > 1:
        _plant(getattr(source, key[0]), key[1:], value)
    else:
        setattr(source, key[0], value)


def _plant(tree: dict[str, Any], path: Key, value: Any) -> None:
    for step in path[:-1]:
        below = tree.get(step)
        tree = tree.setdefault(step, {}) if isinstance(below, dict) or below is None else tree
    tree[path[-1]] = value
