"""A 64-bit content hash of every row of a batch, computed on the Arrow buffers with NumPy.

It says whether two rows hold the same content: for skipping what did not change in a diff, and for optimistic saves.
It is no defence against somebody who constructs collisions. Strings and lists are polynomials in an odd base modulo
2**64; prefix sums give all of them in one pass over the buffer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["hash_rows", "hash_strings"]

Words = NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)
_NULL = np.uint64(0x6A09E667F3BCC908)
_BLOCK = 1 << 20
"""Elements hashed at a time; bounds the table of powers (8 MB) and the temporaries."""


def hash_rows(batch: pa.RecordBatch) -> Words:
    """(n,) uint64: the content hash of each row; equal rows have equal hashes wherever they lie."""
    total = np.zeros(len(batch), np.uint64)
    for column, field in zip(batch.columns, batch.schema, strict=True):
        total += _mix(_hash(column) + _salt(field.name))
    return _mix(total)


def hash_strings(array: pa.StringArray) -> Words:
    """(n,) uint64: the hash of each string."""
    return _mix(_hash(array))


def _salt(name: str) -> np.uint64:
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return np.uint64(value)


def _mix(words: Words) -> Words:
    """Spread every bit over all others (the finaliser of splitmix64)."""
    mixed = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Words = mixed ^ (mixed >> np.uint64(31))
    return result


def _hash(array: pa.Array) -> Words:
    kind = array.type
    if not len(array) or array.null_count == len(array):
        return np.full(len(array), _NULL)
    if pa.types.is_struct(kind):
        result = np.zeros(len(array), np.uint64)
        for i, field in enumerate(kind):
            result += _mix(_hash(array.field(i)) + _salt(field.name))
    elif pa.types.is_list(kind):
        result = _sequences(array.offsets.to_numpy(), lambda a, b: _mix(_hash(array.values.slice(a, b - a))))
    elif pa.types.is_string(kind):
        _, offsets, data = array.buffers()
        where = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
        text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        result = _sequences(where, lambda a, b: text[a:b])
    else:
        plain = pc.fill_null(array, 0).cast(pa.float64() if pa.types.is_floating(kind) else pa.int64(), safe=False)
        result = _mix(plain.to_numpy().view(np.uint64) + np.uint64(1))
    if array.null_count:
        result[array.is_null().to_numpy(zero_copy_only=False)] = _NULL
    return result


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


def _sequences(offsets: NDArray[np.int32], values: Callable[[int, int], NDArray[np.unsignedinteger[Any]]]) -> Words:
    """The polynomial of each sequence between neighbouring offsets; `values(a, b)` gives the elements a..b."""
    result = np.zeros(len(offsets) - 1, np.uint64)
    row = 0
    while row < len(result):
        stop = int(np.searchsorted(offsets, offsets[row] + _BLOCK, side="right")) - 1
        stop = min(max(stop, row + 1), len(result))
        where = offsets[row : stop + 1].astype(np.int64)
        first, last = int(where[0]), int(where[-1])
        forward, backward = _tables(last - first + 1)
        sums = np.zeros(last - first + 1, np.uint64)
        np.cumsum(np.multiply(values(first, last), forward[: last - first], dtype=np.uint64), out=sums[1:])
        where -= first
        result[row:stop] = (sums[where[1:]] - sums[where[:-1]]) * backward[where[:-1]] + np.diff(where).astype(
            np.uint64
        )
        row = stop
    return result


def _tables(count: int) -> tuple[Words, Words]:
    """The powers of the base and of its inverse, at least `count` of each, kept between calls."""
    global _forward, _backward
    forward, backward = _forward, _backward
    if len(forward) < count:
        size = 1 << (count - 1).bit_length()
        _forward, _backward = forward, backward = _powers(_BASE, size), _powers(_INVERSE, size)
    return forward, backward
