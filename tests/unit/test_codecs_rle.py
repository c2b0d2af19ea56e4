"""COCO run lengths against pycocotools, and against a reading that is spelled out."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti.codecs import Limits
from smalti.codecs.rle import counts_of, decode_rle, encode_rle, mask_of, pack, unpack
from smalti.errors import DecodeError

cocomask = pytest.importorskip("pycocotools.mask", reason="pycocotools is the oracle of COCO run lengths")

masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=23), elements=st.integers(0, 1))


@settings(max_examples=200, deadline=None)
@given(masks)
def test_every_byte_is_that_of_pycocotools(mask: np.ndarray) -> None:
    theirs = cocomask.encode(np.asfortranarray(mask))
    ours = encode_rle(mask)
    assert ours == {"size": theirs["size"], "counts": theirs["counts"].decode("ascii")}
    assert np.array_equal(decode_rle(ours), mask)
    assert np.array_equal(decode_rle(theirs), mask)
    plain = encode_rle(mask, compressed=False)
    assert cocomask.frPyObjects(plain, *mask.shape)["counts"] == theirs["counts"]
    assert np.array_equal(decode_rle(plain), mask)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**31), max_size=30))
def test_strings_hold_any_counts(counts: list[int]) -> None:
    assert unpack(pack(counts)) == counts


def test_columns_come_first_and_zeros_start() -> None:
    mask = np.array([[0, 1, 1], [1, 1, 0]])
    assert counts_of(mask) == [1, 4, 1]
    assert counts_of(1 - mask) == [0, 1, 4, 1]
    assert mask_of([1, 4, 1], (2, 3)).tolist() == mask.tolist()
    assert counts_of(np.array([[0, 255, -3, True]])) == [1, 3]


@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of the oracle
def test_published_results(realdata: Path) -> None:
    results = json.loads((realdata / "coco_rle" / "instances_val2014_fakesegm100_results.json").read_text())
    for result in results[::7]:
        rle = result["segmentation"]
        mask = decode_rle(rle)
        assert np.array_equal(mask, cocomask.decode(rle))
        assert encode_rle(mask) == rle


@pytest.mark.parametrize(
    ("rle", "words"),
    [
        ({"size": [2, 2], "counts": [1, 2]}, "cover 3 pixels"),
        ({"size": [2, 2], "counts": [5, -1]}, "length -1"),
        ({"size": [2, 2], "counts": [2**62, 2**62, 2**62, 2**62 + 4]}, "cover"),
        ({"size": [2, 2], "counts": [2**70]}, "whole numbers"),
        ({"size": [2, 2], "counts": [1.5, 2.5]}, "whole numbers"),
        ({"size": [2, 2], "counts": [[4]]}, "whole numbers"),
        ({"size": [2, 2], "counts": None}, "NoneType"),
        ({"size": [2], "counts": [4]}, "height, width"),
        ({"size": [-2, -2], "counts": [4]}, "at least 1"),
        ({"size": [0, 5], "counts": [4]}, "0×5"),
        ({"size": [2, 2], "counts": "4 "}, "' ' at position 1"),
        ({"size": [2, 2], "counts": "4é"}, "ASCII"),
        ({"size": [2, 2], "counts": "P"}, "truncated"),
        ({"size": [2, 2], "counts": "o" * 9}, "over 35 bits"),
        ({"size": [1 << 20, 1 << 20], "counts": [1 << 40]}, "the limit is"),
        ({}, "size None"),
    ],
)
def test_what_is_no_mask_is_named(rle: dict[str, object], words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode_rle(rle)


def test_limits_can_be_set() -> None:
    with pytest.raises(DecodeError, match="the limit is 3"):
        mask_of([4], (2, 2), Limits(max_pixels=3))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12), st.tuples(st.integers(-1, 9), st.integers(-1, 9)))
def test_any_text_is_a_mask_or_our_error(text: str, size: tuple[int, int]) -> None:
    try:
        mask = decode_rle({"size": list(size), "counts": text})
    except DecodeError:
        return
    assert mask.shape == size
