"""Every layout that can be written: it is told from the others, it comes back as it went in, and it says what it lost."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO

from smalti import formats, wire
from smalti.errors import ExportLoss, FrameError
from smalti.formats.building import explained, frame_of, mask_of, polygon_roi, rle_roi
from smalti.formats.protocol import Reading, Writing
from smalti.frames import FrameGroup, SingleFrame
from smalti.legend import Entry, Legend
from smalti.roundtrip import export, prove

NAMES = {7: "road", 23: "sky", 26: "car", 24: "person"}
SIZE = (40, 60)
SHAPE_LAYOUTS = ("coco", "labelme", "cvat", "label-studio", "supervisely", "datumaro", "yolo")

Frames = Callable[[], Iterator[SingleFrame]]


def scene(number: int) -> np.ndarray:
    """(40, 60) Cityscapes ids: a sky, a road, cars that touch, one person in two parts; row 39 is nothing."""
    ids = np.zeros(SIZE, np.uint16)
    ids[:20], ids[20:39] = 23, 7
    ids[22:30, 5 + number : 15], ids[22:30, 15:25] = 26001, 26002
    ids[25:28, 40:44] = ids[30:35, 41:43] = 24003
    return ids


def pixels_by_label() -> dict[str, int]:
    classes = np.stack([np.where(s >= 1000, s // 1000, s) for s in map(scene, range(3))])
    return {name: int((classes == code).sum()) for code, name in NAMES.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    for number in range(3):
        picture = np.full((*SIZE, 3), 40 * number, np.uint8)
        Image.fromarray(picture).save(folder / f"s{number}.png")
        Image.fromarray(scene(number)).save(folder / f"s{number}_ids.png")
        classes = np.where(scene(number) >= 1000, scene(number) // 1000, scene(number)).astype(np.uint8)
        Image.fromarray(classes).save(folder / f"s{number}_classes.png")
    return folder


def by_ids(data: Path) -> Iterator[SingleFrame]:
    legend = Legend.from_entries([Entry((n,), code=c) for c, n in NAMES.items()], kind="ids", scheme="cityscapes")
    for number in range(3):
        mask = mask_of(data / f"s{number}_ids.png", "ids", "instance16", SIZE)
        yield frame_of(f"s{number}", data / f"s{number}.png", masks=[mask], legends={"ids": legend}, size_hw=SIZE)


def by_classes(data: Path) -> Iterator[SingleFrame]:
    legend = Legend.from_entries([Entry((n,), code=c) for c, n in NAMES.items()], kind="indices")
    for number in range(3):
        mask = mask_of(data / f"s{number}_classes.png", "seg", "index", SIZE)
        yield frame_of(f"s{number}", data / f"s{number}.png", masks=[mask], legends={"seg": legend}, size_hw=SIZE)


def by_shapes(data: Path) -> Iterator[SingleFrame]:
    for number in range(3):
        ring = [4.5 + number, 5.2, 30.3, 6.1, 28.7, 30.9, 12.0, 33.3]
        over = [20.0, 20.0, 50.0, 20.0, 50.0, 36.0, 20.0, 36.0]
        blob = np.zeros(SIZE, np.uint8)
        blob[3:9, 45:55] = 1
        blob[5:7, 48:52] = 0
        rle = {"size": list(SIZE), "counts": coco.encode(np.asfortranarray(blob))["counts"].decode()}
        rois = [
            polygon_roi([ring], ["car"], roi_id=f"1{number}"),
            polygon_roi([over, [1.0, 1.0, 3.0, 1.0, 3.0, 3.0]], ["person"], roi_id=f"2{number}"),
            rle_roi(rle, (45, 3, 10, 6), ["car"], roi_id=f"3{number}"),
        ]
        yield frame_of(f"s{number}", data / f"s{number}.png", rois=rois, size_hw=SIZE)


@pytest.mark.parametrize("name", formats.writable())
def test_a_mask_of_objects_comes_back(data: Path, tmp_path: Path, name: str) -> None:
    proof = export(lambda: by_ids(data), name, tmp_path / "out")
    assert (proof.frames, proof.read_back, proof.missing) == (3, 3, [])
    expected = pixels_by_label()
    assert {r.label: (r.before, r.after) for r in proof.rows()} == {name: (n, n) for name, n in expected.items()}
    assert proof.is_exact
    assert proof.objects == 9
    assert proof.objects_back == 9 or "ids" in proof.ledger.losses or "instances" in proof.ledger.losses
    seen = formats.detect(tmp_path / "out")[0]
    assert seen.format == name
    assert seen.reasons


@pytest.mark.parametrize("name", formats.writable())
def test_a_mask_of_classes_comes_back(data: Path, tmp_path: Path, name: str) -> None:
    proof = export(lambda: by_classes(data), name, tmp_path / "out")
    assert proof.is_exact
    assert proof.read_back == 3
    assert {r.label for r in proof.rows()} == set(NAMES.values())


@pytest.mark.parametrize("name", SHAPE_LAYOUTS)
def test_overlapping_objects_come_back_where_the_layout_lists_them(data: Path, tmp_path: Path, name: str) -> None:
    proof = export(lambda: by_shapes(data), name, tmp_path / "out")
    assert proof.is_exact
    assert "overlap" not in proof.ledger.losses
    assert proof.objects_back == 9 or "ids" in proof.ledger.losses


@pytest.mark.parametrize("name", [n for n in formats.writable() if n not in SHAPE_LAYOUTS])
def test_one_label_a_pixel_loses_overlaps_and_says_how_many(data: Path, tmp_path: Path, name: str) -> None:
    proof = export(lambda: by_shapes(data), name, tmp_path / "out")
    # The oracle: pixels of the second object that the first one has, too, by pycocotools.
    covered = 0
    for frame in by_shapes(data):
        one, two = (
            coco.decode(coco.merge(coco.frPyObjects(roi, *SIZE)))
            for roi in ([frame.record.rois[0].poly], [frame.record.rois[1].poly[:8], frame.record.rois[1].poly[9:]])
        )
        covered += int((one & two).sum())
    assert proof.ledger.losses["overlap"].count == covered > 0
    assert not proof.is_exact
    worst = proof.rows()[0]
    assert worst.label == "car"
    assert worst.before - worst.after == covered


test_one_label_a_pixel_loses_overlaps_and_says_how_many = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)(test_one_label_a_pixel_loses_overlaps_and_says_how_many)


def test_a_target_that_lacks_a_label_says_so_and_strict_raises(data: Path, tmp_path: Path) -> None:
    def renamed() -> Iterator[SingleFrame]:
        for frame in by_classes(data):
            legend = frame.mask_labels["seg"]
            rows = [Entry(("unicorn",), code=e.code) if e.labels == ("car",) else e for e in legend]
            frame.mask_labels = {"seg": Legend.from_entries(rows, kind="indices")}
            yield frame

    with pytest.raises(ExportLoss, match="unicorn") as caught:
        export(renamed, "cityscapes", tmp_path / "out", strict=True)
    assert any("IoU 0.0000" in sentence for sentence in caught.value.losses)
    # The output is kept to be looked at, and what it has is right.
    proof = prove(renamed(), "cityscapes", tmp_path / "out")
    assert {r.label: r.iou for r in proof.rows()} == {"unicorn": 0.0, "road": 1.0, "sky": 1.0, "person": 1.0}
    assert export(renamed, "cityscapes", tmp_path / "again", strict=True, allow=["labels"]).frames == 3


def test_strict_is_content_where_nothing_is_lost(data: Path, tmp_path: Path) -> None:
    assert export(lambda: by_ids(data), "coco-panoptic", tmp_path / "a", strict=True).is_lossless
    assert export(lambda: by_shapes(data), "coco", tmp_path / "b", strict=True).is_lossless


def test_everything_that_a_record_says_is_missed(data: Path, tmp_path: Path) -> None:
    def rich() -> Iterator[SingleFrame]:
        for frame in by_shapes(data):
            frame.metadata["weather"] = "rain"
            frame.record.timestamp, frame.record.context_id = 40, "drive"
            frame.record.rois[0].label.append("vehicle")
            frame.record.rois[0].confidence = 0.5
            frame.record.rois[1].meta["occluded"] = True
            frame.add_annotation(box2d_xywh=[1, 2, 3, 4], labels=["sign"])
            frame.add_annotation(points2d_xy=[1, 2, 3, 4], labels=["nose"])
            frame.add_annotation(ellipse2d_xyrrt=[30, 20, 5, 3, 0.1], labels=["wheel"])
            yield frame

    proof = export(rich, "voc", tmp_path / "out")
    found = {row.topic: row.count for row in proof.ledger.rows()}
    assert found.pop("overlap") > 0
    assert found == {
        "multi-label": 3,
        "ids": found["ids"],
        "confidence": 3,
        "metadata": 3,
        "roi-metadata": 3,
        "boxes": 3,
        "points": 3,
        "ellipses": 3,
        "pixels": 3,
        "timestamp": 3,
        "context": 3,
    }
    told = json.loads(proof.to_json())
    assert {row["topic"] for row in told["losses"]} == {*found, "overlap"}
    assert all(row["example"] and row["meaning"] for row in told["losses"])


def test_an_export_never_writes_over_what_is_there(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FrameError, match="not empty"):
        export(lambda: by_ids(data), "voc", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_frames_that_do_not_come_back_are_named(data: Path, tmp_path: Path) -> None:
    export(lambda: by_ids(data), "voc", tmp_path / "out")
    (tmp_path / "out" / "SegmentationClass" / "s1.png").unlink()
    (tmp_path / "out" / "SegmentationObject" / "s1.png").unlink()
    proof = prove(by_ids(data), "voc", tmp_path / "out")
    assert proof.missing == ["s1"]
    assert not proof.is_exact


def test_a_changed_pixel_is_seen(data: Path, tmp_path: Path) -> None:
    export(lambda: by_classes(data), "folder", tmp_path / "out")
    path = tmp_path / "out" / "masks" / "s0.png"
    pixels = np.array(Image.open(path))
    assert pixels[5, 5] == 23
    pixels[5, 5] = 7
    Image.fromarray(pixels).save(path)
    proof = prove(by_classes(data), "folder", tmp_path / "out")
    expected = pixels_by_label()
    assert {r.label: (r.both, r.either) for r in proof.rows() if r.iou < 1} == {
        "sky": (expected["sky"] - 1, expected["sky"]),
        "road": (expected["road"], expected["road"] + 1),
    }


def test_images_are_linked_copied_or_left(data: Path, tmp_path: Path) -> None:
    for how in ("link", "copy", "none"):
        export(lambda: by_ids(data), "voc", tmp_path / how, options=Writing(images=how))  # type: ignore[arg-type]
    linked, copied = tmp_path / "link" / "JPEGImages" / "s0.png", tmp_path / "copy" / "JPEGImages" / "s0.png"
    assert linked.is_symlink()
    assert linked.resolve() == (data / "s0.png").resolve()
    assert not copied.is_symlink()
    assert copied.read_bytes() == (data / "s0.png").read_bytes()
    assert not (tmp_path / "none" / "JPEGImages").exists()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_reads_the_export(data: Path, tmp_path: Path) -> None:
    export(lambda: by_shapes(data), "coco", tmp_path / "out")
    found = COCO(str(tmp_path / "out" / "annotations" / "instances_train.json"))
    frames = {frame.id: frame for frame in by_shapes(data)}
    for image in found.loadImgs(found.getImgIds()):
        rows = found.loadAnns(found.getAnnIds(imgIds=image["id"]))
        assert len(rows) == 3
        frame = frames[Path(image["file_name"]).stem]
        for row, roi in zip(rows, frame.record.rois, strict=True):
            mask = found.annToMask(row)
            assert row["area"] == mask.sum()
            assert found.cats[row["category_id"]]["name"] == roi.label[0]
            if "rle" in roi.meta:
                assert np.array_equal(mask, coco.decode(roi.meta["rle"]))


def test_panoptic_export_keeps_the_published_rules(data: Path, tmp_path: Path) -> None:
    export(lambda: by_ids(data), "coco-panoptic", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "annotations" / "panoptic_train.json").read_text())
    assert {c["name"]: c["isthing"] for c in told["categories"]} == {"road": 0, "sky": 0, "car": 1, "person": 1}
    for one in told["annotations"]:
        path = tmp_path / "out" / "annotations" / "panoptic_train" / one["file_name"]
        pixels = np.array(Image.open(path)).astype(np.uint32)
        ids = pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]
        found = dict(zip(*(a.tolist() for a in np.unique(ids, return_counts=True)), strict=True))
        found.pop(0)
        assert found == {s["id"]: s["area"] for s in one["segments_info"]}
        assert {26001, 26002, 24003} <= set(found)
        for segment in one["segments_info"]:
            rows, columns = np.nonzero(ids == segment["id"])
            assert segment["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


def test_cityscapes_export_agrees_with_itself(data: Path, tmp_path: Path) -> None:
    export(lambda: by_ids(data), "cityscapes", tmp_path / "out")
    for path in sorted((tmp_path / "out").rglob("*_instanceIds.png")):
        ids = np.array(Image.open(path)).astype(int)
        labels = np.array(Image.open(str(path).replace("instanceIds", "labelIds")))
        assert (np.where(ids >= 1000, ids // 1000, ids) == labels).all()
        assert set(np.unique(ids)) == {0, 7, 23, 24003, 26001, 26002}


def test_groups_are_taken_apart(data: Path, tmp_path: Path) -> None:
    first, second = list(by_ids(data))[:2]
    group = FrameGroup({"left": explained(first), "right": explained(second)}, id="pair")
    proof = export(lambda: [group], "coco-panoptic", tmp_path / "out")
    assert (proof.frames, proof.read_back, proof.is_exact) == (2, 2, True)


def test_frames_that_explain_themselves_say_the_same(data: Path) -> None:
    for frame in by_ids(data):
        counts = frame.label_map().counts()
        alone = SingleFrame.on(wire.load(wire.dump(explained(frame).record)))
        assert alone.label_map("ids").counts() == counts


def test_memory_does_not_hold_frames(data: Path, tmp_path: Path) -> None:
    """A reader is an iterator: what was yielded is not kept, whatever the length."""
    import gc
    import weakref

    rows = [{"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 1, 1]} for i in range(50)]
    images = [{"id": i, "file_name": f"{i}.jpg", "height": 4, "width": 4} for i in range(50)]
    path = tmp_path / "instances_val.json"
    path.write_bytes(
        msgspec.json.encode({"images": images, "annotations": rows, "categories": [{"id": 1, "name": "a"}]})
    )

    class Marked(SingleFrame):
        __slots__ = ("__weakref__",)

    alive: list[weakref.ref[Any]] = []
    for frame in formats.load("coco").read(path, Reading()):
        marked = Marked.on(frame.record, "default")
        alive.append(weakref.ref(marked))
        del marked, frame
    gc.collect()
    assert len(alive) == 50
    assert not any(ref() for ref in alive)


def test_unknown_formats_and_layouts_are_refused_with_the_list(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match="formats are cityscapes"):
        formats.load("vnc")
    with pytest.raises(FrameError, match="looks like none of"):
        formats.choose(tmp_path)
    with pytest.raises(FrameError, match="does not look like voc"):
        formats.choose(tmp_path, "voc")
    with pytest.raises(FileNotFoundError):
        formats.detect(tmp_path / "missing")
    with pytest.raises(FrameError, match="'colour' is none of"):
        export(list, "voc", tmp_path / "x", allow=["colour"])
