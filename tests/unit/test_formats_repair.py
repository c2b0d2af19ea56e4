"""Repair: each fault on its own, the clean mask as the oracle; what nothing explains keeps its value; ids stay."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from smalti.cli import main
from smalti.codecs import decode_still
from smalti.convert import png_bytes
from smalti.errors import DecodeError, FrameError
from smalti.formats.building import frame_of, mask_of
from smalti.legend import Entry, Legend, voc_color
from smalti.reading import read_frames
from smalti.repairing import repair_frames, repair_raster

COLORS = Legend({(128, 64, 128): "road", (0, 0, 142): "car", (70, 130, 180): "sky"})
INDICES = Legend({1: "road", 2: "car", 3: "sky"})


def numbers() -> np.ndarray:
    """(60, 80) 1..3: a sky, a road, cars."""
    found = np.full((60, 80), 3, np.uint8)
    found[30:] = 1
    found[35:50, 10:34] = found[33:40, 50:70] = 2
    return found


def clean() -> np.ndarray:
    return np.array([[0, 0, 0], *(e.color for e in COLORS)], np.uint8)[numbers()]


def test_a_clean_mask_has_no_faults() -> None:
    found = repair_raster(decode_still(png_bytes(clean())), COLORS, size_hw=(60, 80))
    assert (found.faults, found.exact_before, found.explained_after, found.changed) == ([], 1.0, 1.0, 0)
    assert np.array_equal(found.samples, clean())


def test_jpeg_colours_become_the_legend_s() -> None:
    buffer = io.BytesIO()
    Image.fromarray(clean()).save(buffer, "JPEG", quality=85, subsampling=0)
    found = repair_raster(decode_still(buffer.getvalue()), COLORS)
    assert found.faults == ["lossy-colors"]
    assert found.exact_before < 0.99
    assert found.explained_after == 1.0
    assert (found.samples == clean()).all(axis=2).mean() > 0.99


def test_blended_edges_become_one_side_or_the_other() -> None:
    blurred = np.array(Image.fromarray(clean()).filter(ImageFilter.GaussianBlur(0.6)))
    strange = (blurred != clean()).any(axis=2)
    assert 0 < strange.mean() < 0.2
    found = repair_raster(decode_still(png_bytes(blurred)), COLORS)
    assert len(found.faults) == 1
    assert found.faults[0] in ("anti-aliased", "lossy-colors")
    colors = {tuple(c) for c in found.samples.reshape(-1, 3).tolist()}
    assert colors == {e.color for e in COLORS}
    assert (found.samples == clean()).all(axis=2).mean() > 0.98
    assert (found.samples == clean()).all(axis=2)[~strange].all()


def test_a_legend_that_misses_by_a_level_is_met() -> None:
    off = (clean().astype(int) + np.array([1, 0, -1])).clip(0, 255).astype(np.uint8)
    found = repair_raster(decode_still(png_bytes(off)), COLORS)
    assert found.faults == ["legend-off"]
    assert found.exact_before == 0.0
    assert np.array_equal(found.samples, clean())


def test_alpha_noise_goes_and_the_colour_under_it_counts() -> None:
    alpha = np.full((60, 80, 1), 255, np.uint8)
    alpha[3, 4] = 0
    found = repair_raster(decode_still(png_bytes(np.dstack([clean(), alpha]))), COLORS)
    assert found.faults == ["alpha-noise"]
    assert np.array_equal(found.samples, clean())


def test_palette_colours_become_indices_again() -> None:
    painted = np.array([voc_color(i) for i in range(4)], np.uint8)[numbers()]
    found = repair_raster(decode_still(png_bytes(painted)), INDICES)
    assert found.faults == ["palette-as-rgb"]
    assert np.array_equal(found.samples, numbers())
    with pytest.raises(DecodeError, match="no color of the VOC palette"):
        repair_raster(decode_still(png_bytes(np.full((4, 4, 3), (1, 2, 3), np.uint8))), INDICES)


def test_indices_are_shifted_only_on_request() -> None:
    shifted = numbers() + np.uint8(1)
    left = repair_raster(decode_still(png_bytes(shifted)), INDICES)
    assert left.faults == []
    assert left.explained_after < 1
    moved = repair_raster(decode_still(png_bytes(shifted)), INDICES, shift=True)
    assert moved.faults == ["index-shift"]
    assert np.array_equal(moved.samples, numbers())


@pytest.mark.parametrize("size", [(59, 80), (61, 80), (60, 79), (61, 82)])
def test_a_row_too_many_is_cut_and_one_too_few_repeated(size: tuple[int, int]) -> None:
    found = repair_raster(decode_still(png_bytes(clean())), COLORS, size_hw=size)
    assert found.faults == ["size-off"]
    assert found.samples.shape[:2] == size
    height, width = min(60, size[0]), min(80, size[1])
    assert np.array_equal(found.samples[:height, :width], clean()[:height, :width])
    assert np.array_equal(found.samples[-1, :width], clean()[height - 1, :width])


def test_a_size_that_is_no_slip_is_refused() -> None:
    with pytest.raises(DecodeError, match="more than a slip"):
        repair_raster(decode_still(png_bytes(clean())), COLORS, size_hw=(60, 90))


def test_what_nothing_explains_keeps_its_value() -> None:
    area, line = clean(), clean()
    area[40:58, 60:78] = (250, 250, 0)
    line[52, :] = (250, 250, 0)  # thin as an edge, but a mix of nothing: a class that the legend lacks
    for strange, count in ((area, 18 * 18), (line, 80)):
        found = repair_raster(decode_still(png_bytes(strange)), COLORS)
        assert found.faults == []
        assert np.array_equal(found.samples, strange)
        assert found.explained_after == 1 - count / 4800


def test_ids_are_never_repaired(tmp_path: Path) -> None:
    ids = numbers().astype(np.uint16) * 1000
    path = tmp_path / "ids.png"
    path.write_bytes(png_bytes(ids))
    legend = Legend.from_entries([Entry(("car",), code=2)], kind="ids", scheme="cityscapes")
    frame = frame_of("a", None, masks=[mask_of(path, "ids", "instance16")], legends={"ids": legend})
    ((twin, rows),) = repair_frames([frame], tmp_path / "out")
    assert twin.masks_source == frame.masks_source
    assert rows[0].note.startswith("ids and alpha")
    with pytest.raises(DecodeError, match="never repaired"):
        repair_raster(decode_still(png_bytes(ids)), legend)


def test_the_command_writes_copies_a_report_and_frames_that_point_to_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("images", "masks"):
        (tmp_path / "in" / name).mkdir(parents=True)
    off = (clean().astype(int) + 1).clip(0, 255).astype(np.uint8)
    for stem, pixels in (("a", off), ("b", clean())):
        Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(tmp_path / "in" / "images" / f"{stem}.png")
        (tmp_path / "in" / "masks" / f"{stem}.png").write_bytes(png_bytes(pixels))
    rows = "".join(f"{r} {g} {b}\t{name}\n" for (r, g, b), name in ((e.color, e.labels[0]) for e in COLORS if e.color))
    (tmp_path / "in" / "label_colors.txt").write_text(rows)
    before = {p: p.read_bytes() for p in (tmp_path / "in").rglob("*") if p.is_file()}
    with pytest.raises(SystemExit) as left:
        main(["repair", str(tmp_path / "in"), str(tmp_path / "out"), "--json"])
    assert left.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["repaired"], told["clean"], told["faults"]) == (1, 1, {"legend-off": 1})
    assert told["exact_before"] == 0.0
    assert told["explained_after"] == 1.0
    assert before == {p: p.read_bytes() for p in (tmp_path / "in").rglob("*") if p.is_file()}
    frames = {frame.id: frame for frame in read_frames(tmp_path / "out" / "frames.jsonl")}
    for frame in frames.values():
        assert frame.label_map().settled == {"exact": 4800, "void": 0}
    assert frames["b"].mask_source == str(tmp_path / "in" / "masks" / "b.png")
    with Image.open(frames["a"].mask_source) as picture:
        assert np.array_equal(np.array(picture), clean())


def test_a_repair_never_writes_over_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FrameError, match="not empty"):
        list(repair_frames([], tmp_path))
