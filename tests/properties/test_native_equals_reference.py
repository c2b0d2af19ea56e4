"""Every compiled kernel equals its NumPy twin bit for bit, and refuses the same arguments in the same words."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.kernels import reference

native = pytest.importorskip("smalti.kernels.native", reason="the compiled kernels are not built")

LABEL_TYPES = (np.uint8, np.uint16, np.uint32)
VALUE_TYPES = (np.uint8, np.uint16)
quick = settings(max_examples=120, deadline=None)


def same(name: str, *args: Any) -> Any:
    """Both twins' answer to one call, after proving that it is one answer."""
    answers = []
    for twin in (reference, native):
        try:
            answer = getattr(twin, name)(*args)
            answers.append(answer if isinstance(answer, tuple) else (answer,))
        except (ValueError, IndexError) as error:
            answers.append((type(error), str(error)))
    expected, found = answers
    assert len(expected) == len(found)
    for one, other in zip(expected, found, strict=True):
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(other, one)
        else:
            assert other == one
    return expected[0]


@st.composite
def flats(draw: st.DrawFn, top: int, dtype: Any, channels: int = 0) -> np.ndarray:
    """A picture made of runs (long, short, noisy), often a view that is not contiguous."""
    height, width = draw(st.integers(0, 9)), draw(st.sampled_from([0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 64, 97]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    view = draw(st.sampled_from(["plain", "crop", "flipped", "transposed", "every other"]))
    shape = (height + 2, 2 * width + 3)
    run = draw(st.sampled_from([1, 2, 5, 40, 1000]))
    size = shape[0] * shape[1]
    colors = rng.integers(0, top, (size // run + 1, max(channels, 1)))
    flat = np.repeat(colors, run, axis=0)[:size].astype(dtype)
    picture = flat.reshape(*shape, channels) if channels else flat.reshape(shape)
    if view == "crop":
        return picture[1 : height + 1, 2 : width + 2]
    if view == "flipped":
        return picture[:height][::-1, width - 1 :: -1] if width else picture[:height, :0]
    if view == "transposed":
        return picture.swapaxes(0, 1)[:width, :height]
    if view == "every other":
        return picture[:height, : 2 * width : 2]
    return np.ascontiguousarray(picture[:height, :width])


@quick
@given(data=st.data(), levels=st.sampled_from([1, 2, 4, 256]), many=st.integers(0, 300), wide=st.booleans())
def test_gather_exact(data: st.DataObject, levels: int, many: int, wide: bool) -> None:
    pixels = data.draw(flats(levels, np.uint8, 3))
    rng = np.random.default_rng(many)
    keys = np.unique((rng.integers(0, levels, (many, 3)) * [65536, 256, 1]).sum(axis=1)).astype(np.uint32)
    values = rng.integers(0, 256, len(keys)).astype(np.uint8)
    same("gather_exact", pixels, keys, values.astype(np.uint16) * 257 if wide else values)


def test_gather_table() -> None:
    rng = np.random.default_rng(5)
    for dtype in VALUE_TYPES:
        table = rng.integers(0, np.iinfo(dtype).max + 1, 1 << 24).astype(dtype)
        for shape in [(0, 3, 3), (1, 1, 3), (7, 33, 3), (64, 65, 3)]:
            same("gather_table", rng.integers(0, 256, shape, dtype=np.uint8), table)
            same("gather_table", np.repeat(rng.integers(0, 256, shape, dtype=np.uint8), 5, axis=1)[:, ::2], table)


@pytest.mark.parametrize(
    ("n", "levels", "tolerance", "dtype"),
    [
        (0, 256, -1, np.uint8),
        (1, 256, 3, np.uint8),
        (21, 256, -1, np.uint16),
        (40, 4, 0, np.uint8),
        (9, 256, 300, np.uint8),
    ],
)
def test_nearest_table(n: int, levels: int, tolerance: int, dtype: Any) -> None:
    rng = np.random.default_rng(n)
    colors = rng.integers(0, levels, (n, 3)).astype(np.uint8)  # few levels: repeated colours, so ties
    same("nearest_table", colors, np.arange(1, n + 1).astype(dtype), tolerance)


@quick
@given(
    data=st.data(),
    index=st.sampled_from(LABEL_TYPES),
    cells=st.sampled_from([0, 1, 3, 255, 256, 300, 65536]),
    value=st.sampled_from([np.uint8, np.int8, np.bool_, np.uint16, np.int16, np.uint32, np.int32, np.int64]),
)
def test_lookup(data: st.DataObject, index: Any, cells: int, value: Any) -> None:
    indices = data.draw(flats(data.draw(st.sampled_from([1, 2, 200, 256])), index))
    table = np.random.default_rng(cells).integers(0, 100, cells).astype(value)
    same("lookup", indices, table)


@quick
@given(data=st.data(), dtype=st.sampled_from(LABEL_TYPES), top=st.sampled_from([1, 2, 9, 200]), n=st.integers(0, 260))
def test_counts_boxes_and_blend(data: st.DataObject, dtype: Any, top: int, n: int) -> None:
    labels = data.draw(flats(top, dtype))
    same("count", labels, n)
    same("count_boxes", labels, n)
    rng = np.random.default_rng(n)
    image = rng.integers(0, 256, (*labels.shape, 3), dtype=np.uint8)
    opacity = rng.choice([0.0, 1.0, 0.5, 0.4, 1 / 512, 1 / 3], n)
    same("blend", image, labels, rng.integers(0, 256, (n, 3), dtype=np.uint8), opacity)


@quick
@given(data=st.data(), one=st.sampled_from(LABEL_TYPES), other=st.sampled_from(LABEL_TYPES), n=st.integers(0, 12))
def test_confusion(data: st.DataObject, one: Any, other: Any, n: int) -> None:
    truth = data.draw(flats(data.draw(st.integers(1, 11)), one))
    rng = np.random.default_rng(n)
    predicted = truth.astype(other)
    predicted[rng.random(truth.shape) < 0.1] = 1
    same("confusion", truth, predicted, n)


@quick
@given(data=st.data(), levels=st.sampled_from([1, 2, 13, 256]))
def test_count_colors(data: st.DataObject, levels: int) -> None:
    same("count_colors", data.draw(flats(levels, np.uint8, 3)))


def test_count_colors_of_noise() -> None:
    same("count_colors", np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8))


@quick
@given(
    data=st.data(),
    dtype=st.sampled_from([np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64]),
)
def test_runs_and_contour(data: st.DataObject, dtype: Any) -> None:
    labels = data.draw(flats(data.draw(st.sampled_from([1, 2, 100])), dtype))
    same("contour", labels)
    same("runs_encode", labels)
    values, lengths = reference.runs_encode(labels)
    flat = same("runs_decode", values, lengths)
    np.testing.assert_array_equal(flat, labels.reshape(-1))


BAD = [
    ("gather_exact", np.zeros((2, 2), np.uint8), np.zeros(0, np.uint32), np.zeros(0, np.uint8)),
    ("gather_exact", np.zeros((2, 2, 3), np.int16), np.zeros(0, np.uint32), np.zeros(0, np.uint8)),
    ("gather_exact", np.zeros((2, 2, 3), np.uint8), np.array([2, 1], np.uint32), np.zeros(2, np.uint8)),
    ("gather_exact", np.zeros((2, 2, 3), np.uint8), np.array([1, 1], np.uint32), np.zeros(2, np.uint8)),
    ("gather_exact", np.zeros((2, 2, 3), np.uint8), np.array([1 << 24], np.uint32), np.zeros(1, np.uint8)),
    ("gather_exact", np.zeros((2, 2, 3), np.uint8), np.array([1], np.uint32), np.zeros(2, np.uint8)),
    ("gather_exact", np.zeros((2, 2, 3), np.uint8), np.array([1], np.uint32), np.zeros(1, np.int64)),
    ("gather_table", np.zeros((2, 2, 3), np.uint8), np.zeros(256, np.uint8)),
    ("nearest_table", np.zeros((2, 4), np.uint8), np.zeros(2, np.uint8), 0),
    ("nearest_table", np.zeros((2, 3), np.uint8), np.zeros(3, np.uint8), 0),
    ("lookup", np.zeros((2, 2), np.int32), np.zeros(256, np.uint8)),
    ("lookup", np.zeros((2, 2), np.uint8), np.zeros((16, 16), np.uint8)),
    ("lookup", np.zeros((2, 2), np.uint8), np.zeros(256, np.float32)),
    ("count", np.zeros((2, 2), np.int64), 3),
    ("count", np.zeros((2, 2), np.uint8), -1),
    ("count_boxes", np.full((2, 2), 7, np.uint8), 7),
    ("confusion", np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 3),
    ("confusion", np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8), 3),
    ("blend", np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), np.uint8), np.zeros((1, 3), np.uint8), np.zeros(1)),
    ("blend", np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8), np.zeros((1, 3), np.uint8), np.full(1, 1.5)),
    (
        "blend",
        np.zeros((2, 2, 3), np.uint8),
        np.zeros((2, 2), np.uint8),
        np.zeros((1, 3), np.uint8),
        np.full(1, np.nan),
    ),
    ("blend", np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), np.uint8), np.zeros((1, 3), np.uint8), np.zeros(1)),
    ("runs_decode", np.zeros(2, np.uint8), np.array([1, -1])),
    ("runs_decode", np.zeros(2, np.uint8), np.array([1.0, 2.0])),
    ("runs_decode", np.zeros(2, np.uint8), np.array([1, 2, 3])),
    ("runs_decode", np.zeros(2, np.uint8), np.array([2**62, 2**62])),
    ("runs_encode", np.zeros(2, np.float64)),
    ("contour", np.zeros(2, np.uint8)),
    ("contour", np.zeros((2, 2), np.float32)),
]


@pytest.mark.parametrize("call", BAD, ids=lambda call: call[0])
def test_both_refuse_alike(call: tuple[Any, ...]) -> None:
    refused = same(*call)
    assert refused in (ValueError, IndexError)
