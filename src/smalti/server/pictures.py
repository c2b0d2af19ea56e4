"""From a frame to pixels, through the two doors: pictures, label maps, thumbnails, each kept by what it was made of."""

import io
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import codecs
from smalti.binding import MaskPlan
from smalti.codecs.clip import Clip
from smalti.codecs.limits import Limits
from smalti.codecs.raster import Raster
from smalti.codecs.show import to_rgb
from smalti.codecs.sniff import HEAD_BYTES, sniff
from smalti.decode import alpha_of, decode_mask, decode_raster, strange_colors
from smalti.errors import DecodeError
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.pixels import is_clip
from smalti.server.lru import Lru
from smalti.server.media import digest
from smalti.server.problems import Refusal
from smalti.server.safe_io import Doors
from smalti.server.stills import SAFE, Stills, opened

__all__ = ["Mapped", "Pictures", "Slots", "encode", "legend_key"]

MAX_CLIPS = 8
Rgb = NDArray[np.uint8]
Strangers = Sequence[tuple[tuple[int, int, int], int, tuple[int, int, int] | None, int | None]]


class Slots:
    """How many decodes run at a time; who waits too long is told to come back."""

    def __init__(self, count: int, patience_s: float = 30.0) -> None:
        self.count, self.patience_s = count, patience_s
        self._free = threading.BoundedSemaphore(count)

    @contextmanager
    def one(self) -> Iterator[None]:
        """The right to decode."""
        if not self._free.acquire(timeout=self.patience_s):
            raise Refusal(503, "busy", "too many pictures are being decoded; try again", headers={"Retry-After": "2"})
        try:
            yield
        finally:
            self._free.release()


@dataclass(frozen=True, slots=True)
class Mapped:
    """A label map, and a name that changes with its content."""

    map: LabelMap
    etag: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """Something in memory, and what it weighs."""

    value: Any
    size: int


class Pictures:
    """Decodes what frames name.

    Args:
        doors: the way to bytes.
        limits: bounds on one picture.
        memory_bytes: how much stays decoded.
        slots: how many decodes run at a time.
        stills: what decodes stills; None = this process.
    """

    def __init__(
        self, doors: Doors, limits: Limits, *, memory_bytes: int, slots: Slots, stills: Stills | None = None
    ) -> None:
        self.doors, self.limits, self.slots = doors, limits, slots
        self.stills = stills if stills is not None else Stills(limits)
        self.kept: Lru[_Kept] = Lru(memory_bytes, lambda kept: kept.size)
        self._clips: OrderedDict[str, tuple[Clip, threading.Lock, Any]] = OrderedDict()
        self._lock = threading.Lock()

    # ------------------------------------------------------------------------------------------------------ bytes
    def content(self, uri: str, content_type: str | None) -> tuple[str, bytes | None]:
        """A name for the present content of a URI, and its bytes where they had to be read for that."""
        stamp = self.doors.stamp(uri)
        if stamp is not None:
            return digest(uri.encode(), repr(stamp).encode()), None
        if is_clip(uri, content_type):
            with self.doors.open(uri) as file:
                head = file.read(HEAD_BYTES)
                size = file.seek(0, io.SEEK_END)
            return digest(uri.encode(), head, str(size).encode()), None
        data = self.doors.read(uri)
        return digest(data), data

    def is_video(self, uri: str, content_type: str | None) -> bool:
        """Whether the bytes are a clip, whatever the record says."""
        if is_clip(uri, content_type):
            return True
        with self.doors.open(uri) as file:
            return codecs.is_video(content_type, file.read(HEAD_BYTES))

    @contextmanager
    def clip(self, uri: str, content_type: str | None, name: str | None = None) -> Iterator[Clip]:
        """The clip at a URI, kept open for neighbouring requests, lent to one at a time."""
        key = name or self.content(uri, content_type)[0]
        with self._lock:
            entry = self._clips.get(key)
        if entry is None:
            file = self.doors.open(uri)
            try:
                made = (Clip(file, content_type=content_type, uri=uri, limits=self.limits), threading.Lock(), file)
            except BaseException:
                file.close()
                raise
            with self._lock:
                entry = self._clips.setdefault(key, made)
            if entry is not made:
                made[0].close()
                file.close()
        with entry[1]:
            yield entry[0]
        self._settle(key)

    def _settle(self, key: str) -> None:
        with self._lock:
            if key in self._clips:
                self._clips.move_to_end(key)
            for old in list(self._clips)[: max(0, len(self._clips) - MAX_CLIPS)]:
                clip, busy, file = self._clips[old]
                if busy.acquire(blocking=False):
                    del self._clips[old]
                    clip.close()
                    file.close()
                    busy.release()

    def close(self) -> None:
        """Close every clip, and let go of the decoders."""
        self.stills.close()
        with self._lock:
            for clip, busy, file in self._clips.values():
                with busy:
                    clip.close()
                    file.close()
            self._clips.clear()

    def raster(self, uri: str, content_type: str | None, at_ms: float) -> tuple[Raster, str]:
        """The stored samples at a URI, for a clip the picture at `at_ms`; and the name of the content."""
        name, data = self.content(uri, content_type)
        if is_clip(uri, content_type):
            with self.slots.one(), self.clip(uri, content_type, name) as clip:
                return clip.at(at_ms), name
        data = data if data is not None else self.doors.read(uri)
        if codecs.is_video(content_type, data[:HEAD_BYTES]):
            with self.slots.one(), self.clip(uri, content_type, name) as clip:
                return clip.at(at_ms), name
        with self.slots.one():
            return self.stills.whole(data, content_type), name

    # ----------------------------------------------------------------------------------------------------- images
    def image(self, uri: str, content_type: str | None, at_ms: float) -> tuple[Rgb, float | None, str]:
        """(H, W, 3) uint8 RGB as stored, its presentation time in a clip, and the name of the content."""
        raster, name = self.raster(uri, content_type, at_ms)
        with self.slots.one():
            return to_rgb(raster), raster.pts_ms, name

    def as_stored(self, uri: str, content_type: str | None) -> tuple[bytes, str, str] | None:
        """(bytes, type, name) of a still that a browser shows exactly as we would decode it; None for others.

        Only sniffed JPEG, PNG and WebP of one picture, 8 bits and no orientation: masks lie on the stored pixels.
        """
        name, data = self.content(uri, content_type)
        if is_clip(uri, content_type):
            return None
        data = data if data is not None else self.doors.read(uri)
        kind = sniff(data[:HEAD_BYTES]) or ""
        if kind not in SAFE:
            return None
        with opened(data, kind, self.limits, uri) as picture:
            is_plain = picture.mode in ("RGB", "L") and getattr(picture, "n_frames", 1) == 1
            turned = picture.getexif().get(0x0112, 1) != 1
        return None if turned or not is_plain else (data, kind, name)

    def small(self, uri: str, content_type: str | None, at_ms: float, size: int) -> tuple[Rgb, tuple[int, int], str]:
        """A picture that fits into size × size, the (height, width) it has in full, and the name of the content."""
        from PIL import Image

        name, data = self.content(uri, content_type)
        if not is_clip(uri, content_type):
            data = data if data is not None else self.doors.read(uri)
            if sniff(data[:HEAD_BYTES]) == "image/jpeg":
                with self.slots.one():
                    return *self.stills.small_jpeg(data, size), name
        rgb, _, name = self.image(uri, content_type, at_ms)
        with self.slots.one():
            picture = Image.fromarray(rgb)
            picture.thumbnail((size, size), Image.Resampling.BOX, reducing_gap=2.0)
            return np.asarray(picture), (rgb.shape[0], rgb.shape[1]), name

    # ------------------------------------------------------------------------------------------------- label maps
    def labels(self, plan: MaskPlan, at_ms: float) -> Mapped:
        """The decoded mask of a plan at a time, by the default policy."""
        mask = plan.mask
        if plan.is_alpha:
            raise DecodeError(f"mask {mask.id!r} is an alpha mask: it has no labels; ask for /alpha", uri=mask.uri)
        name, data = self.content(mask.uri, mask.content_type)
        etag = digest(name.encode(), f"{at_ms:.6f}".encode(), legend_key(plan))
        kept = self.kept.get_or(("labels", etag), lambda: self._read_labels(plan, at_ms, name, data))
        return Mapped(kept.value, etag)

    def _read_labels(self, plan: MaskPlan, at_ms: float, name: str, data: bytes | None) -> _Kept:
        mask = plan.mask
        found: LabelMap | None = None
        if not is_clip(mask.uri, mask.content_type) and plan.scheme is None:
            data = data if data is not None else self.doors.read(mask.uri)
            if sniff(data[:HEAD_BYTES]) == "image/png":
                self.limits.check_bytes(len(data), content_type="image/png")
                self.limits.check_pixels(*_png_size(data), content_type="image/png")
                with self.slots.one():
                    found = decode_mask(data, plan.legend, content_type=mask.content_type)
        if found is None:
            raster, _ = self.raster(mask.uri, mask.content_type, at_ms)
            with self.slots.one():
                found = decode_raster(raster, plan.legend, scheme=plan.scheme)
        source = plan.source
        height, width = found.size_hw
        if source.width and source.height and (source.height, source.width) != (height, width):
            note = f"the mask is {width}×{height}, source {source.id!r} says {source.width}×{source.height}"
            found = replace(found, notes=(*found.notes, note))
        return _Kept(found, found.data.nbytes + 4096)

    def strangers(self, plan: MaskPlan, at_ms: float, found: Mapped) -> Strangers:
        """The colours that no entry explains, with pixels and the nearest entry, the commonest first."""
        if not found.map.void or found.map.legend.kind == "ids":
            return []

        def look() -> _Kept:
            raster, _ = self.raster(plan.mask.uri, plan.mask.content_type, at_ms)
            with self.slots.one():
                return _Kept(strange_colors(raster, found.map), 1 << 16)

        strangers: Strangers = self.kept.get_or(("strangers", found.etag), look).value
        return strangers

    def alpha(self, uri: str, content_type: str | None, at_ms: float) -> tuple[NDArray[np.uint8], float | None, str]:
        """(H, W) uint8 opacity of a mask, its presentation time in a clip, and the name of the content."""
        name, _ = self.content(uri, content_type)
        key = ("alpha", name, at_ms)

        def read() -> _Kept:
            raster, _ = self.raster(uri, content_type, at_ms)
            with self.slots.one():
                found = alpha_of(raster)
            return _Kept((found, raster.pts_ms), found.nbytes + 512)

        found, pts_ms = self.kept.get_or(key, read).value
        return found, pts_ms, digest(name.encode(), f"{at_ms:.6f}".encode(), b"alpha")


def legend_key(plan: MaskPlan) -> bytes:
    """What a plan knows of the meaning of its mask, as bytes that are equal where that is."""
    return _key_of(plan.legend, plan.scheme)


@lru_cache(maxsize=1024)
def _key_of(legend: Legend | None, scheme: str | None) -> bytes:
    if legend is None:
        return f"none {scheme}".encode()
    return repr((legend.kind, legend.scheme, scheme, legend.entries)).encode()


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) < 24 or data[12:16] != b"IHDR":
        raise DecodeError("the PNG has no header; it is damaged", content_type="image/png")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def encode(rgb: NDArray[np.uint8], kind: str, *, quality: int = 88) -> bytes:
    """(H, W, 3) RGB or (H, W) grey as "jpeg", "webp" or "png"."""
    from PIL import Image

    out = io.BytesIO()
    picture = Image.fromarray(rgb)
    if kind == "png":
        picture.save(out, "PNG", compress_level=1)
    elif kind == "webp":
        picture.save(out, "WEBP", quality=quality, method=0)
    else:
        picture.save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()
