"""The compiled kernels of kept label maps and mask videos."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels import _native
from smalti.kernels.maps import PlaneLegend, Planes, PlaneSums, Tiles, check_box, check_planes, steps_of, tile_grid

__all__ = ["label_planes", "tiles_pack", "tiles_unpack"]

_NONE = np.empty(0, np.uint8)


def tiles_pack(labels: NDArray[Any], tile: int) -> Tiles:
    """(H, W) uint8, uint16 or uint32 labels → their tiles, `tile` pixels high and wide, less at the right and bottom."""
    rows, across = tile_grid((labels.shape[0], labels.shape[1]), labels.dtype, tile)
    labels = np.ascontiguousarray(labels)
    out = np.empty(2 * rows * across + labels.nbytes, np.uint8)
    offsets, sums = np.empty(rows * across + 1, np.uint32), np.empty(rows * across, np.uint32)
    _native.tiles_pack(labels, labels.shape[0], labels.shape[1], tile, out, offsets, sums)
    return Tiles(out[: int(offsets[-1])], offsets, sums)


def tiles_unpack(
    tiles: Tiles,
    size_hw: tuple[int, int],
    tile: int,
    box2d_xywh: tuple[int, int, int, int],
    out: NDArray[Any],
    *,
    base: int = 0,
) -> None:
    """Write a box (x, y, w, h) of a map into `out`, (h, w) of the map's dtype; only tiles that it touches are read.

    Args:
        tiles: as `tiles_pack` gave them.
        size_hw: of the whole map.
        tile: as for `tiles_pack`.
        box2d_xywh: in pixels, within the map.
        out: (h, w) in C order.
        base: the offset at which `tiles.packed` begins, where its front was left out.

    Raises:
        ValueError: a tile is not what it was when it was packed.
    """
    tile_grid(size_hw, out.dtype, tile)
    check_box(size_hw, box2d_xywh, out)
    _native.tiles_unpack(tiles.packed, base, tiles.offsets, tiles.sums, *size_hw, tile, *box2d_xywh, out)


def label_planes(
    planes: Planes, before: Planes | None, legend: PlaneLegend, labels: NDArray[np.uint8], counts: NDArray[np.uint8]
) -> PlaneSums:
    """Labels of a picture by nearest colour; stretches of rows that are as in the picture before keep theirs.

    Args:
        planes: luma (H, W) and two chroma planes, uint8; a chroma sample stands for 1, 2 or 4 pixels each way.
        before: the planes that `labels` and `counts` belong to; None = there are none.
        legend: what the samples mean.
        labels: (H, W) uint8, changed in place.
        counts: (…, 2) uint8 of `label_counts`: exact and void pixels of each stretch, changed in place.
    """
    planes, before = check_planes(planes, before, legend, labels, counts)
    down, across = steps_of(planes)
    found = _native.label_planes(
        *planes,
        *(before or (_NONE, _NONE, _NONE)),
        *legend.tables,
        legend.colors,
        legend.values,
        legend.cells,
        labels,
        counts,
        *labels.shape,
        *planes[1].shape,
        down,
        across,
        legend.limit,
    )
    return PlaneSums(*found)
