"""The compiled hashing kernels equal their NumPy twins bit for bit, and both equal plain Python."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.kernels import checks, reference

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
        for size in (np.int64, np.int32):
            np.testing.assert_array_equal(twin.fold(np.array(flat, dtype), offsets.astype(size)), expected)


NUMBERS = st.lists(st.integers(-(2**63), 2**63 - 1)) | st.lists(st.floats(allow_nan=False))


@quick
@given(NUMBERS, st.lists(st.integers(0, 40), max_size=6), st.booleans())
def test_fold_numbers(values: list[float], cuts: list[int], is_short: bool) -> None:
    numbers = np.array(values, np.float64 if any(isinstance(value, float) for value in values) else np.int64)
    offsets = np.array(sorted(min(cut, len(values)) for cut in [0, *cuts]), np.int32 if is_short else np.int64)
    plain = (numbers + 0).view(np.uint64)  # without -0.0
    expected = reference.fold(reference.mix(reference.mix(plain, 1)), offsets)
    for twin in (reference, native):
        np.testing.assert_array_equal(twin.fold_numbers(numbers, offsets), expected)


def test_fold_numbers_of_another_kind() -> None:
    messages = set()
    for twin in (reference, native):
        for numbers in (np.zeros(3, np.float32), np.zeros((1, 3))):
            with pytest.raises(ValueError, match="numbers: expected one dimension of int64 or float64") as caught:
                twin.fold_numbers(numbers, np.array([0, 3]))
            messages.add(str(caught.value))
    assert len(messages) == 2


def test_arrays_at_an_odd_address_are_brought_to_an_even_one() -> None:
    def odd(array: np.ndarray) -> np.ndarray:
        whole = np.zeros(array.nbytes + 1, np.uint8)
        whole[1:] = array.view(np.uint8)
        found: np.ndarray = whole[1:].view(array.dtype)
        assert not found.flags.aligned
        return found

    words, offsets, codes = np.arange(9, dtype=np.uint64), np.array([0, 4, 9], np.int32), np.arange(9, dtype=np.uint32)
    for given_words, given_offsets, given_codes in ((odd(words), offsets, codes), (words, odd(offsets), odd(codes))):
        for values, where in (
            checks.as_sequences(given_words, given_offsets),
            checks.as_groups(given_codes, given_offsets),
        ):
            assert values.flags.aligned
            assert where.flags.aligned
        np.testing.assert_array_equal(native.fold(given_words, given_offsets), reference.fold(words, offsets))
        numbers = native.fold_numbers(given_words.view(np.int64), given_offsets)
        np.testing.assert_array_equal(numbers, reference.fold_numbers(words.view(np.int64), offsets))


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
    for twin in (reference, native):
        place = given_words[::-1].copy()
        assert twin.mix(place, out=place) is place
        np.testing.assert_array_equal(place, found)


@quick
@given(st.lists(st.tuples(WORD, WORD), max_size=20), WORD)
def test_mix_into(pairs: list[tuple[int, int]], salt: int) -> None:
    before = np.array([total for total, _ in pairs], np.uint64)
    words = np.array([word for _, word in pairs], np.uint64)
    expected = before + reference.mix(words, salt)
    for twin in (reference, native):
        total = before.copy()
        twin.mix_into(total, words[::-1].copy()[::-1], salt)
        np.testing.assert_array_equal(total, expected)
        np.testing.assert_array_equal(twin.mix(words, salt), reference.mix(words + np.uint64(salt)))


def test_mix_into_words_of_another_length() -> None:
    messages = set()
    for twin in (reference, native):
        for total, words in ((3, 2), (2, 3)):
            with pytest.raises(ValueError, match="words: expected") as caught:
                twin.mix_into(np.zeros(total, np.uint64), np.zeros(words, np.uint64))
            messages.add(str(caught.value))
    assert len(messages) == 2


GROUPS = st.lists(st.lists(st.integers(0, 6) | st.integers(0, 2**32 - 1), max_size=50), max_size=12)


@quick
@given(GROUPS, st.integers(0, 3), st.integers(0, 3))
def test_groups(groups: list[list[int]], before: int, after: int) -> None:
    codes = np.array([9] * before + [code for group in groups for code in group] + [9] * after, np.uint32)
    offsets = before + np.cumsum([0, *map(len, groups)])
    seen: dict[tuple[int, ...], int] = {}
    numbers = [seen.setdefault(tuple(group), len(seen)) for group in groups]
    for twin in (reference, native):
        sets, ends = twin.group_sets(codes, offsets)
        found = [sets[a:b].tolist() for a, b in itertools.pairwise(ends)]
        assert found == [sorted(set(group)) for group in groups]
        assert (sets.dtype, ends.dtype, len(sets)) == (np.uint32, np.int64, sum(map(len, found)))
        which, firsts = twin.number_groups(codes, offsets)
        assert which.tolist() == numbers
        assert firsts.tolist() == [numbers.index(number) for number in range(len(seen))]


@quick
@given(
    st.lists(st.binary(max_size=24) | st.sampled_from([b"car", b"cat", b"traffic sign"]), max_size=40), st.booleans()
)
def test_numbers_of_texts(texts: list[bytes], is_short: bool) -> None:
    text = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int32 if is_short else np.int64)
    for twin in (reference, native):
        numbers, firsts = twin.number_groups(text, offsets)
        seen = list(dict.fromkeys(texts))
        assert numbers.tolist() == [seen.index(one) for one in texts]
        assert firsts.tolist() == [texts.index(one) for one in seen]


@quick
@given(st.lists(st.binary(max_size=24), min_size=1, max_size=9), st.data(), st.integers(0, 3), st.booleans())
def test_texts_taken(texts: list[bytes], data: st.DataObject, before: int, is_short: bool) -> None:
    codes = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=60))
    text = np.frombuffer(b"x" * before + b"".join(texts), np.uint8)
    offsets = before + np.cumsum([0, *map(len, texts)], dtype=np.int32 if is_short else np.int64)
    for twin in (reference, native):
        found, ends = twin.take_texts(text, offsets, np.array(codes, np.uint32))
        assert found.tobytes() == b"".join(texts[code] for code in codes)
        assert ends.tolist() == [0, *itertools.accumulate(len(texts[code]) for code in codes)]
        assert (found.dtype, ends.dtype) == (np.uint8, np.int32)


def test_texts_that_cannot_be_taken() -> None:
    text, offsets = np.zeros(1 << 20, np.uint8), np.array([0, 1 << 20])
    for twin in (reference, native):
        with pytest.raises(IndexError, match=r"code 1 is out of range for 1 entries"):
            twin.take_texts(text, offsets, np.array([0, 1], np.uint32))
        with pytest.raises(ValueError, match="2049 texts have 2148532224 bytes, more than one column takes"):
            twin.take_texts(text, offsets, np.zeros(2049, np.uint32))
        with pytest.raises(ValueError, match="codes: expected one dimension of uint32"):
            twin.take_texts(text, offsets, np.zeros(1, np.int64))


def test_numbers_of_more_groups_than_the_first_table_holds() -> None:
    codes = np.random.default_rng(0).integers(0, 50, 40_000).astype(np.uint32)
    offsets = np.arange(0, 40_001, 2)
    for found, expected in zip(
        native.number_groups(codes, offsets), reference.number_groups(codes, offsets), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kernel", ["group_sets", "number_groups"])
@pytest.mark.parametrize("offsets", [[-1, 2], [0, 4], [2, 1], []])
def test_groups_beyond_the_codes(kernel: str, offsets: list[int]) -> None:
    messages = set()
    for twin in (reference, native):
        with pytest.raises(ValueError, match="offsets") as caught:
            getattr(twin, kernel)(np.zeros(3, np.uint32), np.array(offsets, np.int64))
        messages.add(str(caught.value))
        with pytest.raises(ValueError, match=r"expected one dimension of .*uint32, got"):
            getattr(twin, kernel)(np.zeros(3, np.int32), np.array([0, 3]))
    assert len(messages) == 1


@pytest.mark.parametrize("offsets", [[-1, 2], [0, 4], [2, 1]])
def test_the_compiled_groups_check_by_themselves(offsets: list[int]) -> None:
    from smalti.kernels import _native

    codes, places = np.zeros(3, np.uint32), np.array(offsets, np.int64)
    with pytest.raises(ValueError, match="do not fit"):
        _native.group_sets(codes, places, np.zeros(3, np.uint32), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="do not fit"):
        _native.number_groups(codes, places, np.zeros(1, np.uint32), np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="do not fit"):
        _native.take_texts(np.zeros(3, np.uint8), places, np.zeros(1, np.uint32), np.zeros(2, np.uint8))
    with pytest.raises(IndexError, match="beyond"):
        _native.take_texts(np.zeros(3, np.uint8), np.array([0, 3]), np.ones(1, np.uint32), np.zeros(0, np.uint8))


@pytest.mark.parametrize("offsets", [[-1, 2], [0, 4], [2, 1], []])
def test_offsets_beyond_the_values(offsets: list[int]) -> None:
    messages = set()
    for twin in (reference, native):
        with pytest.raises(ValueError, match="offsets") as caught:
            twin.fold(np.zeros(3, np.uint8), np.array(offsets, np.int64))
        messages.add(str(caught.value))
    assert len(messages) == 1


@pytest.mark.parametrize("size", [np.int64, np.int32])
@pytest.mark.parametrize("offsets", [[-1, 2], [0, 4], [2, 1]])
def test_the_compiled_side_checks_by_itself(offsets: list[int], size: type) -> None:
    from smalti.kernels import _native

    with pytest.raises(ValueError, match="do not fit"):
        _native.fold(np.zeros(3, np.uint8), np.array(offsets, size), np.zeros(1, np.uint64))
    with pytest.raises(ValueError, match="do not fit"):
        _native.fold_numbers(np.zeros(3), np.array(offsets, size), 0, np.zeros(1, np.uint64))
