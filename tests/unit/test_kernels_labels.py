"""The kernels against answers worked out by hand or by loops, on whichever build runs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smalti import kernels
from smalti.kernels import reference

try:
    from smalti.kernels import native
except ImportError:  # the suite also runs where nothing was compiled
    native = None  # type: ignore[assignment]

BUILDS = [pytest.param(reference, id="reference")]
if native is not None:
    BUILDS.append(pytest.param(native, id="native"))
each_build = pytest.mark.parametrize("build", BUILDS)


@each_build
def test_exact_colors(build) -> None:
    pixels = np.array([[[1, 2, 3], [1, 2, 4]], [[0, 0, 0], [255, 255, 255]]], np.uint8)
    keys = np.array([0x000000, 0x010203, 0xFFFFFF], np.uint32)
    found = build.gather_exact(pixels, keys, np.array([300, 7, 65535], np.uint16))
    assert found.dtype == np.uint16
    assert found.tolist() == [[7, 0], [300, 65535]]  # black is a colour like any other


@each_build
def test_nearest_colors_prefer_the_lower_position(build) -> None:
    colors = np.array([[10, 0, 0], [0, 0, 0], [20, 0, 0]], np.uint8)
    values = np.array([1, 2, 3], np.uint8)
    table = build.nearest_table(colors, values, -1)
    assert [int(table[r << 16]) for r in (0, 4, 5, 6, 10, 15, 16, 255)] == [2, 2, 1, 1, 1, 1, 3, 3]
    near = build.nearest_table(colors, values, 2)
    assert [int(near[r << 16]) for r in (2, 3, 8, 12, 13, 22, 23)] == [2, 0, 1, 1, 0, 3, 0]
    assert near[2 << 16 | 2 << 8 | 2] == 2
    assert near[2 << 16 | 3 << 8 | 2] == 0


@each_build
def test_tolerance_looks_at_the_nearest_only(build) -> None:
    # (3, 3, 3) is 16 away from (7, 3, 3) and 27 from black, so (7, 3, 3) is the nearest, but 4 levels off in red.
    # Black would be within 3 levels: it is not taken, since it is not the nearest.
    colors = np.array([[0, 0, 0], [7, 3, 3]], np.uint8)
    table = build.nearest_table(colors, np.array([1, 2], np.uint8), 3)
    assert table[3 << 16 | 3 << 8 | 3] == 0
    assert build.nearest_table(colors, np.array([1, 2], np.uint8), 4)[3 << 16 | 3 << 8 | 3] == 2


@each_build
def test_lookup_says_what_is_out_of_range(build) -> None:
    with pytest.raises(IndexError, match=r"index 9 is out of range for 3 entries \(0\.\.2\)"):
        build.lookup(np.array([[0, 9]], np.uint8), np.zeros(3, np.uint8))
    assert build.lookup(np.array([[70000]], np.uint32), np.arange(70001, dtype=np.int64)).tolist() == [[70000]]


@each_build
def test_counts_and_boxes(build) -> None:
    labels = np.zeros((4, 6), np.uint16)
    labels[1:3, 2:5] = 300
    labels[3, 0] = 2
    counts, boxes = build.count_boxes(labels, 301)
    assert counts[300] == 6
    assert boxes[300].tolist() == [2, 1, 3, 2]
    assert boxes[2].tolist() == [0, 3, 1, 1]
    assert boxes[0].tolist() == [0, 0, 6, 4]
    assert boxes[1].tolist() == [0, 0, 0, 0]
    assert build.count(labels, 301).tolist() == counts.tolist()


@each_build
def test_colors_are_counted_in_order(build) -> None:
    pixels = np.array([[[255, 0, 1], [0, 0, 2], [255, 0, 1]]], np.uint8)
    keys, counts = build.count_colors(pixels)
    assert [hex(k) for k in keys] == ["0x2", "0xff0001"]
    assert counts.tolist() == [1, 2]


@each_build
def test_blend_rounds_half_up(build) -> None:
    image = np.full((1, 4, 3), 100, np.uint8)
    labels = np.array([[0, 1, 2, 3]], np.uint8)
    colors = np.array([[9, 9, 9], [200, 0, 101], [200, 0, 255], [1, 2, 3]], np.uint8)
    found = build.blend(image, labels, colors, np.array([0, 0.5, 0.25, 1]))
    assert found.tolist() == [[[100, 100, 100], [150, 50, 101], [125, 75, 139], [1, 2, 3]]]


@each_build
def test_confusion_has_truth_in_rows(build) -> None:
    truth, predicted = np.array([[0, 1, 1]], np.uint8), np.array([[0, 2, 1]], np.uint16)
    assert build.confusion(truth, predicted, 3).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]


@each_build
def test_runs_and_contour(build) -> None:
    labels = np.array([[1, 1, 2], [2, 2, 2]], np.uint8)
    values, lengths = build.runs_encode(labels)
    assert (values.tolist(), lengths.tolist()) == ([1, 2], [2, 4])
    assert build.runs_decode(values, lengths).tolist() == [1, 1, 2, 2, 2, 2]
    assert build.contour(labels).tolist() == [[True, True, False], [False, False, False]]


@each_build
def test_inputs_are_left_alone(build) -> None:
    labels = np.array([[3, 1], [0, 2]], np.uint8)
    labels.flags.writeable = False
    table = np.arange(4, dtype=np.uint8)
    table.flags.writeable = False
    assert build.lookup(labels, table).flags.writeable
    assert build.lookup(labels, table) is not labels


def test_the_probe_agrees() -> None:
    said = kernels.probe()
    assert ("compiled" in said) == (native is not None)


def test_the_probe_notices_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "contour", lambda labels: np.ones(labels.shape, np.bool_))
    if native is None:
        assert "NumPy reference" in kernels.probe()
    else:
        with pytest.raises(RuntimeError, match=r"kernels\.contour"):
            kernels.probe()


@pytest.mark.parametrize(("wanted", "answer"), [("reference", "False"), ("sideways", "ImportError")])
def test_the_environment_chooses(wanted: str, answer: str) -> None:
    code = (
        "try:\n from smalti import kernels\n print(kernels.IS_NATIVE, kernels.lookup.__module__)\n"
        "except ImportError as error:\n print('ImportError', error)"
    )
    source = Path(kernels.__file__).resolve().parents[2]
    env = {**os.environ, "SMALTI_KERNELS": wanted, "PYTHONPATH": str(source)}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert said.startswith(answer)
    assert wanted in said
