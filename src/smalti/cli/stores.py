"""What the verbs on stores share: which store, dataset and version, how they complete, and how things are listed."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from smalti.errors import SmaltiError, VersionError

if TYPE_CHECKING:
    from smalti.store import Dataset, DatasetVersion

__all__ = [
    "completed",
    "dataset_argument",
    "dataset_row",
    "opened",
    "split_reference",
    "store_option",
    "version_argument",
    "version_row",
    "versions_of",
]

Command = TypeVar("Command", bound=Callable[..., Any])

store_option = click.option(
    "--store",
    "store_uri",
    envvar="SMALTI_STORE",
    help="The store: a folder or an s3/gs/az prefix; default: SMALTI_STORE, else the user's own.",
)


@contextmanager
def opened(store_uri: str | None, *, may_be_new: bool = False, catalog: str | None = None) -> "Iterator[Any]":
    """The store that is meant (or the server that speaks for one), closed at the end.

    A catalog in PostgreSQL is named by the environment variable SMALTI_CATALOG: it may hold a password.

    Args:
        may_be_new: for verbs that write first: they make the store. To others a place that is none is an error, for what
            they would say of it is true of every mistyped name.
        catalog: the database, where a verb has an option for it.
    """
    from smalti.opening import open as open_any

    catalog = catalog or os.environ.get("SMALTI_CATALOG")
    is_server = (store_uri or "").startswith(("http://", "https://"))
    store: Any = open_any(store_uri, **({"catalog_url": catalog} if catalog and not is_server else {}))
    try:
        if not is_server and not may_be_new:
            store.check_made()
        yield store
    finally:
        store.close()


def split_reference(reference: str) -> tuple[str, str]:
    """DATASET@VERSION as its two names.

    Raises:
        VersionError: it is something else.
    """
    dataset, at, name = reference.rpartition("@")
    if not at or not dataset or not name:
        raise VersionError(f"{reference!r} is not a version; write DATASET@VERSION")
    return dataset, name


# --------------------------------------------------------------------------------------------------------- completion
def completed(context: click.Context, list_: Callable[[Any], list[str]], begun: str) -> list[str]:
    """Names in the store that the line so far speaks of; none where it cannot be opened, and none is made."""
    try:
        with opened(context.params.get("store_uri") or os.environ.get("SMALTI_STORE")) as store:
            return [name for name in list_(store) if name.startswith(begun)]
    except (SmaltiError, OSError):
        return []


def _datasets(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    return completed(context, lambda store: [dataset.name for dataset in store], begun)


def _versions(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    dataset = begun.rpartition("@")[0]

    def listed(store: Any) -> list[str]:
        """Every DATASET@VERSION, of one dataset where it is written already."""
        meant = [store[dataset]] if dataset else list(store)
        return [f"{dataset or found.name}@{version.name}" for found in meant for version in found.versions()]

    return completed(context, listed, begun)


def versions_of(argument: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completes the name of another version of the dataset that an earlier argument names."""

    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
        dataset = str(context.params.get(argument) or "").rpartition("@")[0]
        return completed(context, lambda store: [version.name for version in store[dataset].versions()], begun)

    return complete


def dataset_argument(name: str = "name") -> Callable[[Command], Command]:
    """The argument DATASET, which completes."""
    return click.argument(name, metavar="DATASET", shell_complete=_datasets)


def version_argument(name: str = "reference", metavar: str = "DATASET@VERSION") -> Callable[[Command], Command]:
    """The argument DATASET@VERSION, which completes."""
    return click.argument(name, metavar=metavar, shell_complete=_versions)


# ------------------------------------------------------------------------------------------------------------- listing
def _said(found: Any) -> dict[str, Any]:
    return {
        "description": found.description,
        "tags": found.tags,
        "metadata": found.metadata,
        "created": str(found.row.created),
    }


def dataset_row(dataset: "Dataset") -> dict[str, Any]:
    """What list and show say of a dataset."""
    own = {"id": dataset.id, "name": dataset.name, "project": dataset.project, "versions": len(dataset.versions())}
    return own | _said(dataset) | {"updated": str(dataset.row.updated)}


def version_row(version: "DatasetVersion") -> dict[str, Any]:
    """What list and show say of a version."""
    own = {"id": version.id, "name": version.name, "state": version.state, "frames": len(version)}
    published = version.row.published
    parents = [parent.name for parent in version.parents]
    return own | {"parents": parents} | _said(version) | {"published": str(published) if published else None}
