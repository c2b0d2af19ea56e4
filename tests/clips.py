"""Clips made on the spot, whose pictures carry their own number: a grey level that survives every codec."""

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from smalti.codecs.raster import Raster

STEP = 5  # grey levels from one picture to the next


def numbered(number: int, size_hw: tuple[int, int] = (64, 96)) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: a flat grey that says which picture this is, above noise that gives the encoder work."""
    picture = np.full((*size_hw, 3), STEP * number + STEP, np.uint8)
    half = size_hw[0] // 2
    picture[half:] = np.random.default_rng(number).integers(0, 256, (size_hw[0] - half, size_hw[1], 1))
    return picture


def number_of(raster: Raster) -> int:
    """The number that a picture made by `numbered` carries."""
    plane = raster.planes[0] if raster.planes is not None else raster.data
    assert plane is not None
    level = float((plane if plane.ndim == 2 else plane[..., 0])[2 : plane.shape[0] // 4, 4:-4].mean())
    if raster.planes is not None and not raster.full_range:
        level = (level - 16) * 255 / 219
    return round((level - STEP) / STEP)


def encode(
    pictures: Iterable[NDArray[np.uint8]],
    *,
    container: str = "mp4",
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    pts_ms: Sequence[int] | None = None,
    rate: int = 25,
    rotation: int = 0,
    given: str = "rgb24",
) -> bytes:
    """A clip of the pictures. With `pts_ms` at those times, else at `rate` a second."""
    target = io.BytesIO()
    with av.open(target, "w", format=container, container_options=container_options or {}) as output:
        stream: Any = output.add_stream(codec, rate=rate, options=options or {})
        for position, picture in enumerate(pictures):
            if position == 0:
                stream.height, stream.width, stream.pix_fmt = picture.shape[0], picture.shape[1], pixels
                if pts_ms is not None:
                    stream.codec_context.time_base = Fraction(1, 1000)
                if rotation:
                    stream.set_display_rotation(rotation)
            frame = av.VideoFrame.from_ndarray(picture, given)
            if pts_ms is not None:
                frame.pts, frame.time_base = pts_ms[position], Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


class CountingFile(io.BytesIO):
    """A seekable file that remembers which bytes were read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.touched = np.zeros(len(data), bool)

    def read(self, count: int | None = -1) -> bytes:
        start = self.tell()
        chunk = super().read(count)
        self.touched[start : start + len(chunk)] = True
        return chunk
