"""Groups of numbers or letters, such as the labels of each ROI: as sets, and which of them are the same."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.checks import as_groups, as_sequences, as_taken

__all__ = ["group_sets", "number_groups", "take_texts"]

Codes = NDArray[np.uint32]
Ints = NDArray[np.int64]


def group_sets(codes: Codes, offsets: NDArray[Any]) -> tuple[Codes, Ints]:
    """(m,) uint32 and (n + 1,) ascending offsets into it → the distinct codes of each group in order, and their offsets.

    Raises:
        ValueError: another dtype, or offsets that do not ascend within the codes.
    """
    codes, offsets = as_groups(codes, offsets)
    owner = np.repeat(np.arange(len(offsets) - 1, dtype=np.uint64), np.diff(offsets))
    pairs = owner << np.uint64(32) | codes[offsets[0] : offsets[-1]]
    pairs.sort()  # in place beats `np.unique`, which hashes first
    is_first = np.ones(len(pairs), np.bool_)
    np.not_equal(pairs[1:], pairs[:-1], out=is_first[1:])
    pairs = pairs[is_first]
    sizes = np.bincount((pairs >> np.uint64(32)).astype(np.int64), minlength=len(offsets) - 1)
    return (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32), np.concatenate([[0], np.cumsum(sizes)])


def number_groups(values: NDArray[Any], offsets: NDArray[Any]) -> tuple[Codes, Ints]:
    """(m,) uint8 | uint32 and (n + 1,) ascending offsets → (n,) uint32, the number of each group, and (d,) int64.

    Groups with the same values in the same order have one number, counted by first appearance; the second array says for
    each number which group had it first.

    Raises:
        ValueError: another dtype, or offsets that do not ascend within the values.
    """
    values, offsets = as_sequences(values, offsets, np.uint32)
    whole, bounds = values.tobytes(), (offsets.astype(np.int64) * values.itemsize).tolist()
    number: dict[bytes, int] = {}
    firsts: list[int] = []
    numbers = np.empty(len(offsets) - 1, np.uint32)
    for group, (start, stop) in enumerate(itertools.pairwise(bounds)):
        found = number.setdefault(whole[start:stop], len(number))
        if found == len(firsts):
            firsts.append(group)
        numbers[group] = found
    return numbers, np.array(firsts, np.int64)


def take_texts(
    text: NDArray[np.uint8], offsets: NDArray[Any], codes: Codes
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Some of many texts, one after another: their bytes, and (k + 1,) offsets.

    Args:
        text: (m,) uint8, the bytes of all texts.
        offsets: (n + 1,) ascending, where each begins, with the end of the last.
        codes: (k,) uint32, which ones; again and again where they are given so.

    Raises:
        ValueError: another dtype, offsets that do not ascend within the text, or 2 GiB and more of bytes.
        IndexError: a code of no text.
    """
    text, offsets, codes, ends = as_taken(text, offsets, codes)
    shift = offsets.astype(np.int64)[codes] - ends[:-1]
    return text[np.arange(ends[-1]) + np.repeat(shift, np.diff(ends))], ends
