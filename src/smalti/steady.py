"""Pictures of a mask video hardly change: what did not change since the last one keeps its labels."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.raster import Raster
from smalti.decode import Lossy, decode_raster
from smalti.labelmap import LabelMap
from smalti.legend import Legend

__all__ = ["Steady"]


@dataclass(frozen=True, slots=True)
class _Last:
    """The picture before, what it was read with, and its labels (a copy: the one given away may be written to)."""

    raster: Raster
    question: tuple[Any, ...]
    found: LabelMap


class Steady:
    """The labels of pictures that come one after the other; always those that `decode_raster` gives for each alone.

    Not for several threads at a time: whoever lends out the clip locks.
    """

    def __init__(self) -> None:
        self._last: _Last | None = None

    def label(
        self, raster: Raster, legend: Legend | None, policy: Lossy, tolerance: int | None, scheme: str | None
    ) -> LabelMap:
        """As `decode_raster` without `strict`."""
        question = (legend, policy, tolerance, scheme)
        last = self._last
        if last is not None and last.question == question and _is_same(last.raster, raster):
            facts = replace(last.found, notes=_notes(last, raster), pts_ms=raster.pts_ms)
            return replace(facts, data=last.found.data.copy())
        found = decode_raster(raster, legend, lossy=policy, tolerance=tolerance, scheme=scheme)
        self._last = _Last(raster, question, replace(found, data=found.data.copy()))
        return found


def _notes(last: _Last, raster: Raster) -> tuple[str, ...]:
    """What is noted of the labels stays, what was noted of the picture is that of the new one."""
    return (*raster.notes, *last.found.notes[len(last.raster.notes) :])


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
