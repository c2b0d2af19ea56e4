"""Names that could not be said afterwards are refused, and what cannot be brought back is asked for."""

from pathlib import Path

import pytest

import smalti
from smalti.cli import main
from smalti.errors import VersionError
from smalti.store.rows import ViewRow
from smalti.testing import frame


@pytest.fixture
def store(tmp_path: Path) -> smalti.Store:
    made = smalti.open(tmp_path / "store")
    made.create_dataset("drive").create_version("v1").add_frames([frame(0), frame(1)])
    return made


def said(capsys: pytest.CaptureFixture[str], store: smalti.Store, *words: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as left:
        main([*words, "--store", store.uri])
    printed = capsys.readouterr()
    assert left.value.code == code, printed
    return printed.err + printed.out


@pytest.mark.parametrize("name", ["", " ", "\t", "*", " v2", "v2 "])
def test_names_that_nobody_could_write_are_refused(name: str, store: smalti.Store) -> None:
    drive = store["drive"]
    view = drive["v1"].view("")
    view.name = name
    for refused in (
        lambda: store.create_dataset(name),
        lambda: drive.rename(name),
        lambda: drive.create_version(name),
        lambda: drive["v1"].rename(name),
        lambda: view.store(store),
    ):
        with pytest.raises(VersionError, match="name"):
            refused()
    assert [(found.name, [v.name for v in found.versions()]) for found in store] == [("drive", ["v1"])]


def test_an_at_would_be_misread_in_a_version(store: smalti.Store) -> None:
    drive = store["drive"]
    with pytest.raises(VersionError, match=r"version name 'a@b' holds an @, which stands between DATASET and VERSION"):
        drive.create_version("a@b")
    with pytest.raises(VersionError, match="holds an @"):
        drive["v1"].snapshot("a@b")
    assert not drive["v1"].is_published
    store.create_dataset("me@home").create_version("v1")
    assert store.version("me@home@v1").name == "v1"


def test_a_snapshot_keeps_its_name_with_spaces(store: smalti.Store) -> None:
    working = store["drive"]["v1"].snapshot()
    assert working.name == "v1"
    assert working.parents[0].name.startswith("snapshot ")


def test_old_names_go_on(store: smalti.Store, tmp_path: Path) -> None:
    drive = store["drive"]
    catalog = store.catalog
    made = drive.create_version("plain")
    catalog.update_version(made.id, name="a@b")
    old = drive["a@b"]
    old.add_frames([frame(3)])
    old.publish()
    assert old.child("v9").name == "v9"
    view = old.view("")
    catalog.save_view(ViewRow(name="my@view", spec=view.to_spec()))
    (kept,) = catalog.list_views()
    again = smalti.DataView.get(kept.uuid, store=store)
    again.description = "still there"
    again.store(store)
    store.backup(tmp_path / "copy")
    assert "a@b" in smalti.open(tmp_path / "copy")["drive"]
    old.rename("said")
    assert drive["said"].is_published


@pytest.mark.parametrize("state", ["draft", "published"])
def test_a_version_is_not_merged_into_itself(
    state: str, store: smalti.Store, capsys: pytest.CaptureFixture[str]
) -> None:
    if state == "published":
        store["drive"]["v1"].publish()
    assert "merging drive@v1 into itself" in said(capsys, store, "version", "merge", "drive@v1", "v1", code=2)
    assert len(store["drive"].versions()) == 1


def test_drafts_are_deleted_when_that_is_meant(store: smalti.Store, capsys: pytest.CaptureFixture[str]) -> None:
    refused = said(capsys, store, "dataset", "delete", "drive", code=2)
    assert "1 draft(s) with 2 frame(s), which cannot be brought back; deleting them needs --yes" in refused
    assert "drive" in store
    said(capsys, store, "dataset", "delete", "drive", "--yes")
    assert "drive" not in store
    store.create_dataset("empty")
    said(capsys, store, "dataset", "delete", "empty")
    published = store.create_dataset("published").create_version("v1").publish()
    assert "needs --force" in said(capsys, store, "dataset", "delete", "published", "--yes", code=2)
    assert published.dataset.name in store
    said(capsys, store, "dataset", "delete", "published", "--force")


@pytest.mark.parametrize("answer", [True, False])
def test_a_person_is_asked(
    answer: bool, store: smalti.Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("smalti.cli.output.is_terminal", lambda: True)
    monkeypatch.setattr("click.confirm", lambda text, **_: bool(asked.append(text)) or answer)
    said(capsys, store, "dataset", "delete", "drive", code=0 if answer else 2)
    assert len(asked) == 1
    assert "Delete them?" in asked[0]
    assert ("drive" in store) is not answer
