"""From what a frame says to pixels: URIs are joined with their base, bytes fetched, clips kept open, masks decoded."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smalti import codecs, storage
from smalti.binding import MaskPlan
from smalti.codecs.raster import Raster
from smalti.codecs.show import to_rgb
from smalti.codecs.sniff import HEAD_BYTES
from smalti.decode import Lossy, alpha_of, decode_mask, decode_raster
from smalti.errors import DecodeError, FrameError, TimestampError
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.records import Mask, Source

if TYPE_CHECKING:
    from smalti.codecs.clip import Clip

__all__ = [
    "MAX_OPEN_CLIPS",
    "alpha",
    "close_clips",
    "image",
    "is_clip",
    "join",
    "label_map",
    "local_path",
    "mask_raster",
    "open_clip",
    "source_raster",
]

MAX_OPEN_CLIPS = 8
"""How many clips stay open for neighbouring requests; each holds a decoder and its index, never decoded pictures."""

Options = tuple[Lossy, int | None, bool, bool]


def join(uri: str, base: str | None) -> str:
    """A URI as `storage` takes it: a relative path is relative to the frame file that it stands in."""
    if not uri:
        raise FrameError("the URI is empty: the frame names no file here", path="$.sources[0].uri")
    if base is None or "://" in uri or uri.startswith("/"):
        return uri
    return f"{base.rstrip('/')}/{uri}"


def image(source: Source, base: str | None, *, upright: bool = False) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a source; see `SingleFrame.image`."""
    raster = source_raster(source, base)
    rgb = to_rgb(raster)
    return _turn(rgb, raster) if upright else rgb


def source_raster(source: Source, base: str | None) -> Raster:
    """The stored samples of a source, for a video the picture at its timestamp."""
    return _raster(join(source.uri, base), source.content_type, source.timestamp)


def mask_raster(mask: Mask, base: str | None, *, clamp: bool = False) -> Raster:
    """The stored samples of a mask, for a video the picture at its timestamp."""
    return _raster(join(mask.uri, base), mask.content_type, mask.timestamp, clamp=clamp)


def label_map(plan: MaskPlan, base: str | None, legend: Legend | None, options: Options) -> LabelMap:
    """The decoded mask of a plan; `legend` replaces the plan's own."""
    policy, tolerance, strict, clamp = options
    mask = plan.mask
    if plan.is_alpha and legend is None:
        raise DecodeError(
            f"mask {mask.id!r} is an alpha mask: its values are opacity and have no labels; read it with alpha()",
            uri=mask.uri,
        )
    chosen = legend if legend is not None else plan.legend
    scheme = (legend.scheme if legend is not None else plan.scheme) or None
    uri = join(mask.uri, base)
    try:
        if not is_clip(uri, mask.content_type) and scheme is None and not strict:
            data = storage.fetch(uri)
            found = decode_mask(
                data, chosen, content_type=mask.content_type, at_ms=mask.timestamp, lossy=policy, tolerance=tolerance
            )
        else:
            raster = _raster(uri, mask.content_type, mask.timestamp, clamp=clamp)
            found = decode_raster(raster, chosen, lossy=policy, tolerance=tolerance, strict=strict, scheme=scheme)
    except DecodeError as error:
        if error.uri is None:
            error.uri = uri
            error.args = (f"{uri}: {error.args[0]}", *error.args[1:])
        raise
    return _with_size_note(found, plan.source)


def alpha(plan: MaskPlan, base: str | None) -> NDArray[np.uint8]:
    """(H, W) uint8 opacity of a mask."""
    return alpha_of(mask_raster(plan.mask, base))


def local_path(uri: str, base: str | None, raise_on_error: bool, force_download: bool) -> str | None:
    """Path of a local copy, or None where it cannot be had and nobody wants to know why."""
    try:
        return str(storage.local_path(join(uri, base), refresh=force_download))
    except (OSError, FrameError):
        if raise_on_error:
            raise
        return None


def _with_size_note(found: LabelMap, source: Source) -> LabelMap:
    height, width = found.size_hw
    if source.width and source.height and (source.height, source.width) != (height, width):
        note = f"the mask is {width}×{height}, source {source.id!r} says {source.width}×{source.height}; nothing was resized"
        return replace(found, notes=(*found.notes, note))
    return found


def _turn(rgb: NDArray[np.uint8], raster: Raster) -> NDArray[np.uint8]:
    """The picture as EXIF (mirrors and quarter turns) or the container (degrees clockwise) asks to see it."""
    order = raster.orientation
    if order in (5, 6, 7, 8):
        rgb = rgb.transpose(1, 0, 2)
    if order in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    if order in (3, 4, 7, 8):
        rgb = rgb[::-1]
    return np.ascontiguousarray(np.rot90(rgb, -(raster.rotation // 90) % 4))


def _raster(uri: str, content_type: str | None, at_ms: float, *, clamp: bool = False) -> Raster:
    if not is_clip(uri, content_type):
        data = storage.fetch(uri)
        if not codecs.is_video(content_type, data[:HEAD_BYTES]):
            try:
                return codecs.decode_still(data, content_type=content_type)
            except DecodeError as error:
                error.uri = uri
                error.args = (f"{uri}: {error.args[0]}", *error.args[1:])
                raise
    with open_clip(uri, content_type) as clip:
        try:
            return clip.at(at_ms)
        except TimestampError as error:
            if not clamp:
                raise
            raster = clip.at(at_ms, clamp=True)
            note = f"{at_ms:g} ms lies outside the clip ({error.first_ms:g}..{error.last_ms:g} ms); the nearest picture was read"
            return replace(raster, notes=(*raster.notes, note))


_VIDEO_ENDINGS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".ts", ".ogv")


def is_clip(uri: str, content_type: str | None) -> bool:
    """Whether to open the URI as a clip, before any byte of it is read; the magic bytes have the last word."""
    if content_type is not None and codecs.is_video(content_type, b""):
        return True
    return content_type is None and uri.split("?", 1)[0].lower().endswith(_VIDEO_ENDINGS)


class _Pool:
    """Open clips by URI, the least recently used closed first. One request at a time per clip."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clips: OrderedDict[tuple[str, object], tuple[Clip, threading.Lock]] = OrderedDict()

    @contextmanager
    def lend(self, uri: str, content_type: str | None) -> "Iterator[Clip]":
        key = (uri, (os.getpid(), *storage.stamp(uri)))
        with self._lock:
            entry = self._clips.get(key)
        if entry is None:
            opened = (codecs.open_clip(storage.open_uri(uri), content_type=content_type), threading.Lock())
            with self._lock:
                entry = self._clips.setdefault(key, opened)
            if entry is not opened:
                opened[0].close()
        clip, busy = entry
        with busy:
            yield clip
        self._settle(key)

    def _settle(self, key: tuple[str, object]) -> None:
        """Mark as used last, and close what is over the limit and idle."""
        with self._lock:
            if key in self._clips:
                self._clips.move_to_end(key)
            for old in list(self._clips)[: max(0, len(self._clips) - MAX_OPEN_CLIPS)]:
                clip, busy = self._clips[old]
                if busy.acquire(blocking=False):
                    try:
                        del self._clips[old]
                        clip.close()
                    finally:
                        busy.release()

    def close(self) -> None:
        with self._lock:
            for clip, busy in self._clips.values():
                with busy:
                    clip.close()
            self._clips.clear()


_pool = _Pool()


@contextmanager
def open_clip(uri: str, content_type: str | None = None) -> "Iterator[Clip]":
    """The clip at a URI, kept open for neighbouring requests and shared between threads one request at a time."""
    try:
        with _pool.lend(uri, content_type) as clip:
            yield clip
    except DecodeError as error:
        if error.uri is None:
            error.uri = uri
            error.args = (f"{uri}: {error.args[0]}", *error.args[1:])
        raise


def close_clips() -> None:
    """Close every clip that is kept open, e.g. before deleting the files."""
    _pool.close()
