"""Stored views, and names that views look up: what `smalti.stored` asks a store for."""

from functools import lru_cache
from typing import Any

import msgspec

from smalti.errors import VersionError
from smalti.store.names import check_name
from smalti.store.pinning import pinned
from smalti.store.rows import ViewRow, utc_now
from smalti.store.store import Store, default_store_uri, open_store
from smalti.store.table import VersionTable
from smalti.store.version import DatasetVersion
from smalti.view import DataView

__all__ = ["load", "look_up", "publish", "save"]


@lru_cache(maxsize=1)
def _opened(uri: str) -> Store:
    return open_store(uri)


def _home(store: Any = None) -> Store:
    found: Store = store or DataView.home or _opened(default_store_uri())
    return found


def look_up(dataset: str, version: str | None, project: str | None, store: Any = None) -> DatasetVersion:
    """See `smalti.stored.look_up`."""
    home = _home(store)
    found = home[f"{project}/{dataset}"] if project and f"{project}/{dataset}" in home else home[dataset]
    if version is not None:
        return found[version]
    versions = found.versions()
    if not versions:
        raise VersionError(
            f"dataset {dataset!r} has no versions yet",
            advice="make one with create_version",
            command=f"make one: smalti version create {dataset}@VERSION",
        )
    published = [each for each in versions if each.is_published]
    return (published or versions)[-1]


def _store_of(view: DataView, store: Any) -> Store:
    tables = view.tables
    if not all(isinstance(table, VersionTable) for table in tables):
        raise VersionError("this view reads a list of frames, which cannot be found again; add them to a version first")
    found: Store = store or next((t.home for t in tables if isinstance(t, VersionTable)), None) or _home()
    return found


def save(view: DataView, store: Any = None, *, replace: bool = False) -> None:
    """See `StoredView.store`."""
    home = _store_of(view, store)
    if not view.name:
        raise VersionError("a view needs a name to be stored; set view.name")
    known = None if view.id is None else home.catalog.get_view(view.id)
    if known is not None and known.status == "published":
        raise VersionError(f"view {known.name!r} is published and cannot change; clone it")
    if known is None or known.name != view.name:
        check_name("view", view.name, told_by_at=True)
        if view.unique_names:
            known = _in_place_of(view.name, home, replace) or known
    row = ViewRow(
        name=view.name,
        project=view.project,
        description=view.description,
        tags=list(view.tags),
        status=view.status,
        spec=pinned(view.name, view.to_spec(), home) if view.status == "published" else view.to_spec(),
    )
    if known is not None:
        row = msgspec.structs.replace(row, uuid=known.uuid, created=known.created, updated=utc_now(), extra=known.extra)
    view.id = home.catalog.save_view(row).uuid


def _in_place_of(name: str, home: Store, replace: bool) -> ViewRow | None:
    """What a view of a new name takes the place of: nothing, or the newest view of that name."""
    known = home.catalog.find_views(name=name)
    if known and not replace:
        raise VersionError(
            f"{home!r} has a view {name!r} already ({known[-1].status}), which this one would hide; choose another name, "
            f"change that one (DataView.get(dataview_name={name!r})), or store(replace=True)"
        )
    if known and known[-1].status == "published":
        raise VersionError(f"view {name!r} is published and cannot change; clone it")
    return known[-1] if known else None


def publish(view: DataView, store: Any = None) -> None:
    """See `StoredView.publish`."""
    home = _store_of(view, store)
    before = view.status
    view.status = "published"
    try:
        save(view, home)
    except VersionError:
        view.status = before
        raise


def load(kind: type[DataView], uuid: str | None, name: str | None, store: Any = None) -> DataView:
    """See `StoredView.get`."""
    home = _home(store)
    if uuid is not None:
        row = home.catalog.get_view(uuid)
    else:
        rows = home.catalog.find_views(name=name)
        if not rows:
            known = [row.name for row in home.catalog.list_views()]
            raise VersionError(f"{home!r} has no view {name!r}; it has {', '.join(known[-8:]) or 'none yet'}")
        row = rows[-1]
    entries = row.spec.get("versions", ())
    view = kind.from_spec(row.spec, [look_up(e["dataset"], e["version"], None, home) for e in entries])
    view.id, view.name, view.description, view.tags = row.uuid, row.name, row.description, list(row.tags)
    view.project, view.status = row.project, row.status
    return view
