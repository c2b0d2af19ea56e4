"""When a store is made: by the first write, never by a look at a place that is none."""

import pickle
from pathlib import Path

import pytest

import smalti
from smalti.cli import main
from smalti.errors import StorageError, VersionError
from smalti.store.rows import UserRow


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    assert left.value.code == 2, printed
    return printed.err


def test_a_store_is_made_by_its_first_write(tmp_path: Path) -> None:
    place = tmp_path / "a" / "store"
    with smalti.open(place) as store:
        assert (list(store), len(store), "drive" in store, store.is_made) == ([], 0, False, False)
        with pytest.raises(StorageError, match=r"there is no store at .*create_dataset"):
            store["drive"]
        assert not place.parent.exists()
        store.create_dataset("drive").create_version("v1")
        assert store.is_made
    with smalti.open(place) as again:
        assert [version.name for version in again["drive"].versions()] == ["v1"]


def test_who_opened_it_first_sees_what_another_made(tmp_path: Path) -> None:
    waiting = smalti.open(tmp_path / "store")
    sent = pickle.loads(pickle.dumps(waiting))
    assert len(waiting) == 0
    smalti.open(tmp_path / "store").create_dataset("drive")
    assert [found.name for found in waiting] == [found.name for found in sent] == ["drive"]
    with pytest.raises(VersionError, match="is there already"):
        waiting.create_dataset("drive")


def test_a_row_of_any_kind_makes_it(tmp_path: Path) -> None:
    store = smalti.open(tmp_path / "store")
    store.catalog.add_user(UserRow(name="anna", role="admin"))
    assert [user.name for user in smalti.open(tmp_path / "store").catalog.list_users()] == ["anna"]


def test_what_reads_it_as_a_whole_refuses_a_place_that_is_none(tmp_path: Path) -> None:
    store = smalti.open(tmp_path / "typo")
    for read in (store.verify, store.maintain, lambda: store.backup(tmp_path / "copy")):
        with pytest.raises(StorageError, match="there is no store at"):
            read()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("store", "verify"),
        ("store", "maintain"),
        ("store", "backup", "COPY"),
        ("store", "purge", "f", "--who", "me", "--why", "asked"),
        ("dataset", "list"),
        ("dataset", "show", "drive"),
        ("version", "list", "drive"),
        ("frames", "list", "drive@v1"),
        ("frames", "add", "drive@v1", "frames.jsonl"),
        ("view", "list"),
        ("stats", "drive@v1"),
        ("query", "drive@v1", "rois.label:car"),
        ("export", "drive@v1", "OUT", "--format", "coco"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_verbs_that_read_refuse_it_and_leave_no_trace(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "notes.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    for place in ("typo", "here"):
        said = refused(capsys, *words, "--store", place)
        assert f"there is no store at {tmp_path / place}; check the name, or make one: `smalti dataset create" in said
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["here", "here/notes.txt"]


def test_a_restore_needs_a_source_and_makes_its_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new"
    assert "there is no store at" in refused(capsys, "store", "restore", tmp_path / "typo", "--store", target)
    assert list(tmp_path.iterdir()) == []
    smalti.open(tmp_path / "own").create_dataset("drive").create_version("v1").publish()
    with pytest.raises(SystemExit) as left:
        main(["store", "restore", str(tmp_path / "own"), "--store", str(target)])
    assert left.value.code == 0
    assert smalti.open(target)["drive"]["v1"].is_published


def test_an_empty_store_is_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smalti.open(tmp_path / "store").make()
    with pytest.raises(SystemExit) as left:
        main(["store", "verify", "--store", str(tmp_path / "store")])
    assert left.value.code == 0
    assert "sound" in capsys.readouterr().out


@pytest.mark.parametrize("uri", ["ftp://x/y", "s4://b/x", "sqlite:///x", "gcs://b/x", "memory://x"])
def test_a_scheme_that_is_none_of_ours_is_refused(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=r"a store cannot be at .*://; give a folder, or one of .*s3://, .*gs://"):
        smalti.open(uri)
    assert list(tmp_path.iterdir()) == []


def test_a_colon_in_a_name_is_no_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with smalti.open("a:b/store") as store:
        store.create_dataset("drive")
    assert (tmp_path / "a:b" / "store" / "catalog.sqlite").is_file()
