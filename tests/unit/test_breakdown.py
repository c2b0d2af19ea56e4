"""How labels are spread: quantiles, what occurs together, and the course over time, against plain counting."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.breakdown import Breakdown
from smalti.facts import MaskFacts
from smalti.plots import bar_chart, heat_map, line_chart, page, range_chart

PIXELS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50), max_size=4)
FRAMES = st.lists(st.lists(PIXELS, max_size=2), min_size=1, max_size=12)


def breakdown(frames: list[list[dict[str, int]]]) -> Breakdown:
    found = Breakdown()
    for masks in frames:
        facts = [MaskFacts(source="s", mask=str(i), size_hw=(10, 20), pixels=pixels) for i, pixels in enumerate(masks)]
        found.add(facts)
    return found


def shares(frames: list[list[dict[str, int]]], label: str) -> list[float]:
    return [sum(p.get(label, 0) for p in masks) / (200 * len(masks)) if masks else 0.0 for masks in frames]


@given(FRAMES)
def test_sizes_and_neighbours_follow_the_frames(frames: list[list[dict[str, int]]]) -> None:
    found = breakdown(frames)
    sizes = found.sizes()
    names = list(sizes)
    for label in "abcd":
        present = [value for value in shares(frames, label) if value]
        assert (label in sizes) == bool(present)
        if present:
            assert sizes[label] == pytest.approx(np.quantile(present, [0.1, 0.5, 0.9]))
    table = found.together(names)
    shown = {name: {i for i, value in enumerate(shares(frames, name)) if value} for name in names}
    for i, one in enumerate(names):
        for j, two in enumerate(names):
            assert table[i, j] == pytest.approx(len(shown[one] & shown[two]) / len(shown[one]))


@given(FRAMES, st.integers(1, 5))
def test_the_course_is_the_mean_of_each_part(frames: list[list[dict[str, int]]], steps: int) -> None:
    found = breakdown(frames)
    names = list(found.sizes())
    course = found.over_time(names, steps)
    count = min(steps, len(frames))
    for name in names:
        values = shares(frames, name)
        parts = [[v for i, v in enumerate(values) if i * count // len(frames) == step] for step in range(count)]
        assert course[name] == pytest.approx([sum(part) / len(part) for part in parts])


def test_labels_that_only_rois_have_are_listed() -> None:
    found = Breakdown()
    found.add([], [{"car"}, {"car", "red"}])
    rows = {row["label"]: row for row in found.to_dict()["labels"]}
    assert {label: (row["rois"], row["pixels"]) for label, row in rows.items()} == {"car": (2, 0), "red": (1, 0)}
    assert list(found.plots()) == ["rois"]
    assert Breakdown().plots() == {}


@pytest.mark.parametrize("frames", [1, 2, 70])
def test_plots_are_drawings(frames: int) -> None:
    draw = np.random.default_rng(frames)
    names = ["car", "a <b> & c", "\x01control", "x" * 60, "é"]
    listed = [[{name: int(draw.integers(0, 40)) for name in names}] for _ in range(frames)]
    for name, svg in breakdown(listed).plots().items():
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg"), name
        assert float(root.attrib["width"]) > 0
        assert "nan" not in svg


def test_plots_of_nothing() -> None:
    for svg in (bar_chart("t", []), range_chart("t", []), heat_map("t", [], []), line_chart("t", [])):
        ElementTree.fromstring(svg)
    assert "&lt;b&gt;" in page("<b>", "")
