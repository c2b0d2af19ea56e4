"""What programs and people are told: JSON of every verb on views, frames from a pipe, changes inside a frame, the trail."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import smalti
from smalti import wire
from smalti.cli import main
from smalti.testing import frame

Run = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> smalti.Store:
    made = smalti.open(tmp_path / "store")
    version = made.create_dataset("drive").create_version("v1")
    version.add_frames([frame(number) for number in range(3)])
    version.publish()
    return made


@pytest.fixture
def run(store: smalti.Store, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main([*(str(word) for word in words), "--store", store.uri])
        printed = capsys.readouterr()
        assert left.value.code == code, printed
        return printed.out or printed.err

    return run


def test_every_verb_on_views_has_json(run: Run, tmp_path: Path) -> None:
    run("view", "save", "mine", "drive@v1", "--label", "car=1")
    told = json.loads(run("view", "explain", "mine", "--json"))
    assert {(row["dataset"], row["mask"]) for row in told["tables"]} == {("drive", "seg")}
    assert {"value", "labels", "names", "class"} == set(told["tables"][0]["rows"][0])
    published = json.loads(run("view", "publish", "mine", "--json"))
    assert (published["name"], published["status"]) == ("mine", "published")
    where = tmp_path / "view.json"
    assert json.loads(run("view", "export", "mine", "-o", where, "--json")) == {"view": "mine", "output": str(where)}
    assert json.loads(run("view", "export", "mine", "--json")) == json.loads(where.read_text())
    assert json.loads(run("view", "delete", "mine", "--force", "--json")) == {"deleted": "mine"}


def test_frames_come_from_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def piped(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    run("version", "create", "drive@v2")
    piped(wire.dump_line(frame(7)) + b"\n" + wire.dump_line(frame(8)))
    assert "2 frames (+2)" in run("frames", "add", "drive@v2", "-")
    piped(wire.dump_line(frame(9)) + b"{")
    assert "standard input:2" in run("frames", "add", "drive@v2", "-", code=2)


def test_changes_inside_a_frame_are_a_table(run: Run, store: smalti.Store) -> None:
    child = store["drive"]["v1"].child("v2")
    changed: Any = child.get("f0000")
    changed.metadata["weather"] = "rain"
    child.update_frames([changed])
    child.delete_frames(["f0001"])
    said = run("version", "diff", "drive@v1", "v2", "--frame", "f0000").splitlines()
    assert [line.split() for line in said] == [["part", "before", "after"], ["+", "meta.weather", "rain"]]
    assert "frame f0002 is the same in both" in run("version", "diff", "drive@v1", "v2", "--frame", "f0002")
    gone = run("version", "diff", "drive@v1", "v2", "--frame", "f0001")
    assert "- meta.city" in " ".join(gone.split())
    assert "blob" not in gone  # it had none
    assert "{}" not in gone


def test_a_side_without_the_part_has_no_key(run: Run, store: smalti.Store) -> None:
    child = store["drive"]["v1"].child("v2")
    child.delete_frames(["f0001"])
    child.add_frames([frame(9)])
    for name, absent in (("f0001", "after"), ("f0009", "before")):
        found = json.loads(run("version", "diff", "drive@v1", "v2", "--frame", name, "--json"))
        listed = [change for kind in ("meta", "sources", "rois", "masks") for change in found[kind]]
        assert listed
        assert all(absent not in change and change["kind"] in ("added", "removed") for change in listed)
        assert not any(None in change.values() for change in listed)


def test_pixels_that_changed_are_rows(run: Run, store: smalti.Store, tmp_path: Path) -> None:
    legend = {1: "sky", 2: "car"}
    for name, value in (("old", 1), ("new", 2)):
        Image.fromarray(np.full((2, 3), value, np.uint8)).save(tmp_path / f"{name}.png")
    draft = store["drive"].create_version("w1")
    one = smalti.SingleFrame("s3://b/i.png", id="one")
    one.masks_source = {"seg": str(tmp_path / "old.png")}
    draft.set_masks_labels({"seg": legend})
    draft.add_frames([one])
    child = draft.publish().child("w2")
    one.masks_source = {"seg": str(tmp_path / "new.png")}
    child.update_frames([one])
    found = json.loads(run("version", "diff", "drive@w1", "w2", "--frame", "one", "--json"))
    (row,) = found["mask_pixels"]
    assert (row["mask"], row["before"], row["after"], row["pixels"]) == ("seg", "sky", "car", 6)
    assert run("version", "diff", "drive@w1", "w2", "--frame", "one").split()[-4:] == ["seg", "sky", "car", "6"]


def test_who_erased_what_and_why_can_be_read(run: Run) -> None:
    assert "nothing was written down" in run("store", "audit", "--what", "purge")
    run("store", "purge", "f0000", "--who", "anna", "--why", "asked by mail")
    (row,) = json.loads(run("store", "audit", "--what", "purge", "--json"))
    assert (row["who"], row["dataset"], row["detail"]["why"]) == ("anna", "drive", "asked by mail")
    said = run("store", "audit", "--dataset", "drive")
    assert "why: asked by mail" in said
    assert "drive@v1" in said  # the publish
