"""What the verbs on stores share: which store, dataset and version, how they complete, and how things are listed."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from smalti.errors import SmaltiError, VersionError

if TYPE_CHECKING:
    from smalti.store import Dataset, DatasetVersion

__all__ = [
    "complete_datasets",
    "complete_versions",
    "complete_views",
    "complete_what",
    "completed",
    "dataset_argument",
    "dataset_row",
    "frames_of",
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
def opened(store_uri: str | None, *, may_be_new: bool = False) -> "Iterator[Any]":
    """The store that is meant (or the server that speaks for one), closed at the end.

    A catalog in PostgreSQL is named by the environment variable SMALTI_CATALOG: it may hold a password.

    Args:
        may_be_new: for verbs that write first: they make the store. To others a place that is none is an error, for what
            they would say of it is true of every mistyped name.
    """
    from smalti.opening import open as open_any

    catalog = os.environ.get("SMALTI_CATALOG")
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


def _versions_in(store: Any, begun: str) -> list[str]:
    """Every DATASET@VERSION, of one dataset where it is written already."""
    dataset = begun.rpartition("@")[0]
    meant = [store[dataset]] if dataset else list(store)
    return [f"{dataset or found.name}@{version.name}" for found in meant for version in found.versions()]


def _views_in(store: Any) -> list[str]:
    return [row.name for row in store.catalog.list_views()] if hasattr(store, "catalog") else []


def _choices_in(store: Any, begun: str) -> list[str]:
    """What names a choice of frames; behind an "@" only a version does."""
    return _versions_in(store, begun) if "@" in begun else [*_versions_in(store, begun), *_views_in(store)]


def complete_datasets(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Completes DATASET."""
    return completed(context, lambda store: [dataset.name for dataset in store], begun)


def complete_versions(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Completes DATASET@VERSION."""
    return completed(context, lambda store: _versions_in(store, begun), begun)


def complete_views(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Completes the name of a stored view."""
    return completed(context, _views_in, begun)


def complete_choices(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Completes DATASET@VERSION or the name of a stored view."""
    return completed(context, lambda store: _choices_in(store, begun), begun)


def complete_what(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Completes what verbs on frames take: DATASET@VERSION or a stored view; a path where the store has no such name."""
    found = completed(context, lambda store: _choices_in(store, begun), begun)
    return [CompletionItem(name) for name in found] or [CompletionItem(begun, type="file")]


def _named(context: click.Context, argument: str) -> str:
    """What the line so far says for an argument."""
    # In front of an option that waits for its value click leaves the arguments as they were typed.
    return str(context.params.get(argument) or next(iter(context.args), ""))


def versions_of(argument: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completes the name of another version of the dataset that an earlier argument names."""

    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
        dataset = _named(context, argument).rpartition("@")[0]
        return completed(context, lambda store: [version.name for version in store[dataset].versions()], begun)

    return complete


def frames_of(argument: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completes the id of a frame of the version that an earlier argument names."""

    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
        def listed(store: Any) -> list[str]:
            from smalti.store.engine import quoted

            version = store.version(_named(context, argument))
            if not hasattr(version, "rows"):
                return []  # a server would send every id
            where = f"starts_with(id, {quoted(begun)})" if begun else None
            batches = version.rows().scan(["id"], where, limit=_MOST_IDS)
            return sorted(name for batch in batches for name in batch.column("id").to_pylist())

        return completed(context, listed, begun)

    return complete


_MOST_IDS = 200
"""Frame ids that a shell is offered: more are not looked through, and a version may have millions."""


def dataset_argument(name: str = "name") -> Callable[[Command], Command]:
    """The argument DATASET, which completes."""
    return click.argument(name, metavar="DATASET", shell_complete=complete_datasets)


def version_argument(name: str = "reference", metavar: str = "DATASET@VERSION") -> Callable[[Command], Command]:
    """The argument DATASET@VERSION, which completes."""
    return click.argument(name, metavar=metavar, shell_complete=complete_versions)


def choice_argument() -> Callable[[Command], Command]:
    """The argument of verbs that take a version or a stored view, which completes."""
    return click.argument("reference", metavar="DATASET@VERSION|VIEW", shell_complete=complete_choices)


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
