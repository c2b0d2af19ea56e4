"""`smalti version`, `dataset` and `frames`: checks at the publish, names and words, tables in and out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.test_cli_store import Shell

from smalti.cli.legends import read_legend
from smalti.errors import CheckFailed
from smalti.frames import SingleFrame
from smalti.legend import Legend
from smalti.store import Dataset, open_store

RED, BLUE = (200, 0, 0), (0, 0, 200)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "store", capsys)


def picture(path: Path, color: tuple[int, int, int]) -> str:
    Image.fromarray(np.full((8, 8, 3), color, np.uint8)).save(path)
    return str(path)


def with_fault(folder: Path, store: Path) -> Dataset:
    """A draft `data@v1` of two frames; the mask of `bad` is not there."""
    data = open_store(store).create_dataset("data")
    image = picture(folder / "image.png", (9, 9, 9))
    good = SingleFrame(image, id="good", mask_source=picture(folder / "mask.png", RED))
    bad = SingleFrame(image, id="bad", mask_source=str(folder / "missing.png"))
    for frame in (good, bad):
        frame.add_annotation(mask_rgb=RED, labels=["car"])
    assert data.create_version("v1").add_frames([good, bad]) == []
    return data


def test_a_publish_with_errors_is_refused_and_the_report_kept(tmp_path: Path) -> None:
    draft = with_fault(tmp_path, tmp_path / "store")["v1"]
    with pytest.raises(CheckFailed, match=r"data@v1 is not published: its masks have 1 error.*force=True") as refused:
        draft.publish("errors")
    assert [finding.severity for finding in refused.value.report.errors] == ["error"]
    assert draft.state == "draft"
    kept = open_store(tmp_path / "store")["data"]["v1"].report
    assert kept == draft.report
    assert (kept["ok"], kept["frames"], kept["masks"]) == (False, 2, 1)
    assert "missing.png" in json.dumps(kept["findings"])
    draft.publish("errors", force=True)
    assert open_store(tmp_path / "store")["data"]["v1"].report == kept
    assert draft.is_published


def test_what_is_corrected_is_published_with_a_clean_report(tmp_path: Path) -> None:
    draft = with_fault(tmp_path, tmp_path / "store")["v1"]
    with pytest.raises(CheckFailed):
        draft.publish("errors")
    picture(tmp_path / "missing.png", RED)
    assert draft.publish("errors").report["ok"]


def test_the_report_on_the_command_line(shell: Shell, tmp_path: Path) -> None:
    with_fault(tmp_path, shell.store)
    assert "has no report" in shell("version", "report", "data@v1")
    refused = shell("version", "publish", "data@v1", "--check", code=1)
    assert "missing.png" in refused
    assert json.loads(shell("version", "publish", "data@v1", "--check", "--json", code=1))["report"]["ok"] is False
    assert "missing.png" in shell("version", "report", "data@v1", code=1)
    assert json.loads(shell("version", "report", "data@v1", "--json", code=1))["frames"] == 2
    assert "version report data@v1" in shell("version", "show", "data@v1")
    assert shell.json("version", "publish", "data@v1", "--check", "--force")["state"] == "published"  # type: ignore[index]
    assert "missing.png" in shell("version", "report", "data@v1", code=1)
    assert "only a draft can change" in shell("version", "publish", "data@v1", code=2)


def test_names_words_and_legends(shell: Shell, tmp_path: Path) -> None:
    shell("dataset", "create", "data")
    shell("version", "create", "data@v1")
    (tmp_path / "legend.json").write_text(json.dumps([{"value": [1, 2, 3], "labels": ["car"]}]))
    assert read_legend(str(tmp_path / "legend.json")) == Legend({(1, 2, 3): "car"})
    shell(
        *("version", "describe", "data@v1", "--description", "first", "--tag", "a", "--tag", "b"),
        *("--metadata", '{"city": "ulm"}', "--legend", tmp_path / "legend.json"),
    )
    row = shell.json("version", "show", "data@v1")
    assert isinstance(row, dict)
    assert (row["description"], row["tags"], row["metadata"]["city"]) == ("first", ["a", "b"], "ulm")
    assert row["masks_labels"] == {"_all_": [{"value": [1, 2, 3], "labels": ["car"]}]}
    assert "no JSON object" in shell("version", "describe", "data@v1", "--metadata", "[1]", code=2)
    shell("version", "publish", "data@v1")
    assert "only a draft" in shell("version", "describe", "data@v1", "--metadata", "{}", code=2)
    shell("version", "describe", "data@v1", "--description", "words may change")
    assert shell.json("version", "rename", "data@v1", "one")["name"] == "one"  # type: ignore[index]
    shell("dataset", "rename", "data", "drive")
    shell("dataset", "describe", "drive", "--description", "roads", "--metadata", '{"year": 2031}')
    found = shell.json("dataset", "show", "drive")
    assert isinstance(found, dict)
    assert (found["description"], found["metadata"]) == ("roads", {"year": 2031})
    assert shell.json("dataset", "declare", "drive", "meta.n", "int") == {"meta.n": "int"}


def test_a_snapshot_names_its_two_versions(shell: Shell) -> None:
    shell("version", "create", "data@Current")
    assert "published first; go on in data@Current" in shell("version", "snapshot", "data@Current", "--name", "first")
    assert shell.json("version", "snapshot", "data@Current", "--child", "next")["name"] == "next"  # type: ignore[index]
    names = [row["name"] for row in shell.json("version", "list", "data")]  # type: ignore[attr-defined]
    assert (names[0], names[2], names[1][:9]) == ("first", "next", "snapshot ")


def test_frames_go_out_and_in_as_lines_arrow_and_parquet(shell: Shell, tmp_path: Path) -> None:
    data = with_fault(tmp_path, shell.store)
    shell("version", "create", "data@again")
    for name in ("frames.jsonl", "frames.arrow", "frames.parquet"):
        assert shell.json("frames", "export", "data@v1", tmp_path / name)["frames"] == 2  # type: ignore[index]
        assert shell.json("frames", "add", "data@again", tmp_path / name)["frames"] == 2  # type: ignore[index]
        assert shell.json("version", "diff", "data@v1", "again") == {
            "added": [],
            "removed": [],
            "changed": [],
            "legends": {},
        }
        data["again"].delete_frames(["good", "bad"])
    picture(tmp_path / "missing.png", BLUE)
    added = shell.json("frames", "add", "data@again", tmp_path / "frames.parquet", "--facts")
    assert (added["frames"], added["failed"]) == (2, [])  # type: ignore[index]
    assert data["again"].compute_stats()["frames_with_facts"] == 2
    assert "there is no folder" in shell("frames", "export", "data@v1", tmp_path / "no" / "x.parquet", code=2)


def test_several_parents_from_the_command_line(shell: Shell, tmp_path: Path) -> None:
    data = with_fault(tmp_path, shell.store)
    data["v1"].publish()
    for name in ("left", "right"):
        frame = data["v1"].child(name).get("good")
        frame.metadata["by"] = name
        data[name].update_frame(frame)
        data[name].publish()
    parents = ("--parent", "left", "--parent", "right")
    assert "good" in shell("version", "create", "data@both", *parents, code=2)  # the conflict is named
    shell("version", "create", "data@both", *parents, "--prefer", "theirs")
    assert data["both"].get("good").metadata["by"] == "right"
    assert [parent.name for parent in data["both"].parents] == ["left", "right"]
