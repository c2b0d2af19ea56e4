"""What WHAT means where frames of a store are asked for: DATASET@VERSION, or the name of a stored view."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from smalti.cli.output import note
from smalti.cli.stores import opened
from smalti.errors import VersionError
from smalti.hints import hints_of

if TYPE_CHECKING:
    from smalti.store import Store
    from smalti.store.rows import ViewRow
    from smalti.view import DataView

__all__ = ["hinted", "local", "view_of", "view_row"]


def local(store: Any, what: str = "stored views are managed") -> "Store":
    """The store itself.

    Args:
        store: what `opened` gave.
        what: is done where only the store can do it, for the message.

    Raises:
        VersionError: it is a server.
    """
    if not hasattr(store, "catalog"):
        raise VersionError(f"{store!r} is a server; {what} on the store itself, or in its web pages")
    found: Store = store
    return found


def view_row(store: Any, name: str) -> "ViewRow":
    """The row of the stored view of that id, or of the only one of that name.

    Raises:
        VersionError: there is none, or more than one.
    """
    every = local(store).catalog.list_views()
    found = [row for row in every if row.name == name] or [row for row in every if row.uuid == name]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(row.uuid for row in found)
        raise VersionError(f"view {name!r} is ambiguous; use one of the ids {ids}")
    known = ", ".join(row.name for row in every[-8:]) or "none yet"
    raise VersionError(f"{store!r} has no view {name!r}; it has {known}")


@contextmanager
def hinted(view: "DataView") -> "Iterator[DataView]":
    """The view, while it is asked: what its queries may have missed is said before, once and in sentences."""
    for hint in hints_of(view):
        note(hint)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*without stored facts")  # which one of the hints says
        yield view


@contextmanager
def view_of(what: str, query: str, store_uri: str | None) -> "Iterator[DataView]":
    """The view that is meant, while its store is open.

    Raises:
        VersionError: there is no such version or view, or a stored view is asked with a query of one's own.
    """
    from smalti.view import DataView

    with opened(store_uri) as store:
        if "@" in what:
            with hinted(store.version(what).view(query)) as view:
                yield view
            return
        row = view_row(store, what)
        if query:
            raise VersionError(
                f"{what} is a stored view, which has its queries; ask a version instead: DATASET@VERSION"
            )
        with hinted(DataView.get(row.uuid, store=store)) as view:
            yield view
