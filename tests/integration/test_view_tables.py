"""One table per kind of mask: what the loader, statistics, explanation and export say of a mapped view is the same."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serving import Site, site

import smalti
from smalti.cli import main
from smalti.formats import load
from smalti.formats.protocol import Reading
from smalti.mapped import mapped_frames
from smalti.survey import survey

COLORS = {"car": (200, 0, 0), "truck": (0, 200, 0), "road": (90, 90, 90), "sky": (0, 0, 250)}
CLASSES = {"car": 2, "truck": 2, "road": 1}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[smalti.Store]:
    """Six frames of a clip in colour masks: half of them explained by ROIs, half by the version's legend."""
    with smalti.open(tmp_path / "store") as found:
        version = found.create_dataset("drive").create_version("v1")
        version.set_masks_labels({rgb: name for name, rgb in COLORS.items()})
        draw = np.random.default_rng(1)
        for number in range(6):
            picks = draw.integers(0, 5, (12, 16))
            table = np.array([*COLORS.values(), (7, 7, 7)], np.uint8)
            Image.fromarray(table[picks]).save(tmp_path / f"{number}-mask.png")
            Image.fromarray(np.full((12, 16, 3), 50, np.uint8)).save(tmp_path / f"{number}.png")
            frame = smalti.SingleFrame(
                str(tmp_path / f"{number}.png"),
                id=f"f{number}",
                context_id="clip",
                timestamp=number,
                mask_source=str(tmp_path / f"{number}-mask.png"),
            )
            for name, rgb in COLORS.items() if number % 2 else ():
                frame.add_annotation(mask_rgb=rgb, labels=[name])
            version.add_frames([frame])
        yield found


def truth(tmp_path: Path) -> Counter[int]:
    """Pixels by class, by Pillow and NumPy."""
    found: Counter[int] = Counter()
    for number in range(6):
        pixels = np.asarray(Image.open(tmp_path / f"{number}-mask.png"))
        classes = np.full(pixels.shape[:2], 255)
        for name, rgb in COLORS.items():
            classes[(pixels == rgb).all(axis=2)] = CLASSES.get(name, 255)
        found.update(classes.ravel().tolist())
    return found


def test_every_user_of_the_mapping_says_the_same(store: smalti.Store, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from smalti.feed.torch import loader

    view = store.version("drive@v1").view().map_labels(CLASSES, void=255)
    expected = truth(tmp_path)
    loaded: Counter[int] = Counter()
    for _, masks in loader(view, batch_size=2):
        loaded.update(masks.numpy().ravel().tolist())
    assert loaded == expected
    counted = survey(view)
    titles = {"car/truck (2)": 2, "road (1)": 1}
    assert {titles[row.label]: row.pixels for row in counted.totals.ranked()} == {c: expected[c] for c in (1, 2)}
    assert counted.totals.void == expected[255]
    assert counted.opened == 6
    mapped = Counter[str]()
    for frame in mapped_frames(view):
        mapped.update(frame.label_map().counts())
    assert mapped == {"car": expected[2], "road": expected[1]}
    (tmp_path / "explained").write_text("")
    with (tmp_path / "explained").open("w") as file:
        told = view.explain(file)
    for found in told.tables:
        assert dict(zip(found.table.legend.labels, found.table.classes, strict=True)) == {**CLASSES, "sky": 255}


def test_facts_are_used_where_they_are(store: smalti.Store, tmp_path: Path) -> None:
    version = store.version("drive@v1")
    version.compute_facts()
    for number in range(6):
        (tmp_path / f"{number}-mask.png").unlink()
    view = version.view()
    counted = survey(view)
    assert (counted.opened, counted.totals.failed, counted.totals.masks) == (0, [], 6)
    assert counted.rois == dict.fromkeys(COLORS, 3)
    mapped = survey(view.clone().map_labels(CLASSES))
    assert mapped.opened == 0
    assert sum(row.pixels for row in mapped.totals.ranked()) + mapped.totals.void == 6 * 12 * 16
    version.delete_frames(["f0"])
    version.add_frames([smalti.SingleFrame("g.png", id="g", mask_source=str(tmp_path / "gone.png"))])
    again = survey(version.view())
    assert [frame for frame, _ in again.totals.failed] == ["g"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as left:
        main([str(each) for each in arguments])
    said = capsys.readouterr()
    assert left.value.code == 0, said.err
    return said.out


def test_stats_and_export_of_a_stored_view(
    store: smalti.Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = truth(tmp_path)
    view = store.version("drive@v1").view().map_labels(CLASSES)
    view.name = "mine"
    view.store(store)
    at = ("--store", store.uri)
    found = json.loads(run(capsys, "stats", "mine", *at, "--json", "--plots", tmp_path / "plots"))
    assert {row["label"]: row["pixels"] for row in found["labels"]} == {
        "car/truck (2)": expected[2],
        "road (1)": expected[1],
    }
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        *(f"{name}.svg" for name in ("pixels", "frames", "size", "together", "time", "rois")),
        "index.html",
    }
    run(capsys, "export", "mine", tmp_path / "out", "--format", "folder", *at)
    classes = Counter[str]()
    for frame in load("folder").read(tmp_path / "out", Reading()):
        classes.update(frame.label_map().counts())
    assert classes == {"car": expected[2], "road": expected[1]}
    legend = (tmp_path / "out" / "legend.csv").read_text()
    assert [line.split(",")[0] + line.split(",")[-1] for line in legend.splitlines()[1:]] == ["road1", "car2"]
    table = run(capsys, "stats", "drive@v1", "label:car", *at, "--csv", tmp_path / "t.csv")
    assert "3 frames, 3 masks" in table
    assert (tmp_path / "t.csv").read_text().splitlines()[0].startswith("label,pixels,pixel_share,frames")
    with pytest.raises(SystemExit) as left:
        main(["export", "nothing-of-the-kind", str(tmp_path / "no"), "--format", "folder", *at])
    assert left.value.code == 2
    assert "nor a stored view" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ what pages are told
NUMBERS = {6: 9, 9: 7, 3: 7}
LINES = {6: "six", 9: "nine", 3: "three", 4: "four"}


@pytest.fixture
def two_versions(tmp_path: Path) -> Iterator[smalti.Store]:
    """v1 and its draft child v2: a colour mask and a mask of numbers in each frame, a box, and a ROI by mask value."""
    draw = np.random.default_rng(2)
    with smalti.open(tmp_path / "two") as found:
        version = found.create_dataset("drive").create_version("v1")
        version.set_masks_labels(
            {"seg": {rgb: name for name, rgb in COLORS.items()}, "lines": smalti.Legend(dict(LINES))}
        )
        for number in range(3):
            colors = np.array([*COLORS.values(), (7, 7, 7)], np.uint8)[draw.integers(0, 5, (12, 16))]
            lines = np.array([0, *LINES], np.uint8)[draw.integers(0, 5, (12, 16))]
            stem = tmp_path / "two" / f"{number}"
            Image.fromarray(colors).save(f"{stem}-seg.png")
            Image.fromarray(lines).save(f"{stem}-lines.png")
            Image.fromarray(np.full((12, 16, 3), 50, np.uint8)).save(f"{stem}.png")
            masks = {"seg": f"{stem}-seg.png", "lines": f"{stem}-lines.png"}
            frame = smalti.SingleFrame(f"{stem}.png", id=f"f{number}", timestamp=number, masks_source=masks)
            frame.source_record.masks[1].encoding = "index"
            frame.add_annotation(mask_rgb=COLORS["truck"], mask_id="seg", labels=["truck"])
            for label in ("car", "sky", "road", "bicycle"):
                frame.add_annotation(box2d_xywh=[1, 1, 4, 4], labels=[label])
            version.add_frames([frame])
        version.publish()
        version.child("v2")
        yield found


def views(store: smalti.Store, void: int) -> Iterator[smalti.DataView]:
    """Several labels in one class, numbers in a chain, hidden labels, and a rule that holds in one version only."""
    first, second = store.version("drive@v1"), store.version("drive@v2")
    for mapping in ({**CLASSES, "sky": 3, "vehicle": 5}, NUMBERS):
        view = smalti.DataView(first)
        view.add_version(second)
        yield view.map_labels(mapping, void=void, hidden=["sky"]).add_mapping_rule(
            "truck", "vehicle", dataset_name="drive", version_name="v2"
        )
    yield smalti.DataView(first).add_version(second).add_mapping_rule("truck", "car", version_name="v2")


def told(found: Site, view: str, version: str, frame: str, mask: str) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """The class table of a mask, and the mask gone through it as a page does."""
    path = f"/versions/drive@{version}/frames/{frame}/sources/default/masks/{mask}"
    table = found.get(f"{path}/classes?dataview={view}").json()
    answer = found.get(f"{path}/index")
    size = int(answer.headers["x-mask-height"]), int(answer.headers["x-mask-width"])
    index = np.frombuffer(answer.content, answer.headers["x-mask-dtype"]).reshape(size)
    by_row = {i: row["number"] for row in table["rows"] for i in row["entries"]}
    by_entry = {0: table["void"], **{entry["index"]: entry["number"] for entry in table["entries"]}}
    assert by_row == by_entry
    classes = np.vectorize(by_row.__getitem__)(index)
    assert {row["number"]: row["pixels"] for row in table["rows"] if row["pixels"]} == Counter(classes.ravel().tolist())
    return table, classes


@pytest.mark.parametrize("void", [255, -1])
def test_pages_are_told_the_classes_that_the_loader_makes(
    two_versions: smalti.Store, tmp_path: Path, void: int
) -> None:
    pytest.importorskip("torch")
    from smalti.feed.torch import loader

    names = {two_versions.version(f"drive@{name}").id: name for name in ("v1", "v2")}
    with site(tmp_path / "two") as found:
        for number, view in enumerate(views(two_versions, void)):
            view.name = f"view {void} {number}"
            view.store(two_versions)
            id_of = next(v["id"] for v in found.get("/dataviews").json() if v["name"] == view.name)
            explained = {(t.version, t.mask): t.table for t in view.explain(io.StringIO()).tables}
            served = list(view.iterate(output="records"))
            places = [(names[each.version], each.record.id) for each in served]
            for mask in ("seg", "lines"):
                counted: Counter[int] = Counter()
                batches = loader(view, batch_size=1, mask_id=mask)
                for (version, frame), (_, loaded) in zip(places, batches, strict=True):
                    table, classes = told(found, id_of, version, frame, mask)
                    assert np.array_equal(classes, loaded.numpy()[0])
                    rows = explained[version, mask].rows()
                    assert [(e["mapped"], e["number"]) for e in table["entries"]] == [
                        (list(names), n) for _, _, names, n in rows
                    ]
                    counted.update(classes.ravel().tolist())
                totals = survey(view, mask_id=mask).totals
                if view.mapping.numbers:
                    assert totals.void == counted[void]
                assert sum(row.pixels for row in totals.ranked()) == counted.total() - totals.void
            for (version, frame), mapped in zip(places, mapped_frames(view), strict=True):
                rois = found.get(f"/versions/drive@{version}/frames/{frame}/classes?dataview={id_of}").json()["rois"]
                shown = [
                    row["name"] if view.mapping.numbers else row["mapped"] for row in rois if row["name"] != "void"
                ]
                exported = [list(roi.label) for roi in mapped.record.rois]
                assert shown == [labels[0] if view.mapping.numbers else labels for labels in exported]
