"""What the command line advises can be typed there; what Python advises can be written there."""

import pickle
from pathlib import Path

import pytest

import smalti
from smalti.cli import main
from smalti.errors import CheckFailed, FrameError, SmaltiError, StorageError, VersionError, VersionFrozen
from smalti.testing import frame


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "store"
    with smalti.open(place) as store:
        drive = store.create_dataset("drive")
        drive.create_version("v1").publish().child("v2").add_frames([frame(0)])
    return place


def said(capsys: pytest.CaptureFixture[str], place: Path, *words: str, code: int = 2) -> str:
    with pytest.raises(SystemExit) as left:
        main([*words, "--store", str(place)])
    printed = capsys.readouterr()
    assert left.value.code == code, printed
    return printed.err + printed.out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("frames", "delete", "drive@v1", "x"), "draft a child: smalti version create drive@NEW --parent v1"),
        (("frames", "show", "drive@v2", "x"), "no frame 'x'; list them: smalti frames list drive@v2"),
        (("frames", "list", "drive@v9"), "it has 'v1', 'v2'; make one: smalti version create drive@v9"),
        (("frames", "add", "walk@v1", "x.jsonl"), "it has 'drive'; make one: smalti version create walk@VERSION"),
        (("version", "delete", "drive@v1"), "drive@v1 is published; deleting it needs --force"),
        (("dataset", "delete", "drive"), "published versions (v1); deleting it needs --force"),
    ],
    ids=lambda words: " ".join(words[:2]) if isinstance(words, tuple) else "",
)
def test_advice_is_a_command(
    words: tuple[str, ...], hint: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hint in said(capsys, place, *words)


def test_python_is_told_in_python(place: Path) -> None:
    drive = smalti.open(place)["drive"]
    with pytest.raises(VersionFrozen, match=r"only a draft can change; draft a child with dataset\['v1'\]\.child"):
        drive["v1"].delete_frames(["x"])
    with pytest.raises(FrameError, match=r"list them with \.frame_ids"):
        drive["v2"].get("x")
    with pytest.raises(VersionError, match="needs force=True"):
        drive.delete_version("v1")


@pytest.mark.parametrize("kind", [SmaltiError, VersionFrozen, FrameError, StorageError, CheckFailed])
def test_both_wordings_cross_processes(kind: type[SmaltiError]) -> None:
    error = pickle.loads(pickle.dumps(kind("it is shut", advice="open()", command="smalti open")))
    assert (str(error), error.on_command_line) == ("it is shut; open()", "it is shut; smalti open")
    plain = kind("it is shut")
    assert (str(plain), plain.on_command_line) == ("it is shut", "it is shut")


def test_an_empty_list_of_views_says_what_can_be_typed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hint = said(capsys, place, "view", "list", code=0).rpartition("smalti ")[2].split()
    words = [{"NAME": "mine", "DATASET@VERSION": "drive@v2", "QUERY": "id:f0000"}.get(word, word) for word in hint]
    assert "saved view mine: 1 frames" in said(capsys, place, *words, code=0)


def test_a_refused_publish_says_how_to_see_the_rest(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with smalti.open(place) as store:
        draft = store["drive"]["v2"]
        draft.delete_frames(["f0000"])
        for number in range(7):
            lost = smalti.SingleFrame(str(tmp_path / "none.png"), id=f"bad{number}")
            lost.masks_source = {"seg": str(tmp_path / f"gone{number}.png")}
            draft.add_frames([lost])
    refused = said(capsys, place, "version", "publish", "drive@v2", "--check", code=1)
    assert "more (smalti version report drive@v2 --all shows them)" in refused
    assert "correct them, or give --force\n" in refused
    assert "more (" not in said(capsys, place, "version", "report", "drive@v2", "--all", code=1)


def test_who_holds_a_version_is_said_by_its_name(place: Path) -> None:
    draft = smalti.open(place)["drive"]["v2"]
    with draft.lease("a long load"), pytest.raises(VersionError, match="version drive@v2 is being written by 'a long"):
        draft.publish()
