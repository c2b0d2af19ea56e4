"""A Raster as 8-bit RGB, for eyes: nothing here may decide what a mask means."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.raster import Raster
from smalti.errors import DecodeError

__all__ = ["plane_tables", "to_rgb"]

# Kr and Kb of each matrix: the shares of red and blue in luma.
_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


def to_rgb(raster: Raster) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a picture: grey and 16 bits scaled to 0..255, palettes expanded, planes converted.

    Alpha is ignored, and orientation not applied. 32-bit grey has no agreed white: its largest sample becomes white.
    An index beyond the palette is black.
    """
    if raster.mode == "ycc":
        return _from_planes(raster)
    if raster.data is None:
        raise DecodeError(f"a raster of mode {raster.mode!r} without data; decode the file again")
    if raster.mode == "palette":
        return _from_palette(raster.data, raster.palette)
    scaled = _to_8_bits(raster.data, raster.bits)
    if raster.mode == "rgb":
        return np.ascontiguousarray(scaled)
    return np.repeat(scaled[:, :, None], 3, axis=2)


def _to_8_bits(data: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits == 8 and data.dtype == np.uint8:
        return data
    white = int(data.max(initial=1)) if bits > 16 else (1 << bits) - 1
    if data.dtype == np.uint32:
        return np.round(data * (255.0 / white)).astype(np.uint8)
    # One cell for every possible sample, rounded half up.
    cells = np.arange(np.iinfo(data.dtype).max + 1, dtype=np.uint64)
    table = np.minimum((cells * 255 + white // 2) // white, 255).astype(np.uint8)
    shown: NDArray[np.uint8] = table[data]
    return shown


def _from_palette(indices: NDArray[Any], palette: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    colors = np.zeros((np.iinfo(indices.dtype).max + 1, 3), np.uint8)
    if palette is not None:
        colors[: len(palette)] = palette
    shown: NDArray[np.uint8] = colors[indices]
    return shown


@lru_cache(maxsize=8)
def plane_tables(
    matrix: str, full_range: bool
) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16], NDArray[np.int32], NDArray[np.int32]]:
    """The way from planes to RGB, five read-only (256,) arrays: Y to level, Cr to red, Cb to blue, Cb and Cr to green.

    red = level + red_of_cr, blue likewise, green = level + (green_of_cb + green_of_cr >> 16), all cut to 0..255.
    """
    kr, kb = _LUMA[matrix]
    kg = 1 - kr - kb
    spread = 1.0 if full_range else 255 / 224
    offsets = np.arange(-128, 128)

    def fixed(factor: float) -> NDArray[np.int64]:
        # libjpeg writes its factors with five decimals; so rounded, the tables are the same.
        return offsets * int(round(factor, 5) * spread * 65536 + 0.5)

    half = 1 << 15
    levels = np.arange(256)
    if not full_range:
        levels = np.floor((levels - 16) * (255 / 219) + 0.5).astype(np.int64)
    tables = (
        levels.astype(np.int16),
        ((fixed(2 * (1 - kr)) + half) >> 16).astype(np.int16),
        ((fixed(2 * (1 - kb)) + half) >> 16).astype(np.int16),
        (half - fixed(2 * kb * (1 - kb) / kg)).astype(np.int32),
        (-fixed(2 * kr * (1 - kr) / kg)).astype(np.int32),
    )
    for table in tables:
        table.flags.writeable = False
    return tables


def _from_planes(raster: Raster) -> NDArray[np.uint8]:
    """Fixed point with 16 bits, as libjpeg does it, so that a JPEG looks as everywhere else, to the last bit."""
    if raster.planes is None:
        raise DecodeError("a raster of mode 'ycc' without planes; decode the file again")
    luma, blue, red = raster.planes
    height, width = luma.shape
    blue, red = (_full_size(plane, height, width) for plane in (blue, red))
    levels, red_of_cr, blue_of_cb, green_of_cb, green_of_cr = plane_tables(raster.matrix, raster.full_range)
    y = levels[luma]
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[..., 0] = np.clip(y + red_of_cr[red], 0, 255)
    rgb[..., 1] = np.clip(y + ((green_of_cb[blue] + green_of_cr[red]) >> 16).astype(np.int16), 0, 255)
    rgb[..., 2] = np.clip(y + blue_of_cb[blue], 0, 255)
    return rgb


def _full_size(plane: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A subsampled plane brought to (height, width) by repeating samples."""
    if plane.shape == (height, width):
        return plane
    down, across = -(-height // plane.shape[0]), -(-width // plane.shape[1])
    return plane.repeat(down, axis=0).repeat(across, axis=1)[:height, :width]
