"""Upkeep: indices, compaction, cleanup of old history, and the sweep of what crashed writers left behind."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from smalti.errors import StorageError, VersionError
from smalti.store.engine import Branch
from smalti.store.promoted import scalar_fields, vector_fields
from smalti.store.vectors import index_vectors

if TYPE_CHECKING:
    from smalti.store.store import Store
    from smalti.store.version import DatasetVersion

__all__ = ["INDICES", "Upkeep", "maintain", "tidy"]

INDICES: dict[str, str] = {
    "id": "BTREE",
    "context_id": "BTREE",
    "labels": "LABEL_LIST",
    "labelsets": "LABEL_LIST",
    "meta_kv": "LABEL_LIST",
    "px_bucket": "LABEL_LIST",
}
_SMALL_ROWS = 1 << 16
_MANY_SMALL = 8
_DELETED_SHARE = 0.1
_WORTH_INDEXING = 256


def wanted_indices(branch: Branch) -> dict[str, str]:
    """Column → kind of index, for a branch with its promoted columns."""
    return INDICES | {field.name: "BTREE" for field in scalar_fields(branch.schema)}


def tidy(branch: Branch, renew: Callable[[], None], *, thorough: bool = False) -> None:
    """Compact a branch if it is ragged, and bring its indices up to date. The caller holds the version's lease.

    An inherited index must not see a compaction, so all are dropped before and made anew after it.
    """
    wanted = wanted_indices(branch)
    if branch.count() < _WORTH_INDEXING:
        return
    if thorough or _is_ragged(branch):
        branch.drop_indices()
        renew()
        branch.compact(_SMALL_ROWS)
        renew()
    existing = branch.indices()
    for column, kind in wanted.items():
        if column not in existing:
            branch.create_index(column, kind)
            renew()
    if vector_fields(branch.schema):
        index_vectors(branch)
        renew()
    if any(column in existing for column in wanted):
        branch.optimize_indices()


def _is_ragged(branch: Branch) -> bool:
    small, deleted = branch.raggedness(_SMALL_ROWS)
    return small >= _MANY_SMALL or deleted > _DELETED_SHARE


class Upkeep(msgspec.Struct):
    """What `maintain` did, and what it could not do.

    Attributes:
        tidied: versions (DATASET@VERSION) that were compacted and indexed.
        skipped: versions that were busy, with the reason.
        bytes_freed: by cleaning up old history.
        swept: branches without a version, and those of deleted versions, that are gone now.
    """

    tidied: list[str] = []
    skipped: dict[str, str] = {}
    bytes_freed: int = 0
    swept: list[str] = []


def maintain(
    store: "Store", *, older_than: timedelta = timedelta(days=1), sweep_after: timedelta = timedelta(hours=1)
) -> Upkeep:
    """Bring every draft into shape, forget history that nothing refers to, and sweep what crashes left.

    Args:
        older_than: history younger than this stays, for readers that are on it; at least one day.
        sweep_after: branches without a version are kept for so long: their version may be about to be written.

    Raises:
        ValueError: `older_than` is less than a day.
    """
    if older_than < timedelta(days=1):
        raise ValueError(f"older_than is {older_than}; readers may be on history of the last day: give 1 day or more")
    done = Upkeep()
    for dataset in store.datasets():
        for version in dataset.versions():
            name = f"{dataset.name}@{version.name}"
            try:
                _maintain_version(version, older_than, done)
            except (VersionError, StorageError) as error:
                done.skipped[name] = str(error)
        done.swept += sweep(dataset, sweep_after)
    return done


def _maintain_version(version: "DatasetVersion", older_than: timedelta, done: Upkeep) -> None:
    row = version.row
    branch = version.dataset.engine.at(row.branch)
    try:
        if row.state == "draft":
            with version.lease("maintenance") as renew, version.writing() as writable:
                tidy(writable, renew)
            done.tidied.append(f"{version.dataset.name}@{version.name}")
    finally:  # on a full disk nothing can be tidied, and this makes room
        done.bytes_freed += branch.clean_up(older_than)


def sweep(dataset: Any, sweep_after: timedelta) -> list[str]:
    """Delete branches that no version owns; children before parents."""
    catalog, engine = dataset.catalog, dataset.engine
    kept = {row.branch for row in catalog.list_versions(dataset.id)}
    branches = engine.branches()
    orphans = [name for name in branches if name not in kept and engine.age(name) > sweep_after]
    swept = []
    while orphans:
        parents = {parent for parent, _ in engine.branches().values()}
        leaves = [name for name in orphans if name not in parents]
        if not leaves:
            break
        for name in leaves:
            engine.delete_branch(name)
            swept.append(name)
        orphans = [name for name in orphans if name not in leaves]
    swept += engine.sweep_folders(sweep_after)
    for row in catalog.list_versions(dataset.id, deleted=True):
        if row.state == "deleted" and row.branch not in engine.branches():
            try:
                catalog.delete_version(row.uuid, expect_state="deleted")
            except VersionError:
                continue  # a parent of another deleted version: the next sweep takes it
    return swept
