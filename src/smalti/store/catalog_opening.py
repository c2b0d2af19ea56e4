"""Which backend holds the catalog of a store, and when it is made: at once, never, or with the first row that is kept."""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from smalti.store.catalog_backend import Backend, Orphan
from smalti.store.rows import LeaseRow, Row, utc_now

__all__ = ["LateBackend", "Opener"]

R = TypeVar("R", bound=Row)

SQLITE_NAME = "catalog.sqlite"
OBJECT_SCHEMES = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss")


@dataclass(frozen=True)
class Opener:
    """How to open the backend of a catalog, here or in another process.

    Attributes:
        create: False = a place without a catalog is an error.
        late: with `create`: it is made by the first row that is kept; until then it has no rows.
    """

    store_uri: str
    url: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    create: bool = True
    late: bool = False

    def __call__(self) -> Backend:
        """Open it: the database of `url`, else whatever the store's own place can hold."""
        if self.create and self.late:
            late = LateBackend(replace(self, create=False), replace(self, late=False))
            return late.found() or late
        scheme = urlsplit(self.store_uri).scheme.lower()
        if self.url is None and scheme in OBJECT_SCHEMES:
            from smalti.store.catalog_objects import open_objects

            return open_objects(self.store_uri, create=self.create, options=self.options)
        from smalti.store.catalog_sql import SqlBackend

        if self.url is not None:
            return SqlBackend(self.url, create=self.create)
        return SqlBackend.in_folder(_local_folder(self.store_uri), SQLITE_NAME, create=self.create)


def _local_folder(store_uri: str) -> Path:
    """The folder that a store on local disk names: a path, or a `file:` URI."""
    parts = urlsplit(store_uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(store_uri).absolute()


class LateBackend:
    """A place that is no store yet: it has no rows, and the first one that is kept makes the store.

    A store that is only looked at leaves no trace: who mistypes its name finds nothing, and nothing is there afterwards.
    Somebody else may make it meanwhile, so every call looks again.

    Args:
        find: opens what is there; raises FileNotFoundError.
        make: opens it, and makes it if need be.
    """

    def __init__(self, find: Callable[[], Backend], make: Callable[[], Backend]) -> None:
        self._find, self._make = find, make
        self._lock = threading.Lock()
        self._made: Backend | None = None

    def found(self) -> Backend | None:
        """The backend, None as long as nobody has made it."""
        with self._lock:
            if self._made is None:
                try:
                    self._made = self._find()
                except FileNotFoundError:
                    return None
            return self._made

    def made(self) -> Backend:
        """The backend, which is made if it is not there."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def now(self) -> datetime:
        """The backend's time; this machine's while there is none."""
        there = self.found()
        return utc_now() if there is None else there.now()

    def insert(self, row: Row) -> None:
        """Keep a new row, in a new store if need be."""
        self.made().insert(row)

    def get(self, kind: type[R], key: str) -> R | None:
        """The row with this key."""
        there = self.found()
        return None if there is None else there.get(kind, key)

    def select(
        self,
        kind: type[R],
        where: Mapping[str, Any],
        *,
        since: datetime | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[R]:
        """Rows whose fields equal `where`, in the kind's order."""
        there = self.found()
        return [] if there is None else there.select(kind, where, since=since, newest_first=newest_first, limit=limit)

    def update(
        self, kind: type[R], key: str, changes: Mapping[str, Any], expect: Mapping[str, Collection[Any]]
    ) -> R | None:
        """Change fields if each field of `expect` has one of its values."""
        there = self.found()
        return None if there is None else there.update(kind, key, changes, expect)

    def delete(self, kind: type[Row], key: str, expect: Mapping[str, Collection[Any]]) -> bool:
        """Remove a row and what belongs to it."""
        there = self.found()
        return there is not None and there.delete(kind, key, expect)

    def claim(self, row: LeaseRow, now: datetime) -> LeaseRow:
        """Put a lease; a place that is no store has no version to lease."""
        there = self.found()
        if there is None:
            raise Orphan
        return there.claim(row, now)

    def close(self) -> None:
        """Let go of connections."""
        with self._lock:
            if self._made is not None:
                self._made.close()
