"""One table per kind of mask: what the loader, statistics, explanation and export say of a mapped view is the same."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
