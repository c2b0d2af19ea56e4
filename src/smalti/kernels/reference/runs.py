"""Runs of equal labels, and where one label ends and the next begins."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.checks import run_arrays

__all__ = ["contour", "runs_decode", "runs_encode"]


def runs_encode(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Any shape, read in C order → (k,) values and (k,) int64 lengths of its runs."""
    flat = np.ascontiguousarray(labels).reshape(-1)
    run_arrays(flat[:0], np.empty(0, np.int64))
    if not flat.size:
        return flat.copy(), np.empty(0, np.int64)
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    return flat[starts], np.diff(starts, append=flat.size).astype(np.int64)


def runs_decode(values: NDArray[Any], lengths: NDArray[Any]) -> NDArray[Any]:
    """(k,) values, (k,) lengths → (sum of lengths,) of values.dtype."""
    values, lengths, _total = run_arrays(values, lengths)
    return np.repeat(values, lengths)


def contour(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """(H, W) integers or booleans → (H, W) bool: differs from its right or its lower neighbour."""
    if labels.ndim != 2 or labels.dtype.kind not in "bui":
        raise ValueError(f"labels: expected (H, W) integers or booleans, got {labels.shape} {labels.dtype}")
    edge = np.zeros(labels.shape, np.bool_)
    edge[:, :-1] = labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge
