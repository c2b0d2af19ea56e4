"""The main job on real files: every set against an oracle written here with NumPy and Pillow, never with our decoder."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smalti as sm
from smalti.formats.folder import read_folder

pytestmark = pytest.mark.realdata


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [{k.strip(): v.strip() for k, v in row.items() if k} for row in csv.DictReader(file)]


def pixels(path: Path, mode: str | None = None) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert(mode) if mode else image)


def is_color(picture: np.ndarray, row: dict[str, str]) -> np.ndarray:
    return (picture == [int(row[c]) for c in "rgb"]).all(axis=2)


def masks_in(folder: Path, count: int) -> Iterator[Path]:
    listed = sorted(folder.glob("*.png"))
    assert len(listed) >= count
    yield from listed[:: max(1, len(listed) // count)]


@pytest.mark.parametrize("name", ["camvid_seq", "camvid_val"])
def test_camvid_colors(realdata: Path, name: str) -> None:
    legend_rows = rows_of(realdata / name / "legend.csv")
    legend = sm.Legend.read(realdata / name / "legend.csv")
    for path in masks_in(realdata / name / "masks", 4):
        seg, truth = sm.decode_mask(path.read_bytes(), legend), pixels(path)
        assert seg.policy == "exact"
        assert seg.void == 0
        for row in legend_rows:
            assert np.array_equal(seg[row["name"]], is_color(truth, row))


def test_camvid_index_and_color_form_agree_with_the_grey_values(realdata: Path) -> None:
    folder = realdata / "camvid_segnet_index"
    paths = [p for p in sorted(folder.rglob("*.png")) if pixels(p).ndim == 2][:6]
    assert paths
    legend = sm.Legend({i: f"class {i}" for i in range(12)})
    for path in paths:
        seg, truth = sm.decode_mask(path.read_bytes(), legend), pixels(path)
        assert np.array_equal(seg.data, np.where(truth < 12, truth + 1, 0))


def test_coco_panoptic_segments_agree_with_the_annotation(realdata: Path) -> None:
    folder = realdata / "coco_panoptic"
    annotation = json.loads((folder / "panoptic.json").read_text())
    names = {c["id"]: c["name"] for c in json.loads((folder / "panoptic_coco_categories.json").read_text())}
    segments = annotation["annotations"][0]["segments_info"]
    legend = sm.Legend({s["id"]: names[s["category_id"]] for s in segments}, kind="ids", scheme="coco")
    seg = sm.decode_mask((folder / "panoptic_examples" / "000000142238.png").read_bytes(), legend)
    assert {s.id: s.pixels for s in seg.segments()} == {s["id"]: s["area"] for s in segments}
    assert {s.id: list(s.box2d_xywh) for s in seg.segments()} == {s["id"]: s["bbox"] for s in segments}
    assert {s.id: s.label for s in seg.segments()} == {s["id"]: names[s["category_id"]] for s in segments}
    assert seg.void == 2712
    rgb = pixels(folder / "panoptic_examples" / "000000142238.png").astype(np.uint32)
    assert np.array_equal(seg.ids, rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2])


def test_cityscapes_class_of_every_instance_is_its_label_id(realdata: Path) -> None:
    folder = realdata / "cityscapes"
    rows = [row for row in rows_of(folder / "cityscapes_legend.csv") if int(row["id"]) >= 0]
    legend = sm.Legend.read(folder / "cityscapes_legend.csv", kind="ids", scheme="cityscapes")
    index = sm.Legend.read(folder / "cityscapes_legend.csv", kind="indices")
    for path in sorted((folder / "test_inst").glob("*.png"))[:3]:
        label_path = folder / "test_label" / path.name.replace("instanceIds", "labelIds")
        labels = pixels(label_path)
        seg, classes = sm.decode_mask(path.read_bytes(), legend), sm.decode_mask(label_path.read_bytes(), index)
        assert np.array_equal(seg.ids, pixels(path))
        for row in rows:
            truth = labels == int(row["id"])
            assert classes.counts()[row["name"]] == truth.sum()
            if truth.any():
                assert np.array_equal(seg[row["name"]], truth)
                assert np.array_equal(classes[row["name"]], truth)
        assert {s.id for s in seg.segments()} == set(np.unique(pixels(path)).tolist())


def test_cityscapes_shared_colors_are_an_error_or_reported(realdata: Path) -> None:
    path = realdata / "cityscapes" / "cityscapes_legend.csv"
    with pytest.raises(sm.errors.LegendError, match="'unlabeled' in one entry and 'ego vehicle' in another"):
        sm.Legend.read(path)
    assert len(sm.Legend.read(path, shared="merge").merged) == 3


def test_voc_palette_grey_and_color_forms_agree(realdata: Path) -> None:
    folder = realdata / "voc"
    rows = rows_of(folder / "voc_legend.csv")
    legend = sm.Legend.read(folder / "voc_legend.csv")
    for path in sorted((folder / "voc_aug").glob("2007_*.png"))[:4]:
        indices, seg = pixels(path), sm.decode_mask(path.read_bytes(), legend)
        assert seg.mode == "P"
        assert seg.counts()["aeroplane"] == (indices == 1).sum()
        for row in rows:
            assert np.array_equal(seg[row["name"]], indices == int(row["index"]))
        border = next(row["name"] for row in rows if row["index"] == "255")
        assert seg.counts()[border] == (indices == 255).sum() > 0
    palette = sm.decode_mask((folder / "fcn_demo" / "label.png").read_bytes(), legend)
    grey_path = next((folder / "grey_index_same_image").glob("*.png"))
    assert np.array_equal(palette.data, sm.decode_mask(grey_path.read_bytes(), legend).data)


def test_ade20k_classes_and_instances(realdata: Path) -> None:
    path = next((realdata / "ade20k").rglob("*_seg.png"))
    seg = sm.decode_mask(path.read_bytes(), sm.Legend(scheme="ade20k"))
    rgb = pixels(path).astype(np.int64)
    classes, instances = rgb[..., 0] // 10 * 256 + rgb[..., 1], rgb[..., 2]
    assert np.array_equal(seg.ids, classes * 256 + instances)
    assert {s.id for s in seg.segments()} == set(np.unique(classes * 256 + instances).tolist()) - {0}
    assert seg.void == ((classes * 256 + instances) == 0).sum()


def test_bdd100k_alpha_is_data(realdata: Path) -> None:
    masks = [
        p for p in sorted((realdata / "bdd100k_rgba").rglob("*.png")) if pixels(p).ndim == 3 and pixels(p).shape[2] == 4
    ]
    assert len(masks) >= 5
    for path in masks:
        rgba = pixels(path).astype(np.uint32)
        packed = rgba[..., 0] << 24 | rgba[..., 1] << 16 | rgba[..., 2] << 8 | rgba[..., 3]
        legend = sm.Legend(
            {int(c): f"category {c}" for c in np.unique(rgba[..., 0]) if c}, kind="ids", scheme="bdd100k"
        )
        seg = sm.decode_mask(path.read_bytes(), legend)
        assert np.array_equal(seg.ids, packed)
        for category in np.unique(rgba[..., 0]):
            if category:
                assert np.array_equal(seg[f"category {category}"], rgba[..., 0] == category)


def test_slag_legend_off_by_one_is_said_in_words_and_mended_by_tolerance(realdata: Path) -> None:
    folder = realdata / "slag_legend_off_by_one"
    rows = rows_of(folder / "class_dict.csv")
    legend = sm.Legend.read(folder / "class_dict.csv")
    found = read_folder(folder)
    assert len(found.pairs) == 15
    for _, path in found.pairs[::5]:
        truth = pixels(path, "RGB").astype(int)
        near = [np.abs(truth - [int(row[c]) for c in "rgb"]).max(axis=2) <= 2 for row in rows]
        seg = sm.decode_mask(path.read_bytes(), legend, lossy="nearest", tolerance=2)
        assert seg.void == 0
        assert all(np.array_equal(seg[row["name"]], inside) for row, inside in zip(rows, near, strict=True))
        exact = sm.decode_mask(path.read_bytes(), legend, lossy="exact")
        assert exact.void == truth.shape[0] * truth.shape[1] - is_color(truth, rows[4]).sum()
    report = sm.check(folder)
    off = [f for f in report.findings if f.code == "legend-off"]
    assert len(off) == 15
    assert all("the legend is off by" in f.message for f in off)
    assert not report.ok
    assert len([f for f in report.findings if f.code == "alpha-hides-labels"]) == 1


def test_davis_palettes_are_object_numbers(realdata: Path) -> None:
    for path in sorted((realdata / "davis17_palette").rglob("*.png"))[::16]:
        indices, seg = pixels(path), sm.decode_mask(path.read_bytes(), None)
        assert np.array_equal(seg.ids, indices)
        assert {s.id: s.pixels for s in seg.segments()} == {
            int(i): int((indices == i).sum()) for i in np.unique(indices) if i
        }


def test_davis_car_shadow_is_grey_0_and_255(realdata: Path) -> None:
    grey = sorted((realdata / "davis_car_shadow").rglob("*.png"))[::10]
    for path in grey:
        seg = sm.decode_mask(path.read_bytes(), sm.Legend({(255, 255, 255): "car"}))
        assert np.array_equal(seg["car"], pixels(path) == 255)


def test_vipseg_masks_of_many_objects(realdata: Path) -> None:
    (path,) = (realdata / "vipseg_many_objects" / "masks").glob("*.png")
    seg = sm.decode_mask(path.read_bytes(), None)
    assert np.array_equal(seg.ids, pixels(path))
    assert len(seg.segments()) + (pixels(path) == 0).any() == 45
    for mask in sorted((realdata / "vipseg_deva" / "source").rglob("*.png")):
        listed = {o["id"] for o in json.loads(mask.with_suffix(".json").read_text())}
        found = sm.decode_mask(mask.read_bytes(), None)
        assert np.array_equal(found.ids, pixels(mask))
        assert {s.id for s in found.segments()} <= listed | set(np.unique(pixels(mask)).tolist())


def test_nuclei_in_sixteen_bit_tiff(realdata: Path) -> None:
    path = realdata / "tiff_instance_stardist" / "mask2d.tif"
    truth = pixels(path)
    seg = sm.decode_mask(path.read_bytes(), None)
    assert np.array_equal(seg.ids, truth)
    assert len(seg.segments()) == len(np.unique(truth)) - 1


def test_jpeg_masks_of_polyps(realdata: Path) -> None:
    for path in sorted((realdata / "jpeg_masks_kvasir" / "masks").glob("*.jpg")):
        truth = pixels(path, "L") >= 128
        seg = sm.decode_mask(path.read_bytes(), sm.Legend({(0, 0, 0): "background", (255, 255, 255): "polyp"}))
        assert seg.policy == "repair"
        assert np.mean(seg["polyp"] == truth) > 0.999
        assert (
            sm.decode_mask(path.read_bytes(), sm.Legend({(255, 255, 255): "polyp"}), lossy="exact").counts()["polyp"]
            < truth.sum()
        )


def test_colour_maps_damaged_by_jpeg(realdata: Path) -> None:
    folder = realdata / "lossy_colour_masks"
    rows = rows_of(folder / "modes.csv")[:8]
    legend = sm.Legend({tuple(int(row[c]) for c in "rgb"): row["name"] for row in rows})
    truth = pixels(folder / "1-inputs.png", "RGB").astype(int)
    distance = np.stack([((truth - [int(row[c]) for c in "rgb"]) ** 2).sum(axis=2) for row in rows])
    seg = sm.decode_mask((folder / "1-inputs.png").read_bytes(), legend)
    assert seg.policy == "repair"
    exact = distance.min(axis=0) == 0
    assert 0.2 < exact.mean() < 0.7
    # Where the damage left a colour whole inside an area, repair keeps it; and it explains nearly everything.
    inner = exact.copy()
    for shift in (1, -1):
        for axis in (0, 1):
            inner &= np.roll(distance.argmin(axis=0), shift, axis) == distance.argmin(axis=0)
    assert np.mean((seg.data == distance.argmin(axis=0) + 1)[inner]) > 0.99
    assert seg.void / seg.data.size < 0.1


def test_mattes_are_alpha(realdata: Path) -> None:
    folder = realdata / "mattes_pymatting"
    frame = sm.SingleFrame(
        str(folder / "test" / "test.png"), masks_source={"rgba": str(folder / "test" / "logo_rgba.png")}
    )
    frame.masks_source = {
        "cut": str(folder / "test" / "logo_rgba.png"),
        "tri": str(folder / "lemur" / "lemur_trimap.png"),
    }
    assert np.array_equal(frame.alpha("cut"), pixels(folder / "test" / "logo_rgba.png")[..., 3])
    trimap = pixels(folder / "lemur" / "lemur_trimap.png")
    assert np.array_equal(frame.alpha("tri"), trimap[..., 3] if trimap.ndim == 3 and trimap.shape[2] == 4 else trimap)
    frame.source_record.masks[0].encoding = "alpha"
    with pytest.raises(sm.errors.DecodeError, match="alpha mask"):
        frame.label_map("cut")


def test_palette_whose_legend_knows_only_colors(realdata: Path) -> None:
    folder = realdata / "palette_vs_classdict"
    rows = rows_of(folder / "class_dict.csv")
    legend = sm.Legend.read(folder / "class_dict.csv")
    void = 0
    for path in sorted((folder / "masks").glob("*.png")):
        rgb, seg = pixels(path, "RGB"), sm.decode_mask(path.read_bytes(), legend)
        for row in rows:
            assert np.array_equal(seg[row["name"]], is_color(rgb, row))
        void += seg.void
    assert void == 12379


def test_a_real_mask_video_shows_the_picture_of_its_time(realdata: Path) -> None:
    folder = realdata / "videos"
    clip = folder / "pyscenedetect" / "counter.mp4"
    truths = sorted((folder / "pyscenedetect" / "counter").glob("*.png"))
    assert truths
    frame = sm.SingleFrame(str(clip), timestamp=300)
    seen = frame.image().astype(int)
    errors = {
        path.name: float(np.abs(seen - pixels(path, "RGB")).mean())
        for path in truths
        if pixels(path).shape[:2] == seen.shape[:2]
    }
    best = min(errors, key=errors.__getitem__)
    assert errors[best] < 6
    frame = sm.SingleFrame(str(clip), masks_source={"m": str(folder / "moviepy" / "example_mask.mp4")})
    frame.source_record.masks[0].timestamp = 1000
    seg = frame.label_map(legend=sm.Legend({(0, 0, 0): "out", (255, 255, 255): "in"}))
    assert seg.pts_ms == pytest.approx(1000, abs=17)
    assert seg.counts()["in"] > 0
    frame.source_record.masks[0].timestamp = 20_000
    with pytest.raises(sm.errors.TimestampError, match="20000"):
        frame.label_map(legend=sm.Legend({(0, 0, 0): "out", (255, 255, 255): "in"}))
    clamped = frame.label_map(legend=sm.Legend({(0, 0, 0): "out", (255, 255, 255): "in"}), clamp=True)
    assert any("outside the clip" in note for note in clamped.notes)


def test_frames_of_a_real_sequence_through_import_and_check(realdata: Path, tmp_path: Path) -> None:
    found = read_folder(realdata / "camvid_seq", images="frames_jpg", masks="masks")
    frames = [frame for frame in found.annotated() if frame.source]
    assert len(frames) == 24
    report = sm.check(frames)
    assert report.ok
    assert {f.code for f in report.findings} <= {"legend-entry-unused"}
    seg = frames[0].label_map()
    truth = pixels(found.pairs[0][1])
    assert seg.counts()["Car"] == is_color(truth, {"r": "64", "g": "0", "b": "128"}).sum()
