"""SingleFrame and FrameGroup: thin views on one record, with the format's own names."""

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smalti as sm
from smalti.annotations import BoundingBox2D, Ellipse2D, ImageAnnotation, MaskAnnotation, Polygon2D
from smalti.errors import DecodeError, FrameError, MaskReferenceError


def test_documented_example_3() -> None:
    frame = sm.SingleFrame(source="/home/user/woof_meow.jpg", preview_uri="https://example.com/media/woof_meow.jpg")
    assert frame.add_annotation(mask_rgb=[0, 0, 0], labels=["cat"]) == [0]
    frame.masks_source = ["masks/woof_meow.png"]
    (found,) = sm.resolve(frame)
    assert (found.mask, found.color, found.labels) == ("00", (0, 0, 0), ("cat",))


def test_mask_ids_of_a_dict_are_kept_and_those_of_a_list_counted() -> None:
    frame = sm.SingleFrame("a.png", masks_source={"seg": "s.png", 7: "i.png"})
    assert frame.masks_source == {"seg": "s.png", "7": "i.png"}
    frame.masks_source = ["x.png", "y.png"]
    assert frame.masks_source == {"00": "x.png", "01": "y.png"}
    assert frame.mask_source == "x.png"
    frame.mask_source = "z.png"
    assert frame.masks_source == {"00": "z.png"}
    with pytest.raises(FrameError, match="mask_source"):
        frame.masks_source = "m.png"  # type: ignore[assignment]


def test_two_pictures_of_one_clip_never_share_an_id() -> None:
    ids = [sm.SingleFrame("c.mp4", timestamp=t).id for t in (0, 33, 66)]
    assert len(set(ids)) == 3
    assert sm.SingleFrame("c.mp4", timestamp=33).id == ids[1]
    assert sm.SingleFrame("c.mp4", id=5).id == "5"
    assert sm.SingleFrame().id != sm.SingleFrame().id


def test_every_shape_of_add_annotation() -> None:
    frame = sm.SingleFrame("a.png")
    places = frame.add_annotation(
        poly2d_xy=[[0, 0], [4, 0], [4, 4]],
        box2d_xywh=[1, 2, 3, 4],
        ellipse2d_xyrrt=[5, 5, 2, 1, 0],
        points2d_xy=[1, 1, 2, 2],
        labels="car",
        confidence=0.5,
        metadata={"k": 1},
    )
    assert places == [0, 1, 2, 3]
    assert len({a.id for a in frame.annotations}) == 1
    polygon, box, ellipse, points = frame.annotations
    assert polygon.values == [0, 0, 4, 0, 4, 4]
    assert box.values == [1, 2, 4, 2, 4, 6, 1, 6]
    assert box.bounding_box_xywh == [1, 2, 3, 4]
    assert ellipse.get_bounding_box() == [3, 4, 4, 2, 0]
    assert points.get_type() == "k2d"
    assert all(a.confidence == 0.5 and a.metadata["k"] == 1 and a.labels == ["car"] for a in frame.annotations)
    frame.add_annotation(
        poly3d_xyz=[0, 0, 0, 1, 1, 1], points3d_xyz=[1, 2, 3], box3d_xyzwhxyzwh=list(range(10)), labels=["x"]
    )
    assert [a.get_type() for a in frame.annotations[4:]] == ["p3d", "k3d", "b3d"]
    assert frame.add_annotation(labels=["rainy"]) == [7]
    assert isinstance(frame.annotations[7], ImageAnnotation)
    assert frame.add_annotation(frame_class=["day"], labels=["city"]) == [8]
    assert frame.annotations[8].labels == ["day", "city"]
    written = json.loads(frame.to_json())
    assert written["rois"][1] == {
        "label": ["car"],
        "id": "0",
        "poly": [1, 2, 4, 2, 4, 6, 1, 6],
        "confidence": 0.5,
        "meta": {"k": 1, "_type": "b2d"},
    }


def test_a_turned_box_and_a_complex_polygon_come_back() -> None:
    box = BoundingBox2D([10, 20, 30, 40, 0.5], labels="a")
    assert box.bounding_box_xywha == pytest.approx([10, 20, 30, 40, 0.5])
    polygon = Polygon2D([[0, 0, 4, 0, 4, 4], [10, 10, 12, 10, 12, 12]], labels="a")
    assert polygon.rings == [[0, 0, 4, 0, 4, 4], [10, 10, 12, 10, 12, 12]]
    assert polygon.values[6] == -999999999
    assert polygon.get_bounding_box() == [0, 0, 12, 12]
    assert Ellipse2D([0, 0, 2, 1, math.pi / 2], labels="e").get_polygon(4) == pytest.approx(
        [0, 2, -1, 0, 0, -2, 1, 0], abs=1e-9
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"mask_rgb": [1, 2]}, "mask_rgb"),
        ({"mask_rgb": [1, 2, 256]}, "0..255"),
        ({"box2d_xywh": [1, 2, 3]}, "4 numbers"),
        ({"ellipse2d_xyrrt": [1]}, "5 numbers"),
        ({"poly2d_xy": [1, 2, 3]}, "multiple of 2"),
        ({"poly2d_xy": [1, "b"]}, "not a number"),
        ({"circle": [1]}, "no argument 'circle'"),
        ({"box2d_xywh": [1, 2, 3, 4], "confidence": 2}, "0..1"),
        ({}, "neither a shape nor labels"),
    ],
)
def test_bad_annotations_are_refused_and_leave_nothing(arguments: dict[str, object], said: str) -> None:
    frame = sm.SingleFrame("a.png")
    with pytest.raises(FrameError, match=said):
        frame.add_annotation(**arguments)  # type: ignore[arg-type]
    assert len(frame.annotations) == 0


def test_annotations_are_found_and_removed() -> None:
    frame = sm.SingleFrame("a.png")
    frame.add_annotation(box2d_xywh=[0, 0, 1, 1], labels=["car"], id="one")
    frame.add_annotation(box2d_xywh=[0, 0, 2, 2], labels=["car", "red"], id="two")
    frame.add_annotation(labels=["day"])
    assert [a.id for a in frame.get_annotations(id="two")] == ["two"]
    assert frame.get_annotations(index=0)[0].id == "one"
    assert len(frame.remove_annotations(labels=["car"])) == 1
    assert frame.remove_annotation(index=9) is None
    gone = frame.remove_annotation(id="two")
    assert gone is not None
    assert gone.labels == ["car", "red"]
    assert [a.labels for a in frame.annotations] == [["day"]]
    frame.annotations.append(MaskAnnotation([1, 2, 3], labels="sky"))
    frame.annotations[0].labels = ["night"]
    assert [r.label for r in frame.record.rois] == [["night"], ["sky"]]
    assert len(frame.remove_annotations()) == 2


def test_two_frames_never_share_a_list() -> None:
    one, two = sm.SingleFrame("a"), sm.SingleFrame("b")
    one.add_annotation(labels=["x"])
    one.metadata["k"] = 1
    one.masks_source = ["m"]
    assert (len(two.annotations), two.metadata, two.masks_source) == (0, {}, {})
    three, four = (sm.read_frame('{"sources":[{"id":"a","uri":"u"}]}') for _ in range(2))
    three.record.rois.append(sm.Roi(label=["x"]))
    three.meta["k"] = 1
    assert (four.record.rois, four.meta) == ([], {})


def test_a_group_is_one_record_seen_through_several_handles() -> None:
    left, right = sm.SingleFrame("l.png", mask_source="lm.png"), sm.SingleFrame("r.png")
    left.add_annotation(mask_rgb=[1, 2, 3], labels=["car"])
    group = sm.FrameGroup({"left": left, "right": right}, metadata={"rig": 1})
    right.add_annotation(box2d_xywh=[0, 0, 1, 1], labels=["sign"])
    assert [a.labels for a in group["right"].annotations] == [["sign"]]
    assert [a.labels for a in group["left"].annotations] == [["car"]]
    group.add_global_annotation(ImageAnnotation(labels=["night"]))
    assert [a.labels for a in group["left"].annotations] == [["car"], ["night"]]
    assert [a.labels for a in group.get_global_annotations()] == [["night"]]
    assert sm.resolve(group)[0].mask == "00"
    again = sm.read_frame(group.to_json())
    assert isinstance(again, sm.FrameGroup)
    assert list(again) == ["left", "right"]
    assert group.remove_global_annotation(ImageAnnotation(labels=["night"]))
    assert not group.remove_global_annotation(ImageAnnotation(labels=["night"]))
    del group["left"]
    assert list(group) == ["right"]
    assert [r.label for r in group.record.rois] == [["sign"]]
    with pytest.raises(KeyError):
        group["left"]


@pytest.fixture
def street(tmp_path: Path) -> Path:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, 3:] = (1, 2, 3)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    Image.fromarray(np.full((4, 6, 3), 90, np.uint8)).save(tmp_path / "image.png")
    frame = sm.SingleFrame("image.png", mask_source="mask.png", width=6, height=4)
    frame.add_annotation(mask_rgb=(1, 2, 3), labels=["car"])
    (tmp_path / "frame.json").write_text(frame.to_json())
    return tmp_path


def test_uris_are_relative_to_the_frame_file(street: Path) -> None:
    frame = sm.read_frame(street / "frame.json")
    assert isinstance(frame, sm.SingleFrame)
    seg = frame.label_map()
    assert seg["car"].sum() == 12
    assert seg.void == 12
    assert frame.image().shape == (4, 6, 3)
    assert frame.get_local_mask_source() == str(street / "mask.png")
    assert sm.overlay(frame.image(), seg, 0.5)[0, 5].tolist() == [46, 46, 47]
    assert sm.overlay(frame.image(), seg)[0, 0].tolist() == [90, 90, 90]
    assert frame.alpha().shape == (4, 6)


def test_a_legend_given_by_hand_reads_the_mask_and_the_version_form_fills_in(street: Path) -> None:
    frame = sm.read_frame(str(street / "frame.json"))
    assert frame.label_map(legend=sm.Legend({(0, 0, 0): "ground"})).counts() == {"ground": 12}
    filled = frame.label_map(
        legend={"_all_": [{"value": [0, 0, 0], "labels": ["ground"]}, {"value": [1, 2, 3], "labels": ["lorry"]}]}
    )
    assert filled.counts() == {"car": 12, "ground": 12}


def test_a_size_that_differs_is_noted_and_nothing_is_resized(street: Path) -> None:
    frame = sm.read_frame(street / "frame.json")
    assert isinstance(frame, sm.SingleFrame)
    frame.width = 7
    seg = frame.label_map()
    assert seg.size_hw == (4, 6)
    assert any("6×4" in note and "7×4" in note for note in seg.notes)


def test_what_is_missing_is_told(street: Path) -> None:
    frame = sm.read_frame(street / "frame.json")
    assert isinstance(frame, sm.SingleFrame)
    with pytest.raises(MaskReferenceError, match="the frame has '00' of source 'default'"):
        frame.label_map("seg")
    frame.record.sources[0].masks[0].uri = "gone.png"
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        frame.label_map()
    assert frame.get_local_mask_source() is None
    with pytest.raises(FileNotFoundError):
        frame.get_local_mask_source(raise_on_error=True)
    (street / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    frame.record.sources[0].masks[0].uri = "bad.png"
    with pytest.raises(DecodeError, match=r"bad\.png"):
        frame.label_map()


def test_read_frames_of_every_kind_of_file(street: Path) -> None:
    line = (street / "frame.json").read_text().replace("\n", " ")
    (street / "many.jsonl").write_text(f"{line}\n\n{line}\n")
    (street / "list.json").write_text(f"[{line},{line}]")
    (street / "wrapped.json").write_text(f'{{"frames":[{line}]}}')
    assert len(list(sm.read_frames(street / "many.jsonl"))) == 2
    assert len(list(sm.read_frames(street / "list.json"))) == 2
    assert len(list(sm.read_frames(street / "wrapped.json"))) == 1
    assert sm.read_frame(street / "wrapped.json").label_map().void == 12
    with pytest.raises(FrameError, match="holds 2 frames"):
        sm.read_frame(street / "list.json")
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        sm.read_frame(street / "none.json")


def test_an_anchored_record_means_the_same_anywhere(street: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = sm.read_frame(street / "frame.json")
    record = frame.anchored()
    assert (record.id, record.sources[0].uri) == (frame.id, str(street / "image.png"))
    assert record.sources[0].masks[0].uri == str(street / "mask.png")
    assert frame.record.sources[0].uri == "image.png"
    monkeypatch.chdir(street)
    loose = sm.SingleFrame("image.png", masks_source={"a": "s3://b/m.png", "b": "nowhere.png"}).anchored()
    assert [loose.sources[0].uri, *(m.uri for m in loose.sources[0].masks)] == [
        str(street / "image.png"),
        "s3://b/m.png",
        "nowhere.png",
    ]


def test_handles_pickle_and_copy() -> None:
    frame = sm.SingleFrame("a.png", mask_source="m.png", metadata={"k": [1]})
    assert pickle.loads(pickle.dumps(frame)).record == frame.record
    twin = frame.copy()
    twin.metadata["k"].append(2)
    assert frame.metadata == {"k": [1]}
    assert twin.id != frame.id


def test_notebook_html_escapes() -> None:
    shown = sm.SingleFrame("<script>.png")._repr_html_()
    assert "&lt;script&gt;" in shown


def test_legends_for_one_reading(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 3, 3), (1, 2, 3), np.uint8)).save(tmp_path / "m.png")
    frame = sm.SingleFrame(tmp_path / "m.png", mask_source=tmp_path / "m.png")
    assert frame.label_map(legend={(1, 2, 3): "car"}).counts() == {"car": 6}
    with pytest.raises(sm.errors.LegendError, match=r"Legend\.read"):
        frame.label_map(legend="legend.csv")  # type: ignore[arg-type]


def test_a_legend_says_which_mask_of_a_group_is_meant(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 3, 3), (1, 2, 3), np.uint8)).save(tmp_path / "m.png")
    group = sm.FrameGroup(
        {
            name: sm.SingleFrame(tmp_path / "m.png", masks_source={mask: tmp_path / "m.png"})
            for name, mask in (("left", "seg"), ("right", "depth"))
        }
    )
    legend = {"seg": [{"value": [1, 2, 3], "labels": ["car"]}]}
    assert group.label_map(legend=legend).counts() == {"car": 6}


def test_numbers_of_shapes() -> None:
    frame = sm.SingleFrame("x.png")
    frame.add_annotation(box2d_xywh=np.array([1, 2, 3, 4]), labels=["a"])
    frame.add_annotation(points2d_xy=np.array([[1.5, 2]], np.float32), labels=["a"])
    assert frame.annotations[1].values == [1.5, 2.0]
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(sm.errors.FrameError, match="finite"):
            frame.add_annotation(box2d_xywh=[1, 2, 3, wrong], labels=["a"])
    with pytest.raises(sm.errors.FrameError, match="three channels"):
        frame.add_annotation(mask_rgb="red", labels=["a"])
    with pytest.raises(sm.errors.FrameError, match="JSON object"):
        frame.add_annotation(box2d_xywh=[1, 2, 3, 4], labels=["a"], metadata="x")
