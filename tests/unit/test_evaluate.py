"""Scores against the definitions, written out here by loops over pixels."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from smalti.cli import main
from smalti.errors import DecodeError
from smalti.evaluate import boundary_of, evaluate, panoptic_quality
from smalti.ids import discover
from smalti.labelmap import LabelMap
from smalti.legend import Legend

NAMES = ["a", "b", "c"]
LEGEND = Legend({(i, i, i): name for i, name in enumerate(NAMES)})
MAPS = hnp.arrays(np.uint8, (4, 5), elements=st.integers(0, 3))


def seg(data: np.ndarray, legend: Legend = LEGEND) -> LabelMap:
    return LabelMap(np.asarray(data, np.uint8), legend)


@given(st.lists(st.tuples(MAPS, MAPS), min_size=1, max_size=3))
def test_global_scores_follow_the_definitions(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    scores = evaluate((str(i), seg(t), seg(p)) for i, (t, p) in enumerate(pairs))
    truth = np.concatenate([t.ravel() for t, _ in pairs]).tolist()
    found = np.concatenate([p.ravel() for _, p in pairs]).tolist()
    counted = [(t, p) for t, p in zip(truth, found, strict=True) if t != 0]
    ious = []
    for k in (1, 2, 3):
        hit = sum(t == p == k for t, p in counted)
        union = sum(t == k or p == k for t, p in counted)
        assert (math.isnan(scores.iou[k - 1]) and union == 0) or scores.iou[k - 1] == pytest.approx(hit / union)
        both = sum(t == k for t, _ in counted) + sum(p == k for _, p in counted)
        assert (math.isnan(scores.dice[k - 1]) and both == 0) or scores.dice[k - 1] == pytest.approx(2 * hit / both)
        ious += [hit / union] if union else []
    if counted:
        assert scores.accuracy == pytest.approx(sum(t == p for t, p in counted) / len(counted))
        assert scores.miou == pytest.approx(sum(ious) / len(ious))
    assert len(scores.frames) == len(pairs)
    assert [f.miou for f in scores.frames if f.miou == f.miou] == sorted(
        f.miou for f in scores.frames if f.miou == f.miou
    )


def test_ignored_pixels_are_neither_miss_nor_false_alarm() -> None:
    truth, found = [[1, 1, 3, 3]], [[1, 2, 1, 2]]
    scores = evaluate([("f", seg(np.array(truth)), seg(np.array(found)))], ignore=["c"])
    assert scores.names == ["a", "b"]
    assert scores.confusion.tolist() == [[1, 1], [0, 0]]
    assert scores.iou.tolist() == [0.5, 0.0]


def test_classes_are_matched_by_name_and_not_by_number() -> None:
    other = Legend({(9, 9, 9): "c", (8, 8, 8): "a"})
    scores = evaluate([("f", seg(np.array([[1, 3]])), seg(np.array([[2, 1]]), other))])
    assert scores.miou == 1


def test_sizes_must_agree() -> None:
    with pytest.raises(DecodeError, match=r"frame f: truth is \(1, 2\) and prediction \(1, 1\)"):
        evaluate([("f", seg(np.ones((1, 2))), seg(np.ones((1, 1))))])


@given(hnp.arrays(np.bool_, (9, 8)), st.integers(1, 3))
def test_the_boundary_band_is_the_mask_without_its_erosion(mask: np.ndarray, width: int) -> None:
    band = boundary_of(mask, width)
    for y in range(9):
        for x in range(8):
            near = [(y + dy, x + dx) for dy in range(-width, width + 1) for dx in range(-width, width + 1)]
            whole = all(0 <= r < 9 and 0 <= c < 8 and mask[r, c] for r, c in near)
            assert band[y, x] == (mask[y, x] and not whole)


def test_boundary_iou_of_a_shifted_square() -> None:
    truth = np.zeros((60, 60))
    truth[10:40, 10:40] = 1
    same = evaluate([("f", seg(truth + 1), seg(truth + 1))], boundary=True)
    moved = evaluate([("f", seg(truth + 1), seg(np.roll(truth, 3, 1) + 1))], boundary=True)
    assert same.boundary_iou is not None
    assert moved.boundary_iou is not None
    assert same.boundary_iou[:2].tolist() == [1, 1]
    assert moved.boundary_iou[1] < moved.iou[1] < 1


def objects(data: list[list[int]]) -> LabelMap:
    legend = Legend({1: "car", 2: "car", 7: "tree"}, kind="ids", scheme="plain")
    return LabelMap(*discover(np.array(data, np.uint32), legend, "plain"))


def test_panoptic_quality_by_hand() -> None:
    truth = objects([[1, 1, 1, 1, 2, 2, 7, 7, 7, 0]])
    found = objects([[2, 2, 2, 7, 0, 1, 7, 7, 7, 1]])
    scores = panoptic_quality([(truth, found)])
    # Cars: 1 matches found 2 with IoU 3/4; true 2 is missed (found 1 covers 1 of its 2, IoU 1/2);
    # found 1 is a false alarm: only half of it lies on void.
    assert scores["car"].true == 1
    assert scores["car"].quality == pytest.approx(0.75 / (1 + 0.5 + 0.5))
    assert scores["tree"].quality == pytest.approx(3 / 4)


def test_evaluate_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "legend.csv").write_text("name,r,g,b\nroad,10,0,0\ncar,0,10,200\n")
    colors = np.array([(10, 0, 0), (0, 10, 200)], np.uint8)
    for folder, shift in (("truth", 0), ("found", 1)):
        (tmp_path / folder).mkdir()
        for name in ("one", "two"):
            data = np.zeros((6, 8), int)
            data[:, 2 + shift : 4 + shift] = 1
            Image.fromarray(colors[data]).save(tmp_path / folder / f"{name}.png")
    arguments = [
        "evaluate",
        str(tmp_path / "found"),
        str(tmp_path / "truth"),
        "--legend",
        str(tmp_path / "legend.csv"),
        "--boundary",
    ]
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--json", "--html", str(tmp_path / "page.html")])
    assert left.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert {c["label"]: c["iou"] for c in found["classes"]} == {
        "road": pytest.approx(5 / 7),
        "car": pytest.approx(1 / 3),
    }
    assert found["frames"] == 2
    assert (tmp_path / "page.html").read_text().count("<figure>") == 2
    with pytest.raises(SystemExit):
        main(arguments)
    assert "mIoU 52.38%" in capsys.readouterr().out
