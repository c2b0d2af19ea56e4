"""Sequences folded into one word each, and words mixed: what content hashes of rows are made of.

A sequence is a polynomial in an odd base modulo 2**64, plus its length; prefix sums give all of them in one pass.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.checks import as_numbers, as_sequences, same_words

__all__ = ["fold", "fold_numbers", "mix", "mix_into"]

Words = NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)
_BLOCK = 1 << 20
"""Elements folded at a time; bounds the tables of powers (8 MB each) and the temporaries."""


def mix(words: Words, salt: int = 0, *, out: Words | None = None) -> Words:
    """(n,) uint64 → (n,) uint64: every bit of `words + salt` spread over all others (the finaliser of splitmix64).

    Args:
        words: what to mix.
        salt: added to each, modulo 2**64.
        out: where the result goes, in C order; may be `words`. None = a new array.
    """
    words = words + np.uint64(salt)
    mixed = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Words = np.bitwise_xor(mixed, mixed >> np.uint64(31), out=out)
    return result


def mix_into(total: Words, words: Words, salt: int = 0) -> None:
    """(n,) uint64 each: `total += mix(words + salt)`, in place.

    Raises:
        ValueError: the two are not of one length, or `total` is not in C order.
    """
    total += mix(same_words(total, words), salt)


def fold(values: NDArray[Any], offsets: NDArray[Any]) -> Words:
    """(m,) uint8 | uint64 and (n + 1,) ascending offsets into it → (n,) uint64: one word for each sequence.

    Raises:
        ValueError: another dtype, or offsets that do not ascend within the values.
    """
    values, offsets = as_sequences(values, offsets)
    offsets = offsets.astype(np.int64, copy=False)
    result = np.zeros(len(offsets) - 1, np.uint64)
    row = 0
    while row < len(result):
        stop = int(np.searchsorted(offsets, offsets[row] + _BLOCK, side="right")) - 1
        stop = min(max(stop, row + 1), len(result))
        where = offsets[row : stop + 1]
        first, last = int(where[0]), int(where[-1])
        forward, backward = _tables(last - first + 1)
        sums = np.zeros(last - first + 1, np.uint64)
        np.cumsum(np.multiply(values[first:last], forward[: last - first], dtype=np.uint64), out=sums[1:])
        where = where - first
        lengths = np.diff(where).astype(np.uint64)
        result[row:stop] = (sums[where[1:]] - sums[where[:-1]]) * backward[where[:-1]] + lengths
        row = stop
    return result


def fold_numbers(numbers: NDArray[Any], offsets: NDArray[Any]) -> Words:
    """(m,) int64 | float64 and (n + 1,) ascending offsets into it → (n,) uint64: one word for each list of numbers.

    Each number's bits are mixed twice before they are folded, as neighbours differ in few of them; -0.0 counts as 0.0.

    Raises:
        ValueError: another dtype, or offsets that do not ascend within the numbers.
    """
    words, offsets, zero = as_numbers(numbers, offsets)
    return fold(mix(mix(np.where(words == np.uint64(zero), np.uint64(0), words), 1)), offsets)


def _powers(base: int, count: int) -> Words:
    powers = np.empty(max(count, 1), np.uint64)
    powers[0] = 1
    filled = 1
    while filled < count:  # doubling: each round multiplies the known powers by the next one
        step = np.uint64(pow(base, filled, 2**64))
        more = min(filled, count - filled)
        powers[filled : filled + more] = powers[:more] * step
        filled += more
    return powers


_forward = _powers(_BASE, 1)
_backward = _powers(_INVERSE, 1)


def _tables(count: int) -> tuple[Words, Words]:
    """The powers of the base and of its inverse, at least `count` of each, kept between calls."""
    global _forward, _backward
    forward, backward = _forward, _backward
    if len(forward) < count:
        size = 1 << (count - 1).bit_length()
        _forward, _backward = forward, backward = _powers(_BASE, size), _powers(_INVERSE, size)
    return forward, backward
