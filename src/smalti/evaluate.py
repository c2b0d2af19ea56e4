"""Predictions against truth: confusion, IoU, accuracy, Dice, boundary IoU, panoptic quality.

Definitions, so that numbers compare: one confusion matrix over all pixels of all frames (global, not a mean of frames);
pixels whose truth is the ignore index count nowhere, neither as miss nor as false alarm; a class that occurs in neither
truth nor prediction has no IoU and is left out of means. Boundary IoU is Cheng et al. (2021) with a band of 2 % of the
diagonal; panoptic quality is Kirillov et al. (2019): segments match above IoU 0.5.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.errors import DecodeError
from smalti.labelmap import LabelMap

__all__ = ["FrameScore", "Panoptic", "Scores", "boundary_of", "evaluate", "panoptic_quality"]

Ints = NDArray[np.int64]
BAND = 0.02


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
    """

    names: list[str]
    confusion: Ints
    missed: Ints
    boundary: Ints | None = None
    frames: list[FrameScore] = field(default_factory=list)

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
        rows = [{"frame": f.frame_id, "miou": _number(f.miou), "accuracy": f.accuracy} for f in self.frames[:worst]]
        return {
            **totals,
            "classes": classes,
            "confusion": self.confusion.tolist(),
            "worst": rows,
            "frames": len(self.frames),
        }


def evaluate(
    pairs: Iterable[tuple[str, LabelMap, LabelMap]], *, ignore: Sequence[str] = (), boundary: bool = False
) -> Scores:
    """Scores over pairs (frame id, truth, prediction) of label maps.

    Args:
        pairs: drawn one at a time; classes are labels (the first of an entry), matched by name.
        ignore: labels of the truth whose pixels count nowhere; void of the truth is always ignored.
        boundary: also boundary IoU, which costs more.

    Raises:
        DecodeError: two maps of a pair differ in size.
    """
    number: dict[str, int] = {}
    sums: dict[tuple[int, int], int] = defaultdict(int)
    edges: dict[int, Ints] = defaultdict(lambda: np.zeros(2, np.int64))
    frames: list[FrameScore] = []
    for frame_id, truth, predicted in pairs:
        if truth.size_hw != predicted.size_hw:
            raise DecodeError(
                f"frame {frame_id}: truth is {truth.size_hw} and prediction {predicted.size_hw} (H, W); resize one"
            )
        for label in (entry.labels[0] for m in (truth, predicted) for entry in m.legend if entry.labels):
            if label not in ignore:
                number.setdefault(label, len(number))
        n = len(number)
        sides = [_classes(m, number) for m in (truth, predicted)]
        matrix = kernels.confusion(sides[0], sides[1], n + 1)
        for row, column in zip(*np.nonzero(matrix[:n]), strict=True):
            sums[int(row), int(column) if column < n else -1] += int(matrix[row, column])
        frames.append(_frame_score(frame_id, matrix))
        if boundary:
            for i in np.flatnonzero(matrix[:n].sum(axis=1) + matrix[:n, :n].sum(axis=0)[:n]).tolist():
                edges[i] += _boundary_counts(sides[0], sides[1], i, n)
    n = len(number)
    confusion, missed = np.zeros((n, n), np.int64), np.zeros(n, np.int64)
    for (row, column), count in sums.items():
        if column < 0:
            missed[row] += count
        else:
            confusion[row, column] += count
    bands = np.array([edges[i] for i in range(n)], np.int64).reshape(n, 2) if boundary else None
    frames.sort(key=lambda f: (math.isnan(f.miou), 0.0 if math.isnan(f.miou) else f.miou, f.frame_id))
    return Scores(list(number), confusion, missed, bands, frames)


def _classes(found: LabelMap, number: dict[str, int]) -> NDArray[Any]:
    """(H, W) class numbers; what is void or ignored is the number after the last."""
    void = len(number)
    table = [void, *(number.get(entry.labels[0], void) if entry.labels else void for entry in found.legend)]
    return kernels.lookup(found.data, np.array(table, np.uint8 if void < 256 else np.uint16))


def _frame_score(frame_id: str, matrix: Ints) -> FrameScore:
    inner, missed = matrix[:-1, :-1], matrix[:-1, -1]
    return FrameScore(frame_id, _mean(_iou(inner, missed)), float(np.diag(inner).sum() / max(matrix[:-1].sum(), 1)))


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
    size = 2 * width + 1
    padded = np.pad(mask.astype(np.int64), width)
    summed = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = summed[size:, size:] - summed[:-size, size:] - summed[size:, :-size] + summed[:-size, :-size]
    band: NDArray[np.bool_] = mask & (inside < size * size)
    return band


def _boundary_counts(truth: NDArray[Any], predicted: NDArray[Any], number: int, void: int) -> Ints:
    width = max(1, round(BAND * float(np.hypot(*truth.shape))))
    counted = truth != void
    one = boundary_of(truth == number, width)
    two = boundary_of((predicted == number) & counted, width)
    return np.array([(one & two).sum(), (one | two).sum()], np.int64)


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


def _match(truth: LabelMap, predicted: LabelMap, found: dict[str, Panoptic]) -> None:
    rows, columns = len(truth.legend) + 1, len(predicted.legend) + 1
    pairs = truth.data.astype(np.int64) * columns + predicted.data
    keys, counts = np.unique(pairs, return_counts=True)
    overlap = {(int(k) // columns, int(k) % columns): int(c) for k, c in zip(keys, counts, strict=True)}
    true_area, found_area = truth.entry_counts(), predicted.entry_counts()
    names = [[e.labels[0] for e in m.legend] for m in (truth, predicted)]
    matched_true, matched_found = set(), set()
    for (i, j), both in overlap.items():
        if not i or not j or names[0][i - 1] != names[1][j - 1]:
            continue
        union = int(true_area[i]) + int(found_area[j]) - both - overlap.get((0, j), 0)
        if union and both / union > 0.5:
            row = found[names[0][i - 1]]
            row.iou_sum += both / union
            row.true += 1
            matched_true.add(i)
            matched_found.add(j)
    for i in range(1, rows):
        if true_area[i] and i not in matched_true:
            found[names[0][i - 1]].false_negative += 1
    for j in range(1, columns):
        if found_area[j] and j not in matched_found and overlap.get((0, j), 0) <= 0.5 * int(found_area[j]):
            found[names[1][j - 1]].false_positive += 1
