"""Polygons by COCO's rule (see `smalti.polygons`), for all rings at once: where they cross columns of pixels."""

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.checks import ring_arrays

__all__ = ["ring_edges"]

Whole = NDArray[np.int64]


def ring_edges(
    grid: Whole, begins: Whole, groups: Whole, size_hw: tuple[int, int], *, closes: bool = False
) -> tuple[Whole, Whole]:
    """Rings → the positions column * height + row where inside and outside change, filled even-odd group by group.

    Args:
        grid: (n, 2) int64 corners x, y in fifths of a pixel.
        begins: (rings + 1,) int64 where each ring begins in `grid`, and where the last ends.
        groups: (groups + 1,) int64 the same for groups of rings in `begins`.
        size_hw: (height, width) in pixels.
        closes: whether the positions of each group end with height * width.

    Returns:
        (m,) int64 positions in the order of groups, sorted within each; and (groups,) where each group's end.
    """
    grid, begins, groups, (height, width) = ring_arrays(grid, begins, groups, size_hw)
    starts, owner = _crossings(grid, begins, height, width)
    group_of = np.repeat(np.arange(len(groups) - 1), np.diff(groups))
    edges, owner = _sorted_edges(starts, group_of[owner], height * width)
    ends = np.searchsorted(owner, np.arange(len(groups) - 1), side="right")
    if closes:
        return np.insert(edges, ends, height * width), ends + np.arange(1, len(groups))
    return edges, ends


def _sorted_edges(starts: Whole, owner: Whole, pixels: int) -> tuple[Whole, Whole]:
    """The positions where each ring's inside and outside change, sorted by group and position, and their groups."""
    keys = np.sort(owner * (pixels + 1) + starts)
    if not len(keys):
        return keys, keys
    # Equal crossings cancel in pairs: of each run of equal keys, one is left where the run is odd.
    begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    keys = keys[begins[np.diff(np.append(begins, len(keys))) % 2 == 1]]
    owner = keys // (pixels + 1)
    edges = keys - owner * (pixels + 1)
    kept = edges < pixels
    return edges[kept], owner[kept]


def _crossings(grid: Whole, begins: Whole, height: int, width: int) -> tuple[Whole, Whole]:
    """(m,) positions column * height + row where rings cross columns, and (m,) the ring of each, in order of rings."""
    following = np.arange(1, len(grid) + 1)
    has_points = np.diff(begins) > 0
    following[begins[1:][has_points] - 1] = begins[:-1][has_points]
    x0, y0 = grid[:, 0], grid[:, 1]
    x1, y1 = x0[following], y0[following]
    # The columns whose third fifth lies between the two ends of an edge.
    low = np.maximum((np.minimum(x0, x1) + 2) // 5, 0)
    high = np.minimum((np.maximum(x0, x1) + 2) // 5, width)
    counts = np.maximum(high - low, 0)
    total = int(counts.sum())
    if not total:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    edge = np.repeat(np.arange(len(grid)), counts)
    column = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts) + low[edge]
    fifth = _fifths(x0[edge], y0[edge], x1[edge], y1[edge], 5 * column + 2)
    # ceil((v + 0.5) / 5 - 0.5) in whole numbers, after the bounds are kept.
    row = np.clip(-((2 - fifth) // 5), 0, height)
    owner = np.repeat(np.repeat(np.arange(len(begins) - 1), np.diff(begins)), counts)
    return column * height + row, owner


def _fifths(
    x0: Whole,
    y0: Whole,
    x1: Whole,
    y1: Whole,
    left: Whole,
) -> Whole:
    """The upper of the two boundary points of an edge at fifths `left` and `left + 1` of a row of the grid."""
    wide, tall = np.abs(x1 - x0), np.abs(y1 - y0)
    is_flat = wide >= tall
    swapped = np.where(is_flat, x0 > x1, y0 > y1)
    xs, ys = np.where(swapped, x1, x0), np.where(swapped, y1, y0)
    xe, ye = np.where(swapped, x0, x1), np.where(swapped, y0, y1)
    slope = np.where(is_flat, ye - ys, xe - xs) / np.where(is_flat, wide, np.maximum(tall, 1))
    step = left - xs
    there = (ys + slope * step + 0.5).astype(np.int64)
    beyond = (ys + slope * (step + 1) + 0.5).astype(np.int64)
    found: Whole = np.minimum(there, beyond)
    steep = np.flatnonzero(~is_flat)
    if len(steep):
        found[steep] = _steep(xs[steep], ys[steep], slope[steep], left[steep])
    return found


def _steep(xs: Whole, ys: Whole, slope: NDArray[np.float64], left: Whole) -> Whole:
    """The same where the boundary takes whole steps down: the last row before it leaves (or reaches) fifth `left`."""
    rising = slope > 0
    # The row where x passes left + 1/2, by division; then corrected by the very expression that the rule rounds.
    step = np.ceil((left + 0.5 - xs) / slope).astype(np.int64)

    def has_passed(at: Whole) -> NDArray[np.bool_]:
        u = (xs + slope * at + 0.5).astype(np.int64)
        return np.asarray(np.where(rising, u > left, u <= left))

    step -= has_passed(step - 1)
    step += ~has_passed(step)
    found: Whole = ys + step - 1
    return found
