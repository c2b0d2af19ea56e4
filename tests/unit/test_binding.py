"""The three rules by which a ROI finds its mask, and the errors where none fits."""

from pathlib import Path
from typing import Any

import pytest

from smalti import wire
from smalti.binding import resolve
from smalti.errors import LegendError, MaskReferenceError
from smalti.legend import Legend
from smalti.records import Frame

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "frames"


def frame(masks: dict[str, list[str]], rois: list[dict[str, Any]], **mask_fields: Any) -> Frame:
    sources = [
        {"id": s, "uri": f"{s}.png", "masks": [{"id": m, "uri": f"{m}.png", **mask_fields} for m in ids]}
        for s, ids in masks.items()
    ]
    return wire.from_dict({"sources": sources, "rois": rois})


def roi(
    mask_id: str | None, labels: list[str], value: list[int] | None = None, sources: list[str] | None = None
) -> dict[str, Any]:
    mask = {"value": value or [1, 2, 3], **({} if mask_id is None else {"id": mask_id})}
    return {"label": labels, "mask": mask, **({"sources": sources} if sources else {})}


def test_documented_example_1_names_the_mask_in_the_label() -> None:
    found = resolve(wire.load((GOLDEN / "documented-1.json").read_bytes()))
    assert [(b.mask, b.color, b.labels, b.rule) for b in found] == [
        ("seg", (210, 210, 120), ("car",), 2),
        ("seg", (147, 44, 209), ("person",), 2),
        ("seg", (197, 135, 146), ("road",), 2),
        ("seg", (135, 198, 145), ("street",), 2),
        ("seg", (72, 191, 65), ("building",), 2),
    ]
    assert found.plan().mask.id == "seg"
    assert found.plan("seg_instance").legend is None


def test_documented_example_2_names_the_mask_in_the_mask() -> None:
    found = resolve(wire.load((GOLDEN / "documented-2.closed.json").read_bytes()))
    assert [(b.mask, b.color, b.labels, b.rule) for b in found] == [
        ("car", (210, 210, 120), ("right_lane",), 1),
        ("road", (197, 135, 146), ("right_lane",), 1),
    ]
    with pytest.raises(MaskReferenceError) as caught:
        found.plan()
    assert caught.value.known == ("front/car", "front/road")


def test_rule_3_a_lone_mask_needs_no_name() -> None:
    for mask_id in ("00", "whatever", None):
        found = resolve(frame({"a": ["seg"]}, [roi(mask_id, ["cat"])]))
        assert [(b.mask, b.labels, b.rule) for b in found] == [("seg", ("cat",), 3)]


def test_rule_1_goes_before_rule_2() -> None:
    found = resolve(frame({"a": ["seg", "car"]}, [roi("car", ["seg"])]))
    assert [(b.mask, b.labels, b.rule) for b in found] == [("car", ("seg",), 1)]


def test_rule_2_keeps_the_labels_that_are_no_masks() -> None:
    found = resolve(frame({"a": ["seg", "other"]}, [roi("car", ["seg", "vehicle"])]))
    assert found[0].labels == ("car", "vehicle")


@pytest.mark.parametrize(
    ("masks", "one"),
    [
        ({"a": ["x", "y"]}, roi("z", ["car"])),
        ({"a": ["x", "y"]}, roi(None, ["car"])),
        ({"a": ["x", "y"]}, roi("car", ["x", "y"])),
        ({"a": []}, roi("x", ["car"])),
        ({"a": ["x"], "b": ["y", "z"]}, roi("x", ["car"], sources=["b"])),
        ({"a": ["x"], "b": ["y"]}, roi("q", ["car"])),
    ],
)
def test_nothing_resolves_by_accident(masks: dict[str, list[str]], one: dict[str, Any]) -> None:
    with pytest.raises(MaskReferenceError, match=r"\$\.rois\[1\]\.mask\.id is .*name one of them") as caught:
        resolve(frame(masks, [{"label": ["no mask here"]}, one]))
    assert caught.value.path == "$.rois[1].mask.id"
    assert caught.value.known == tuple(f"{s}/{m}" for s, ids in masks.items() for m in ids)


def test_a_roi_of_several_sources_binds_in_each() -> None:
    found = resolve(frame({"a": ["seg"], "b": ["seg"]}, [roi("seg", ["car"], sources=["a", "b"])]))
    assert [(b.source, b.mask, b.rule) for b in found] == [("a", "seg", 1), ("b", "seg", 1)]


def test_a_roi_without_sources_holds_where_its_mask_is_found() -> None:
    found = resolve(frame({"a": ["seg"], "b": ["depth"]}, [roi("seg", ["car"])]))
    assert [(b.source, b.mask, b.rule) for b in found] == [("a", "seg", 1)]


def test_one_color_with_two_meanings_is_an_error_and_with_one_is_fine() -> None:
    both = frame({"a": ["seg"]}, [roi("seg", ["car"]), roi("seg", ["van"])])
    with pytest.raises(LegendError, match="'car' in one entry and 'van' in another"):
        resolve(both)
    same = frame({"a": ["seg"]}, [roi("seg", ["car"]), roi("seg", ["car"])])
    assert resolve(same).plan().legend == Legend({(1, 2, 3): "car"})


def test_the_version_fills_in_and_the_frame_wins() -> None:
    version = {
        "_all_": [
            {"value": [1, 2, 3], "labels": ["lorry"]},
            {"value": [9, 9, 9], "labels": ["sky"]},
            {"value": [5, 5, 5], "labels": ["z"]},
        ],
        "seg": [{"value": [9, 9, 9], "labels": ["heaven"]}],
    }
    found = resolve(frame({"a": ["seg"]}, [roi("seg", ["car"])]), version)
    legend = found.plan().legend
    assert legend is not None
    assert {e.value: e.labels for e in legend} == {(1, 2, 3): ("car",), (9, 9, 9): ("heaven",), (5, 5, 5): ("z",)}
    alone = resolve(frame({"a": ["other"]}, []), version).plan().legend
    assert alone is not None
    assert (9, 9, 9) in {e.value for e in alone}
    assert ("sky",) in {e.labels for e in alone}


def test_the_encoding_says_how_values_are_read() -> None:
    index = resolve(frame({"a": ["seg"]}, [roi("seg", ["road"], [7, 7, 7])], encoding="index")).plan()
    assert index.legend is not None
    assert (index.legend.kind, index.legend.entries[0].code) == ("indices", 7)
    ids = resolve(frame({"a": ["seg"]}, [roi("seg", ["thing"], [1, 2, 0])], encoding="rgb24id")).plan()
    assert ids.legend is not None
    assert (ids.legend.kind, ids.scheme, ids.legend.entries[0].code) == ("ids", "coco", 1 + 2 * 256)
    assert resolve(frame({"a": ["matte"]}, [], encoding="alpha")).plan().is_alpha
