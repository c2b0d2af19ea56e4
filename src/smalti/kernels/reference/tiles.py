"""Label maps in tiles, each a list of runs: how kept maps lie on disk."""

import sys
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.maps import Tiles, check_box, tile_grid
from smalti.kernels.reference.runs import runs_encode

__all__ = ["tiles_pack", "tiles_unpack"]


def tiles_pack(labels: NDArray[Any], tile: int) -> Tiles:
    """(H, W) uint8, uint16 or uint32 labels → their tiles, `tile` pixels high and wide, less at the right and bottom."""
    rows, across = tile_grid((labels.shape[0], labels.shape[1]), labels.dtype, tile)
    packed = [
        _pack(labels[tile * j : tile * (j + 1), tile * k : tile * (k + 1)]) for j in range(rows) for k in range(across)
    ]
    offsets = np.cumsum([0, *(len(part) for part in packed)]).astype(np.uint32)
    sums = np.array([zlib.crc32(part) for part in packed], np.uint32)
    return Tiles(np.frombuffer(b"".join(packed), np.uint8), offsets, sums)


def _pack(part: NDArray[Any]) -> bytes:
    values, lengths = runs_encode(part)
    if len(values) * (part.itemsize + 2) > part.size * part.itemsize:
        return bytes(2) + part.tobytes()
    return np.uint16(len(values)).tobytes() + values.tobytes() + lengths.astype(np.uint16).tobytes()


def tiles_unpack(
    tiles: Tiles,
    size_hw: tuple[int, int],
    tile: int,
    box2d_xywh: tuple[int, int, int, int],
    out: NDArray[Any],
    *,
    base: int = 0,
) -> None:
    """Write a box (x, y, w, h) of a map into `out`, (h, w) of the map's dtype; `packed` begins at offset `base`."""
    rows, across = tile_grid(size_hw, out.dtype, tile)
    check_box(size_hw, box2d_xywh, out)
    if len(tiles.sums) != rows * across or len(tiles.offsets) != rows * across + 1:
        raise ValueError(f"{len(tiles.sums)} tiles, a map of {size_hw} has {rows * across} of {tile} pixels")
    left, above, wide, tall = box2d_xywh
    for y in range(above // tile * tile, above + tall, tile):
        for x in range(left // tile * tile, left + wide, tile):
            k = y // tile * across + x // tile
            start, end = int(tiles.offsets[k]) - base, int(tiles.offsets[k + 1]) - base
            stored = bytes(tiles.packed[max(start, 0) : max(end, 0)])
            if start < 0 or len(stored) != end - start or zlib.crc32(stored) != tiles.sums[k]:
                raise ValueError(f"tile {k} is not what was packed: it is damaged")
            part = _unpack(stored, (min(tile, size_hw[0] - y), min(tile, size_hw[1] - x)), out.dtype)
            top, first = max(above - y, 0), max(left - x, 0)
            cut = part[top : above + tall - y, first : left + wide - x]
            at = (y + top - above, x + first - left)
            out[at[0] : at[0] + cut.shape[0], at[1] : at[1] + cut.shape[1]] = cut


def _unpack(stored: bytes, size_hw: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(stored[:2], sys.byteorder)
    area = size_hw[0] * size_hw[1]
    if len(stored) != 2 + (count * (dtype.itemsize + 2) if count else area * dtype.itemsize):
        raise ValueError(f"a tile of {len(stored)} bytes with {count} runs: it is damaged")
    if not count:
        return np.frombuffer(stored, dtype, area, 2).reshape(size_hw)
    values = np.frombuffer(stored, dtype, count, 2)
    lengths = np.frombuffer(stored, np.uint16, count, 2 + count * dtype.itemsize)
    if int(lengths.sum(dtype=np.int64)) != area:
        raise ValueError(
            f"the runs of a tile are {int(lengths.sum(dtype=np.int64))} pixels, it has {area}: it is damaged"
        )
    return np.repeat(values, lengths).reshape(size_hw)
