"""One frame under the glass: its references, files, sizes, times and turns, and each mask's pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from smalti import pixels
from smalti.binding import MaskPlan, Resolution, resolve
from smalti.codecs.raster import Raster
from smalti.errors import (
    DecodeError,
    FrameError,
    LegendError,
    MaskReferenceError,
    SmaltiError,
    StorageError,
    TimestampError,
)
from smalti.frames import FrameGroup, SingleFrame
from smalti.lint.colors import MaskLook, find, look_at
from smalti.lint.report import Finding
from smalti.mask_reading import raster_at
from smalti.records import Source

__all__ = ["Files", "FrameLook", "look_at_frame"]


class Files(Protocol):
    """How the files that frames name are read. A server puts its own in, which reads only what its operator allows."""

    def raster(self, uri: str, content_type: str | None, at_ms: float) -> Raster:
        """The stored samples of a still, or of the picture of a clip that is nearest to a time."""

    def pictures(self, uri: str, content_type: str | None) -> int:
        """How many pictures a clip has."""


class _Plain:
    """Whatever this process may read."""

    def raster(self, uri: str, content_type: str | None, at_ms: float) -> Raster:
        return raster_at(uri, content_type, at_ms)

    def pictures(self, uri: str, content_type: str | None) -> int:
        with pixels.open_clip(uri, content_type) as clip:
            return len(clip.pts_ms)


_PLAIN = _Plain()


@dataclass(frozen=True, slots=True)
class FrameLook:
    """What one frame showed."""

    frame_id: str
    findings: list[Finding]
    masks: list[tuple[MaskPlan, MaskLook]]


def look_at_frame(frame: SingleFrame | FrameGroup, where: str, legend: Any, files: Files | None = None) -> FrameLook:
    """All findings of one frame; nothing is raised for bad data. `files` reads what it names; None = this process."""
    files = files if files is not None else _PLAIN
    findings: list[Finding] = []
    seen: list[tuple[MaskPlan, MaskLook]] = []
    try:
        found = resolve(frame.record, legend if legend is not None else frame.mask_labels)
    except MaskReferenceError as error:
        return FrameLook(
            frame.id, [find("mask-reference", f"{where} {error.path}", str(error), "name a mask that exists")], []
        )
    except LegendError as error:
        return FrameLook(frame.id, [find("legend-clash", where, str(error), "give each meaning its own value")], [])
    for i, source in enumerate(frame.record.sources):
        plans = [plan for plan in found.masks if plan.source is source]
        picture = _read_source(files, source, frame.base, f"{where} $.sources[{i}]", findings)
        for plan in plans:
            place = f"{where} $.sources[{i}].masks[{source.masks.index(plan.mask)}] ({plan.mask.uri})"
            findings += _times(source, plan, place)
            raster = _read_mask(files, plan, frame.base, place, findings)
            if raster is None:
                continue
            findings += _sizes(source, picture, plan, raster, place)
            if not plan.is_alpha:
                look = _look(raster, plan, found, place)
                findings += look.findings
                seen.append((plan, look))
        findings += _lengths(files, source, plans, frame.base, where)
    return FrameLook(frame.id, findings, seen)


def _look(raster: Raster, plan: MaskPlan, found: Resolution, place: str) -> MaskLook:
    try:
        return look_at(raster, plan.legend, plan.scheme, place)
    except (DecodeError, LegendError) as error:
        return MaskLook(
            [find("file-unreadable", place, str(error), "name the encoding that wrote the mask")],
            frozenset(),
            raster.stored_mode,
        )


def _read_source(files: Files, source: Source, base: str | None, place: str, findings: list[Finding]) -> Raster | None:
    if not source.uri:
        return None
    try:
        return files.raster(pixels.join(source.uri, base), source.content_type, source.timestamp)
    except TimestampError as error:
        findings.append(find("timestamp-outside", f"{place}.timestamp", str(error), "use a time inside the clip"))
    except FileNotFoundError as error:
        findings.append(find("file-missing", f"{place}.uri", str(error), "check the path, or add the file"))
    except (SmaltiError, OSError) as error:
        findings.append(find("file-unreadable", f"{place}.uri", str(error), _remedy(error)))
    return None


def _read_mask(files: Files, plan: MaskPlan, base: str | None, place: str, findings: list[Finding]) -> Raster | None:
    try:
        return files.raster(pixels.join(plan.mask.uri, base), plan.mask.content_type, plan.mask.timestamp)
    except TimestampError as error:
        findings.append(
            find("timestamp-outside", f"{place} .timestamp", str(error), "use a time inside the mask's own clip")
        )
    except FileNotFoundError as error:
        findings.append(find("file-missing", place, str(error), "check the path, or add the file"))
    except (SmaltiError, OSError) as error:
        findings.append(find("file-unreadable", place, str(error), _remedy(error)))
    return None


def _remedy(error: Exception) -> str:
    """What to do about a file that cannot be read: bytes that are wrong are replaced, places made reachable."""
    if isinstance(error, PermissionError):
        return "give the reader access to the place, then check again"
    if isinstance(error, StorageError) and "://" in str(error.uri or ""):
        return "make the place reachable, then check again"
    if isinstance(error, FrameError):
        return "correct the URI in the record"
    return "replace the file"


def _times(source: Source, plan: MaskPlan, place: str) -> Iterator[Finding]:
    both_clips = all(pixels.is_clip(m.uri, m.content_type) for m in (source, plan.mask))
    if both_clips and source.timestamp != plan.mask.timestamp:
        yield find(
            "timestamp-differs",
            f"{place} .timestamp",
            f"the mask is read at {plan.mask.timestamp:g} ms, its source at {source.timestamp:g} ms",
            "each clock counts in its own file: make sure that this is meant",
        )


def _sizes(source: Source, picture: Raster | None, plan: MaskPlan, mask: Raster, place: str) -> Iterator[Finding]:
    height, width = mask.size_hw
    if picture is not None and picture.size_hw != mask.size_hw:
        high, wide = picture.size_hw
        turned = (wide, high) == (height, width) and (picture.orientation >= 5 or picture.rotation % 180 == 90)
        near = max(abs(high - height), abs(wide - width)) == 1
        yield find(
            "size-mismatch",
            place,
            f"the mask is {width}×{height}, the image {wide}×{high}"
            + (" before it is turned" if turned else ": off by one" if near else ""),
            "turn the image's pixels and drop its orientation"
            if turned
            else "make the mask again at the image's size; never stretch it smoothly",
        )
    for name, record, raster in (("source", source, picture), ("mask", plan.mask, mask)):
        if raster is not None and record.width and record.height and (record.height, record.width) != raster.size_hw:
            yield find(
                "size-record",
                place,
                f"the {name}'s record says {record.width}×{record.height}, the file is {raster.size_hw[1]}×{raster.size_hw[0]}",
                "correct width and height in the record",
            )
    if picture is not None and (picture.orientation, picture.rotation % 360) != (mask.orientation, mask.rotation % 360):
        yield find(
            "rotation-differs",
            place,
            f"the image asks to be turned (EXIF {picture.orientation}, {picture.rotation}°), the mask (EXIF {mask.orientation}, {mask.rotation}°)",
            "apply the turn to the image's pixels and drop the tag",
        )


def _lengths(files: Files, source: Source, plans: list[MaskPlan], base: str | None, where: str) -> Iterator[Finding]:
    if not source.uri or not pixels.is_clip(source.uri, source.content_type):
        return
    for plan in plans:
        if not pixels.is_clip(plan.mask.uri, plan.mask.content_type):
            continue
        try:
            pictures = files.pictures(pixels.join(source.uri, base), source.content_type)
            masks = files.pictures(pixels.join(plan.mask.uri, base), plan.mask.content_type)
        except (SmaltiError, OSError):
            continue  # said already, where the files were read
        if pictures != masks:
            yield find(
                "clip-lengths",
                f"{where} ({plan.mask.uri})",
                f"the mask clip has {masks} pictures, the source clip {pictures}",
                "match them by time, not by number; check where pictures were dropped",
            )
