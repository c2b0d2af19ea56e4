"""What the verbs on stores share: which store, and how things are listed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from smalti.store import Dataset, DatasetVersion

__all__ = ["dataset_row", "opened", "store_option", "version_row"]

Command = TypeVar("Command", bound=Callable[..., Any])

store_option = click.option(
    "--store",
    "store_uri",
    envvar="SMALTI_STORE",
    help="The store: a folder or an s3/gs/az prefix; default: SMALTI_STORE, else the user's own.",
)


@contextmanager
def opened(store_uri: str | None) -> "Iterator[Any]":
    """The store that is meant (or the server that speaks for one), closed at the end."""
    from smalti.opening import open as open_any

    store = open_any(store_uri)
    try:
        yield store
    finally:
        store.close()


def dataset_row(dataset: "Dataset") -> dict[str, Any]:
    """What list and show say of a dataset."""
    row = dataset.row
    return {
        "id": dataset.id,
        "name": dataset.name,
        "project": dataset.project,
        "description": dataset.description,
        "tags": dataset.tags,
        "metadata": dataset.metadata,
        "versions": len(dataset.versions()),
        "created": str(row.created),
        "updated": str(row.updated),
    }


def version_row(version: "DatasetVersion") -> dict[str, Any]:
    """What list and show say of a version."""
    row = version.row
    return {
        "id": version.id,
        "name": version.name,
        "state": version.state,
        "frames": len(version),
        "parents": [parent.name for parent in version.parents],
        "description": version.description,
        "tags": version.tags,
        "created": str(row.created),
        "published": str(row.published) if row.published else None,
    }
