"""What changed inside a frame, as `smalti version diff --frame` prints it: for programs, and for people."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from smalti.cli.output import say, table
from smalti.store.changes import MISSING, Change

if TYPE_CHECKING:
    from smalti.store.diff import FrameDiff, MaskPixels

__all__ = ["frame_changes", "say_frame_changes"]

_KINDS = ("meta", "sources", "rois", "masks")


def frame_changes(found: "FrameDiff") -> dict[str, Any]:
    """The changes as JSON; a side that does not have the part has no key."""
    parts = {kind: [_said(change) for change in getattr(found, kind)] for kind in _KINDS}
    return {"frame": found.id, **parts, "mask_pixels": list(_moves(found.mask_pixels()))}


def _said(change: Change) -> dict[str, Any]:
    sides = {"before": change.before, "after": change.after}
    there = {name: msgspec.to_builtins(value) for name, value in sides.items() if value is not MISSING}
    return {"what": change.what, "kind": change.kind, "path": change.path, **there}


def _moves(masks: "list[MaskPixels]") -> Iterator[dict[str, Any]]:
    """One row per pair of labels: JSON has no pairs as keys. No label is void."""
    for mask in masks:
        for (before, after), pixels in sorted(mask.pixels.items(), key=lambda item: -item[1]):
            yield {"source": mask.source, "mask": mask.mask, "before": before, "after": after, "pixels": pixels}


def say_frame_changes(found: "FrameDiff") -> None:
    """The changes as tables. Masks are opened last: what the records say is shown even where one cannot be read."""
    if not found.changes:
        say(f"frame {found.id} is the same in both")
        return
    marks = {"added": "+", "removed": "-", "changed": "~"}
    rows = [(marks[c.kind], c.path, _short(c.before), _short(c.after)) for c in found.changes]
    table(("", "part", "before", "after"), rows)
    moves = list(_moves(found.mask_pixels()))
    if moves:
        say()
        cells = [(m["mask"], m["before"] or "void", m["after"] or "void", m["pixels"]) for m in moves]
        table(("mask", "before", "after", "pixels"), cells)


def _short(value: Any) -> str:
    if value is MISSING:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}…"
