"""One representation into another and back: exact, or refused with a reason."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from smalti import convert
from smalti.errors import DecodeError, LegendError
from smalti.ids import SCHEMES
from smalti.legend import Entry, Legend

LEGEND = Legend.from_entries(
    [Entry(("road",), (128, 64, 128), 7), Entry(("car",), (0, 0, 142), 26), Entry(("far",), (1, 2, 3), 300)]
)


def blocks(values: list[int], dtype: type = np.uint32) -> np.ndarray:
    draw = np.random.default_rng(0)
    return np.kron(draw.choice(values, (6, 8)), np.ones((5, 7), int)).astype(dtype)


def test_indices_and_colours_lead_to_each_other() -> None:
    indices = blocks([7, 26, 300], np.uint16)
    colors = convert.indices_to_rgb(indices, LEGEND)
    assert (colors[indices == 26] == (0, 0, 142)).all()
    back = convert.rgb_to_indices(colors, LEGEND)
    assert np.array_equal(back, indices)
    assert back.dtype == np.uint16


def test_the_dtype_follows_from_the_largest_number_not_from_how_many() -> None:
    two = Legend.from_entries([Entry(("a",), (0, 0, 0), 0), Entry(("b",), (9, 9, 9), 300)])
    found = convert.rgb_to_indices(np.full((2, 2, 3), 9, np.uint8), two)
    assert found.tolist() == [[300, 300], [300, 300]]


def test_what_has_no_way_back_is_refused() -> None:
    with pytest.raises(LegendError, match="index \\[9\\] occurs"):
        convert.indices_to_rgb(np.array([[7, 9]], np.uint8), LEGEND)
    with pytest.raises(LegendError, match="on 2 pixels and in no entry"):
        convert.rgb_to_indices(np.full((1, 2, 3), 200, np.uint8), LEGEND)
    shared = Legend.from_entries([Entry(("a",), (5, 5, 5), 1), Entry(("b",), (5, 5, 5), 2)], kind="indices")
    with pytest.raises(LegendError, match="stands for 1 and 2"):
        convert.indices_to_rgb(np.array([[1]], np.uint8), shared)


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_ids_survive_their_samples(scheme: str) -> None:
    ids = blocks([0, 1, 255, 256, 512, 26001, 65535])
    samples = convert.ids_to_samples(ids, scheme)
    assert np.array_equal(convert.samples_to_ids(samples, scheme), ids)
    picture = Image.open(io.BytesIO(convert.png_bytes(samples)))
    assert np.array_equal(convert.samples_to_ids(np.array(picture), scheme), ids)


def test_ids_that_do_not_fit_are_refused_and_never_wrap() -> None:
    with pytest.raises(DecodeError, match="largest is 65535"):
        convert.ids_to_samples(np.array([[65536]], np.uint32), "cityscapes")
    with pytest.raises(DecodeError, match="16777215"):
        convert.ids_to_samples(np.array([[1 << 24]], np.uint32), "coco")
    with pytest.raises(DecodeError, match="up to 65535"):
        convert.png_bytes(np.array([[70000]], np.uint32))


def test_segments_are_what_numpy_counts() -> None:
    ids = blocks([0, 5, 70000, 0xFFFFFF])
    samples = convert.ids_to_samples(ids, "coco")
    expected = []
    for number in (5, 70000, 0xFFFFFF):
        rows, columns = np.nonzero(ids == number)
        box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        expected.append((number, len(rows), tuple(int(v) for v in box)))
    for given in (samples, convert.png_bytes(samples)):
        found = convert.panoptic_segments(given)
        assert [(s.id, s.area, s.box2d_xywh) for s in found] == expected
    found = [s for s in convert.segments_of_ids(ids) if s.id]
    assert [(s.id, s.area, s.box2d_xywh) for s in found] == expected


def test_segments_of_an_rgba_mask_need_its_alpha() -> None:
    ids = blocks([0, 3 << 24 | 1, 3 << 24 | 256])
    data = convert.png_bytes(convert.ids_to_samples(ids, "bdd100k"))
    assert [s.id for s in convert.panoptic_segments(data, "bdd100k")] == [3 << 24 | 1, 3 << 24 | 256]


def test_masks_run_lengths_and_polygons_lead_to_each_other() -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[3:20, 5:30] = 1
    mask[8:12, 10:15] = 0
    assert np.array_equal(convert.rle_to_mask(convert.mask_to_rle(mask)), mask)
    kept = convert.mask_to_polygons(mask)
    flat = [v for i, ring in enumerate(kept) for v in ([-999999999.0] if i else []) + ring]
    assert np.array_equal(convert.polygons_to_mask(flat, (30, 40), rule="even-odd"), mask)
    (one,) = convert.mask_to_polygons(mask, holes="bridge")
    assert np.array_equal(convert.polygons_to_mask(one, (30, 40)), mask)
    (filled,) = convert.mask_to_polygons(mask, holes="drop")
    assert convert.polygons_to_mask(filled, (30, 40)).sum() == 17 * 25


def test_a_palette_png_stores_the_indices() -> None:
    samples = blocks([0, 3, 255], np.uint8)
    palette = np.arange(768, dtype=np.uint8).reshape(256, 3)
    picture = Image.open(io.BytesIO(convert.png_bytes(samples, palette)))
    assert picture.mode == "P"
    assert np.array_equal(np.array(picture), samples)
    assert picture.getpalette()[9:12] == [9, 10, 11]


@pytest.mark.parametrize(("codec", "ending"), [("ffv1", ".mkv"), ("libx264rgb", ".mp4")])
def test_mask_video_gives_every_value_back(tmp_path: Path, codec: str, ending: str) -> None:
    draw = np.random.default_rng(1)
    pictures = [np.kron(draw.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1), int)).astype(np.uint8) for _ in range(5)]
    path = tmp_path / f"mask{ending}"
    assert convert.write_mask_video(path, iter(pictures), codec=codec, rate=10) == 5
    with av.open(str(path)) as container:
        back = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert all(np.array_equal(one, two) for one, two in zip(pictures, back, strict=True))


def test_costs_say_which_codecs_are_exact(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    picture = np.kron(draw.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1), int)).astype(np.uint8)
    found = {cost.codec: cost for cost in convert.video_costs([picture, picture], tmp_path)}
    assert found["ffv1"].is_exact
    assert found["libx264rgb qp 0"].is_exact
    assert not found["h264 4:2:0 crf 23"].is_exact
    assert found["h264 4:2:0 crf 23"].strange_colors > 0
    assert list(tmp_path.iterdir()) == []


def test_a_clip_needs_pictures_of_one_size(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="no pictures"):
        convert.write_mask_video(tmp_path / "a.mkv", [])
    sizes = [np.zeros((16, 16, 3), np.uint8), np.zeros((16, 18, 3), np.uint8)]
    with pytest.raises(DecodeError, match="picture 1 is"):
        convert.write_mask_video(tmp_path / "b.mkv", sizes)
