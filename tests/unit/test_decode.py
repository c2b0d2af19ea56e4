"""decode_mask on files that Pillow writes: the kind of the legend says how values are read."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import smalti as sm
from smalti import Legend, decode_mask
from smalti.decode import alpha_of, read_raster
from smalti.errors import DecodeError, UnknownColors

RED, GREEN, BLACK = (200, 10, 10), (10, 200, 10), (0, 0, 0)
COLORS = Legend({RED: "red", GREEN: "green"})
PICTURE = np.array([[RED, GREEN, BLACK], [GREEN, GREEN, RED]], np.uint8)
LABELS = [[1, 2, 0], [2, 2, 1]]


def encoded(pixels: Any, kind: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_lossless_colors_are_exact_in_every_container(kind: str) -> None:
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    found = decode_mask(encoded(PICTURE, kind, **options), COLORS, lossy="exact")
    assert found.data.tolist() == LABELS
    assert (found.policy, dict(found.settled)) == ("exact", {"exact": 5, "void": 1})


def test_black_is_a_label_when_the_legend_says_so() -> None:
    found = decode_mask(encoded(np.zeros((2, 2, 3), np.uint8)), Legend({BLACK: "cat"}))
    assert found["cat"].all()


def test_a_palette_is_matched_by_color_and_then_by_index() -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([*RED, *GREEN, 9, 9, 9])
    assert decode_mask(encoded(image), COLORS).data.tolist() == [[1, 2, 0]]
    assert decode_mask(encoded(image), Legend({0: "a", 2: "b"})).data.tolist() == [[1, 0, 2]]


def test_a_grey_value_matches_the_color_of_equal_channels() -> None:
    grey = np.array([[1, 2, 7]], np.uint8)
    assert decode_mask(encoded(grey), Legend({(1, 1, 1): "person", (2, 2, 2): "car"})).data.tolist() == [[1, 2, 0]]


def test_sixteen_bits_stay_sixteen_bits() -> None:
    wide = np.array([[26000, 255, 65535]], np.uint16)
    assert decode_mask(encoded(wide), Legend({26000: "a", 65535: "b"})).data.tolist() == [[1, 0, 2]]
    assert decode_mask(encoded(wide), None).ids.tolist() == [[26000, 255, 65535]]


def test_one_bit_masks_are_zero_and_one() -> None:
    bits = encoded(np.array([[0, 255, 255]], np.uint8), mode="1")
    assert decode_mask(bits, Legend({1: "vessel"})).data.tolist() == [[0, 1, 1]]
    assert decode_mask(bits, Legend({(255, 255, 255): "vessel"})).data.tolist() == [[0, 1, 1]]


def test_alpha_is_kept_apart_and_never_composited() -> None:
    rgba = np.dstack([PICTURE, np.array([[0, 255, 128], [255, 0, 7]], np.uint8)])
    data = encoded(rgba)
    assert decode_mask(data, COLORS).data.tolist() == LABELS
    assert alpha_of(read_raster(data)).tolist() == [[0, 255, 128], [255, 0, 7]]


def test_opacity_of_a_grey_mask_is_its_value() -> None:
    assert alpha_of(read_raster(encoded(np.array([[0, 102, 255]], np.uint8)))).tolist() == [[0, 102, 255]]
    assert alpha_of(read_raster(encoded(np.array([[0, 65535]], np.uint16)))).tolist() == [[0, 255]]


def test_color_chunks_never_change_values() -> None:
    plain = encoded(PICTURE)
    tagged = plain[:33] + bytes.fromhex("0000000467414d41000186a031e8965f") + plain[33:]
    assert decode_mask(tagged, COLORS).data.tolist() == LABELS


def test_a_wrong_content_type_is_decoded_by_what_it_is_and_noted() -> None:
    found = decode_mask(encoded(PICTURE, "BMP"), COLORS, content_type="image/png", lossy="exact")
    assert found.data.tolist() == LABELS
    assert any("image/bmp" in note and "image/png" in note for note in found.notes)


def test_ids_never_go_through_nearness() -> None:
    close = np.array([[[1, 0, 0], [2, 0, 0], [3, 0, 0]]], np.uint8)
    for policy in ("auto", "exact", "nearest", "repair"):
        assert decode_mask(encoded(close), None, lossy=policy).ids.tolist() == [[1, 2, 3]]


def test_tolerance_mends_a_legend_that_is_off_and_only_that() -> None:
    off = PICTURE + np.array([1, 0, 2], np.uint8)
    assert decode_mask(encoded(off), COLORS, lossy="exact").void == 6
    found = decode_mask(encoded(off), COLORS, lossy="nearest", tolerance=2)
    assert found.data.tolist() == LABELS
    assert found.policy == "nearest"


def test_a_legend_that_is_off_is_mended_by_itself_but_black_and_close_classes_are_not_guessed() -> None:
    off = PICTURE[:, :2] + np.array([1, 0, 2], np.uint8)
    found = decode_mask(encoded(off), COLORS)
    assert (found.policy, found.data.tolist()) == ("nearest", [[1, 2], [2, 2]])
    dark = np.zeros((4, 4, 3), np.uint8)
    assert decode_mask(encoded(dark), Legend({(1, 1, 1): "person"})).void == 16
    dark[0] = 3
    assert decode_mask(encoded(dark), Legend({(1, 1, 1): "person", (2, 2, 2): "car"})).void == 16


def test_wildcards_match_any_value_of_a_channel() -> None:
    legend = Legend({(-1, 10, 10): "reddish", (200, 10, 10): "red", (-1, -1, -1): "rest"})
    pixels = np.array([[[7, 10, 10], [200, 10, 10], [1, 2, 3]]], np.uint8)
    assert decode_mask(encoded(pixels), legend, lossy="exact").data.tolist() == [[1, 2, 3]]


def test_strict_names_the_strangers_and_their_nearest_entries() -> None:
    pixels = PICTURE.copy()
    pixels[0, 2] = (201, 12, 10)
    with pytest.raises(UnknownColors) as caught:
        decode_mask(encoded(pixels), COLORS, lossy="exact", strict=True)
    assert caught.value.colors == (((201, 12, 10), 1, RED, 2),)
    assert "1 of 6 pixels" in str(caught.value)


def test_a_jpeg_of_a_color_mask_is_repaired() -> None:
    rows, columns = np.mgrid[:96, :128]
    truth = np.where((columns - 60) ** 2 + (rows - 50) ** 2 < 900, 2, np.where(rows > 60, 1, 3)).astype(np.uint8)
    legend = Legend({RED: "red", GREEN: "green", (20, 20, 220): "blue"})
    data = encoded(legend.display_colors()[truth], "JPEG", quality=75)
    found = decode_mask(data, legend)
    assert found.policy == "repair"
    assert np.mean(found.data == truth) > 0.995
    assert np.mean(decode_mask(data, legend, lossy="exact").data == truth) < 0.9
    assert sum(found.settled.values()) == truth.size


def test_lossy_grey_masks_are_read_by_the_nearest_level() -> None:
    truth = np.zeros((64, 64), np.uint8)
    truth[20:50, 10:40] = 255
    found = decode_mask(encoded(truth, "JPEG", quality=80), Legend({0: "background", 255: "polyp"}))
    assert np.mean(found["polyp"] == (truth > 0)) > 0.99


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "empty"), (b"hello", "hello|not|known"), (encoded(PICTURE)[:60], "truncated|ends|IDAT")],
)
def test_what_is_no_picture_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(DecodeError, match=said):
        decode_mask(data, COLORS)


def test_an_unknown_policy_lists_the_known() -> None:
    with pytest.raises(DecodeError, match="allowed: auto, exact, nearest, repair"):
        decode_mask(encoded(PICTURE), COLORS, lossy="guess")  # type: ignore[arg-type]


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((2, 3, 3), (1, 2, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_what_makes_a_legend_is_taken_for_one() -> None:
    assert sm.decode_mask(_png(), {(1, 2, 3): "car"}).counts() == {"car": 6}
    assert sm.decode_mask(memoryview(_png()), sm.Legend({(1, 2, 3): "car"})).counts() == {"car": 6}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": "m.png"}, "data is a str; give the bytes"),
        ({"data": None}, "data is a NoneType"),
        ({"legend": "legend.csv"}, "Legend.read"),
        ({"lossy": "best"}, "allowed: auto, exact, nearest, repair"),
        ({"tolerance": "3"}, "whole levels"),
        ({"tolerance": 3, "lossy": "exact"}, "no meaning"),
        ({"tolerance": 3, "lossy": "repair"}, "no meaning"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(change: dict[str, object], said: str) -> None:
    given: dict[str, object] = {"data": _png(), "legend": sm.Legend({(1, 2, 3): "car"}), **change}
    data, legend = given.pop("data"), given.pop("legend")
    with pytest.raises((sm.errors.DecodeError, sm.errors.LegendError), match=said):
        sm.decode_mask(data, legend, **given)  # type: ignore[arg-type]
