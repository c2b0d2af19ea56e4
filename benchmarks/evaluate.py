"""Evaluation against torchmetrics: python benchmarks/evaluate.py [--pairs N] [--quick].

mIoU over 1,000 pairs of 1024x512 label maps with 19 classes and an ignored one, as a validation run has them. Both
sides get maps that are decoded already, each in the form that it likes best (torchmetrics: int64 tensors made before the
clock starts, validation of arguments off), and take turns. The values must agree before anything is timed.
"""

import argparse
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from benchmarks.bars import Bar, save
from benchmarks.clock import race

from smalti.evaluate import evaluate
from smalti.labelmap import LabelMap
from smalti.legend import Legend

SIZE_HW = (512, 1024)
CLASSES = 19
DIFFERENT = 10
TIMES_RIVAL = 5
LEGEND = Legend({i: f"class{i:02d}" for i in range(CLASSES)})


def scene(draw: np.random.Generator) -> np.ndarray[Any, Any]:
    """(H, W) uint8 entry numbers: blobs of classes, some of them void (0)."""
    height, width = SIZE_HW
    seeds = draw.integers(0, (height, width), (60, 2))
    labels = draw.integers(0, CLASSES + 1, 60)
    rows, columns = np.mgrid[0:height:4, 0:width:4]
    apart = (rows[..., None] - seeds[:, 0]) ** 2 + (columns[..., None] - seeds[:, 1]) ** 2
    return labels[apart.argmin(axis=-1)].astype(np.uint8).repeat(4, 0).repeat(4, 1)


def predicted(truth: np.ndarray[Any, Any], draw: np.random.Generator) -> np.ndarray[Any, Any]:
    """The truth moved by some pixels, with ragged edges and no void."""
    moved = np.roll(truth, draw.integers(-6, 7, 2), (0, 1))
    noisy = draw.random(SIZE_HW) < 0.02
    moved = np.where(noisy, draw.integers(1, CLASSES + 1, SIZE_HW), moved)
    return np.where(moved == 0, 1, moved).astype(np.uint8)


def ours(maps: list[tuple[LabelMap, LabelMap]], count: int) -> float:
    """mIoU by smalti."""

    def pairs() -> Iterator[tuple[str, LabelMap, LabelMap]]:
        for number in range(count):
            yield str(number), *maps[number % len(maps)]

    return evaluate(pairs()).miou


def theirs(tensors: list[tuple[Any, Any]], count: int) -> float:
    """mIoU by torchmetrics, over the same pairs."""
    from torchmetrics.classification import MulticlassJaccardIndex

    metric = MulticlassJaccardIndex(CLASSES, ignore_index=255, validate_args=False)
    for number in range(count):
        truth, found = tensors[number % len(tensors)]
        metric.update(found, truth)
    return float(metric.compute())


def main() -> None:
    """Measure and print; exit code 0 whatever the figures are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="20 pairs: whether it runs")
    given = parser.parse_args()
    import torch

    count = 20 if given.quick else given.pairs
    draw = np.random.default_rng(5)
    arrays = [(truth, predicted(truth, draw)) for truth in (scene(draw) for _ in range(min(DIFFERENT, count)))]
    maps = [(LabelMap(truth, LEGEND), LabelMap(found, LEGEND)) for truth, found in arrays]
    tensors = [
        (
            torch.from_numpy(np.where(t == 0, 255, t.astype(np.int64) - 1))[None],
            torch.from_numpy(p.astype(np.int64) - 1)[None],
        )
        for t, p in arrays
    ]
    values = ours(maps, count), theirs(tensors, count)
    if not math.isclose(*values, rel_tol=1e-5):
        raise RuntimeError(f"mIoU is {values[0]} here and {values[1]} there")
    times = race({"smalti": lambda: ours(maps, count), "torchmetrics": lambda: theirs(tensors, count)}, budget_s=3.0)
    faster = times["torchmetrics"]["wall_ms"] / times["smalti"]["wall_ms"]
    save(
        "evaluate",
        "Evaluating",
        [
            Bar(
                f"mIoU of {count:,} pairs of 1024×512 against torchmetrics",
                faster,
                must=TIMES_RIVAL,
                unit="×",
                decimals=1,
            )
        ],
        quick=given.quick,
        about="Maps that are decoded already, 19 classes and an ignored one; the values agree.",
        miou=values,
        results=times,
        torch=torch.__version__,
    )


if __name__ == "__main__":
    main()
