"""to_rgb: what a picture looks like, against arithmetic that is written out."""

from fractions import Fraction

import numpy as np
import pytest

from smalti.codecs.raster import Raster
from smalti.codecs.show import to_rgb
from smalti.errors import DecodeError


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_grey_spans_black_to_white(bits: int) -> None:
    samples = np.unique(np.linspace(0, (1 << bits) - 1, 300).astype(np.uint16))[None]
    data = samples.astype(np.uint8) if bits <= 8 else samples
    shown = to_rgb(Raster("grey", data, bits=bits))
    expected = [int(Fraction(255 * int(sample), (1 << bits) - 1) + Fraction(1, 2)) for sample in samples[0]]
    assert shown.dtype == np.uint8
    assert shown.shape == (1, samples.shape[1], 3)
    for channel in range(3):
        assert shown[0, :, channel].tolist() == expected


def test_grey_of_32_bits_is_stretched_to_its_own_largest() -> None:
    shown = to_rgb(Raster("grey", np.array([[0, 1 << 31, 1 << 32 - 1]], np.uint32), bits=32))
    assert shown[0, :, 0].tolist() == [0, 255, 255]
    assert to_rgb(Raster("grey", np.zeros((2, 2), np.uint32), bits=32)).max() == 0


def test_palette_and_an_index_beyond_it() -> None:
    palette = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    shown = to_rgb(Raster("palette", np.array([[0, 1, 200]], np.uint8), palette=palette, bits=8))
    assert shown.tolist() == [[[1, 2, 3], [4, 5, 6], [0, 0, 0]]]


def test_rgb_of_16_bits() -> None:
    data = np.array([[[0, 65535, 32768]]], np.uint16)
    assert to_rgb(Raster("rgb", data, bits=16)).tolist() == [[[0, 255, 128]]]
    same = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert np.array_equal(to_rgb(Raster("rgb", same)), same)


@pytest.mark.parametrize(
    ("matrix", "kr", "kb"), [("bt601", 0.299, 0.114), ("bt709", 0.2126, 0.0722), ("bt2020", 0.2627, 0.0593)]
)
@pytest.mark.parametrize("full", [True, False])
def test_planes_by_the_textbook(matrix: str, kr: float, kb: float, full: bool) -> None:
    y, cb, cr = (np.random.default_rng(3).integers(0, 256, (3, 20, 30))).astype(np.float64)
    luma = y if full else (y - 16) * 255 / 219
    blue, red = ((plane - 128) * (1 if full else 255 / 224) for plane in (cb, cr))
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    expected = np.clip(np.dstack([r, g, b]), 0, 255)
    planes = tuple(plane.astype(np.uint8) for plane in (y, cb, cr))
    shown = to_rgb(Raster("ycc", planes=planes, matrix=matrix, full_range=full))  # type: ignore[arg-type]
    assert np.abs(shown - expected).max() <= 1.01


def test_subsampled_chroma_of_odd_sizes() -> None:
    luma = np.full((5, 7), 100, np.uint8)
    chroma = np.full((3, 4), 128, np.uint8)
    chroma[2, 3] = 228
    shown = to_rgb(Raster("ycc", planes=(luma, np.full((3, 4), 128, np.uint8), chroma)))
    assert shown.shape == (5, 7, 3)
    assert (shown[..., 0] > 100).nonzero()[0].tolist() == [4]
    assert (shown[4, 6] == [240, 29, 100]).all()


def test_a_raster_without_samples() -> None:
    for mode in ("grey", "ycc"):
        with pytest.raises(DecodeError, match="without"):
            to_rgb(Raster(mode))  # type: ignore[arg-type]
