"""Rows of a PNG: undoing the five filters, and unpacking samples of 1 to 16 bits."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["unfilter", "unpack"]

# Average and Paeth need the pixel to their left before their own: NumPy cannot do that without a step for every
# column. Pillow's C filter can, so the rows, inflated and checked here, go through it as a stored (level 0) stream.
# Filters work on bytes at a fixed distance, so a mode with as many bytes a pixel serves for any colour type.
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# Bytes in one go: fits the cache beside its copies, and keeps the extra memory small.
_BAND_BYTES = 1 << 19


def unfilter(rows: NDArray[np.uint8], distance: int) -> NDArray[np.uint8]:
    """(h, 1 + n) filter byte and filtered bytes, distance to the "left" byte → (h, n) uint8 bytes.

    Filter bytes must be 0..4, and `distance` one of 1, 2, 3, 4, 6, 8, of which n is a multiple.
    """
    if not rows[:, 0].any():
        return np.ascontiguousarray(rows[:, 1:])
    if distance > 4:
        # The bytes of a pixel never mix: two halves of a 16-bit pixel are two pictures of half the distance.
        height, width = len(rows), (rows.shape[1] - 1) // distance
        pixels = rows[:, 1:].reshape(height, width, distance)
        half = distance // 2
        halves = np.empty((height, width, distance), np.uint8)
        for part in (slice(None, half), slice(half, None)):
            lane = np.empty((height, 1 + width * half), np.uint8)
            lane[:, 0] = rows[:, 0]
            lane[:, 1:] = pixels[..., part].reshape(height, width * half)
            halves[..., part] = unfilter(lane, half).reshape(height, width, half)
        return halves.reshape(height, width * distance)
    return _unfilter_bands(rows, distance)


def _unfilter_bands(rows: NDArray[np.uint8], distance: int) -> NDArray[np.uint8]:
    from PIL import Image

    height, stride = rows.shape
    mode = _MODES[distance]
    done = np.empty((height, stride - 1), np.uint8)
    step = max(1, _BAND_BYTES // stride)
    for top in range(0, height, step):
        band = rows[top : top + step]
        if top:
            # The row above, already undone, goes first with filter 0, so that the band can look up at it.
            above = np.zeros((1, stride), np.uint8)
            above[0, 1:] = done[top - 1]
            band = np.concatenate([above, band])
        size = ((stride - 1) // distance, len(band))
        picture = Image.frombytes(mode, size, zlib.compress(band.tobytes(), 0), "zip", mode, False)
        done[top : top + step] = np.asarray(picture).reshape(len(band), stride - 1)[1 if top else 0 :]
    return done


def unpack(rows: NDArray[np.uint8], width: int, bit_depth: int, channels: int) -> NDArray[Any]:
    """(h, n) uint8 bytes → (h, width, channels) samples, uint8, or uint16 in native order for 16 bits."""
    height = len(rows)
    if bit_depth == 8:
        return rows.reshape(height, width, channels)
    if bit_depth == 16:
        return rows.view(">u2").astype(np.uint16).reshape(height, width, channels)
    if bit_depth == 1:
        return np.unpackbits(rows, axis=1, count=width).reshape(height, width, 1)
    shifts = np.arange(8 - bit_depth, -1, -bit_depth, dtype=np.uint8)
    samples = (rows[:, :, None] >> shifts) & np.uint8((1 << bit_depth) - 1)
    return np.ascontiguousarray(samples.reshape(height, -1)[:, :width]).reshape(height, width, 1)
