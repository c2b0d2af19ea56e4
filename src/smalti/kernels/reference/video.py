"""Labels of mask videos by nearest colour, straight from the planes; what did not change keeps its labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.maps import SEGMENT, PlaneLegend, Planes, PlaneSums, check_planes, steps_of

__all__ = ["label_planes"]

EXACT = 0x8000


def label_planes(
    planes: Planes, before: Planes | None, legend: PlaneLegend, labels: NDArray[np.uint8], counts: NDArray[np.uint8]
) -> PlaneSums:
    """Luma (H, W) and two chroma planes → (H, W) uint8 labels and (…, 2) exact and void pixels by stretch, in place.

    Stretches that do not differ from `before`, the planes that `labels` and `counts` belonged to, are not touched.
    """
    planes, before = check_planes(planes, before, legend, labels, counts)
    luma, *chroma = planes
    down, across = steps_of(planes)
    rows, columns = np.arange(luma.shape[0]) // down, np.arange(luma.shape[1]) // across
    blue, red = (plane[rows[:, None], columns] for plane in chroma)
    changed = np.ones(luma.shape, bool)
    if before is not None:
        old_blue, old_red = (plane[rows[:, None], columns] for plane in before[1:])
        changed = (luma != before[0]) | (blue != old_blue) | (red != old_red)
    redo = _by_stretch(changed) > 0
    keys = (luma.astype(np.uint32) << 16 | blue.astype(np.uint32) << 8 | red).astype(np.uint32)
    found = _match(keys, legend)
    wide = np.repeat(redo, SEGMENT, axis=1)[:, : luma.shape[1]]
    labels[wide] = ((found & (EXACT - 1)) - 1).astype(np.uint8)[wide]
    counts[redo] = np.stack([_by_stretch(found >= EXACT), _by_stretch(found == 1)], axis=2).astype(np.uint8)[redo]
    exact, void = (int(n) for n in counts.sum(axis=(0, 1), dtype=np.int64))
    return PlaneSums(int(redo.sum()), exact, void)


def _by_stretch(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(H, W) → how many are true in each stretch of a row."""
    padded = np.pad(mask, ((0, 0), (0, -mask.shape[1] % SEGMENT)))
    counted: NDArray[np.int64] = padded.reshape(len(mask), -1, SEGMENT).sum(axis=2)
    return counted


def _match(keys: NDArray[np.uint32], legend: PlaneLegend) -> NDArray[np.uint16]:
    """The cells of the triples; those that nobody asked for before are filled."""
    places = _SPREAD[keys >> 16] << 2 | _SPREAD[keys >> 8 & 255] << 1 | _SPREAD[keys & 255]
    found: NDArray[np.uint16] = legend.cells[places]
    if not found.all():
        new, first = np.unique(places[found == 0], return_index=True)
        legend.cells[new] = _cells(_rgb(keys[found == 0][first], legend), legend)
        found = legend.cells[places]
    return found


# The bits of a byte with two places between them: where a sample stands in the number of a cell.
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.uint32)
_SPREAD: NDArray[np.uint32] = (_BITS << np.arange(0, 24, 3, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)


def _rgb(keys: NDArray[np.uint32], legend: PlaneLegend) -> NDArray[np.int64]:
    levels, red_of_cr, blue_of_cb, green_of_cb, green_of_cr = legend.tables
    y, cb, cr = keys >> 16, keys >> 8 & 255, keys & 255
    level = levels[y].astype(np.int64)
    green: NDArray[Any] = ((green_of_cb[cb] + green_of_cr[cr]) >> 16).astype(np.int16)
    channels = [level + red_of_cr[cr], level + green, level + blue_of_cb[cb]]
    rgb: NDArray[np.int64] = np.clip(np.stack(channels, axis=1), 0, 255)
    return rgb


def _cells(rgb: NDArray[np.int64], legend: PlaneLegend) -> NDArray[np.uint16]:
    best = np.zeros(len(rgb), np.int64)
    least = np.full(len(rgb), 1 << 30, np.int64)
    for position, color in enumerate(legend.colors.astype(np.int64)):
        square = ((rgb - color) ** 2).sum(axis=1)
        nearer = square < least
        best[nearer], least[nearer] = position, square[nearer]
    worst = np.abs(rgb - legend.colors[best]).max(axis=1)
    label = np.where(worst <= legend.limit, legend.values[best].astype(np.int64), 0)
    return (label + 1 + np.where(worst == 0, EXACT, 0)).astype(np.uint16)
