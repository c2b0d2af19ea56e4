"""Label maps → numbers: pixels, boxes, colours and agreement, in NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.checks import as_labels, as_pairs, as_pixels, label_beyond, number_of_labels
from smalti.kernels.reference.gather import pack

__all__ = ["confusion", "count", "count_boxes", "count_colors"]


def count(labels: NDArray[Any], n: int) -> NDArray[np.int64]:
    """(H, W) uint8 | uint16 | uint32 → (n,) int64 pixels of each label.

    Raises:
        IndexError: a label is n or more.
    """
    labels, n = as_labels(labels), number_of_labels(n)
    _refuse_beyond(labels, n)
    return np.bincount(labels.reshape(-1), minlength=n).astype(np.int64)[:n]


def count_boxes(labels: NDArray[Any], n: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """(H, W) labels → (n,) int64 pixels and (n, 4) int32 boxes x, y, w, h; zeros where a label is absent."""
    counts = count(labels, n)
    boxes = np.zeros((len(counts), 4), np.int32)
    for label in np.flatnonzero(counts):
        ys, xs = np.nonzero(labels == label)
        boxes[label] = xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1
    return counts, boxes


def count_colors(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """(H, W, 3) uint8 → (k,) uint32 sorted keys R<<16|G<<8|B and (k,) int64 pixels of each."""
    keys, counts = np.unique(pack(as_pixels(pixels)), return_counts=True)
    return keys, counts.astype(np.int64)


def confusion(truth: NDArray[Any], predicted: NDArray[Any], n: int) -> NDArray[np.int64]:
    """(H, W) and (H, W) labels → (n, n) int64; row = truth, column = predicted.

    Raises:
        IndexError: a label is n or more.
    """
    truth, predicted = as_pairs(truth, predicted)
    n = number_of_labels(n)
    _refuse_beyond(truth, n)
    _refuse_beyond(predicted, n)
    pairs = truth.astype(np.int64) * n + predicted
    return np.bincount(pairs.reshape(-1), minlength=n * n).astype(np.int64).reshape(n, n)


def _refuse_beyond(labels: NDArray[Any], n: int) -> None:
    if labels.size and int(labels.max()) >= n:
        raise label_beyond(int(labels.max()), n)
