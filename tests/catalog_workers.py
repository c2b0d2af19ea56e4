"""What other processes do to a catalog while it is tested. They get a catalog pickled and open it themselves."""

import random
import sys
import time
from multiprocessing.synchronize import Barrier

from smalti.errors import VersionError
from smalti.store.catalog import Catalog
from smalti.store.rows import DatasetRow, VersionRow

_barrier: Barrier
LIMIT_S = 300
"""Only so that a deadlock ends: a busy machine may take a minute to start a process."""


def begin(barrier: Barrier) -> None:
    """Called once in each process: where they wait for each other before they race."""
    global _barrier
    _barrier = barrier


def create_same(catalog: Catalog, names: list[str]) -> list[str]:
    """Try to create datasets that others create too; the names that were ours."""
    with catalog:
        catalog.list_datasets()
        _barrier.wait(LIMIT_S)
        won = []
        for name in names:
            try:
                catalog.create_dataset(DatasetRow(name=name))
            except VersionError:
                continue
            won.append(name)
        return won


def count_under_lease(catalog: Catalog, version: str, owner: str, times: int) -> int:
    """Add one to a number in the version's metadata, `times` times, each time under the lease; how often refused."""
    refusals = 0
    with catalog:
        catalog.get_version(version)
        _barrier.wait(LIMIT_S)
        for _ in range(times):
            while True:
                try:
                    lease = catalog.acquire_lease(version, owner, 600)
                except VersionError:
                    refusals += 1
                    time.sleep(random.uniform(0, 0.02))  # asking without a pause would starve whoever has it
                    continue
                break
            count = catalog.get_version(version).meta["count"]
            catalog.update_version(version, meta={"count": count + 1})
            catalog.release_lease(lease)
    return refusals


def open_and_add(catalog: Catalog, name: str) -> str:
    """Open a catalog that others open at the same moment, and that nobody has made yet."""
    _barrier.wait(LIMIT_S)
    with catalog:
        catalog.create_dataset(DatasetRow(name=name))
    return name


def write_until_killed(folder: str, dataset: str) -> None:
    """Write versions and change them, and say so after each; whoever reads the words kills us at some point."""
    from smalti.store.catalog import open_catalog

    catalog = open_catalog(folder)
    while True:
        name = f"v{random.getrandbits(64):x}"
        row = catalog.create_version(VersionRow(dataset=dataset, name=name))
        print("created", row.uuid, flush=True)
        catalog.update_version(row.uuid, expect_state="draft", state="publishing")
        catalog.update_version(row.uuid, expect_state="publishing", state="published", head_version=7)
        print("published", row.uuid, flush=True)


if __name__ == "__main__":
    write_until_killed(*sys.argv[1:])
