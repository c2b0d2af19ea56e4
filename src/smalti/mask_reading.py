"""One mask to be read, written down: where its bytes are, and how to understand them. Single masks and runs of a clip."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import codecs, kept, storage
from smalti.binding import MaskPlan
from smalti.codecs.raster import Raster
from smalti.codecs.sniff import HEAD_BYTES
from smalti.decode import Lossy, decode_mask, decode_raster
from smalti.errors import DecodeError, FrameError, TimestampError
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.open_clips import OpenClip, is_clip, lend_clip
from smalti.records import Source

__all__ = ["Peek", "Reading", "join", "naming", "plan_reading", "raster_at", "read_mask", "read_run", "read_window"]

Ready = Callable[[], LabelMap]
Box = tuple[int, int, int, int]
Peek = Callable[[Box | None], LabelMap]
"""box2d_xywh, or None for everything → the labels in it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A mask to be read; the options are those of `SingleFrame.label_map`.

    Attributes:
        uri: where the file is, already joined with its base.
        source: the source that the mask belongs to, whose size is compared; None = none.
    """

    uri: str
    legend: Legend | None
    content_type: str | None = None
    at_ms: float = 0
    scheme: str | None = None
    lossy: Lossy = "auto"
    tolerance: int | None = None
    strict: bool = False
    clamp: bool = False
    source: Source | None = None

    @property
    def is_clip(self) -> bool:
        """Whether the file is opened as a clip, as far as its name and record say."""
        return is_clip(self.uri, self.content_type)

    @property
    def question(self) -> tuple[object, ...]:
        """All that the labels depend on besides the bytes of the file."""
        return (self.legend, self.content_type, self.at_ms, self.scheme, self.lossy, self.tolerance, self.clamp)


def join(uri: str, base: str | None) -> str:
    """A URI as `storage` takes it: a relative path is relative to the frame file that it stands in."""
    if not uri:
        raise FrameError("the URI is empty: the frame names no file here", path="$.sources[0].uri")
    if base is None or "://" in uri or uri.startswith("/"):
        return uri
    return f"{base.rstrip('/')}/{uri}"


def plan_reading(
    plan: MaskPlan, base: str | None, legend: Legend | None, options: tuple[Lossy, int | None, bool, bool]
) -> Reading:
    """What a plan asks for; `legend` replaces the plan's own, `options` are (lossy, tolerance, strict, clamp).

    Raises:
        DecodeError: the mask is alpha, which has no labels.
    """
    mask = plan.mask
    if plan.is_alpha and legend is None:
        raise DecodeError(
            f"mask {mask.id!r} is an alpha mask: its values are opacity and have no labels; read it with alpha()",
            uri=mask.uri,
        )
    policy, tolerance, strict, clamp = options
    return Reading(
        join(mask.uri, base),
        legend if legend is not None else plan.legend,
        mask.content_type,
        mask.timestamp,
        (legend.scheme if legend is not None else plan.scheme) or None,
        policy,
        tolerance,
        strict,
        clamp,
        plan.source,
    )


def read_mask(reading: Reading, data: bytes | None = None) -> LabelMap:
    """The label map; `data` are the file's bytes where somebody has fetched them already."""
    shelf = kept.in_use()
    if shelf is not None and not reading.strict:
        found = shelf.through(
            reading.uri,
            reading.question,
            lambda got: _named(reading, lambda: _read(reading, got)),
            data=data,
            is_clip=reading.is_clip,
        )
    else:
        found = _named(reading, lambda: _read(reading, data))
    return _with_size_note(found, reading.source)


def _read(reading: Reading, data: bytes | None) -> LabelMap:
    if not reading.is_clip:
        data = data if data is not None else storage.fetch(reading.uri)
        if not codecs.is_video(reading.content_type, data[:HEAD_BYTES]):
            return decode_mask(
                data,
                reading.legend,
                content_type=reading.content_type,
                lossy=reading.lossy,
                tolerance=reading.tolerance,
                strict=reading.strict,
                scheme=reading.scheme,
            )
    with lend_clip(reading.uri, reading.content_type) as opened:
        raster = _picture(opened, reading.at_ms, clamp=reading.clamp)
        if _is_quick(reading):
            return _steady(opened, raster, reading)
    return _label(raster, reading)


def read_window(
    reading: Reading,
    place: Callable[[tuple[int, int], Peek], Box],
    *,
    shelf: kept.KeptMaps | None = None,
    asked: kept.Asked | None = None,
    data: bytes | None = None,
) -> LabelMap:
    """A box of a mask. Of a kept map only the tiles that the box touches are read; else the whole mask is, and kept.

    Args:
        reading: the mask.
        place: is told (height, width) of the mask and how to look at parts of it, and says which box is wanted.
        shelf: where label maps are kept; None = nowhere.
        asked: what `shelf.ask` said, where somebody has asked already.
        data: the file's bytes where somebody has fetched them already.
    """
    if shelf is not None and not reading.strict:
        if asked is None:
            asked, data = shelf.ask(reading.uri, reading.question, data=data, is_clip=reading.is_clip)
        if asked is not None and (found := _kept_window(shelf, asked, place)) is not None:
            return found
    whole = _named(reading, lambda: _read(reading, data))
    if shelf is not None and asked is not None:
        shelf.keep(asked, whole)
    return _cut(whole, place(whole.size_hw, lambda box: _cut(whole, box)))


def _kept_window(
    shelf: kept.KeptMaps, asked: kept.Asked, place: Callable[[tuple[int, int], Peek], Box]
) -> LabelMap | None:
    def peek(box: Box | None) -> LabelMap:
        found = shelf.get(asked.key, box)
        if found is None:
            raise _VanishedError
        return found

    try:
        return shelf.get(asked.key, lambda size_hw: place(size_hw, peek))
    except _VanishedError:
        return None


class _VanishedError(Exception):
    """A kept map was removed between two looks at it."""


def _cut(found: LabelMap, box: Box | None) -> LabelMap:
    if box is None:
        return found
    x, y, width, height = box
    data: NDArray[Any] = np.ascontiguousarray(found.data[y : y + height, x : x + width])
    return replace(found, data=data)


def read_run(readings: Iterable[Reading]) -> Iterator[tuple[Reading, LabelMap | Ready | DecodeError]]:
    """Pictures of one clip in one forward pass: readings of one URI in the order of their times.

    Yields:
        Each reading with its map, or a function that gives it, to be called on any thread (where labels cost more than
        the picture), or what is wrong with the picture.
    """
    listed = list(readings)
    if not listed:
        return
    uri = listed[0].uri
    shelf = kept.in_use()
    asked: list[kept.Asked | None] = [None] * len(listed)
    if (
        shelf is not None
    ):  # before the clip is opened: what was asked of another file than the one that is read is not kept
        asked = [None if r.strict else shelf.ask(uri, r.question, is_clip=True)[0] for r in listed]
    with lend_clip(uri, listed[0].content_type) as opened:
        for reading, wanted in zip(listed, asked, strict=True):
            try:
                yield reading, _next(reading, opened, shelf, wanted)
            except DecodeError as error:
                yield reading, _with_uri(error, uri)


def _next(
    reading: Reading, opened: OpenClip, shelf: kept.KeptMaps | None, wanted: kept.Asked | None
) -> LabelMap | Ready:
    known = shelf.get(wanted.key) if shelf is not None and wanted is not None else None
    if known is not None:
        return _with_size_note(known, reading.source)
    raster = _picture(opened, reading.at_ms, clamp=reading.clamp)

    def keep(found: LabelMap) -> LabelMap:
        if shelf is not None and wanted is not None:
            shelf.keep(wanted, found)
        return _with_size_note(found, reading.source)

    if _is_quick(reading):
        return keep(_steady(opened, raster, reading))
    return lambda: keep(_named(reading, lambda: _label(raster, reading)))


def _is_quick(reading: Reading) -> bool:
    """Whether labels cost less than the picture, so that what did not change since the last is worth remembering."""
    return reading.lossy == "nearest" and not reading.strict


def _steady(opened: OpenClip, raster: Raster, reading: Reading) -> LabelMap:
    return opened.steady.label(raster, reading.legend, reading.lossy, reading.tolerance, reading.scheme)


def _label(raster: Raster, reading: Reading) -> LabelMap:
    return decode_raster(
        raster,
        reading.legend,
        lossy=reading.lossy,
        tolerance=reading.tolerance,
        strict=reading.strict,
        scheme=reading.scheme,
    )


@contextmanager
def naming(uri: str) -> Iterator[None]:
    """Errors that leave this block say which file they speak of."""
    try:
        yield
    except DecodeError as error:
        raise _with_uri(error, uri) from error.__cause__


def raster_at(uri: str, content_type: str | None, at_ms: float, *, clamp: bool = False) -> Raster:
    """The stored samples of a still, or of the picture of a clip that is nearest to a time."""
    if not is_clip(uri, content_type):
        data = storage.fetch(uri)
        if not codecs.is_video(content_type, data[:HEAD_BYTES]):
            with naming(uri):
                return codecs.decode_still(data, content_type=content_type)
    with lend_clip(uri, content_type) as opened:
        return _picture(opened, at_ms, clamp=clamp)


def _picture(opened: OpenClip, at_ms: float, *, clamp: bool) -> Raster:
    try:
        return opened.clip.at(at_ms)
    except TimestampError as error:
        if not clamp:
            raise
        raster = opened.clip.at(at_ms, clamp=True)
        note = f"{at_ms:g} ms lies outside the clip ({error.first_ms:g}..{error.last_ms:g} ms); the nearest picture was read"
        return replace(raster, notes=(*raster.notes, note))


def _named(reading: Reading, read: Ready) -> LabelMap:
    with naming(reading.uri):
        return read()


def _with_uri(error: DecodeError, uri: str) -> DecodeError:
    """The error, once it says which file it speaks of."""
    if error.uri is None:
        error.uri = uri
        if not str(error.args[0]).startswith(uri):
            error.args = (f"{uri}: {error.args[0]}", *error.args[1:])
    return error


def _with_size_note(found: LabelMap, source: Source | None) -> LabelMap:
    height, width = found.size_hw
    if source is not None and source.width and source.height and (source.height, source.width) != (height, width):
        note = f"the mask is {width}×{height}, source {source.id!r} says {source.width}×{source.height}; nothing was resized"
        return replace(found, notes=(*found.notes, note))
    return found
