"""A 64-bit content hash of every row of a batch, computed on the Arrow buffers; and which strings are the same.

It says whether two rows hold the same content: for skipping what did not change in a diff, and for optimistic saves.
It is no defence against somebody who constructs collisions. Strings and lists are folded by a kernel.
"""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from smalti.kernels import fold, fold_numbers, mix, mix_into, number_groups

__all__ = ["distinct_strings", "hash_rows", "hash_strings", "string_parts"]

Words = NDArray[np.uint64]

_NULL = np.uint64(0x6A09E667F3BCC908)


def hash_rows(batch: pa.RecordBatch) -> Words:
    """(n,) uint64: the content hash of each row; equal rows have equal hashes wherever they lie."""
    total = np.zeros(len(batch), np.uint64)
    for column, field in zip(batch.columns, batch.schema, strict=True):
        mix_into(total, _hash(column), _salt(field.name))
    return mix(total, out=total)


def hash_strings(array: pa.StringArray) -> Words:
    """(n,) uint64: the hash of each string."""
    hashes = _hash(array)
    return mix(hashes, out=hashes)


def string_parts(array: pa.StringArray) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bytes of some strings, and where in them each begins, with the end of the last; not copied."""
    if not len(array):
        return np.zeros(0, np.uint8), np.zeros(1, np.int32)
    _, offsets, data = array.buffers()
    where = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8), where


def distinct_strings(array: pa.StringArray) -> tuple[list[str], NDArray[np.uint32]]:
    """The different strings, and (n,) uint32: which of them each is. There must be no nulls."""
    numbers, firsts = number_groups(*string_parts(array))
    return array.take(pa.array(firsts)).to_pylist(), numbers


@cache
def _salt(name: str) -> int:
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def _hash(array: pa.Array) -> Words:
    kind = array.type
    if not len(array) or array.null_count == len(array):
        return np.full(len(array), _NULL)
    if pa.types.is_struct(kind):
        result = np.zeros(len(array), np.uint64)
        for i, field in enumerate(kind):
            mix_into(result, _hash(array.field(i)), _salt(field.name))
    elif pa.types.is_list(kind):
        result = _lists(array)
    elif pa.types.is_string(kind):
        result = fold(*string_parts(array))
    else:
        plain = pc.fill_null(array, 0) if array.null_count else array
        plain = plain.cast(pa.float64() if pa.types.is_floating(kind) else pa.int64(), safe=False)
        words = (plain.to_numpy() + 0).view(np.uint64)  # -0.0 equals 0.0, and + 0 makes it that
        result = mix(words, 1, out=words)
    if array.null_count:
        result = np.where(array.is_null().to_numpy(zero_copy_only=False), _NULL, result)
    return result


def _lists(array: pa.ListArray) -> Words:
    where = array.offsets.to_numpy()
    first, last = int(where[0]), int(where[-1])
    values = array.values.slice(first, last - first)
    if values.type in (pa.int64(), pa.float64()) and not values.null_count:
        return fold_numbers(values.to_numpy(), where - first)
    inner = _hash(values)
    return fold(mix(inner, out=inner), where - first)
