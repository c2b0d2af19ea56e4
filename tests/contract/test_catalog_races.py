"""Threads and processes that race for the same rows of a catalog: one wins, nothing is lost."""

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from tests import catalog_workers
from tests.catalog_places import Place, a_version

from smalti.errors import VersionError
from smalti.store.catalog import Catalog
from smalti.store.rows import DatasetRow, VersionRow

SPAWN = multiprocessing.get_context("spawn")


def test_threads_share_a_catalog(catalog: Catalog) -> None:
    version = a_version(catalog)
    barrier = threading.Barrier(6)

    def work(number: int) -> int:
        barrier.wait(30)
        won = 0
        for k in range(4):
            catalog.create_dataset(DatasetRow(name=f"own {number} {k}"))
            try:
                catalog.create_version(VersionRow(dataset=version.dataset, name=f"shared {k}"))
                won += 1
            except VersionError:
                pass
        return won

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(work, range(6))) == 4
    assert len(catalog.list_datasets()) == 1 + 6 * 4
    assert len(catalog.list_versions(version.dataset)) == 1 + 4


def test_only_one_of_many_publishes(catalog: Catalog) -> None:
    version = a_version(catalog)
    barrier = threading.Barrier(6)

    def publish(number: int) -> bool:
        barrier.wait(30)
        try:
            catalog.update_version(version.uuid, expect_state="draft", state="publishing", description=str(number))
        except VersionError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(publish, range(6)))
    assert outcomes.count(True) == 1
    assert catalog.get_version(version.uuid).description == str(outcomes.index(True))


def test_a_dataset_is_not_deleted_under_a_new_version(catalog: Catalog) -> None:
    for _ in range(5):
        dataset = catalog.create_dataset(DatasetRow(name=f"d{uuid4().hex}")).uuid
        barrier = threading.Barrier(2)

        def delete(dataset: str = dataset, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait(30)
            try:
                catalog.delete_dataset(dataset)
            except VersionError:
                return False
            return True

        def create(dataset: str = dataset, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait(30)
            try:
                catalog.create_version(VersionRow(dataset=dataset, name="v"))
            except VersionError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            deleted, created = pool.submit(delete), pool.submit(create)
            assert deleted.result() != created.result()
        assert len(catalog.list_versions(dataset)) == int(created.result())


def run_processes(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> list[Any]:
    """Run a worker once per tuple of arguments, all released at the same moment; what each of them reported."""
    barrier, results = SPAWN.Barrier(len(arguments)), SPAWN.Queue()
    processes = [SPAWN.Process(target=target, args=(*given, barrier, results)) for given in arguments]
    for process in processes:
        process.start()
    try:
        reports = [results.get(timeout=60) for _ in processes]
    finally:
        for process in processes:
            process.join(60)
        codes = [process.exitcode for process in processes]
        for process in processes:
            process.close()
        results.close()
        results.join_thread()
    assert codes == [0] * len(codes)
    return reports


@pytest.fixture
def shared(place: Place) -> Place:
    if not place.is_shared:
        pytest.skip("objects in the memory of one process cannot be raced for by several")
    return place


def test_two_racing_processes_never_both_get_a_name(shared: Place) -> None:
    names = [f"d{k}" for k in range(12)]
    with Catalog(shared.opener) as catalog:
        catalog.connect()
        won = run_processes(catalog_workers.create_same, [(catalog, names)] * 2)
        assert sorted(won[0] + won[1]) == sorted(names)  # each once: nobody's is lost, nobody's is doubled
        assert sorted(d.name for d in catalog.list_datasets()) == sorted(names)


def test_processes_exclude_each_other_by_the_lease(shared: Place) -> None:
    with Catalog(shared.opener) as catalog:
        version = a_version(catalog, meta={"count": 0}).uuid
        refusals = run_processes(catalog_workers.count_under_lease, [(catalog, version, f"p{k}", 6) for k in range(2)])
        assert catalog.get_version(version).meta == {"count": 12}
        assert len(refusals) == 2


def test_processes_open_a_new_catalog_at_once(shared: Place) -> None:
    with Catalog(shared.opener) as catalog:
        names = run_processes(catalog_workers.open_and_add, [(catalog, f"d{k}") for k in range(3)])
        assert sorted(d.name for d in catalog.list_datasets()) == sorted(names)
