"""Pictures of a mask video hardly change: what did not change since the last one keeps its labels.

Two ways, both exact. By nearest colour a pixel's label depends on its own samples only, so a block whose samples are those
of the picture before has its labels. Every other policy looks around; there a picture that is the same in every sample
has the same labels, and anything less is decoded again: repair follows borders as far as they go, and auto counts
colours over the whole picture.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.codecs.raster import Raster
from smalti.codecs.show import plane_tables
from smalti.decode import Lossy, decode_raster
from smalti.kernels.maps import PlaneLegend, Planes, label_counts, steps_of
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.legend_tables import plain_colors

__all__ = ["Steady"]

Question = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Last:
    """The picture before, what it was read with, and its labels (a copy: the one given away may be written to)."""

    raster: Raster
    question: Question
    found: LabelMap


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """The planes before, what they were read with, and their labels and counts, which the kernel changes in place."""

    planes: Planes
    question: Question
    labels: NDArray[np.uint8]
    counts: NDArray[np.uint8]


class Steady:
    """The labels of pictures that come one after the other; always those that `decode_raster` gives for each alone.

    Not for several threads at a time: whoever lends out the clip locks. It holds one picture and its labels.
    """

    def __init__(self) -> None:
        self._last: _Last | None = None
        self._blocks: _Blocks | None = None

    def label(
        self, raster: Raster, legend: Legend | None, policy: Lossy, tolerance: int | None, scheme: str | None
    ) -> LabelMap:
        """As `decode_raster` without `strict`."""
        if legend is not None and policy == "nearest" and legend.kind == "colors" and scheme is None:
            found = self._nearest(raster, legend, tolerance)
            if found is not None:
                return found
        question = (legend, policy, tolerance, scheme)
        last = self._last
        if last is not None and last.question == question and _is_same(last.raster, raster):
            notes = (*raster.notes, *last.found.notes[len(last.raster.notes) :])
            return replace(last.found, data=last.found.data.copy(), notes=notes, pts_ms=raster.pts_ms)
        found = decode_raster(raster, legend, lossy=policy, tolerance=tolerance, scheme=scheme)
        self._last = _Last(raster, question, replace(found, data=found.data.copy()))
        return found

    def _nearest(self, raster: Raster, legend: Legend, tolerance: int | None) -> LabelMap | None:
        """From the planes, block by block; None where the picture or the legend is not made for that."""
        planes = raster.planes
        if raster.mode != "ycc" or planes is None or not planes[0].size or legend.dtype is not np.uint8:
            return None
        colors, _values = plain_colors(legend)
        if not len(colors) or not {*steps_of(planes)} <= {1, 2, 4}:
            return None
        limit = 255 if tolerance is None or tolerance < 0 else min(int(tolerance), 255)
        question = (legend, limit, raster.matrix, raster.full_range)
        last = self._blocks
        if last is not None and (last.question != question or _shapes(last.planes) != _shapes(planes)):
            last = None
        labels = np.empty(planes[0].shape, np.uint8) if last is None else last.labels
        counts = label_counts(raster.size_hw) if last is None else last.counts
        self._blocks = None  # labels are between two pictures until the kernel is through
        before = last.planes if last is not None else None
        sums = kernels.label_planes(planes, before, _plane_legend(*question), labels, counts)
        self._blocks = _Blocks(planes, question, labels, counts)
        settled = {"exact": sums.exact, "nearest": labels.size - sums.exact - sums.void, "void": sums.void}
        return LabelMap(
            labels.copy(), legend, "nearest", settled, raster.notes, raster.pts_ms, raster.stored_mode, raster.codec
        )


@lru_cache(maxsize=2)
def _plane_legend(legend: Legend, limit: int, matrix: str, full_range: bool) -> PlaneLegend:
    """A legend for the planes of a clip; its cells (32 MiB) are filled by every clip that is read with it."""
    colors, values = plain_colors(legend)
    # Touched at once, and so in large pages: a tenth to a fifth of the time goes into finding small ones.
    cells = np.empty(1 << 24, np.uint16)
    cells.fill(0)
    return PlaneLegend(plane_tables(matrix, full_range), colors, values.astype(np.uint8), limit, cells)


def _shapes(planes: Planes) -> list[tuple[int, ...]]:
    return [plane.shape for plane in planes]


def _is_same(one: Raster, two: Raster) -> bool:
    """Whether labels cannot differ: every sample and everything that says how samples are read."""
    facts = ("mode", "bits", "lossy", "matrix", "full_range", "codec", "content_type")
    if any(getattr(one, name) != getattr(two, name) for name in facts):
        return False
    arrays: list[tuple[NDArray[Any] | None, NDArray[Any] | None]] = [
        (one.data, two.data),
        (one.palette, two.palette),
        (one.alpha, two.alpha),
    ]
    if (one.planes is None) != (two.planes is None):
        return False
    if one.planes is not None and two.planes is not None:
        arrays += list(zip(one.planes, two.planes, strict=True))
    return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in arrays)
