"""LabelMap: counts, boxes, remapping and ids, against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smalti import ids
from smalti.errors import DecodeError, LegendError
from smalti.labelmap import LabelMap
from smalti.legend import Legend

LEGEND = Legend({(0, 0, 0): "road", (1, 1, 1): ["car", "vehicle"], (2, 2, 2): ["bus", "vehicle"]})


def seg(rows: list[list[int]]) -> LabelMap:
    return LabelMap(np.array(rows, np.uint8), LEGEND)


def test_labels_select_counts_and_boxes() -> None:
    found = seg([[0, 1, 1, 1], [0, 2, 2, 1], [0, 0, 3, 1]])
    assert found["car"].tolist() == [[False] * 4, [False, True, True, False], [False] * 4]
    assert found["vehicle"].sum() == 3
    assert found.counts() == {"road": 5, "car": 2, "vehicle": 3, "bus": 1}
    assert found.void == 4
    assert found.shares()["car"] == pytest.approx(2 / 12)
    assert found.boxes() == {"road": (1, 0, 3, 3), "car": (1, 1, 2, 1), "bus": (2, 2, 1, 1), "vehicle": (1, 1, 2, 2)}
    assert [(s.id, s.label, s.pixels) for s in found.segments()] == [
        ((0, 0, 0), "road", 5),
        ((1, 1, 1), "car", 2),
        ((2, 2, 2), "bus", 1),
    ]
    assert repr(found) == "LabelMap 3×4 uint8: road 41.7%, vehicle 25.0%, car 16.7%, bus 8.3%, void 33.3%"
    assert "vehicle" in found
    assert "tree" not in found


def test_an_unknown_label_lists_those_there_are() -> None:
    with pytest.raises(LegendError, match="'tree'; the legend has: road, car, vehicle, bus"):
        seg([[0]])["tree"]


def test_remap_is_simultaneous_and_void_takes_the_rest() -> None:
    numbered = LabelMap(np.array([[1, 2, 0, 3]], np.uint8), Legend({6: "six", 9: "nine", 7: "seven"}))
    # 6 → 9 and 9 → 7 in sequence would turn 6 into 7.
    assert numbered.remap({6: 9, 9: 7}).tolist() == [[9, 7, 255, 255]]
    assert numbered.remap({"six": 1, "nine": 1}, void=-1).tolist() == [[1, 1, -1, -1]]
    assert numbered.remap({"six": 1}, void=-1).dtype == np.int16
    assert numbered.remap({"six": 300}).dtype == np.uint16
    assert numbered.remap({"six": 3}).dtype == np.uint8


def test_remap_refuses_contradictions_and_strangers() -> None:
    with pytest.raises(LegendError, match="give them one number"):
        seg([[1]]).remap({"car": 1, "vehicle": 2})
    with pytest.raises(LegendError, match="'tram', which the legend lacks"):
        seg([[1]]).remap({"tram": 1})


def test_numpy_sees_the_numbers() -> None:
    found = seg([[0, 1]])
    assert np.asarray(found).tolist() == [[0, 1]]
    assert np.asarray(found, np.int64).dtype == np.int64
    assert found.shape == (1, 2)


def test_resize_never_mixes_labels() -> None:
    found = seg([[1, 3], [3, 1]]).resize((4, 4))
    assert found.data.tolist() == [[1, 1, 3, 3], [1, 1, 3, 3], [3, 3, 1, 1], [3, 3, 1, 1]]
    assert found.resize((2, 2)).data.tolist() == [[1, 3], [3, 1]]
    with pytest.raises(DecodeError, match="at least 1"):
        found.resize((0, 3))


def test_notebook_html_names_the_labels_and_escapes_them() -> None:
    shown = LabelMap(np.ones((2, 2), np.uint8), Legend({(1, 2, 3): "<b>car</b>"}))._repr_html_()
    assert "&lt;b&gt;car" in shown
    assert "data:image/png;base64," in shown
    assert "100.0%" in shown


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 60000)))
def test_discovered_ids_come_back(raw: np.ndarray) -> None:
    data, legend = ids.discover(ids.pack(raw, "plain"), None, "plain")
    found = LabelMap(data, legend)
    assert np.array_equal(found.ids, raw)
    assert found.data.dtype == (np.uint8 if len(legend) < 256 else np.uint16)
    for segment in found.segments():
        inside = raw == segment.id
        rows, columns = np.nonzero(inside)
        box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert (segment.pixels, segment.box2d_xywh) == (inside.sum(), box)


def test_ids_256_apart_do_not_wrap() -> None:
    data, legend = ids.discover(ids.pack(np.array([[1, 257, 513, 65535]], np.uint16), "plain"), None, "plain")
    assert [e.code for e in legend] == [1, 257, 513, 65535]
    assert data.tolist() == [[1, 2, 3, 4]]


SCHEMES = {
    "coco": ([[10, 1, 2]], 10 + 256 + 2 * 65536, -1, 10 + 256 + 2 * 65536),
    "ade20k": ([[20, 7, 3]], (2 * 256 + 7) << 8 | 3, 2 * 256 + 7, 3),
    "bdd100k": ([[13, 4, 1, 2]], 13 << 24 | 4 << 16 | 1 << 8 | 2, 13, 258),
    "coco2ch": ([[7, 255, 0]], 7 << 8 | 255, 7, 255),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_schemes_pack_and_split(name: str) -> None:
    pixel, raw, category, instance = SCHEMES[name]
    packed = ids.pack(np.array([pixel], np.uint8), name)
    assert packed.tolist() == [[raw]]
    assert ids.SCHEMES[name].category(packed[0]).tolist() == [category]
    assert ids.SCHEMES[name].instance(packed[0]).tolist() == [instance]


def test_cityscapes_ids_are_classes_or_class_times_1000() -> None:
    raw = np.array([7, 26, 26000, 26013, 33999], np.uint32)
    assert ids.SCHEMES["cityscapes"].category(raw).tolist() == [7, 26, 26, 26, 33]
    assert ids.SCHEMES["cityscapes"].instance(raw).tolist() == [0, 0, 1, 14, 1000]


def test_a_category_names_all_its_instances_and_black_is_not_void_when_named() -> None:
    legend = Legend({0: "unlabeled", 26: "car"}, kind="ids", scheme="cityscapes")
    data, found = ids.discover(
        ids.pack(np.array([[0, 26000, 26001, 5]], np.uint16), "cityscapes"), legend, "cityscapes"
    )
    assert [e.labels for e in found] == [("unlabeled",), ("5",), ("car",), ("car",)]
    assert LabelMap(data, found)["car"].tolist() == [[False, True, True, False]]


def test_too_few_channels_for_a_scheme_is_told() -> None:
    with pytest.raises(DecodeError, match="need 3"):
        ids.pack(np.zeros((2, 2), np.uint8), "coco")
    with pytest.raises(LegendError, match="allowed: plain, coco"):
        ids.pack(np.zeros((2, 2), np.uint8), "nope")


def test_class_numbers_are_whole_numbers() -> None:
    seg = LabelMap(np.ones((2, 2), np.uint8), Legend({(1, 2, 3): "car"}))
    for wrong in ("1", 1.5, None, True):
        with pytest.raises(LegendError, match="whole numbers"):
            seg.remap({"car": wrong})  # type: ignore[dict-item]
