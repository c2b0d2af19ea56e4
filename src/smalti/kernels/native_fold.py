"""The compiled kernels of rows: content hashes and tokens."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels import _native
from smalti.kernels.checks import as_sequences, as_texts

__all__ = ["flat_tokens", "fold", "mix"]


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


def flat_tokens(
    text: NDArray[np.uint8], offsets: NDArray[Any], longest: int
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]:
    """Flat JSON objects as tokens `key=value`: see `kernels.reference.tokens.flat_tokens`."""
    text, offsets = as_texts(text, offsets, longest)
    tokens, ends = np.empty(len(text), np.uint8), np.empty(len(text) // 4 + 1, np.int32)
    counts = np.empty(len(offsets) - 1, np.int32)
    size, count = _native.flat_tokens(text, offsets, longest, tokens, ends, counts)
    return tokens[:size], ends[:count], counts
