"""Copies that keep the tree: every version's rows into another table, branch by branch, each as its changes.

A backup is a copy to another store. A purge is a copy without some frames, put in the place of the original: history
and shared files cannot be cleaned of a frame in any other way.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from smalti.errors import VersionError
from smalti.store.diff import UPDATED, deleted_ids
from smalti.store.engine import Branch, Engine, where_in
from smalti.store.maintain import tidy
from smalti.store.promoted import conform, promoted_fields, values_of
from smalti.store.rows import AuditRow, DatasetRow, VersionRow, new_uuid

if TYPE_CHECKING:
    from smalti.store.dataset import Dataset
    from smalti.store.store import Store

__all__ = ["copy_rows", "copy_store", "finish_move", "purge"]

Pins = dict[str, tuple[int, int]]
_AT_ONCE = 1 << 16


def copy_rows(
    source: Engine,
    versions: Iterable[VersionRow],
    target: Engine,
    without: Collection[str] = (),
    renew: Callable[[], None] = lambda: None,
) -> Pins:
    """Every version's rows into an empty table, parents first; returns version id → (base, head) there."""
    family = source.branches()
    rows = {row.branch: row for row in versions}
    pins: Pins = {}
    for row in _parents_first(rows, family):
        parent_name, since = family[row.branch]
        parent = rows.get(parent_name) if parent_name is not None else None
        if parent_name is not None and parent is None:
            raise VersionError(f"version {row.name!r}: the branch it was made from belongs to no version; run verify")
        base = target.create_branch(row.branch, None if parent is None else (parent.branch, pins[parent.uuid][1]))
        old = source.at(row.branch, row.head_version if row.state == "published" else None).snapshot()
        new = target.at(row.branch)
        _add_promoted(old, new)
        start = None if parent is None else source.at(parent.branch, since)
        _copy_branch(old, new, start, since, set(without), renew)
        tidy(new, renew)
        if row.state == "published":
            target.tag("pub", row.branch, new.version)
        pins[row.uuid] = (base, new.version)
    return pins


def _parents_first(rows: dict[str, VersionRow], family: dict[str, tuple[str | None, int]]) -> Iterator[VersionRow]:
    done: set[str | None] = {None, *(name for name in family if name not in rows)}
    waiting = list(rows.values())
    while waiting:
        ready = [row for row in waiting if family[row.branch][0] in done]
        if not ready:
            raise VersionError(
                f"versions {', '.join(row.name for row in waiting)} are made from each other; run verify"
            )
        yield from ready
        done |= {row.branch for row in ready}
        waiting = [row for row in waiting if row.branch not in done]


def _add_promoted(old: Branch, new: Branch) -> None:
    known = set(new.schema.names)
    for field in promoted_fields(old.schema):
        if field.name not in known:
            new.add_column(field, partial(_filled, field), ["meta"])


def _filled(field: pa.Field, batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([values_of(batch.column("meta"), field)], schema=pa.schema([field]))


def _copy_branch(
    old: Branch, new: Branch, start: Branch | None, since: int, without: set[str], renew: Callable[[], None]
) -> None:
    """The rows of `old` into `new`, which begins as a copy of `start`."""
    schema = new.schema
    if start is not None:
        removed = sorted(deleted_ids(old, start, since))
        for at in range(0, len(removed), 1000):
            new.delete(where_in("id", removed[at : at + 1000]))
    gone = pa.array(sorted(without), pa.string())
    waiting: list[pa.RecordBatch] = []
    for batch in old.scan(schema.names, None if start is None else f"{UPDATED} > {since}"):
        kept = batch if not without else batch.filter(pc.invert(pc.is_in(batch.column("id"), gone)))
        if len(kept):
            waiting.append(conform(kept, schema))
        if sum(map(len, waiting)) >= _AT_ONCE:
            _write(new, waiting, is_fresh=start is None)
            waiting = []
            renew()
    _write(new, waiting, is_fresh=start is None)


def _write(new: Branch, batches: Sequence[pa.RecordBatch], *, is_fresh: bool) -> None:
    if batches and is_fresh:
        new.append(batches)
    elif batches:
        new.upsert(pa.Table.from_batches(batches))


# ---------------------------------------------------------------------------------------------------------- purge
def purge(store: "Store", frame_ids: Sequence[str], *, who: str, why: str) -> dict[str, int]:
    """See `Store.purge`."""
    if not who.strip() or not why.strip():
        raise VersionError("a purge needs to know who asked for it and why; both are kept")
    if not frame_ids:
        return {}
    erased: dict[str, int] = {}
    for dataset in store.datasets():
        counts = {v.name: v.rows().count(where_in("id", frame_ids)) for v in dataset.versions()}
        found = {f"{dataset.name}@{name}": count for name, count in counts.items() if count}
        if found or _was_there(dataset, frame_ids):
            _rebuild(dataset, frame_ids)
            erased |= found
            detail = {"why": why, "frames": list(frame_ids), "erased": found}
            store.catalog.record(AuditRow(who=who, what="purge", dataset=dataset.id, detail=detail))
    return erased


def _was_there(dataset: "Dataset", frame_ids: Sequence[str]) -> bool:
    """Whether deleted rows or old history of a draft may still hold the frames on disk: then they are purged as well."""
    wanted = where_in("id", frame_ids)
    return any(
        dataset.engine.at(version.row.branch, number).count(wanted)
        for version in dataset.versions()
        for number in dataset.engine.at(version.row.branch).history()
    )


def _rebuild(dataset: "Dataset", without: Sequence[str]) -> None:
    """Copy a dataset without some frames and put the copy in its place."""
    catalog = dataset.catalog
    versions = dataset.versions()
    row = dataset.row
    fresh = msgspec.structs.replace(row, uri=f"{row.uuid}-{new_uuid()[:8]}.lance")
    target = dataset.store.engine_of(fresh)
    with ExitStack() as leases:
        renewals = [leases.enter_context(version.lease("a purge")) for version in versions]

        def renew() -> None:
            for keep in renewals:
                keep()

        try:
            target.create()
            pins = copy_rows(dataset.engine, [version.row for version in versions], target, without, renew)
            # One change of one row moves the dataset; what follows from it can be repeated after a crash.
            moving = {"old": row.uri, "pins": {uuid: list(pin) for uuid, pin in pins.items()}}
            moved = catalog.update_dataset(row.uuid, uri=fresh.uri, extra=dict(row.extra) | {"moving": moving})
        except BaseException:
            if catalog.get_dataset(row.uuid).uri == row.uri and target.exists():
                target.drop()  # half a copy, which nothing refers to
            raise
        finish_move(dataset.store, moved)
    dataset.reopen()


def finish_move(store: "Store", row: DatasetRow) -> DatasetRow:
    """Do what is left of a move that put another table in a dataset's place: pins, and the old table goes."""
    moving = row.extra.get("moving")
    if not moving:
        return row
    for uuid, (base, head) in moving["pins"].items():
        version = store.catalog.get_version(uuid)
        stats = dict(version.stats)
        if version.state == "published":
            from smalti.store.counting import stats_of

            stats = stats_of(store.engine_of(row).at(version.branch, head))
        pinned = head if version.state == "published" else version.head_version
        # Rows may lie in another order now, so what was said of their order (tokens) is refused from here on. The name
        # goes with the version, through backups too, and is the same when this is done again after a crash.
        extra = dict(version.extra) | {"rebuilt": row.uri.removesuffix(".lance")[-8:]}
        store.catalog.update_version(uuid, base_version=base, head_version=pinned, stats=stats, extra=extra)
    old = store.engine_of(msgspec.structs.replace(row, uri=moving["old"]))
    if old.exists():
        old.drop()
    extra = {key: value for key, value in row.extra.items() if key != "moving"}
    return store.catalog.update_dataset(row.uuid, extra=extra)


# --------------------------------------------------------------------------------------------------------- backup
def copy_store(source: "Store", target: "Store") -> dict[str, int]:
    """Everything in a store into an empty one: datasets, versions with their history as a tree, views, audit trail.

    Versions are copied one after the other while the source stays open; each is copied as it is when its turn comes.

    Returns:
        Frames by `DATASET@VERSION`.

    Raises:
        VersionError: the target is not empty.
        StorageError: there is no source.
    """
    source.check_made()
    if target.catalog.list_datasets():
        raise VersionError(f"{target!r} is not empty; give the place of a new store")
    target.make()
    copied: dict[str, int] = {}
    for dataset in source.datasets():
        row: Any = dataset.row
        engine = target.engine_of(row)
        engine.create()
        versions = [version.row for version in dataset.versions()]
        pins = copy_rows(dataset.engine, versions, engine)
        target.catalog.create_dataset(row)
        for version in _rows_parents_first(versions):
            base, head = pins[version.uuid]
            is_published = version.state == "published"
            changes = {"base_version": base, "head_version": head if is_published else None}
            kept = [uuid for uuid in version.parents if uuid in pins]
            state = "published" if is_published else "draft"
            target.catalog.create_version(msgspec.structs.replace(version, parents=kept, state=state, **changes))
            copied[f"{dataset.name}@{version.name}"] = engine.at(version.branch, head).count()
    for view in source.catalog.list_views():
        target.catalog.save_view(view)
    for entry in reversed(source.catalog.audit()):
        target.catalog.record(entry)
    return copied


def _rows_parents_first(versions: Sequence[VersionRow]) -> Iterator[VersionRow]:
    done: set[str] = set()
    known = {row.uuid for row in versions}
    waiting = list(versions)
    while waiting:
        ready = [row for row in waiting if not (set(row.parents) & known) - done]
        yield from ready
        done |= {row.uuid for row in ready}
        waiting = [row for row in waiting if row.uuid not in done]
        if not ready:
            raise VersionError("versions are parents of each other; run verify")
