"""The compiled kernels of rows: content hashes, tokens and label sets."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels import _native
from smalti.kernels.checks import as_groups, as_numbers, as_sequences, as_taken, as_texts, same_words

__all__ = ["flat_tokens", "fold", "fold_numbers", "group_sets", "mix", "mix_into", "number_groups", "take_texts"]


def mix(words: NDArray[np.uint64], salt: int = 0, *, out: NDArray[np.uint64] | None = None) -> NDArray[np.uint64]:
    """(n,) uint64 → (n,) uint64: every bit of `words + salt` spread over all others (the finaliser of splitmix64)."""
    mixed = np.add(words, np.uint64(salt), out=out, order="C")
    _native.mix(mixed)
    return mixed


def mix_into(total: NDArray[np.uint64], words: NDArray[np.uint64], salt: int = 0) -> None:
    """(n,) uint64 each: `total += mix(words + salt)`, in place."""
    _native.mix_into(total, same_words(total, words), salt)


def fold(values: NDArray[Any], offsets: NDArray[Any]) -> NDArray[np.uint64]:
    """(m,) uint8 | uint64 and (n + 1,) ascending offsets into it → (n,) uint64: one word for each sequence.

    Raises:
        ValueError: another dtype, or offsets that do not ascend within the values.
    """
    values, offsets = as_sequences(values, offsets)
    out = np.empty(len(offsets) - 1, np.uint64)
    _native.fold(values, offsets, out)
    return out


def fold_numbers(numbers: NDArray[Any], offsets: NDArray[Any]) -> NDArray[np.uint64]:
    """One word for each list of numbers: see `kernels.reference.fold.fold_numbers`."""
    words, offsets, zero = as_numbers(numbers, offsets)
    out = np.empty(len(offsets) - 1, np.uint64)
    _native.fold_numbers(words, offsets, zero, out)
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


def group_sets(codes: NDArray[np.uint32], offsets: NDArray[Any]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The distinct codes of each group in order: see `kernels.reference.groups.group_sets`."""
    codes, offsets = as_groups(codes, offsets)
    found, ends = np.empty(len(codes), np.uint32), np.empty(len(offsets), np.int64)
    _native.group_sets(codes, offsets, found, ends)
    return found[: ends[-1]], ends


def number_groups(values: NDArray[Any], offsets: NDArray[Any]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Which groups are the same: see `kernels.reference.groups.number_groups`."""
    values, offsets = as_sequences(values, offsets, np.uint32)
    numbers, firsts = np.empty(len(offsets) - 1, np.uint32), np.empty(len(offsets) - 1, np.int64)
    distinct = _native.number_groups(values, offsets, numbers, firsts)
    return numbers, firsts[:distinct]


def take_texts(
    text: NDArray[np.uint8], offsets: NDArray[Any], codes: NDArray[np.uint32]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Some of many texts, one after another: see `kernels.reference.groups.take_texts`."""
    text, offsets, codes, ends = as_taken(text, offsets, codes)
    out = np.empty(ends[-1], np.uint8)
    _native.take_texts(text, offsets, codes, out)
    return out, ends
