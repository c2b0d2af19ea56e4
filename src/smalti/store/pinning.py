"""What published views read: they promise the same frames for ever, so a version cannot go without a word."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from smalti.errors import VersionError
from smalti.query.rules import EVERY
from smalti.store.catalog import Catalog
from smalti.store.rows import DatasetRow, VersionRow, ViewRow

if TYPE_CHECKING:
    from smalti.store.store import Store
    from smalti.store.version import DatasetVersion

__all__ = ["lost_versions", "pinned", "require_unread"]


def pinned(view: str | None, spec: dict[str, Any], store: "Store") -> dict[str, Any]:
    """The JSON of a view to publish: every version that it reads by ids, so that no new name makes it read another.

    Raises:
        VersionError: it reads a version that is not there, or one that is not published.
    """
    drafts: dict[str, None] = {}

    def version(dataset: Any, reference: Any) -> "DatasetVersion":
        try:
            found = store[str(dataset)][str(reference)]
        except VersionError as error:
            raise VersionError(f"view {view!r} reads {dataset}@{reference}, which is not there: {error}") from None
        if not found.is_published:
            drafts[f"{found.dataset.name}@{found.name}"] = None
        return found

    def with_ids(entry: dict[str, Any]) -> dict[str, Any]:
        found = version(entry.get("dataset"), entry.get("version"))
        made = {**entry, "dataset": found.dataset.id, "version": found.id}
        if entry.get("merge_with") is not None:
            made["merge_with"] = version(found.dataset.id, entry["merge_with"]).id
        return made

    made = dict(spec)
    if spec.get("versions"):
        made["versions"] = [with_ids(entry) for entry in spec["versions"]]
    if spec.get("filters"):  # one that names no version of its own is asked of those above
        made["filters"] = [with_ids(rule) if _names_version(rule) else rule for rule in spec["filters"]]
    if drafts:
        raise VersionError(f"view {view!r} reads {', '.join(drafts)}, which can still change; publish that first")
    return made


def _names_version(rule: dict[str, Any]) -> bool:
    return all(rule.get(key) not in (None, EVERY) for key in ("dataset", "version"))


def require_unread(versions: "Sequence[DatasetVersion]", *, may_choose: bool = True) -> None:
    """Raise VersionError, with the names of the views, if a published view reads one of some versions of a dataset.

    Args:
        versions: of one dataset.
        may_choose: the caller has `with_views`, so that the message may name it; the calls of ClearML lack it.
    """
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
            f"{told}: published views read it and would lose their frames: {names}; delete those views first",
            advice="or delete with_views=True if nobody needs them to be read again" if may_choose else "",
            command="or give --with-views if nobody needs them to be read again" if may_choose else "",
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
    return list(dict.fromkeys(lost))  # a filter may name the version again


def _entries(catalog: Catalog) -> Iterator[tuple[ViewRow, dict[str, Any]]]:
    for view in catalog.list_views():
        if view.status == "published":
            for entry in (*(view.spec.get("versions") or ()), *(view.spec.get("filters") or ())):
                if _names_version(entry):
                    yield view, entry
                    if entry.get("merge_with") is not None:
                        yield view, {**entry, "version": entry["merge_with"]}


def _is_of(entry: dict[str, Any], dataset: DatasetRow) -> bool:
    full = f"{dataset.project}/{dataset.name}" if dataset.project else dataset.name
    return entry.get("dataset") in (dataset.uuid, dataset.name, full)
