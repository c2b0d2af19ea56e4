"""The compiled kernel of polygons."""

import numpy as np
from numpy.typing import NDArray

from smalti.kernels import _native
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
    ends = np.empty(len(groups) - 1, np.int64)
    edges = _native.ring_edges(grid, begins, groups, height, width, closes, ends)
    return np.frombuffer(edges, np.int64), ends
