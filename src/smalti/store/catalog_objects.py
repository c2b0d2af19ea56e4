"""The catalog of a store on an object store: small JSON objects that change by compare-and-swap.

An object holds the rows that must change together: all datasets; all versions of one dataset; one lease; all views;
one job; all users and keys. A change reads the object with its ETag, edits, and puts it back on the condition that
the ETag still holds; if another writer was quicker it starts over. So every change happens wholly or not at all, and a
name is checked against the very rows that the change is applied to. See docs/design/0004-catalog.md.
"""

import json
import os
import random
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import obstore
import obstore.store
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from smalti.errors import AccessDenied, StorageError, VersionError
from smalti.storage import default_storage, store_options
from smalti.store.catalog_backend import InUse, Orphan, Taken, fields, from_plain, micros, to_plain, unique_name
from smalti.store.rows import (
    KINDS,
    AuditRow,
    DatasetRow,
    JobRow,
    KeyRow,
    LeaseRow,
    Row,
    UserRow,
    VersionRow,
    ViewRow,
    utc_now,
)

__all__ = ["FORMAT", "ObjectsBackend", "open_objects"]

R = TypeVar("R", bound=Row)
T = TypeVar("T")
Rows = dict[str, dict[str, Any]]

FORMAT = 1
"""The layout of the objects; a release that meets a larger number refuses the catalog."""

PREFIX = "catalog"
PATIENCE_S = 60.0
"""How long a change is tried again while other writers are quicker."""

REMEMBERED = 32
"""Marks of the latest writes that an object keeps. By its mark a writer knows its own put whose answer was lost."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LATEST = 10**16
"""Audit objects are named by `_LATEST` minus microseconds: a listing, which is in order of names, is newest first."""

_CLIENT_OPTIONS = frozenset(
    {
        *("allow_http", "allow_invalid_certificates", "connect_timeout", "default_content_type", "default_headers"),
        *("http1_only", "http2_keep_alive_interval", "http2_keep_alive_timeout", "http2_keep_alive_while_idle"),
        *("http2_only", "pool_idle_timeout", "pool_max_idle_per_host", "proxy_url", "timeout", "user_agent"),
    }
)
"""Options of the HTTP client; obstore wants them apart from those of the service."""


class Missing(Exception):
    """The object that a change needs is not there."""


def open_objects(store_uri: str, *, create: bool = True, options: Mapping[str, Any] | None = None) -> "ObjectsBackend":
    """The catalog under a prefix such as `s3://bucket/data`.

    What `options` (named as obstore and Lance name them) do not say is taken from the default storage.
    """
    default = default_storage()
    settings = replace(default, options={**default.given, **(options or {})})
    given: Any = store_options(store_uri, storage=settings)
    client: Any = {name: given.pop(name) for name in list(given) if name in _CLIENT_OPTIONS}
    client["allow_http"] = str(client.get("allow_http", "")).lower() in ("true", "1", "yes")
    if "aws_endpoint" in given and os.environ.get("AWS_ENDPOINT_URL_S3"):
        given["aws_endpoint_url_s3"] = given["aws_endpoint"]  # the library lets the variable win otherwise
    # Catalog objects are small: a request that takes longer than the silence we bear is lost.
    client.setdefault("timeout", f"{settings.timeout_s:g}s")
    retry: Any = {"max_retries": settings.retries, "retry_timeout": timedelta(seconds=settings.deadline_s)}
    try:
        store = obstore.store.from_url(store_uri, config=given, client_options=client, retry_config=retry)
    except (BaseError, ValueError) as error:
        raise StorageError(
            f"{store_uri}: {_first_line(error)}; check the address and its settings", uri=store_uri
        ) from error
    return ObjectsBackend(store, store_uri, create=create)


class ObjectsBackend:
    """Rows in JSON objects below `catalog/` of an object store.

    Args:
        store: an obstore store with conditional put (S3, GCS, Azure, memory); its root is the smalti store.
        uri: what messages call it.
        create: False = a place without a catalog is an error.
    """

    def __init__(self, store: Any, uri: str, *, create: bool = True) -> None:
        self._store = store
        self._uri = uri
        self._dataset_of: dict[str, str] = {}  # version → dataset; never changes, so it may be remembered
        found = self._read("format")[0]
        if found is None:
            if not create:
                raise FileNotFoundError(f"no catalog below {uri}; is this the right store? create=True makes one")
            self._probe()
            self._swap("format", lambda document: document.setdefault("format", FORMAT), create=True)
            found = self._read("format")[0] or {}
        if found.get("format", 0) > FORMAT:
            raise VersionError(
                f"catalog {uri}: its format {found['format']} is newer than {FORMAT}, the newest that this release "
                "knows; update smalti"
            )

    def now(self) -> datetime:
        """This machine's time: object stores do not tell theirs. Writers need clocks that agree to a second or so."""
        return utc_now()

    def insert(self, row: Row) -> None:
        """Keep a new row; raises `Taken` or `Orphan`."""
        kind = type(row)
        plain = to_plain(kind, {name: getattr(row, name) for name in fields(kind)}, text=False)
        key = plain[KINDS[kind].key]
        if isinstance(row, DatasetRow):
            self._swap(f"versions/{key}", lambda document: document or document.update(new=True), create=True)
        if isinstance(row, VersionRow):
            self._point(row.uuid, row.dataset)

        def add(document: dict[str, Any]) -> None:
            if document.get("closed"):
                raise Orphan
            # Made before its dataset, which may never have come: its name was taken, or its writer died.
            if document.pop("new", False) and self.get(DatasetRow, plain["dataset"]) is None:
                raise Orphan
            if isinstance(row, KeyRow) and row.user not in _table(document, UserRow):
                raise Orphan
            rows = _table(document, kind)
            if key in rows:
                raise Taken
            rows[key] = plain
            _check_names(kind, rows, key)

        try:
            self._swap(self._shard(kind, plain), add, create=kind is not VersionRow)
        except Missing as error:
            raise Orphan from error

    def get(self, kind: type[R], key: str) -> R | None:
        """The row with this key."""
        shard = self._find(kind, key)
        document = None if shard is None else self._read(shard)[0]
        plain = None if document is None else _table(document, kind).get(key)
        return None if plain is None else from_plain(kind, plain, text=False)

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
        spec = KINDS[kind]
        earliest = None if since is None else micros(since)
        if kind is AuditRow:
            shards: Iterator[str] = self._list(kind, until=earliest)
        elif kind is VersionRow and "dataset" in where:
            shards = iter([f"versions/{where['dataset']}"])
        else:
            shards = self._list(kind)
        found: list[dict[str, Any]] = []
        for rows in self._read_rows(kind, shards):
            for plain in rows.values():
                fits = all(plain[name] == value for name, value in where.items())
                if fits and (earliest is None or plain[spec.order] >= earliest):
                    found.append(plain)
            # Only the audit trail arrives in its order, newest first, and so may stop early.
            if kind is AuditRow and newest_first and limit is not None and len(found) >= limit:
                break
        found.sort(key=lambda plain: (plain[spec.order], plain[spec.key]), reverse=newest_first)
        return [from_plain(kind, plain, text=False) for plain in found[:limit]]

    def update(
        self, kind: type[R], key: str, changes: Mapping[str, Any], expect: Mapping[str, Collection[Any]]
    ) -> R | None:
        """Change fields if each field of `expect` has one of its values."""
        values = to_plain(kind, changes, text=False)

        def edit(document: dict[str, Any]) -> R | None:
            rows = _table(document, kind)
            if key not in rows or not _expected(rows[key], expect):
                raise Missing
            rows[key] = rows[key] | values
            _check_names(kind, rows, key)
            return from_plain(kind, rows[key], text=False)

        return self._edit(kind, key, edit)

    def delete(self, kind: type[Row], key: str, expect: Mapping[str, Collection[Any]]) -> bool:
        """Remove a row and what belongs to it."""
        if kind is DatasetRow:
            return self._delete_dataset(key)

        def remove(document: dict[str, Any]) -> bool:
            rows = _table(document, kind)
            if key not in rows or not _expected(rows[key], expect):
                raise Missing
            del rows[key]
            if kind is UserRow:
                keys = _table(document, KeyRow)
                for access_key in [k for k, plain in keys.items() if plain["user"] == key]:
                    del keys[access_key]
            return True

        done = bool(self._edit(kind, key, remove))
        if done and kind is VersionRow:
            self._remove(f"leases/{key}", f"version-of/{key}")
        if done and kind is JobRow:
            self._remove(f"jobs/{key}")
        return done

    def claim(self, row: LeaseRow, now: datetime) -> LeaseRow:
        """Put a lease if there is none or its time is over; the lease that stands afterwards."""
        if self.get(VersionRow, row.version) is None:
            raise Orphan
        plain = to_plain(LeaseRow, {name: getattr(row, name) for name in fields(LeaseRow)}, text=False)

        def take(document: dict[str, Any]) -> LeaseRow:
            rows = _table(document, LeaseRow)
            standing = rows.get(row.version)
            if standing is None or standing["expires"] <= micros(now):
                rows[row.version] = standing = plain
            return from_plain(LeaseRow, standing, text=False)

        return self._swap(f"leases/{row.version}", take, create=True)

    def close(self) -> None:
        """Nothing to let go of: connections belong to the store."""

    # Where rows are

    def _shard(self, kind: type[Row], plain: Mapping[str, Any]) -> str:
        """The object that holds a row."""
        key = plain[KINDS[kind].key]
        shards: dict[type[Row], Callable[[], str]] = {
            DatasetRow: lambda: "datasets",
            VersionRow: lambda: f"versions/{plain['dataset']}",
            LeaseRow: lambda: f"leases/{key}",
            ViewRow: lambda: "views",
            JobRow: lambda: f"jobs/{key}",
            AuditRow: lambda: f"audit/{_LATEST - plain['when']:016d}-{key}",
            UserRow: lambda: "people",
            KeyRow: lambda: "people",
        }
        return shards[kind]()

    def _find(self, kind: type[Row], key: str) -> str | None:
        """The object that holds, or would hold, the row with a key; None if there is no such row."""
        if not _NAME.fullmatch(key) and kind not in (UserRow, KeyRow):
            return None  # not an id of ours; it may come from a URL and must not name another object
        if kind is not VersionRow:
            return self._shard(kind, {KINDS[kind].key: key})
        if key not in self._dataset_of:
            pointer = self._read(f"version-of/{key}")[0]
            if pointer is None:
                return None
            self._dataset_of[key] = pointer["dataset"]
        return f"versions/{self._dataset_of[key]}"

    def _list(self, kind: type[Row], *, until: int | None = None) -> Iterator[str]:
        """The objects that hold rows of a kind, in order of their names."""
        folders: dict[type[Row], str] = {VersionRow: "versions", LeaseRow: "leases", JobRow: "jobs", AuditRow: "audit"}
        if kind not in folders:
            yield self._shard(kind, {KINDS[kind].key: ""})
            return
        last = None if until is None else f"{PREFIX}/audit/{_LATEST - until:016d}~"
        with self._trouble():
            for chunk in obstore.list(self._store, f"{PREFIX}/{folders[kind]}/"):
                for path in sorted(str(meta["path"]) for meta in chunk):
                    if last is not None and path > last:
                        return
                    yield path.removeprefix(f"{PREFIX}/").removesuffix(".json")

    def _read_rows(self, kind: type[Row], shards: Iterator[str]) -> Iterator[Rows]:
        """The rows of objects, read sixteen at a time, in the order given."""
        with ThreadPoolExecutor(16) as pool:
            while batch := [shard for _, shard in zip(range(64), shards, strict=False)]:
                documents = [self._read(batch[0])] if len(batch) == 1 else list(pool.map(self._read, batch))
                for document, _ in documents:
                    yield {} if document is None else _table(document, kind)

    def _point(self, version: str, dataset: str) -> None:
        """Note which dataset a version belongs to, before the version is there.

        A leftover does no harm: ids are never used again for another dataset.
        """

        def note(document: dict[str, Any]) -> None:
            if document.setdefault("dataset", dataset) != dataset:
                raise Taken

        self._swap(f"version-of/{version}", note, create=True)

    def _delete_dataset(self, key: str) -> bool:
        """Close the object of its versions, so that none can be added; then forget the dataset; then clean up."""

        def close(document: dict[str, Any]) -> list[str]:
            rows = _table(document, VersionRow)
            if any(plain["state"] != "deleted" for plain in rows.values()):
                raise InUse
            document["closed"] = True
            return list(rows)

        def forget(document: dict[str, Any]) -> bool:
            return _table(document, DatasetRow).pop(key, None) is not None

        try:
            versions = self._swap(f"versions/{key}", close)
        except Missing:
            versions = []
        done = self._swap("datasets", forget, create=True)
        self._remove(*(f"{folder}/{v}" for v in versions for folder in ("leases", "version-of")), f"versions/{key}")
        return done

    def _edit(self, kind: type[Row], key: str, change: Callable[[dict[str, Any]], T]) -> T | None:
        shard = self._find(kind, key)
        if shard is None:
            return None
        try:
            return self._swap(shard, change)
        except Missing:
            return None

    # Objects

    def _read(self, shard: str) -> tuple[dict[str, Any] | None, Any]:
        """An object and the condition under which to replace it; (None, "create") if it is not there."""
        with self._trouble():
            try:
                found = obstore.get(self._store, f"{PREFIX}/{shard}.json")
                data = bytes(found.bytes())
            except FileNotFoundError:
                return None, "create"
        mode = {name: found.meta[name] for name in ("e_tag", "version") if found.meta.get(name) is not None}
        try:
            document = json.loads(data)
        except ValueError as error:
            where = f"{self._uri}: {PREFIX}/{shard}.json"
            raise StorageError(f"{where} is not JSON: {error}; restore it from a backup", uri=self._uri) from error
        return document, mode

    def _swap(self, shard: str, change: Callable[[dict[str, Any]], T], *, create: bool = False) -> T:
        """Apply a change to an object until no other writer was quicker; what the change returned.

        Raises:
            Missing: there is no object and `create` is False, or the change found nothing to change.
        """
        mark = uuid4().hex[:16]
        deadline = time.monotonic() + PATIENCE_S
        silent = 0
        result: T | None = None
        for attempt in range(1_000_000):
            document, mode = self._read(shard)
            if document is not None and mark in document.get("writes", ()):
                # The put that seemed to fail had arrived: its answer was lost and the client had sent it again.
                return result  # type: ignore[return-value]
            if document is None and not create:
                raise Missing
            before = None if document is None else json.dumps(document)
            document = document or {}
            result = change(document)
            if before == json.dumps(document):
                return result
            document["writes"] = [mark, *document.get("writes", ())][:REMEMBERED]
            try:
                if self._put(shard, document, mode):
                    return result
            except StorageError as error:
                # No answer: whether it arrived tells the mark, so that it may be put again.
                silent += 1
                if silent > 2 or not isinstance(error.__cause__, GenericError):
                    raise
            if time.monotonic() > deadline:
                break
            time.sleep(random.uniform(0, min(0.5, 0.005 * 2 ** min(attempt, 8))))
        raise StorageError(
            f"{self._uri}: {PREFIX}/{shard}.json changed under us for {PATIENCE_S:.0f} s; with this many writers "
            "keep the catalog in PostgreSQL",
            uri=self._uri,
        )

    def _put(self, shard: str, document: dict[str, Any], mode: Any) -> bool:
        """Put an object under a condition; whether the condition held."""
        data = json.dumps(document, separators=(",", ":")).encode()
        with self._trouble():
            try:
                obstore.put(self._store, f"{PREFIX}/{shard}.json", data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def _remove(self, *shards: str) -> None:
        """Remove objects that nothing refers to any more."""
        with self._trouble():
            for shard in shards:
                try:
                    obstore.delete(self._store, f"{PREFIX}/{shard}.json")
                except FileNotFoundError:
                    continue

    def _probe(self) -> None:
        """Make sure that conditions are kept: a store that ignores them would lose writes without a word."""
        shard = f"probe-{uuid4().hex}"
        try:
            first = self._put(shard, {"probe": 1}, "create")
            again = self._put(shard, {"probe": 2}, "create")
            _, mode = self._read(shard)
            second = bool(mode) and self._put(shard, {"probe": 3}, mode)
            late = bool(mode) and self._put(shard, {"probe": 4}, mode)
        finally:
            self._remove(shard)
        if not (first and second) or again or late:
            raise self._unconditional("it ignores the condition of a put")

    def _unconditional(self, reason: str) -> StorageError:
        return StorageError(
            f"{self._uri}: {reason}; a catalog here needs conditional put. Keep it in PostgreSQL instead: give its URL",
            uri=self._uri,
        )

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Errors of the object store as ours; conditions that did not hold pass through."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except (PermissionDeniedError, UnauthenticatedError) as error:
            message = f"{self._uri}: {_first_line(error)}; check the credentials and what they allow"
            raise AccessDenied(message, uri=self._uri) from error
        except (NotImplementedError, NotSupportedError) as error:
            raise self._unconditional(_first_line(error)) from error
        except BaseError as error:
            message = f"{self._uri}: {_first_line(error)}; whether a change arrived is not known, read it again"
            raise StorageError(message, uri=self._uri) from error


def _table(document: dict[str, Any], kind: type[Row]) -> Rows:
    """The rows of one kind in an object, to be read and edited."""
    rows: Rows = document.setdefault("rows", {}).setdefault(KINDS[kind].table, {})
    return rows


def _expected(plain: Mapping[str, Any], expect: Mapping[str, Collection[Any]]) -> bool:
    return all(plain[name] in values for name, values in expect.items())


def _check_names(kind: type[Row], rows: Rows, key: str) -> None:
    """Refuse a row whose name another row of the object has."""
    name = unique_name(kind, rows[key])
    if name is not None and any(k != key and unique_name(kind, plain) == name for k, plain in rows.items()):
        raise Taken


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
