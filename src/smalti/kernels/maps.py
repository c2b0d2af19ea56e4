"""What the kernels of kept label maps and of mask videos share: their arguments, and the checks before any loop."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAX_TILE",
    "SEGMENT",
    "PlaneLegend",
    "PlaneSums",
    "Planes",
    "Tiles",
    "check_box",
    "check_planes",
    "label_counts",
    "steps_of",
    "tile_grid",
]

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

MAX_TILE = 255
"""A tile's pixels are counted with 16 bits."""

SEGMENT = 16
"""Luma samples of a row that keep their labels where nothing in them and in the chroma beside them changed."""

CELLS = 1 << 24


class PlaneLegend(NamedTuple):
    """How (Y, Cb, Cr) become labels by nearest colour.

    Attributes:
        tables: five (256,) arrays as `smalti.codecs.show.plane_tables` gives them: the way from planes to RGB.
        colors: (n, 3) uint8 RGB, at least one.
        values: (n,) uint8 labels.
        limit: the largest difference in any channel, 0..255; farther away is label 0.
        cells: (2**24,) uint16 by the bits of Y, Cb and Cr in turn (the highest of Y first: triples of one region stand
            together): label + 1, with bit 15 where the colour is a legend's; 0 where nobody has asked yet. Filled on
            the way.
    """

    tables: tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16], NDArray[np.int32], NDArray[np.int32]]
    colors: NDArray[np.uint8]
    values: NDArray[np.uint8]
    limit: int
    cells: NDArray[np.uint16]


def steps_of(planes: Planes) -> tuple[int, int]:
    """How many pixels (down, across) a chroma sample stands for."""
    luma, chroma = planes[0], planes[1]
    return -(-luma.shape[0] // chroma.shape[0]), -(-luma.shape[1] // chroma.shape[1])


def label_counts(size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, stretches of a row, 2) uint8 zeros: where `label_planes` keeps exact and void pixels."""
    return np.zeros((size_hw[0], -(-size_hw[1] // SEGMENT), 2), np.uint8)


class PlaneSums(NamedTuple):
    """What `label_planes` tells of a picture: stretches that were labelled anew; its exact and void pixels."""

    redone: int
    exact: int
    void: int


def check_planes(
    planes: Planes, before: Planes | None, legend: PlaneLegend, labels: NDArray[np.uint8], counts: NDArray[np.uint8]
) -> tuple[Planes, Planes | None]:
    """The planes in C order, if everything fits together."""
    shapes = [plane.shape for plane in planes]
    if any(len(shape) != 2 or 0 in shape for shape in shapes) or shapes[1] != shapes[2]:
        raise ValueError(f"planes: expected luma (H, W) and two chroma planes of one size, got {shapes}")
    if steps_of(planes)[0] not in (1, 2, 4) or steps_of(planes)[1] not in (1, 2, 4):
        raise ValueError(f"planes: a chroma sample may stand for 1, 2 or 4 pixels each way, got {shapes}")
    if before is not None and [plane.shape for plane in before] != shapes:
        raise ValueError(f"before: expected planes of {shapes}, got {[plane.shape for plane in before]}")
    if not len(legend.colors) or legend.colors.shape != (len(legend.values), 3) or len(legend.cells) != CELLS:
        raise ValueError(
            f"legend: expected (n, 3) colors, (n,) values and {CELLS} cells, got {legend.colors.shape}, "
            f"{legend.values.shape} and {legend.cells.shape}"
        )
    if labels.shape != shapes[0] or labels.dtype != np.uint8 or not labels.flags.c_contiguous:
        raise ValueError(f"labels: expected {shapes[0]} uint8 in C order, got {labels.shape} {labels.dtype}")
    if counts.shape != (labels.shape[0], -(-labels.shape[1] // SEGMENT), 2) or counts.dtype != np.uint8:
        raise ValueError(f"counts: expected what label_counts({labels.shape}) gives, got {counts.shape} {counts.dtype}")
    return _solid(planes), None if before is None else _solid(before)


def _solid(planes: Planes) -> Planes:
    luma, blue, red = (np.ascontiguousarray(plane, np.uint8) for plane in planes)
    return luma, blue, red


class Tiles(NamedTuple):
    """A label map in tiles, row by row.

    Attributes:
        packed: (n,) uint8, the tiles one behind the other. A tile is a uint16 count of runs in C order, their values,
            their uint16 lengths; or 0 and its pixels where that is shorter. In the machine's order of bytes.
        offsets: (tiles + 1,) uint32: where each tile begins, and where the last one ends.
        sums: (tiles,) uint32: the CRC-32 of each tile.
    """

    packed: NDArray[np.uint8]
    offsets: NDArray[np.uint32]
    sums: NDArray[np.uint32]


def tile_grid(size_hw: tuple[int, int], dtype: Any, tile: int) -> tuple[int, int]:
    """How many (rows of tiles, tiles in a row) a map has."""
    height, width = size_hw
    kind = np.dtype(dtype)
    if kind.kind != "u" or kind.itemsize > 4:
        raise ValueError(f"label maps hold uint8, uint16 or uint32, got {kind}")
    if not 1 <= tile <= MAX_TILE or height < 1 or width < 1:
        raise ValueError(f"tile={tile} (1..{MAX_TILE} are allowed) and a map of {size_hw} (at least 1×1)")
    return -(-height // tile), -(-width // tile)


def check_box(size_hw: tuple[int, int], box2d_xywh: tuple[int, int, int, int], out: NDArray[Any]) -> None:
    """Whether a box lies in a map and `out` has its size."""
    left, above, wide, tall = box2d_xywh
    if min(left, above) < 0 or min(wide, tall) < 1 or left + wide > size_hw[1] or above + tall > size_hw[0]:
        raise ValueError(f"the box {box2d_xywh} does not lie in a map of {size_hw}")
    if out.shape != (tall, wide) or not out.flags.c_contiguous:
        raise ValueError(f"out: expected {(tall, wide)} in C order, got {out.shape}")
