"""The compiled kernels of content hashes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels import _native
from smalti.kernels.checks import as_sequences

__all__ = ["fold", "mix"]


def mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(n,) uint64 → (n,) uint64: every bit spread over all others (the finaliser of splitmix64)."""
    mixed = np.array(words, np.uint64, order="C")
    _native.mix(mixed)
    return mixed


def fold(values: NDArray[Any], offsets: NDArray[Any]) -> NDArray[np.uint64]:
    """(m,) uint8 | uint64 and (n + 1,) ascending offsets into it → (n,) uint64: one word for each sequence.

    Raises:
        ValueError: another dtype, or offsets that do not ascend within the values.
    """
    values, offsets = as_sequences(values, offsets)
    out = np.empty(len(offsets) - 1, np.uint64)
    _native.fold(values, offsets, out)
    return out
