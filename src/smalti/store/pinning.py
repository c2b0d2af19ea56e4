"""Which published views read a version: they promise the same frames for ever, so it cannot go without a word."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from smalti.errors import VersionError
from smalti.store.catalog import Catalog
from smalti.store.rows import DatasetRow, VersionRow, ViewRow

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = ["lost_versions", "require_unread"]


def require_unread(versions: "Sequence[DatasetVersion]") -> None:
    """Raise VersionError, with the names of the views, if a published view reads one of some versions of a dataset."""
    if not versions:
        return
    dataset = versions[0].dataset
    rows = [version.row for version in versions]
    reading = [
        view
        for view, entry in _entries(dataset.catalog)
        if _is_of(entry, dataset.row) and any(entry.get("version") in (row.uuid, row.name) for row in rows)
    ]
    if reading:
        names = ", ".join(dict.fromkeys(repr(view.name) for view in reading))
        told = ", ".join(f"{dataset.name}@{row.name}" for row in rows[:5])
        raise VersionError(
            f"{told}: published views read it and would lose their frames: {names}; delete those views first, or delete "
            "with_views=True (--with-views) if nobody needs them to be read again"
        )


def lost_versions(catalog: Catalog) -> list[str]:
    """What published views read that is not there any more, in words."""
    datasets = catalog.list_datasets()
    known: dict[str, list[VersionRow]] = {row.uuid: catalog.list_versions(row.uuid) for row in datasets}
    lost = []
    for view, entry in _entries(catalog):
        found = [row for dataset in datasets if _is_of(entry, dataset) for row in known[dataset.uuid]]
        if not any(entry.get("version") in (row.uuid, row.name) for row in found):
            lost.append(
                f"published view {view.name!r} reads version {entry.get('version')}, which is not there any more"
            )
    return lost


def _entries(catalog: Catalog) -> Iterator[tuple[ViewRow, dict[str, Any]]]:
    for view in catalog.list_views():
        if view.status == "published":
            for entry in view.spec.get("versions") or ():
                yield view, entry


def _is_of(entry: dict[str, Any], dataset: DatasetRow) -> bool:
    full = f"{dataset.project}/{dataset.name}" if dataset.project else dataset.name
    return entry.get("dataset") in (dataset.uuid, dataset.name, full)
