"""Colours and indices → labels: the gathers and the table of nearest colours, in NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.checks import CELLS, as_labels, as_pixels, as_table, label_beyond, legend_arrays, nearest_arrays

__all__ = ["gather_exact", "gather_table", "lookup", "nearest_table"]


def pack(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(..., 3) uint8 → (...) uint32 keys R<<16|G<<8|B."""
    wide = pixels.astype(np.uint32)
    packed: NDArray[np.uint32] = wide[..., 0] << np.uint32(16) | wide[..., 1] << np.uint32(8) | wide[..., 2]
    return packed


def gather_exact(pixels: NDArray[np.uint8], keys: NDArray[np.uint32], values: NDArray[Any]) -> NDArray[Any]:
    """(H, W, 3) uint8, (n,) uint32 sorted R<<16|G<<8|B, (n,) values → (H, W) of values.dtype, 0 where no key fits."""
    pixels = as_pixels(pixels)
    keys, values = legend_arrays(keys, values)
    packed = pack(pixels)
    if not len(keys):
        return np.zeros(packed.shape, values.dtype)
    position = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
    found: NDArray[Any] = np.where(keys[position] == packed, values[position], values.dtype.type(0))
    return found


def gather_table(pixels: NDArray[np.uint8], table: NDArray[Any]) -> NDArray[Any]:
    """(H, W, 3) uint8, (2**24,) table → (H, W) of table.dtype."""
    pixels = as_pixels(pixels)
    table = as_table(table, cells=CELLS, small=True)
    found: NDArray[Any] = table[pack(pixels)]
    return found


def nearest_table(colors: NDArray[np.uint8], values: NDArray[Any], tolerance: int = -1) -> NDArray[Any]:
    """(n, 3) uint8, (n,) values → (2**24,) table; nearest by squared distance, ties to the lower position.

    Args:
        colors: the legend's colours.
        values: what each colour stands for, uint8 or uint16.
        tolerance: largest difference in any channel, in levels, that the nearest colour may have; negative = no limit.
            Where it is larger the table holds 0.
    """
    colors, values, limit = nearest_arrays(colors, values, tolerance)
    table = np.zeros((256, 256, 256), values.dtype)
    if not len(colors):
        return table.reshape(-1)
    level = np.arange(256, dtype=np.int32)
    away = np.abs(level[:, None] - colors.astype(np.int32).T[:, None, :])  # (3, 256, n): level to each colour's level
    square = away * away
    for red in range(256):
        for green in range(256):
            distance = square[0, red] + square[1, green] + square[2]  # (256, n) for every blue
            best = distance.argmin(axis=1)
            reach = np.maximum(np.maximum(away[0, red], away[1, green])[best], away[2][level, best])
            table[red, green] = np.where(reach <= limit, values[best], 0)
    return table.reshape(-1)


def lookup(indices: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """(H, W) uint8 | uint16 | uint32, (m,) table → (H, W) of table.dtype.

    Raises:
        IndexError: an index is m or more.
    """
    indices, table = as_labels(indices, "indices"), as_table(table)
    if indices.size and int(indices.max()) >= len(table):
        raise label_beyond(int(indices.max()), len(table), "index")
    found: NDArray[Any] = table[indices]
    return found
