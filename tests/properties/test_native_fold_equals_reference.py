"""The compiled hashing kernels equal their NumPy twins bit for bit, and both equal plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.kernels import reference

native = pytest.importorskip("smalti.kernels.native_fold", reason="the compiled kernels are not built")

quick = settings(max_examples=100, deadline=None)
WORD = st.integers(0, 2**64 - 1)
BASE = 0x9E3779B97F4A7C15


def polynomial(values: list[int]) -> int:
    """What a fold is, in whole numbers."""
    return (sum(value * BASE**i for i, value in enumerate(values)) + len(values)) % 2**64


@quick
@given(st.lists(st.lists(WORD, max_size=40), max_size=6), st.booleans(), st.integers(0, 3), st.integers(0, 3))
def test_fold(sequences: list[list[int]], is_bytes: bool, before: int, after: int) -> None:
    dtype = np.uint8 if is_bytes else np.uint64
    sequences = [[value % 256 if is_bytes else value for value in values] for values in sequences]
    flat = [1] * before + [value for values in sequences for value in values] + [1] * after
    offsets = before + np.cumsum([0, *map(len, sequences)])
    expected = np.array([polynomial(values) for values in sequences], np.uint64)
    for twin in (reference, native):
        np.testing.assert_array_equal(twin.fold(np.array(flat, dtype), offsets), expected)


def test_fold_of_more_than_a_block() -> None:
    values = np.random.default_rng(0).integers(0, 256, 3_000_000).astype(np.uint8)
    offsets = np.array([5, 5, 1_200_000, 2_999_999])
    np.testing.assert_array_equal(native.fold(values, offsets), reference.fold(values, offsets))


@quick
@given(st.lists(WORD, max_size=20))
def test_mix(words: list[int]) -> None:
    given_words = np.array(words, np.uint64)
    found = native.mix(given_words[::-1])
    np.testing.assert_array_equal(found, reference.mix(given_words[::-1]))
    np.testing.assert_array_equal(given_words, np.array(words, np.uint64))  # the argument is left alone
    assert len(set(found.tolist())) == len(set(words))  # a bijection


@pytest.mark.parametrize("offsets", [[-1, 2], [0, 4], [2, 1], []])
def test_offsets_beyond_the_values(offsets: list[int]) -> None:
    messages = set()
    for twin in (reference, native):
        with pytest.raises(ValueError, match="offsets") as caught:
            twin.fold(np.zeros(3, np.uint8), np.array(offsets, np.int64))
        messages.add(str(caught.value))
    assert len(messages) == 1


@pytest.mark.parametrize("offsets", [[-1, 2], [0, 4], [2, 1]])
def test_the_compiled_side_checks_by_itself(offsets: list[int]) -> None:
    from smalti.kernels import _native

    with pytest.raises(ValueError, match="do not fit"):
        _native.fold(np.zeros(3, np.uint8), np.array(offsets, np.int64), np.zeros(1, np.uint64))
