"""Lookup tables of a task, and the two ways to look up: NumPy's, and a loop compiled by numba."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data import Task
from rivals import Unfit

__all__ = ["Tables", "gather_colors", "gather_numba", "gather_numpy", "nearest_table"]


class Tables:
    """The answer for every colour (2**24) and for every stored value (256 or 65536), where they are defined.

    A reader that gives palette pictures as colours needs `by_color`; it is missing where two indices that mean
    something share a colour.
    """

    def __init__(self, task: Task, order: Literal["rgb", "bgr"]) -> None:
        self.order = order
        self.labels = task.labels
        self.by_color: NDArray[Any] | None = None
        self.by_value: NDArray[Any] | None = None
        keys = task.codes
        if task.kind == "indices":
            self.by_value = np.zeros(65536 if task.codes[-1] > 255 or task.palette is None else 256, task.labels.dtype)
            self.by_value[task.codes] = task.labels
            if task.palette is None:
                return
            wide = task.palette[np.minimum(task.codes, len(task.palette) - 1)].astype(np.uint32)
            keys = wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]
            if len(np.unique(keys)) < len(keys):
                return
        self.by_color = np.zeros(1 << 24, task.labels.dtype)
        self.by_color[keys] = task.labels


def _plane(picture: NDArray[Any]) -> NDArray[Any]:
    return picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture


def gather_numpy(picture: NDArray[Any], tables: Tables) -> NDArray[Any]:
    """(H, W) or (H, W, 3) samples → labels, by NumPy's indexing."""
    picture = _plane(picture)
    if picture.ndim == 2:
        if tables.by_value is None:
            raise Unfit("one channel where colours are asked for")
        return tables.by_value[picture]
    if tables.by_color is None:
        raise Unfit("two values share a colour")
    first, last = (0, 2) if tables.order == "rgb" else (2, 0)
    wide = picture.astype(np.uint32)
    return tables.by_color[wide[..., first] << 16 | wide[..., 1] << 8 | wide[..., last]]


try:
    import numba
except ImportError:
    numba = None

if numba is not None:

    @numba.njit(nogil=True, cache=False)
    def gather_colors(picture, table, labels, first, last):  # type: ignore[no-untyped-def]
        height, width, _ = picture.shape
        for y in range(height):
            for x in range(width):
                labels[y, x] = table[
                    np.uint32(picture[y, x, first]) << 16 | np.uint32(picture[y, x, 1]) << 8 | picture[y, x, last]
                ]

    @numba.njit(nogil=True, cache=False)
    def _values(picture, table, labels):  # type: ignore[no-untyped-def]
        height, width = picture.shape
        for y in range(height):
            for x in range(width):
                labels[y, x] = table[picture[y, x]]

    @numba.njit(nogil=True, cache=False)
    def nearest_table(colors, table):  # type: ignore[no-untyped-def]
        """Fill (2**24,) with 1 + the position of the nearest of (n, 3) int32 colours, the lower of equals."""
        for key in range(table.size):
            best = 1 << 30
            for n in range(colors.shape[0]):
                red, green, blue = (
                    (key >> 16) - colors[n, 0],
                    (key >> 8 & 255) - colors[n, 1],
                    (key & 255) - colors[n, 2],
                )
                far = red * red + green * green + blue * blue
                if far < best:
                    best, table[key] = far, n + 1


def gather_numba(picture: NDArray[Any], tables: Tables) -> NDArray[Any]:
    """(H, W) or (H, W, 3) samples → labels, by a compiled loop."""
    if numba is None:
        raise ImportError("numba is not installed")
    picture = _plane(picture)
    labels = np.empty(picture.shape[:2], tables.labels.dtype)
    if picture.ndim == 2:
        if tables.by_value is None:
            raise Unfit("one channel where colours are asked for")
        _values(picture, tables.by_value, labels)
        return labels
    if tables.by_color is None:
        raise Unfit("two values share a colour")
    first, last = (0, 2) if tables.order == "rgb" else (2, 0)
    gather_colors(picture, tables.by_color, labels, first, last)
    return labels
