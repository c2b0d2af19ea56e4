"""Finding datasets and versions of the default store as the legacy calls name them: by id or by name, never both."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from smalti.errors import SmaltiError, VersionError
from smalti.store import Dataset, DatasetVersion, Store, default_store_uri, open_store

__all__ = ["NotFound", "UsageError", "default_store", "either", "find_dataset", "find_version", "has_tags"]


class UsageError(SmaltiError, ValueError):
    """A call names a thing twice or not at all, or asks for what smalti does not do."""


class NotFound(VersionError, ValueError):
    """There is no dataset, version or parent of that name."""


@lru_cache(maxsize=4)
def _opened(uri: str) -> Store:
    return open_store(uri)


def default_store() -> Store:
    """The store that all names are looked up in: `$SMALTI_STORE`, else the one in the user's data folder."""
    return _opened(default_store_uri())


def either(what: str, id_: Any, name: Any, *, required: bool = True) -> None:
    """Refuse a call that names a thing by id and by name, or (where it is required) not at all.

    Raises:
        UsageError: that is so.
    """
    if id_ is not None and name is not None:
        raise UsageError(f"{what}_id and {what}_name are mutually exclusive; give one of them")
    if required and id_ is None and name is None:
        raise UsageError(f"neither {what}_id nor {what}_name is given; give one of them")


def find_dataset(dataset_id: str | None = None, dataset_name: str | None = None, project: str | None = None) -> Dataset:
    """The dataset; where several projects have one of that name, the one without a project, else the oldest.

    Raises:
        NotFound: there is none.
    """
    either("dataset", dataset_id, dataset_name)
    store = default_store()
    if dataset_id is not None:
        rows = [row for row in store.catalog.list_datasets() if row.uuid == dataset_id]
    else:
        rows = store.catalog.find_datasets(name=dataset_name)
        rows = [row for row in rows if project is None or row.project == project]
    if rows:
        return Dataset(store, next((row for row in rows if row.project is None), rows[0]))
    known = ", ".join(repr(row.name) for row in store.catalog.list_datasets()[-8:]) or "none yet"
    place = f" of project {project!r}" if project else ""
    raise NotFound(f"{store!r} has no dataset {dataset_id or dataset_name!r}{place}; it has {known}")


def find_version(
    dataset: Dataset | None, version_id: str | None = None, version_name: str | None = None
) -> DatasetVersion:
    """The version of a dataset; an id may be looked up without one. Neither id nor name: the current draft.

    Raises:
        NotFound: there is none.
    """
    either("version", version_id, version_name, required=False)
    if dataset is None:
        if version_id is None:
            raise UsageError("no dataset is named; give dataset_id or dataset_name, or a version_id")
        for candidate in default_store().datasets():
            if any(row.uuid == version_id for row in candidate.catalog.list_versions(candidate.id)):
                return candidate.version(version_id)
        raise NotFound(f"{default_store()!r} has no version with the id {version_id!r}")
    if version_id is None and version_name is None:
        try:
            return dataset.current()
        except VersionError as error:
            raise NotFound(str(error)) from None
    versions = dataset.versions()
    for found in versions:
        if (version_id is not None and found.id == version_id) or (
            version_name is not None and found.name == version_name
        ):
            return found
    known = ", ".join(repr(found.name) for found in versions[-8:]) or "none yet"
    raise NotFound(f"dataset {dataset.name!r} has no version {version_id or version_name!r}; it has {known}")


def has_tags(own: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether tags are what a tag filter asks for.

    Args:
        own: the tags of a dataset.
        wanted: any of these; `-x` or `__$not`, `x` = not this one; after `__$all` or `__$and` all of the rest are
            needed, after `__$or` any again.
    """
    some: list[str] = []
    every: list[str] = []
    none: list[str] = []
    target, negated = some, False
    for tag in wanted:
        if tag in ("__$all", "__$and"):
            target = every
        elif tag == "__$or":
            target = some
        elif tag == "__$not":
            negated = True
        elif negated or tag.startswith("-"):
            none.append(tag if negated else tag[1:])
            negated = False
        else:
            target.append(tag)
    held = set(own)
    return (not some or bool(held & set(some))) and held >= set(every) and not held & set(none)
