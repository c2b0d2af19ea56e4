"""Files of frames into a version: what relative paths come to mean."""

import shutil
from pathlib import Path

import pytest

from smalti.cli import main
from smalti.demo import write_demo
from smalti.store import open_store


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder)
    return folder


def test_relative_paths_lead_to_files_beside_the_file(demo: Path, tmp_path: Path) -> None:
    version = open_store(tmp_path / "store").create_dataset("street").create_version("v1")
    assert version.import_file(demo / "frames.jsonl") == []
    frame = version.get("street_00")
    assert frame.source == str(demo / "images" / "street_00.jpg")
    assert frame.label_map("seg").size_hw == (360, 640)
    assert version.compute_facts() == []
    version.publish(check="errors")


def test_paths_that_lead_nowhere_stay_as_they_are(demo: Path, tmp_path: Path) -> None:
    shutil.copy(demo / "frames.jsonl", tmp_path / "alone.jsonl")
    version = open_store(tmp_path / "store").create_dataset("street").create_version("v1")
    assert version.import_file(tmp_path / "alone.jsonl") == []
    assert version.get("street_00").source == "images/street_00.jpg"


def test_the_command_line_adds_lines_as_they_are(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(demo.parent)
    for line in (
        ["dataset", "create", "s"],
        ["version", "create", "s@v"],
        ["frames", "add", "s@v", str(demo / "frames.jsonl")],
    ):
        with pytest.raises(SystemExit) as left:
            main(line)
        assert left.value.code == 0
    version = open_store(tmp_path / "store")["s"]["v"]
    assert next(frame.source for frame in version.frames()) == str(demo / "images" / "street_00.jpg")
    assert version.compute_facts() == []
