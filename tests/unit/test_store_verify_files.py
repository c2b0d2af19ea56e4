"""`verify(files=True)`: the files that frames point to, and what they were when they were uploaded."""

import json
from pathlib import Path

import pytest

from smalti.cli import main
from smalti.store import Store
from smalti.testing import Scene, temporary_store, write_scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return write_scene(tmp_path / "pictures", 2)


def uploaded(store: Store, scene: Scene, shelf: Path) -> list[Path]:
    """The files on the shelf, whose hashes the frames keep."""
    draft = store.create_dataset("data").create_version("v1")
    assert draft.add_frames(scene.frames, upload_to=str(shelf)) == []
    draft.publish().child("v2")
    return sorted(path for path in shelf.rglob("*.png"))


def test_files_that_are_as_they_were_are_no_problem(scene: Scene, tmp_path: Path) -> None:
    with temporary_store() as store:
        assert len(uploaded(store, scene, tmp_path / "shelf")) == 4
        verdict = store.verify(files=True)
        assert (verdict.problems, verdict.files) == ([], 4)  # each once, though two versions point to it
        assert store.verify().files is None


def test_a_file_that_changed_and_one_that_is_gone_are_named_with_their_frame(scene: Scene, tmp_path: Path) -> None:
    with temporary_store() as store:
        files = {path.name: path for path in uploaded(store, scene, tmp_path / "shelf")}
        files["scene_0_mask.png"].write_bytes(files["scene_1_mask.png"].read_bytes())
        files["scene_1.png"].unlink()
        assert store.verify().problems == []
        changed, gone = sorted(store.verify(files=True).problems)
        assert changed.startswith("data@v1: frame 'scene_0': ")
        assert changed.endswith("scene_0_mask.png is not what was uploaded")
        assert gone.startswith("data@v1: frame 'scene_1': ")
        assert gone.endswith("scene_1.png is not there")


def test_files_without_a_hash_are_only_looked_for(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_store() as store:
        store.create_dataset("data").create_version("v1").add_frames(scene.frames)
        Path(scene.frames[0].source).write_bytes(b"something else")
        assert store.verify(files=True).problems == []
        Path(scene.frames[1].source).unlink()
        with pytest.raises(SystemExit) as left:
            main(["store", "verify", "--files", "--json", "--store", store.uri])
        assert left.value.code == 1
        found = json.loads(capsys.readouterr().out)
        assert (found["sound"], found["files"], len(found["problems"])) == (False, 4, 1)
