"""One life of a store, wherever it lies: a folder, an S3 bucket with nothing else, a folder with PostgreSQL."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tests.catalog_places import s3_place

from smalti.cli import main
from smalti.errors import ConflictError, StorageError, VersionError, VersionFrozen
from smalti.store import Store, ingest, open_store
from smalti.testing import frame, frames

Open = Callable[[str], Store]


@pytest.fixture(
    params=[
        "folder",
        pytest.param("s3", marks=pytest.mark.s3),
        pytest.param("postgres", marks=pytest.mark.postgres),
    ]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens a store of this name; the same one for the same name."""
    if request.param == "folder":
        return lambda name: open_store(tmp_path / name)
    if request.param == "postgres":
        database = cache(lambda name: request.getfixturevalue("postgres_database")())
        return lambda name: open_store(tmp_path / name, catalog_url=database(name))
    place = s3_place(request.getfixturevalue("s3_address"))
    return lambda name: open_store(f"{place.store_uri}/{name}", **place.options)


def test_the_life_of_a_dataset(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened("one")
    data = store.create_dataset("data", "road")
    first = data.create_version("v1")
    assert first.add_frames(frames(30)) == []
    monkeypatch.setattr(ingest, "FEW", 5)
    assert first.add_frames(frames(30, start=20)) == []
    etag = first.etag("f0001")
    first.update_frame(frame(1, blob="x"), if_match=etag)
    with pytest.raises(ConflictError):
        first.update_frame(frame(1, blob="y"), if_match=etag)
    assert first.delete_frames(["f0000"]) == 1
    data.declare("meta.n", "int")
    first.publish()
    with pytest.raises(VersionFrozen):
        first.add_frames([frame(1)])
    second = first.child("v2")
    second.add_frames([frame(2, blob="z"), frame(90)])
    second.delete_frames(["f0003"])
    found = data.diff("v1", "v2")
    assert (found.added, found.removed, found.changed) == (["f0090"], ["f0003"], ["f0002"])
    assert second.rows().count("m__n >= 40") == 11
    again = opened("one")["road/data"]
    assert [version.name for version in again.versions()] == ["v1", "v2"]
    assert [record.id for record in again["v1"].records()] == [f"f{n:04d}" for n in range(1, 50)]
    assert store.verify().problems == []
    assert store.maintain().skipped == {}
    second.delete()
    assert [version.name for version in data.versions()] == ["v1"]


def test_a_place_is_no_store_before_its_first_write(opened: Open) -> None:
    early = opened("one")
    assert (early.datasets(), early.is_made) == ([], False)
    with pytest.raises(StorageError, match="there is no store at"):
        early.verify()
    assert not opened("one").is_made
    opened("one").create_dataset("data")
    assert (early.is_made, [found.name for found in early]) == (True, ["data"])
    assert early.verify().is_sound


def test_backup_and_purge(opened: Open) -> None:
    store = opened("one")
    data = store.create_dataset("data")
    data.create_version("v1").add_frames(frames(5))
    data["v1"].publish().child("v2").add_frames([frame(9)])
    target = opened("two")
    assert store.backup(target.uri, catalog_url=target._catalog_url, **target.options) == {"data@v1": 5, "data@v2": 6}
    assert opened("two").verify().problems == []
    assert opened("two").purge(["f0001"], who="ann", why="test") == {"data@v1": 1, "data@v2": 1}
    assert len(opened("two")["data"]["v2"]) == 5
    assert len(opened("one")["data"]["v2"]) == 6


def test_leases_hold_between_clients(opened: Open) -> None:
    version = opened("one").create_dataset("data").create_version("v1")
    with version.lease("me"), pytest.raises(VersionError, match="me by"):
        opened("one")["data"]["v1"].add_arrow([])


@pytest.mark.s3
def test_a_store_that_cannot_be_reached_says_so(s3_address: str) -> None:
    place = s3_place(s3_address)
    options = place.options | {"aws_endpoint": "http://127.0.0.1:1"}
    with pytest.raises((StorageError, VersionError)):
        open_store(place.store_uri, **options, max_retries="0").create_dataset("x")


@pytest.mark.postgres
def test_the_command_line_finds_a_catalog_in_a_database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = request.getfixturevalue("postgres_database")()
    monkeypatch.setenv("SMALTI_CATALOG", address)
    for words in (["dataset", "create", "data"], ["version", "create", "data@v1"], ["version", "publish", "data@v1"]):
        with pytest.raises(SystemExit) as left:
            main([*words, "--store", str(tmp_path / "store")])
        assert left.value.code == 0, capsys.readouterr().err
    assert open_store(tmp_path / "store", catalog_url=address)["data"]["v1"].is_published
    assert not (tmp_path / "store" / "catalog.sqlite").exists()
