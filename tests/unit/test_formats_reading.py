"""What readers make of annotation files: numbers against literals, damage as sentences, and the command line."""

import base64
import json
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from smalti import formats
from smalti.cli import main
from smalti.codecs.rle import decode_rle
from smalti.convert import png_bytes
from smalti.errors import FrameError
from smalti.formats.label_studio import decode_brush, encode_brush
from smalti.formats.protocol import Reading
from smalti.frames import SingleFrame
from smalti.reading import read_frames
from smalti.store import open_store


def read(path: Path, name: str, options: Reading | None = None) -> list[SingleFrame]:
    seen = formats.choose(path, name)
    return list(formats.load(name).read(seen.path, options or Reading()))


def save(path: Path, found: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return path


COCO: dict[str, Any] = {
    "images": [
        {"id": 9, "file_name": "nine.jpg", "height": 4, "width": 6},
        {"id": 3, "file_name": "three.jpg", "height": 4, "width": 6},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 2, "name": "cat"}],
    "annotations": [
        {
            "id": 5,
            "image_id": 3,
            "category_id": 18,
            "segmentation": [[0, 0, 3, 0, 3, 2], [4, 0, 5, 0, 5, 1]],
            "bbox": [0, 0, 5, 2],
        },
        {
            "id": 6,
            "image_id": 9,
            "category_id": 2,
            "iscrowd": 1,
            "segmentation": {"size": [4, 6], "counts": [2, 4, 18]},
            "bbox": [0, 0, 2, 4],
        },
        {"id": 7, "image_id": 9, "category_id": 18, "bbox": [1, 1, 2, 2], "score": 0.25},
        {"id": 8, "image_id": 77, "category_id": 18, "bbox": [1, 1, 2, 2]},
    ],
}


def test_coco_objects_meet_their_images_and_keep_ids(tmp_path: Path) -> None:
    options = Reading()
    nine, three = read(save(tmp_path / "instances_val2017.json", COCO).parent, "coco", options)
    assert (nine.id, three.id, three.height, three.width) == ("9", "3", 4, 6)
    assert three.metadata == {"file_name": "three.jpg", "split": "val2017"}
    (dog,) = three.record.rois
    assert (dog.id, dog.label, dog.meta["category_id"]) == ("5", ["dog"], 18)
    assert dog.poly == [0, 0, 3, 0, 3, 2, -999999999, 4, 0, 5, 0, 5, 1]
    crowd, box = nine.record.rois
    assert crowd.meta["iscrowd"] == 1
    assert decode_rle(crowd.meta["rle"]).sum() == 4
    assert (box.confidence, box.poly) == (0.25, [1, 1, 3, 1, 3, 3, 1, 3])
    assert options.skipped == ["instances_val2017.json: 1 annotations name image 77, which is not in the file"]


def test_only_the_part_that_is_asked_for(tmp_path: Path) -> None:
    for part in ("train", "val"):
        save(tmp_path / f"instances_{part}.json", COCO)
    assert len(read(tmp_path, "coco")) == 4
    assert {f.metadata["split"] for f in read(tmp_path, "coco", Reading(split="val"))} == {"val"}


def test_broken_json_is_a_sentence_with_the_place(tmp_path: Path) -> None:
    text = json.dumps(COCO).replace('"height": 4', '"height": "four"', 1)
    with pytest.raises(FrameError, match=r"instances_val.json: Expected .*images\[0\]"):
        read(save(tmp_path / "instances_val.json", text).parent, "coco")


def plain_bits(mask: np.ndarray) -> list[int]:
    """Label Studio's encoder as it is published, written out plainly: single values and runs of up to 2**16."""
    flat = np.repeat(mask.reshape(-1) * 255, 4).tolist()
    text = f"{len(flat):032b}{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    start = 0
    while start < len(flat):
        end = start
        while end < len(flat) and flat[end] == flat[start] and end - start < 2**16:
            end += 1
        kind = next(k for k, n in enumerate((3, 4, 8, 16)) if end - start <= 2**n)
        text += "1" + f"{kind:02b}" + f"{end - start - 1:0{(3, 4, 8, 16)[kind]}b}" + f"{flat[start]:08b}"
        start = end
    text += "0" * (8 - len(text) % 8)
    return [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (40, 33), (300, 300)])
def test_brushes_are_label_studio_s_own_run_lengths(shape: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    mask = (
        np.kron(draw.random((shape[0] // 10 + 1, shape[1] // 10 + 1)), np.ones((10, 10)))[: shape[0], : shape[1]] > 0.5
    ).astype(np.uint8)
    packed = encode_brush(mask)
    assert packed == plain_bits(mask)
    assert np.array_equal(decode_brush(packed, shape), mask * 255)


def test_brushes_with_single_values_are_read_and_damage_is_refused() -> None:
    # Two pixels: bytes 0 0 0 9, 0 0 0 0 as seven single values and a last one, hand packed.
    values = [0, 0, 0, 9, 0, 0, 0, 0]
    text = f"{8:032b}{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    text += "0" + "00" + f"{7:03b}" + "".join(f"{v:08b}" for v in values)
    text += "0" * (8 - len(text) % 8)
    packed = [int(text[i : i + 8], 2) for i in range(0, len(text), 8)]
    assert decode_brush(packed, (1, 2)).tolist() == [[9, 0]]
    with pytest.raises(FrameError, match="4×4 RGBA has 64"):
        decode_brush(packed, (4, 4))
    with pytest.raises(FrameError, match="end after"):
        decode_brush(packed[:-4], (1, 2))
    with pytest.raises(FrameError, match="header alone"):
        decode_brush([1, 2], (1, 2))


def test_cvat_masks_are_runs_of_their_box(tmp_path: Path) -> None:
    text = """<?xml version="1.0"?><annotations><image id="0" name="a.jpg" width="6" height="5">
    <mask label="cat" rle="1, 2, 3" left="2" top="1" width="3" height="2" z_order="1"/>
    <polygon label="dog" points="0,0;3,0;3,3" z_order="0"><attribute name="age">7</attribute></polygon>
    <ellipse label="eye" cx="2" cy="2" rx="1" ry="0.5" rotation="90" z_order="0"/></image></annotations>"""
    options = Reading()
    (frame,) = read(save(tmp_path / "annotations.xml", text).parent, "cvat", options)
    dog, eye, cat = frame.record.rois
    expected = np.zeros((5, 6), np.uint8)
    expected[1, 3:5] = 1
    assert np.array_equal(decode_rle(cat.meta["rle"]), expected)
    assert (dog.poly, dog.meta["attributes"]) == ([0, 0, 3, 0, 3, 3], {"age": "7"})
    assert eye.poly[:4] == [2, 2, 1, 0.5]
    assert eye.poly[4] == pytest.approx(np.pi / 2)
    assert options.skipped == ["annotations.xml: no image a.jpg was found"]
    save(tmp_path / "annotations.xml", text.replace("1, 2, 3", "1, 2"))
    with pytest.raises(FrameError, match="cover 3 pixels, its box 3×2 has 6"):
        read(tmp_path, "cvat")


CVAT_TRACKS = """<?xml version="1.0"?><annotations><version>1.1</version><meta><task><name>t</name>
  <original_size><width>6</width><height>5</height></original_size><source>drive.mkv</source></task></meta>
  <track id="3" label="cat" group_id="2">
    <box frame="0" outside="0" occluded="1" keyframe="1" xtl="1" ytl="1" xbr="3" ybr="4" z_order="2"/>
    <box frame="1" outside="0" occluded="0" keyframe="0" xtl="2" ytl="1" xbr="4" ybr="4" z_order="2"/>
    <box frame="2" outside="1" occluded="0" keyframe="1" xtl="2" ytl="1" xbr="4" ybr="4" z_order="2"/></track>
  <track id="4" label="sky">
    <mask frame="1" outside="0" keyframe="1" rle="1, 2, 3" left="2" top="1" width="3" height="2" z_order="0"/></track>
  </annotations>"""


def test_cvat_tracks_become_frames_of_their_video(tmp_path: Path) -> None:
    save(tmp_path / "annotations.xml", CVAT_TRACKS)
    options = Reading()
    first, second = read(tmp_path, "cvat", options)
    assert (first.id, first.context_id, first.record.timestamp) == ("drive.mkv/000000", "drive.mkv", 0)
    (cat,) = first.record.rois
    assert (cat.id, cat.label, cat.poly) == ("3", ["cat"], [1, 1, 3, 1, 3, 4, 1, 4])
    assert {"occluded": 1, "keyframe": True, "group_id": 2}.items() <= cat.meta.items()
    assert [roi.label for roi in second.record.rois] == [["sky"], ["cat"]]  # by z-order; nothing after it went outside
    assert second.record.rois[1].meta["keyframe"] is False
    assert options.skipped == [
        "annotations.xml: 2 of its pictures were found neither as images nor in a video 'drive.mkv'"
    ]
    save(tmp_path / "annotations.xml", CVAT_TRACKS.replace("<width>6", "<width>4"))
    with pytest.raises(FrameError, match="the box of a mask ends at 5, 3, the picture is 4×5"):
        list(read(tmp_path, "cvat"))


def test_cvat_tracks_find_their_pictures(tmp_path: Path) -> None:
    save(tmp_path / "annotations.xml", CVAT_TRACKS)
    with av.open(tmp_path / "drive.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25), options={"level": "3"})
        stream.width, stream.height, stream.pix_fmt = 6, 5, "bgr0"
        for number in range(3):
            picture = av.VideoFrame.from_ndarray(np.full((5, 6, 3), number, np.uint8), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    options = Reading()
    first, second = read(tmp_path, "cvat", options)
    assert (first.source_record.timestamp, second.source_record.timestamp) == (0, 40)
    assert Path(second.source).name == "drive.mkv"
    assert second.record.timestamp == 40
    assert options.skipped == []
    # Image files, where CVAT exported them, go before the video; a picture without shapes is a frame too.
    (tmp_path / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (6, 5)).save(tmp_path / "images" / f"frame_{number:06d}.png")
    frames = list(read(tmp_path, "cvat", options))
    assert [Path(frame.source).name for frame in frames] == [f"frame_{number:06d}.png" for number in range(3)]
    assert frames[2].record.rois == []


def test_supervisely_bitmaps_lie_where_their_origin_says(tmp_path: Path) -> None:
    crop = np.array([[255, 0], [255, 255]], np.uint8)
    data = base64.b64encode(zlib.compress(png_bytes(crop))).decode()
    objects: list[dict[str, Any]] = [
        {"classTitle": "cat", "geometryType": "bitmap", "id": 4, "bitmap": {"data": data, "origin": [3, 1]}},
        {
            "classTitle": "dog",
            "geometryType": "polygon",
            "points": {"exterior": [[0, 0], [6, 0], [6, 5]], "interior": [[[4, 1], [5, 1], [5, 2]]]},
        },
    ]
    save(tmp_path / "meta.json", {"classes": [{"title": "cat"}, {"title": "dog"}]})
    save(tmp_path / "ds" / "ann" / "a.jpg.json", {"size": {"height": 5, "width": 6}, "objects": objects})
    (frame,) = read(tmp_path, "supervisely")
    cat, dog = frame.record.rois
    assert np.argwhere(decode_rle(cat.meta["rle"])).tolist() == [[1, 3], [2, 3], [2, 4]]
    assert (cat.id, dog.meta["holes"]) == ("4", True)
    objects[0]["bitmap"]["origin"] = [5, 1]
    save(tmp_path / "ds" / "ann" / "a.jpg.json", {"size": {"height": 5, "width": 6}, "objects": objects})
    with pytest.raises(FrameError, match="lies outside the image"):
        read(tmp_path, "supervisely")


@pytest.mark.parametrize("names", ["names: [cat, 'dog']", "names:\n  0: cat\n  1: dog\n", "names:\n- cat\n- dog\n"])
def test_yolo_shares_become_pixels(tmp_path: Path, names: str) -> None:
    save(tmp_path / "data.yaml", f"train: images\n{names}\n")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "images" / "a.png")
    save(tmp_path / "labels" / "a.txt", "1 0.1 0.2 0.5 0.2 0.5 0.9\n0 0.5 0.5 0.2 0.4\nnonsense\n")
    options = Reading()
    (frame,) = read(tmp_path, "yolo", options)
    dog, cat = frame.record.rois
    assert (dog.label, dog.poly) == (["dog"], [2.0, 2.0, 10.0, 2.0, 10.0, 9.0])
    assert cat.label == ["cat"]
    assert cat.poly == pytest.approx([8, 3, 12, 3, 12, 7, 8, 7])
    assert options.skipped == ["a.txt:3: 'nonsense' is neither a box nor a polygon"]


def test_hf_columns_become_masks_and_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    (folder / "masks").mkdir(parents=True)
    Image.new("RGB", (4, 3)).save(folder / "a.png")
    (folder / "masks" / "a.png").write_bytes(png_bytes(np.array([[0, 1, 1, 2]], np.uint8)))
    save(folder / "metadata.jsonl", '{"file_name": "a.png", "mask_file_name": "masks/a.png", "city": "Ulm"}\n')
    save(tmp_path / "id2label.json", {"0": "road", "1": "car", "2": "sky"})
    (frame,) = read(tmp_path, "hf")
    assert frame.metadata["city"] == "Ulm"
    assert frame.label_map("mask").counts() == {"road": 1, "car": 2, "sky": 1}


def test_import_says_what_it_is_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "in" / "instances_val.json", COCO).parent

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        assert isinstance(left.value.code, int)
        return left.value.code, capsys.readouterr().out

    code, text = run("import", source, "--detect", "--json")
    assert code == 0
    assert json.loads(text)[0]["format"] == "coco"
    output = tmp_path / "frames.jsonl"
    code, text = run("import", source, "-o", output, "--no-check")
    assert code == 0
    assert "is coco: instances_val.json has images, annotations, categories" in text
    assert "wrote 2 frames with 0 masks and 3 annotations" in text
    assert [f.id for f in read_frames(output)] == ["9", "3"]
    code, text = run("import", source, "--to", "animals@v1", "--store", tmp_path / "store", "--no-check", "--json")
    assert code == 0
    assert json.loads(text)["frames"] == 2
    with open_store(tmp_path / "store") as store:
        assert sorted(store["animals"]["v1"].frame_ids()) == ["3", "9"]
    code, _ = run("export", "animals@v1", tmp_path / "out", "--format", "coco", "--store", tmp_path / "store", "--json")
    assert code == 0


def test_legends_that_all_frames_share_become_the_version_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = np.array([[7, 7, 26001, 26002]], np.uint16)
    place = tmp_path / "gtFine" / "val" / "ulm"
    place.mkdir(parents=True)
    for number in range(2):
        stem = f"ulm_{number:06d}_000019_gtFine"
        (place / f"{stem}_instanceIds.png").write_bytes(png_bytes(ids))
        labels = np.where(ids > 999, ids // 1000, ids).astype(np.uint8)
        (place / f"{stem}_labelIds.png").write_bytes(png_bytes(labels))
    with pytest.raises(SystemExit):
        main(["import", str(tmp_path), "--to", "city@v1", "--store", str(tmp_path / "store"), "--no-check"])
    assert "is cityscapes" in capsys.readouterr().out
    with open_store(tmp_path / "store") as store:
        version = store["city"]["v1"]
        assert set(version.get_masks_labels()) == {"labelIds", "instanceIds"}
        for frame in version:
            assert isinstance(frame, SingleFrame)
            assert frame.record.rois == []
            assert {k: v for k, v in frame.label_map("labelIds").counts().items() if v} == {"road": 2, "car": 2}
            objects = [(s.id, s.label) for s in frame.label_map("instanceIds").segments()]
            assert objects == [(7, "road"), (26001, "car"), (26002, "car")]


def test_masks_are_copied_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "in" / "SegmentationClass"
    place.mkdir(parents=True)
    (place / "a.png").write_bytes(png_bytes(np.full((3, 4), 7, np.uint8)))
    for arguments, parent in (([], place), (["--copy-masks", tmp_path / "out"], tmp_path / "out" / "class")):
        with pytest.raises(SystemExit):
            main([str(a) for a in ("import", tmp_path / "in", "-o", tmp_path / "f.jsonl", "--no-check", *arguments)])
        (frame,) = read_frames(tmp_path / "f.jsonl")
        assert Path(str(frame.masks_source["class"])) == parent / "a.png"  # type: ignore[union-attr]
        assert frame.label_map("class").counts()["car"] == 12
    with pytest.raises(SystemExit) as left:
        main(["import", str(tmp_path / "in"), "-o", str(tmp_path / "g.jsonl"), "--copy-masks", str(tmp_path / "out")])
    assert left.value.code == 2
    assert "is there already" in capsys.readouterr().err


def test_export_prints_the_proof_and_strict_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(tmp_path / "in" / "instances_val.json", COCO).parent
    arguments = ["export", str(source), "--format", "voc", "--strict", "-o", str(tmp_path / "proof.json")]
    with pytest.raises(SystemExit) as left:
        main([*arguments, str(tmp_path / "a")])
    assert left.value.code == 3
    printed = capsys.readouterr()
    assert "boxes without a shape are not written" in printed.out
    told = json.loads((tmp_path / "proof.json").read_text())
    assert told["read_back"] == 2
    topics = [row["topic"] for row in told["losses"]]
    assert "boxes" in topics
    with pytest.raises(SystemExit) as left:
        main([*arguments, str(tmp_path / "b"), *(a for topic in topics for a in ("--allow", topic))])
    assert left.value.code == 0
