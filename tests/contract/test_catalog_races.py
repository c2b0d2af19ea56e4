"""Threads and processes that race for the same rows of a catalog: one wins, nothing is lost."""

import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
from tests import catalog_workers
from tests.catalog_places import SHARED, Place, a_version
from tests.catalog_workers import LIMIT_S

from smalti.errors import VersionError
from smalti.store.catalog import Catalog, Opener
from smalti.store.rows import DatasetRow, VersionRow

SPAWN = multiprocessing.get_context("spawn")


def test_threads_share_a_catalog(catalog: Catalog) -> None:
    version = a_version(catalog)
    barrier = threading.Barrier(6)

    def work(number: int) -> int:
        barrier.wait(LIMIT_S)
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
        barrier.wait(LIMIT_S)
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
            barrier.wait(LIMIT_S)
            try:
                catalog.delete_dataset(dataset)
            except VersionError:
                return False
            return True

        def create(dataset: str = dataset, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait(LIMIT_S)
            try:
                catalog.create_version(VersionRow(dataset=dataset, name="v"))
            except VersionError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            deleted, created = pool.submit(delete), pool.submit(create)
            assert deleted.result() != created.result()
        assert len(catalog.list_versions(dataset)) == int(created.result())


PROCESSES = 3


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that wait for each other before they race; started once, for they import a good deal."""
    barrier = SPAWN.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, SPAWN, catalog_workers.begin, (barrier,)) as pool:
        yield pool


@pytest.mark.parametrize("place", SHARED, indirect=True)
def test_racing_processes_never_share_a_name(place: Place, pool: ProcessPoolExecutor) -> None:
    names = [f"d{k}" for k in range(12)]
    with Catalog(place.opener) as catalog:
        catalog.connect()
        won = list(pool.map(catalog_workers.create_same, [catalog] * PROCESSES, [names] * PROCESSES))
        # Each once: nobody's is lost, nobody's is doubled.
        assert sorted(name for ours in won for name in ours) == sorted(names)
        assert sorted(d.name for d in catalog.list_datasets()) == sorted(names)


@pytest.mark.parametrize("place", SHARED, indirect=True)
def test_racing_first_writes_make_one_catalog(place: Place, pool: ProcessPoolExecutor) -> None:
    assert isinstance(place.opener, Opener)
    names = [f"d{k}" for k in range(4)]
    with Catalog(replace(place.opener, late=True)) as catalog:
        assert (catalog.is_made, catalog.list_datasets()) == (False, [])
        won = list(pool.map(catalog_workers.create_same, [catalog] * PROCESSES, [names] * PROCESSES))
        assert sorted(name for ours in won for name in ours) == sorted(names)
        assert catalog.is_made
        assert sorted(d.name for d in catalog.list_datasets()) == sorted(names)


@pytest.mark.parametrize("place", SHARED, indirect=True)
def test_processes_exclude_each_other_by_the_lease(place: Place, pool: ProcessPoolExecutor) -> None:
    with Catalog(place.opener) as catalog:
        version = a_version(catalog, meta={"count": 0}).uuid
        work = [pool.submit(catalog_workers.count_under_lease, catalog, version, f"p{k}", 4) for k in range(PROCESSES)]
        for job in work:
            job.result(LIMIT_S)
        assert catalog.get_version(version).meta == {"count": 4 * PROCESSES}


@pytest.mark.parametrize("place", SHARED, indirect=True)
def test_processes_open_a_new_catalog_at_once(place: Place, pool: ProcessPoolExecutor) -> None:
    with Catalog(place.opener) as catalog:
        names = [f"d{k}" for k in range(PROCESSES)]
        assert list(pool.map(catalog_workers.open_and_add, [catalog] * PROCESSES, names)) == names
        assert sorted(d.name for d in catalog.list_datasets()) == names
