"""Predictions against truth: confusion, IoU, accuracy, Dice, boundary IoU, panoptic quality.

Definitions, so that numbers compare: one confusion matrix over all pixels of all frames (global, not a mean of frames);
pixels whose truth is the ignore index count nowhere, neither as miss nor as false alarm; a class that occurs in neither
truth nor prediction has no IoU and is left out of means. Boundary IoU is Cheng et al. (2021) with a band of 2 % of the
diagonal; panoptic quality is Kirillov et al. (2019): segments match above IoU 0.5.
"""

import difflib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.errors import DecodeError, LegendError
from smalti.labelmap import LabelMap

__all__ = ["FrameScore", "Panoptic", "Scores", "boundary_of", "evaluate", "panoptic_quality"]

Ints = NDArray[np.int64]
BAND = 0.02
_MOST_ENTRIES = 1024
"""Above so many, a square of counts by entry costs more than mapping the pixels first."""


@dataclass(slots=True)
class Panoptic:
    """Panoptic quality of one category: matched IoU, true and false positives, false negatives."""

    iou_sum: float = 0.0
    true: int = 0
    false_positive: int = 0
    false_negative: int = 0

    @property
    def quality(self) -> float:
        """PQ = matched IoU / (TP + FP/2 + FN/2); NaN where the category occurs nowhere."""
        below = self.true + 0.5 * self.false_positive + 0.5 * self.false_negative
        return self.iou_sum / below if below else float("nan")

    @property
    def segmentation(self) -> float:
        """SQ: mean IoU of the matched segments; 0 where none matched, as the definition's own program says."""
        return self.iou_sum / self.true if self.true else 0.0 if self.occurs else float("nan")

    @property
    def recognition(self) -> float:
        """RQ: the F1 score of finding segments; NaN where the category occurs nowhere."""
        below = self.true + 0.5 * self.false_positive + 0.5 * self.false_negative
        return self.true / below if below else float("nan")

    @property
    def occurs(self) -> bool:
        """Whether truth or prediction has a segment of it."""
        return bool(self.true + self.false_positive + self.false_negative)


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One frame: mean IoU over its classes, pixel accuracy."""

    frame_id: str
    miou: float
    accuracy: float


@dataclass(slots=True)
class Scores:
    """What an evaluation gives.

    Attributes:
        names: class names, in the order of the matrix.
        confusion: (n, n) pixels; rows = truth, columns = prediction.
        missed: (n,) pixels of each true class that were predicted as void.
        boundary: (n, 2) intersection and union of boundary bands, when asked for.
        frames: per frame, worst first.
        panoptic: by category, when asked for.
    """

    names: list[str]
    confusion: Ints
    missed: Ints
    boundary: Ints | None = None
    frames: list[FrameScore] = field(default_factory=list)
    panoptic: dict[str, Panoptic] | None = None

    @property
    def true_pixels(self) -> Ints:
        """(n,) pixels of each class in the truth."""
        total: Ints = self.confusion.sum(axis=1) + self.missed
        return total

    @property
    def iou(self) -> NDArray[np.float64]:
        """(n,) intersection over union; NaN for a class that occurs nowhere."""
        return _iou(self.confusion, self.missed)

    @property
    def dice(self) -> NDArray[np.float64]:
        """(n,) 2 · intersection / (truth + prediction); NaN for a class that occurs nowhere."""
        hit = np.diag(self.confusion).astype(float)
        return _ratio(2 * hit, self.true_pixels + self.confusion.sum(axis=0))

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that occur in truth or prediction."""
        return _mean(self.iou)

    @property
    def accuracy(self) -> float:
        """Share of pixels that are right."""
        return float(np.diag(self.confusion).sum() / max(self.true_pixels.sum(), 1))

    @property
    def weighted_iou(self) -> float:
        """IoU weighted by how often each class is true."""
        weight = self.true_pixels / max(self.true_pixels.sum(), 1)
        return float(np.nansum(np.where(weight > 0, weight * np.nan_to_num(self.iou), 0)))

    @property
    def boundary_iou(self) -> NDArray[np.float64] | None:
        """(n,) boundary IoU, or None where it was not asked for."""
        return None if self.boundary is None else _ratio(self.boundary[:, 0].astype(float), self.boundary[:, 1])

    @property
    def panoptic_quality(self) -> float:
        """Mean PQ over the categories that occur; NaN where it was not asked for."""
        return _mean(np.array([each.quality for each in (self.panoptic or {}).values()], np.float64))

    def to_dict(self, worst: int = 20) -> dict[str, Any]:
        """Plain JSON: totals, per class, and the worst frames."""
        boundary = self.boundary_iou
        classes = [
            {
                "label": name,
                "iou": _number(self.iou[i]),
                "dice": _number(self.dice[i]),
                "true_pixels": int(self.true_pixels[i]),
                "predicted_pixels": int(self.confusion[:, i].sum()),
                **({} if boundary is None else {"boundary_iou": _number(boundary[i])}),
            }
            for i, name in enumerate(self.names)
        ]
        totals = {
            "miou": self.miou,
            "accuracy": self.accuracy,
            "weighted_iou": self.weighted_iou,
            "mean_dice": _mean(self.dice),
        }
        if boundary is not None:
            totals["boundary_miou"] = _mean(boundary)
        if self.panoptic is not None:
            totals["panoptic_quality"] = self.panoptic_quality
        rows = [{"frame": f.frame_id, "miou": _number(f.miou), "accuracy": f.accuracy} for f in self.frames[:worst]]
        return {
            **{name: _number(value) for name, value in totals.items()},
            "classes": classes,
            **({} if self.panoptic is None else {"panoptic": _panoptic_rows(self.panoptic)}),
            "confusion": self.confusion.tolist(),
            "worst": rows,
            "frames": len(self.frames),
        }


def evaluate(
    pairs: Iterable[tuple[str, LabelMap, LabelMap]],
    *,
    ignore: Sequence[str] = (),
    boundary: bool = False,
    panoptic: bool = False,
) -> Scores:
    """Scores over pairs (frame id, truth, prediction) of label maps.

    Args:
        pairs: drawn one at a time; classes are labels (the first of an entry), matched by name.
        ignore: labels whose pixels in the truth count nowhere, each of some legend; void of the truth is always ignored.
        boundary: also boundary IoU, which costs more.
        panoptic: also panoptic quality; every entry of a legend is a segment, so the masks should store ids.

    Raises:
        DecodeError: two maps of a pair differ in size.
        LegendError: no legend has a label that is to be ignored.
    """
    sums = _Sums(ignore)
    segments: dict[str, Panoptic] = defaultdict(Panoptic)
    for frame_id, truth, predicted in pairs:
        if truth.size_hw != predicted.size_hw:
            raise DecodeError(
                f"frame {frame_id}: truth is {truth.size_hw} and prediction {predicted.size_hw} (H, W); resize one"
            )
        sums.add(frame_id, truth, predicted, boundary=boundary)
        if panoptic:
            _match(truth, predicted, segments, frozenset(ignore))
    sums.check_ignored()
    return sums.scores(boundary, dict(segments) if panoptic else None)


class _Sums:
    """What is added up frame by frame. Class 0 is void and what is ignored; others are numbered as they first occur."""

    def __init__(self, ignore: Iterable[str]) -> None:
        self._ignore = frozenset(ignore)
        self._number: dict[str, int] = {}
        self._left_out: set[str] = set()
        self._matrix: Ints = np.zeros((1, 1), np.int64)
        self._edges: Ints = np.zeros((1, 2), np.int64)
        self._frames: list[FrameScore] = []

    def add(self, frame_id: str, truth: LabelMap, predicted: LabelMap, *, boundary: bool) -> None:
        sides = self._classes(truth), self._classes(predicted)
        n = len(self._number) + 1
        self._matrix = _grown(self._matrix, (n, n))
        matrix = _by_class(truth, predicted, sides, n)
        self._matrix += matrix
        self._frames.append(_frame_score(frame_id, matrix))
        if boundary:
            maps = [kernels.lookup(m.data, c) for m, c in zip((truth, predicted), sides, strict=True)]
            self._edges = _grown(self._edges, (n, 2))
            self._edges += _boundary_counts(maps[0], maps[1], n)

    def _classes(self, found: LabelMap) -> NDArray[Any]:
        """(entries + 1,) the class of every entry number; a new label gets the next number."""
        number, ignore = self._number, self._ignore
        table = [0]
        for entry in found.legend.entries:
            label = entry.labels[0] if entry.labels else None
            if label is not None and label in ignore:
                self._left_out.add(label)
            known = label is not None and label not in ignore
            table.append(number.setdefault(label, len(number) + 1) if known and label is not None else 0)
        return np.array(table, np.uint8 if len(number) < 256 else np.uint16)

    def check_ignored(self) -> None:
        """Refuse a label to be ignored that no map had in its legend: what it stood for has been counted."""
        unknown = self._ignore - self._left_out - {"void"} if self._frames else frozenset()
        for label in sorted(unknown):
            near = difflib.get_close_matches(label, self._number, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(self._number) or 'none'}"
            raise LegendError(f"{label!r} is to be ignored, but no legend has such a class; {hint}")

    def scores(self, boundary: bool, panoptic: "dict[str, Panoptic] | None") -> Scores:
        matrix = _grown(self._matrix, (len(self._number) + 1,) * 2)
        frames = sorted(
            self._frames, key=lambda f: (math.isnan(f.miou), 0.0 if math.isnan(f.miou) else f.miou, f.frame_id)
        )
        bands = self._edges[1:] if boundary else None
        return Scores(list(self._number), matrix[1:, 1:], matrix[1:, 0], bands, frames, panoptic)


def _grown(counts: Ints, shape: tuple[int, int]) -> Ints:
    """The counts with room for new classes."""
    if counts.shape == shape:
        return counts
    room: Ints = np.zeros(shape, np.int64)
    room[: counts.shape[0], : counts.shape[1]] = counts
    return room


def _by_class(truth: LabelMap, predicted: LabelMap, classes: tuple[NDArray[Any], NDArray[Any]], n: int) -> Ints:
    """(n, n) pixels by class. Counted by entry and folded afterwards: the pixels are looked at once and not mapped."""
    size = max(len(classes[0]), len(classes[1]))
    if size > _MOST_ENTRIES:
        sides = [kernels.lookup(m.data, c) for m, c in zip((truth, predicted), classes, strict=True)]
        return kernels.confusion(sides[0], sides[1], n)
    counts = _overlaps(truth, predicted, size)
    rows, columns = np.nonzero(counts)
    folded: Ints = np.zeros((n, n), np.int64)
    np.add.at(folded, (classes[0][rows], classes[1][columns]), counts[rows, columns])
    return folded


def _overlaps(truth: LabelMap, predicted: LabelMap, size: int) -> Ints:
    """(size, size) pixels by entry number of truth and prediction."""
    common = np.result_type(truth.data, predicted.data)
    sides = [np.ascontiguousarray(m.data, common) for m in (truth, predicted)]
    return kernels.confusion(sides[0], sides[1], size)


def _frame_score(frame_id: str, matrix: Ints) -> FrameScore:
    inner, missed = matrix[1:, 1:], matrix[1:, 0]
    return FrameScore(frame_id, _mean(_iou(inner, missed)), float(np.diag(inner).sum() / max(matrix[1:].sum(), 1)))


def _panoptic_rows(found: dict[str, Panoptic]) -> list[dict[str, Any]]:
    return [
        {
            "label": name,
            "pq": _number(each.quality),
            "sq": _number(each.segmentation),
            "rq": _number(each.recognition),
            "matched": each.true,
            "false_positives": each.false_positive,
            "false_negatives": each.false_negative,
        }
        for name, each in found.items()
    ]


def _iou(confusion: Ints, missed: Ints) -> NDArray[np.float64]:
    hit = np.diag(confusion).astype(float)
    return _ratio(hit, confusion.sum(axis=1) + missed + confusion.sum(axis=0) - hit)


def _ratio(top: NDArray[np.float64], below: NDArray[Any]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.full(top.shape, np.nan)
    np.divide(top, below, out=found, where=below > 0)
    return found


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def boundary_of(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The band of `width` pixels inside a mask's outline; the picture's edge counts as outline."""
    band: NDArray[np.bool_] = mask & _bands(mask, width)
    return band


def _bands(labels: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """(H, W) bool: where the square of 2 x width + 1 pixels around a pixel is not all of one label.

    A square is of one label if its rows are and its middle column is, which running sums tell at once for all classes.
    """
    height, across = labels.shape
    band: NDArray[np.bool_] = np.ones(labels.shape, np.bool_)
    if min(height, across) <= 2 * width:
        return band
    beside = np.zeros(labels.shape, np.int32)
    np.cumsum(labels[:, 1:] != labels[:, :-1], axis=1, out=beside[:, 1:])
    mixed = beside[:, 2 * width :] != beside[:, : across - 2 * width]
    rows = np.zeros((height + 1, mixed.shape[1]), np.int32)
    np.cumsum(mixed, axis=0, out=rows[1:])
    middle = labels[:, width : across - width]
    below = np.zeros(middle.shape, np.int32)
    np.cumsum(middle[1:] != middle[:-1], axis=0, out=below[1:])
    band[width : height - width, width : across - width] = (rows[2 * width + 1 :] != rows[: height - 2 * width]) | (
        below[2 * width :] != below[: height - 2 * width]
    )
    return band


def _boundary_counts(truth: NDArray[Any], predicted: NDArray[Any], n: int) -> Ints:
    """(n, 2) intersection and union of the bands of each class; 0 is void, where nothing counts."""
    width = max(1, round(BAND * float(np.hypot(*truth.shape))))
    counted = np.where(truth != 0, predicted, predicted.dtype.type(0))
    one, two = (np.where(_bands(side, width), side, side.dtype.type(0)) for side in (truth, counted))
    common = np.result_type(one, two)
    both = kernels.confusion(one.astype(common, copy=False), two.astype(common, copy=False), n)
    hit = np.diag(both).copy()
    hit[0] = 0
    found: Ints = np.stack([hit, both.sum(axis=1) + both.sum(axis=0) - hit], axis=1)
    found[0] = 0
    return found


def panoptic_quality(pairs: Iterable[tuple[LabelMap, LabelMap]]) -> dict[str, Panoptic]:
    """PQ by category over pairs (truth, prediction) of id masks; the category of a segment is its first label.

    A predicted segment that lies mostly on void of the truth is no false positive, as the definition says.
    """
    found: dict[str, Panoptic] = defaultdict(Panoptic)
    for truth, predicted in pairs:
        if truth.size_hw != predicted.size_hw:
            raise DecodeError(f"truth is {truth.size_hw} and prediction {predicted.size_hw} (H, W); resize one")
        _match(truth, predicted, found)
    return dict(found)


def _match(
    truth: LabelMap, predicted: LabelMap, found: dict[str, Panoptic], ignore: frozenset[str] = frozenset()
) -> None:
    names = [[e.labels[0] if e.labels else "" for e in m.legend.entries] for m in (truth, predicted)]
    # What is ignored in the truth is void there; a category that is ignored has no segments at all.
    void = np.array([True, *(name in ignore for name in names[0])])
    true_area, found_area = truth.entry_counts(), predicted.entry_counts()
    pairs, counts = _pairs(truth, predicted)
    rows, columns = np.divmod(pairs, len(predicted.legend) + 1)
    on_void = np.bincount(columns[void[rows]], weights=counts[void[rows]], minlength=len(found_area))
    matched_true, matched_found = set(), set()
    for i, j, both in zip(rows.tolist(), columns.tolist(), counts.tolist(), strict=True):
        if void[i] or not j or names[0][i - 1] != names[1][j - 1]:
            continue
        union = int(true_area[i]) + int(found_area[j]) - both - int(on_void[j])
        if union and both / union > 0.5:
            row = found[names[0][i - 1]]
            row.iou_sum += both / union
            row.true += 1
            matched_true.add(i)
            matched_found.add(j)
    for i, name in enumerate(names[0], 1):
        if true_area[i] and i not in matched_true and not void[i]:
            found[name].false_negative += 1
    for j, name in enumerate(names[1], 1):
        if found_area[j] and j not in matched_found and name not in ignore and on_void[j] <= 0.5 * found_area[j]:
            found[name].false_positive += 1


def _pairs(truth: LabelMap, predicted: LabelMap) -> tuple[Ints, Ints]:
    """The pairs of entry numbers that meet in a pixel (row x columns + column), and in how many."""
    rows, columns = len(truth.legend) + 1, len(predicted.legend) + 1
    if max(rows, columns) <= _MOST_ENTRIES:
        met = _overlaps(truth, predicted, max(rows, columns))[:rows, :columns].reshape(-1)
        keys = np.flatnonzero(met)
        return keys, met[keys]
    found, counts = np.unique(truth.data.astype(np.int64) * columns + predicted.data, return_counts=True)
    return found, counts
