"""What is particular to the catalog in objects: lost answers, writers in between, stores that cannot do it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError, PreconditionError
from obstore.store import LocalStore, MemoryStore
from tests.catalog_places import a_version

from smalti.errors import AccessDenied, StorageError, VersionError
from smalti.storage import Storage, using_storage
from smalti.store import catalog_objects
from smalti.store.catalog import Catalog, open_catalog
from smalti.store.catalog_objects import ObjectsBackend
from smalti.store.rows import AuditRow, DatasetRow, VersionRow


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def catalog(store: MemoryStore) -> Catalog:
    catalog = Catalog(lambda: ObjectsBackend(store, "memory://"))
    catalog.connect()
    return catalog


@pytest.fixture
def on_put(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`on_put(part, act, times)`: the next puts of a path with this part are done by `act(put)` instead."""

    def install(part: str, act: Callable[[Callable[[], Any]], Any], times: int = 1) -> None:
        real = obstore.put
        waiting = [act] * times

        def put(store: Any, path: str, *args: Any, **kwargs: Any) -> Any:
            if part in path and waiting:
                return waiting.pop()(lambda: real(store, path, *args, **kwargs))
            return real(store, path, *args, **kwargs)

        monkeypatch.setattr(obstore, "put", put)

    return install


def names(catalog: Catalog) -> list[str]:
    return sorted(row.name for row in catalog.list_datasets())


def test_a_writer_in_between_is_not_overwritten(catalog: Catalog, store: MemoryStore, on_put: Any) -> None:
    quicker = Catalog(lambda: ObjectsBackend(store, "memory://"))

    def late(put: Callable[[], Any]) -> Any:
        quicker.create_dataset(DatasetRow(name="quicker"))
        return put()

    on_put("datasets", late)
    catalog.create_dataset(DatasetRow(name="slower"))
    assert names(catalog) == ["quicker", "slower"]


def test_a_writer_in_between_may_take_the_name(catalog: Catalog, store: MemoryStore, on_put: Any) -> None:
    quicker = Catalog(lambda: ObjectsBackend(store, "memory://"))
    first: list[DatasetRow] = []

    def late(put: Callable[[], Any]) -> Any:
        first.append(quicker.create_dataset(DatasetRow(name="d")))
        return put()

    on_put("datasets", late)
    with pytest.raises(VersionError, match="there already"):
        catalog.create_dataset(DatasetRow(name="d"))
    assert catalog.list_datasets() == first


@pytest.mark.parametrize("others", [0, 3])
def test_a_put_whose_answer_was_lost_counts_once(
    catalog: Catalog, store: MemoryStore, on_put: Any, others: int
) -> None:
    other = Catalog(lambda: ObjectsBackend(store, "memory://"))

    def lose(put: Callable[[], Any]) -> Any:
        put()
        for number in range(others):  # writers that come between our put and our look
            other.create_dataset(DatasetRow(name=f"other {number}"))
        raise PreconditionError("the client sent it again, and its own first put was in the way")

    on_put("datasets", lose)
    row = catalog.create_dataset(DatasetRow(name="d"))
    assert catalog.get_dataset(row.uuid) == row
    assert len(names(catalog)) == 1 + others


def test_a_put_that_failed_was_not_acknowledged(catalog: Catalog, on_put: Any) -> None:
    def fail(put: Callable[[], Any]) -> Any:
        raise GenericError("timed out\nand more")

    on_put("datasets", fail, 3)
    with pytest.raises(StorageError, match="timed out; whether a change arrived is not known"):
        catalog.create_dataset(DatasetRow(name="d"))
    assert names(catalog) == []
    catalog.create_dataset(DatasetRow(name="d"))


@pytest.mark.parametrize("arrives", [True, False])
def test_a_put_without_an_answer_is_looked_for_and_repeated(catalog: Catalog, on_put: Any, arrives: bool) -> None:
    calls = []

    def silent(put: Callable[[], Any]) -> Any:
        calls.append(put() if arrives else None)
        raise GenericError("timed out")

    on_put("datasets", silent, 2)
    row = catalog.create_dataset(DatasetRow(name="d"))
    assert len(calls) == (1 if arrives else 2)
    assert catalog.list_datasets() == [row]


def test_a_lease_whose_put_had_no_answer_is_not_left_behind(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    version = a_version(catalog)
    claim = ObjectsBackend.claim

    def silent(backend: ObjectsBackend, *args: Any) -> Any:
        claim(backend, *args)
        raise StorageError("no answer")

    monkeypatch.setattr(ObjectsBackend, "claim", silent)
    with pytest.raises(StorageError):
        catalog.acquire_lease(version.uuid, "me", 60)
    monkeypatch.undo()
    assert catalog.acquire_lease(version.uuid, "me again", 60).owner == "me again"


def test_endless_conflict_ends(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_objects, "PATIENCE_S", 0)
    monkeypatch.setattr(ObjectsBackend, "_put", lambda *_: False)
    with pytest.raises(StorageError, match=r"changed under us .* PostgreSQL"):
        catalog.create_dataset(DatasetRow(name="d"))


def test_a_store_without_conditional_put_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"needs conditional put. Keep it in PostgreSQL"):
        ObjectsBackend(LocalStore(tmp_path), "local")
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize("ignored", ["create", "update"])
def test_a_store_that_ignores_conditions_is_refused(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, ignored: str
) -> None:
    real = obstore.put

    def put(store: Any, path: str, data: bytes, *, mode: Any, **kwargs: Any) -> Any:
        is_ignored = (mode == "create") == (ignored == "create")
        return real(store, path, data, mode="overwrite" if is_ignored else mode, **kwargs)

    monkeypatch.setattr(obstore, "put", put)
    with pytest.raises(StorageError, match="ignores the condition"):
        ObjectsBackend(store, "memory://")
    assert [meta["path"] for chunk in obstore.list(store) for meta in chunk] == []


def test_a_newer_format_is_refused(catalog: Catalog, store: MemoryStore) -> None:
    obstore.put(store, "catalog/format.json", b'{"format": 99}')
    with pytest.raises(VersionError, match="format 99 is newer than 1"):
        ObjectsBackend(store, "memory://")


def test_a_damaged_object_is_named(catalog: Catalog, store: MemoryStore) -> None:
    obstore.put(store, "catalog/datasets.json", b'{"rows": ')
    with pytest.raises(StorageError, match=r"catalog/datasets.json is not JSON"):
        catalog.list_datasets()


def test_a_place_without_a_catalog_is_not_changed_by_looking(store: MemoryStore) -> None:
    with pytest.raises(FileNotFoundError, match="no catalog below"):
        ObjectsBackend(store, "memory://", create=False)
    assert [meta["path"] for chunk in obstore.list(store) for meta in chunk] == []


def test_a_version_that_died_halfway_can_be_made_again(catalog: Catalog, on_put: Any) -> None:
    dataset = catalog.create_dataset(DatasetRow(name="d")).uuid
    row = VersionRow(dataset=dataset, name="v")

    def die(put: Callable[[], Any]) -> Any:
        raise GenericError("gone")

    on_put(f"versions/{dataset}", die, 3)
    with pytest.raises(StorageError, match="gone"):
        catalog.create_version(row)
    with pytest.raises(VersionError, match="no version"):
        catalog.get_version(row.uuid)
    assert catalog.list_versions(dataset) == []
    assert catalog.create_version(row) == catalog.get_version(row.uuid)


def test_a_dataset_whose_name_was_taken_takes_no_versions(catalog: Catalog) -> None:
    catalog.create_dataset(DatasetRow(name="d"))
    refused = DatasetRow(name="d")
    with pytest.raises(VersionError, match="there already"):
        catalog.create_dataset(refused)
    with pytest.raises(VersionError, match="there is no dataset"):
        catalog.create_version(VersionRow(dataset=refused.uuid, name="v"))
    assert catalog.list_versions(refused.uuid) == []


def test_a_dataset_half_deleted_takes_no_versions_and_can_be_deleted(catalog: Catalog, on_put: Any) -> None:
    dataset = catalog.create_dataset(DatasetRow(name="d")).uuid

    def die(put: Callable[[], Any]) -> Any:
        raise GenericError("gone")

    on_put("datasets", die, 3)
    with pytest.raises(StorageError, match="gone"):
        catalog.delete_dataset(dataset)
    with pytest.raises(VersionError, match="there is no dataset"):
        catalog.create_version(VersionRow(dataset=dataset, name="v"))
    catalog.delete_dataset(dataset)
    assert names(catalog) == []


def test_a_deleted_dataset_leaves_no_objects(catalog: Catalog, store: MemoryStore) -> None:
    def paths() -> set[str]:
        return {str(meta["path"]) for chunk in obstore.list(store) for meta in chunk}

    row = catalog.create_dataset(DatasetRow(name="d"))
    before = paths() - {f"catalog/versions/{row.uuid}.json"}
    version = catalog.create_version(VersionRow(dataset=row.uuid, name="v"))
    catalog.acquire_lease(version.uuid, "me", 10)
    catalog.update_version(version.uuid, state="deleted")
    catalog.delete_dataset(row.uuid)
    assert paths() == before


def test_the_latest_audit_is_read_without_the_rest(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(150):
        catalog.record(AuditRow(who="me", what="x", detail={"n": number}))
    read: list[str] = []
    real = obstore.get
    monkeypatch.setattr(obstore, "get", lambda store, path: (read.append(path), real(store, path))[1])
    assert [row.detail["n"] for row in catalog.audit(limit=2)] == [149, 148]
    assert len(read) <= 64


def test_a_lease_that_is_refused_writes_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = catalog.create_dataset(DatasetRow(name="d")).uuid
    version = catalog.create_version(VersionRow(dataset=dataset, name="v")).uuid
    catalog.acquire_lease(version, "me", 60)
    monkeypatch.setattr(ObjectsBackend, "_put", lambda *_: pytest.fail("it wrote"))
    with pytest.raises(VersionError, match="being written by 'me'"):
        catalog.acquire_lease(version, "you", 60)


def test_denied_access_is_said(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(store: Any, path: str) -> Any:
        raise PermissionDeniedError("403\nbody")

    monkeypatch.setattr(obstore, "get", get)
    with pytest.raises(AccessDenied, match="memory://: 403; check the credentials"):
        catalog.list_datasets()


def test_a_server_that_does_not_answer_is_said() -> None:
    options = {"aws_endpoint": "http://127.0.0.1:1", "aws_access_key_id": "a", "aws_secret_access_key": "hunter2"}
    with (
        using_storage(Storage(retries=0, cache=None)),
        pytest.raises(StorageError, match="s3://bucket/store") as caught,
    ):
        open_catalog("s3://bucket/store", **options)
    assert "hunter2" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("odd", ["../../format", "a/b", "", "a b", ".", "%2e%2e"])
def test_an_id_from_outside_names_no_other_object(catalog: Catalog, odd: str) -> None:
    for call in (catalog.get_version, catalog.get_job, catalog.delete_job, catalog.get_dataset):
        with pytest.raises(VersionError, match=r"no (version|job|dataset)"):
            call(odd)
    assert catalog.get_lease(odd) is None
