"""Legends: what they refuse, how they look values up, and the files that they are read from."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import LegendError
from smalti.legend import Entry, Legend, voc_color


def test_several_labels_on_one_color_and_one_label_on_several() -> None:
    legend = Legend({(1, 2, 3): ["car", "vehicle"], (4, 5, 6): "car"})
    assert legend.labels == ["car", "vehicle"]
    assert legend.indices_of("car") == [1, 2]
    assert legend.indices_of("vehicle") == [1]


def test_two_meanings_of_one_color_show_both_entries() -> None:
    clash = [Entry(("road",), (0, 0, 0)), Entry(("static",), (0, 0, 0))]
    with pytest.raises(LegendError, match="'road' in one entry and 'static' in another"):
        Legend.from_entries(clash)
    merged = Legend.from_entries(clash, shared="merge")
    assert merged.entries == (Entry(("road", "static"), (0, 0, 0)),)
    assert merged.merged == ("color (0, 0, 0) has 2 names: road, static",)


@pytest.mark.parametrize("value", [(1, 2), (1, 2, 256), (1, 2, -2), "red", (1.5, 2, 3), True, (1, 2, 3, 4)])
def test_what_is_no_color_is_refused(value: object) -> None:
    with pytest.raises(LegendError, match="allowed"):
        Legend({value: "car"})


def test_minus_one_means_any_and_the_more_exact_entry_wins() -> None:
    legend = Legend({(-1, 1, 255): "any red", (7, 1, 255): "seven", (-1, -1, 9): "plane"})
    keys, values, rest = legend.color_keys()
    table = dict(zip(keys.tolist(), values.tolist(), strict=True))
    assert table[7 << 16 | 1 << 8 | 255] == 2
    assert table[8 << 16 | 1 << 8 | 255] == 1
    assert table[200 << 16 | 33 << 8 | 9] == 3
    assert (len(table), rest) == (256 + 65536, 0)
    assert keys.tolist() == sorted(keys.tolist())
    assert Legend({(-1, -1, -1): "rest"}).color_keys()[2] == 1


def test_equality_is_symmetric_and_not_by_subset() -> None:
    small, large = Legend({(0, 0, 0): "a"}), Legend({(0, 0, 0): "a", (1, 1, 1): "b"})
    assert small != large
    assert large != small
    assert small == Legend({(0, 0, 0): ["a"]})
    assert hash(small) == hash(Legend({(0, 0, 0): "a"}))


def test_left_wins_in_a_union() -> None:
    union = Legend({(0, 0, 0): "a"}) | Legend({(0, 0, 0): "b", (1, 1, 1): "c"})
    assert union == Legend({(0, 0, 0): "a", (1, 1, 1): "c"})


def test_a_legend_cannot_change_and_pickles() -> None:
    legend = Legend({(0, 0, 0): "a"})
    with pytest.raises(AttributeError, match="cannot change"):
        legend.kind = "ids"
    assert pickle.loads(pickle.dumps(legend)) == legend


def test_codes_beyond_255_with_few_entries_keep_their_value() -> None:
    table = Legend({300: "thing", 2: "other"}).code_table(512)
    assert (table[300], table[2], table[44]) == (1, 2, 0)


def test_negative_codes_match_nothing() -> None:
    assert Legend({-1: "license plate", 0: "road"}).code_table(256).tolist()[:2] == [2, 0]


def test_voc_colors_are_the_published_ones() -> None:
    # The first ten rows of the colour map that the VOC development kit publishes.
    published = [
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (0, 0, 128),
        (128, 0, 128),
        (0, 128, 128),
        (128, 128, 128),
    ]
    assert [voc_color(i) for i in range(8)] == published
    assert voc_color(255) == (224, 224, 192)


FILES = {
    "label_colors.txt": (
        "64 128 64\tAnimal\n192 0 128\t\tArchway\n0 0 0 Void",
        {(64, 128, 64): "Animal", (192, 0, 128): "Archway", (0, 0, 0): "Void"},
    ),
    "class_dict.csv": (
        "name,r,g,b,class_11\nscraper,1, 175, 76, 1\nVoid,255,255,255,0",
        {(1, 175, 76): "scraper", (255, 255, 255): "Void"},
    ),
    "labelmap.txt": (
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:1,2,3::",
        {(0, 0, 0): "background", (1, 2, 3): "car"},
    ),
    "names.json": ('{"road": [1, 2, 3], "sky": "#0a0b0c"}', {(1, 2, 3): "road", (10, 11, 12): "sky"}),
    "colors.json": ('{"1,2,3": "road", "(4, 5, 6)": ["sky", "blue"]}', {(1, 2, 3): "road", (4, 5, 6): ["sky", "blue"]}),
    "mask_labels.json": ('{"_all_": [{"value": [1, 2, 3], "labels": ["a", "b"]}]}', {(1, 2, 3): ["a", "b"]}),
    "indices.json": ('{"0": "background", "7": "road"}', {0: "background", 7: "road"}),
    "classes.txt": ("_background_\ncar\n", {0: "_background_", 1: "car"}),
    "numbered.txt": ("0 background\n12: car", {0: "background", 12: "car"}),
    "ids.csv": ("id;name\n4;road\n9;sky", {4: "road", 9: "sky"}),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_people_have(tmp_path: Path, name: str) -> None:
    text, colors = FILES[name]
    (tmp_path / name).write_text(text)
    assert Legend.read(tmp_path / name) == Legend(colors)


def test_a_file_with_colors_and_codes_serves_both_kinds(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("id,name,r,g,b\n-1,plate,0,0,142\n5,road,128,64,128\n")
    assert Legend.read(tmp_path / "l.csv").color_keys()[1].tolist() == [1, 2]
    assert Legend.read(tmp_path / "l.csv", kind="indices").code_table(8)[5] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,r,g\ncar,1,2", "needed: a column"),
        ("name,r,g,b\ncar,1,2,999", ":2: .* is not a colour"),
        ("name,r,g,b\ncar,1,2", ":2: 3 cells where the header has 4"),
        ("name,r,g,b\ncar,x,2,3", "'x' is not a whole number"),
        ("", "no entries"),
    ],
)
def test_a_bad_csv_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(LegendError, match=said):
        Legend.read(tmp_path / "l.csv")


def test_bytes_and_broken_json_are_refused(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(b"\x89PNG\r\n\xff")
    with pytest.raises(LegendError, match="is not text"):
        Legend.read(tmp_path / "l.csv")
    (tmp_path / "l.json").write_text('{"a": ')
    with pytest.raises(LegendError, match="is not JSON"):
        Legend.read(tmp_path / "l.json")


@given(st.dictionaries(st.tuples(*[st.integers(0, 255)] * 3), st.text(min_size=1), min_size=1, max_size=40))
def test_mask_labels_and_back(colors: dict[tuple[int, int, int], str]) -> None:
    legend = Legend(colors)
    assert Legend.from_mask_labels(legend.to_mask_labels()) == legend
    keys, values, _ = legend.color_keys()
    for key, value in zip(keys.tolist(), values.tolist(), strict=True):
        assert legend.entries[value - 1].color == (key >> 16, key >> 8 & 255, key & 255)
    assert legend.display_colors().dtype == np.uint8


@pytest.mark.parametrize("given", [{(1, 2, 3): []}, {(1, 2, 3): ""}, {(1, 2, 3): None}, {(1, 2, 3): 5}, [(1, 2, 3)], 5])
def test_a_legend_without_names_is_refused(given: object) -> None:
    with pytest.raises(LegendError, match=r"allowed|made of"):
        Legend(given)  # type: ignore[arg-type]


def test_a_label_counts_once_in_an_entry() -> None:
    assert Legend({(1, 2, 3): ["car", "car"]}).entries[0].labels == ("car",)


@pytest.mark.parametrize("rows", [5, "x", {"value": [1, 2, 3]}, [{"value": [1, 2, 3]}], [5]])
def test_rows_of_the_version_form_are_checked(rows: object) -> None:
    with pytest.raises(LegendError, match="allowed"):
        Legend.from_mask_labels(rows)  # type: ignore[arg-type]
