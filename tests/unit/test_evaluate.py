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
from smalti.errors import DecodeError, LegendError
from smalti.evaluate import _bands, boundary_of, evaluate, panoptic_quality
from smalti.frames import SingleFrame
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


def test_a_label_to_ignore_that_no_legend_has_is_refused() -> None:
    map_ = seg(np.array([[1, 2]]), Legend({1: "Car", 2: "road"}))
    assert evaluate([("f", map_, map_)], ignore=["Car", "void"]).names == ["road"]
    for wrong, said in (("Kar", "did you mean Car"), ("zebra", "there are Car, road")):
        with pytest.raises(LegendError, match=f"'{wrong}' is to be ignored, but no legend .*; {said}"):
            evaluate([("f", map_, map_)], ignore=[wrong])


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
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img") == 6
    assert "52.4%" in page
    assert [row["frame"] for row in found["worst"]] == ["one", "two"]
    with pytest.raises(SystemExit):
        main(arguments)
    assert "mIoU 52.38%" in capsys.readouterr().out


def test_a_frame_of_two_masks_is_compared_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for number in range(3):
        true = np.zeros((4, 6), np.uint8)
        true[:, 3:] = 1
        for name, data in (("seg", true), ("model", np.roll(true, number, 1))):
            Image.fromarray(data).save(tmp_path / f"{number}-{name}.png")
        Image.fromarray(np.full((4, 6, 3), 90, np.uint8)).save(tmp_path / f"{number}.png")
        frame = SingleFrame(
            f"{number}.png", id=f"f{number}", masks_source={n: f"{number}-{n}.png" for n in ("seg", "model")}
        )
        lines.append(json.dumps(frame.to_dict()))
    (tmp_path / "frames.jsonl").write_text("\n".join(lines))
    (tmp_path / "legend.csv").write_text("id,name\n0,road\n1,car\n")
    arguments = ["evaluate", "model", "seg", "--in", str(tmp_path / "frames.jsonl")]
    arguments += ["--legend", str(tmp_path / "legend.csv")]
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--json", "--html", str(tmp_path / "page.html")])
    assert left.value.code == 0
    found = json.loads(capsys.readouterr().out)
    # Shifts of 0, 1 and 2 columns of 6, each with two edges: 0, 8 and 16 of 24 pixels are wrong.
    assert found["accuracy"] == pytest.approx((24 + 16 + 8) / 72)
    assert [row["frame"] for row in found["worst"]] == ["f2", "f1", "f0"]
    assert (tmp_path / "page.html").read_text().count("<img") == 9
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--mask", "seg"])
    assert left.value.code == 2


def test_panoptic_quality_comes_with_the_rest() -> None:
    truth = objects([[1, 1, 1, 1, 2, 2, 7, 7, 7, 0]])
    found = objects([[2, 2, 2, 7, 0, 1, 7, 7, 7, 1]])
    scores = evaluate([("f", truth, found)], panoptic=True)
    assert scores.panoptic == panoptic_quality([(truth, found)])
    rows = {row["label"]: row for row in scores.to_dict()["panoptic"]}
    assert (rows["tree"]["pq"], rows["tree"]["sq"], rows["tree"]["rq"]) == (0.75, 0.75, 1.0)
    assert rows["car"] == {
        "label": "car",
        "pq": 0.375,
        "sq": 0.75,
        "rq": 0.5,
        "matched": 1,
        "false_positives": 1,
        "false_negatives": 1,
    }
    ignored = evaluate([("f", truth, found)], panoptic=True, ignore=["tree"])
    assert set(ignored.panoptic or {}) == {"car"}


# What torchmetrics 1.9.0 says of the two pictures below (docs: MulticlassJaccardIndex, MulticlassAccuracy,
# MulticlassF1Score, each with num_classes=4, ignore_index=255, and `average` as named); made by
# tests/golden/make_scores.py.
TRUTH = [[0, 0, 1, 1, 2, 255], [0, 3, 1, 1, 2, 2], [0, 3, 3, 1, 255, 2], [0, 0, 3, 3, 2, 2]]
FOUND = [[0, 1, 1, 1, 2, 0], [0, 3, 1, 0, 2, 2], [3, 3, 3, 1, 1, 2], [0, 0, 3, 2, 2, 0]]
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "scores.json").read_text())


def test_scores_are_those_of_torchmetrics() -> None:
    legend = Legend({i: f"c{i}" for i in range(4)})
    true = (np.array(TRUTH, int) + 1) % 256
    scores = evaluate([("f", seg(true, legend), seg(np.array(FOUND) + 1, legend))])
    order = [scores.names.index(f"c{i}") for i in range(4)]
    assert scores.iou[order].tolist() == pytest.approx(GOLDEN["iou"])
    assert scores.dice[order].tolist() == pytest.approx(GOLDEN["f1"])
    assert scores.confusion[order][:, order].tolist() == GOLDEN["confusion"]
    assert scores.miou == pytest.approx(GOLDEN["miou"])
    assert scores.weighted_iou == pytest.approx(GOLDEN["weighted_iou"])
    assert scores.accuracy == pytest.approx(GOLDEN["accuracy"])


@given(hnp.arrays(np.uint8, (11, 13), elements=st.integers(0, 3)), st.integers(1, 3))
def test_bands_of_all_classes_at_once_are_those_of_each(labels: np.ndarray, width: int) -> None:
    every = _bands(labels, width)
    for number in range(4):
        assert (boundary_of(labels == number, width) == (every & (labels == number))).all()


def test_many_entries_are_counted_as_few_are() -> None:
    draw = np.random.default_rng(3)
    labels = draw.integers(0, 1500, (2, 40, 50)).astype(np.uint16)
    few = [Legend({i: f"c{i % 7}" for i in range(n)}) for n in (1500, 1500)]
    maps = [LabelMap(data, legend) for data, legend in zip(labels, few, strict=True)]
    narrow = Legend({i: f"c{i}" for i in range(7)})
    folded = [LabelMap(np.where(m == 0, 0, (m - 1) % 7 + 1).astype(np.uint8), narrow) for m in labels]
    one, two = evaluate([("f", maps[0], maps[1])]), evaluate([("f", folded[0], folded[1])])
    assert one.names == two.names
    assert one.confusion.tolist() == two.confusion.tolist()
    assert one.missed.tolist() == two.missed.tolist()


IDS = hnp.arrays(np.uint32, (5, 8), elements=st.integers(0, 6))


def panoptic_by_definition(truth: np.ndarray, found: np.ndarray, category: dict[int, str]) -> dict[str, list[float]]:
    """Matched IoU, TP, FP, FN per category, step by step as the evaluation program of the panoptic task does it."""
    area = {(side, i): int((m == i).sum()) for side, m in (("t", truth), ("p", found)) for i in np.unique(m).tolist()}
    meet: dict[tuple[int, int], int] = {}
    for pair in zip(truth.ravel().tolist(), found.ravel().tolist(), strict=True):
        meet[pair] = meet.get(pair, 0) + 1
    scores: dict[str, list[float]] = {}
    matched: set[tuple[str, int]] = set()
    for (i, j), both in meet.items():
        if not i or not j or category[i] != category[j]:
            continue
        union = area["p", j] + area["t", i] - both - meet.get((0, j), 0)
        if both / union > 0.5:
            row = scores.setdefault(category[i], [0.0, 0, 0, 0])
            row[0] += both / union
            row[1] += 1
            matched |= {("t", i), ("p", j)}
    for side, i in area:
        if not i or (side, i) in matched or (side == "p" and meet.get((0, i), 0) / area[side, i] > 0.5):
            continue
        scores.setdefault(category[i], [0.0, 0, 0, 0])[2 if side == "p" else 3] += 1
    return scores


@given(IDS, IDS)
def test_panoptic_quality_follows_the_definition(true: np.ndarray, predicted: np.ndarray) -> None:
    category = {1: "car", 2: "car", 3: "car", 4: "tree", 5: "tree", 6: "sky"}
    legend = Legend(category, kind="ids", scheme="plain")
    maps = [LabelMap(*discover(data, legend, "plain")) for data in (true, predicted)]
    found = panoptic_quality([(maps[0], maps[1])])
    expected = panoptic_by_definition(true, predicted, category)
    told = {name: [row.iou_sum, row.true, row.false_positive, row.false_negative] for name, row in found.items()}
    assert set(told) == set(expected)
    for name, row in expected.items():
        assert told[name] == pytest.approx(row)
        below = row[1] + row[2] / 2 + row[3] / 2
        assert found[name].quality == pytest.approx(row[0] / below)
