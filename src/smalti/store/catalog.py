"""The catalog of a store: one interface on three backends.

A folder keeps it in SQLite, a shared server in PostgreSQL, an object store in small JSON objects that change by
compare-and-swap. `Catalog` holds the rules and the messages; backends only move rows (`catalog_backend.Backend`).
A catalog is safe between threads and processes and pickles as the recipe to open it again.
"""

import os
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from smalti.errors import StorageError, VersionError, VersionFrozen
from smalti.store.catalog_backend import Backend, InUse, Orphan, Taken, checked
from smalti.store.catalog_opening import LateBackend, Opener
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
    new_uuid,
    utc_now,
)

__all__ = ["Catalog", "Opener", "open_catalog"]

R = TypeVar("R", bound=Row)
States = str | Collection[str] | None

_NOUNS = {"dataview": "view", "account": "user", "access_key": "API key"}
_BELONGS = {"version": "dataset", "lease": "version", "access_key": "user"}


def open_catalog(
    store_uri: str | os.PathLike[str],
    *,
    url: str | None = None,
    create: bool = True,
    late: bool = False,
    **storage_options: Any,
) -> "Catalog":
    """The catalog of the store at `store_uri`; it is made, or brought to this release's schema, if need be.

    Args:
        store_uri: a folder, or a prefix of an object store (`s3://bucket/data`).
        url: a database instead of the store's own place, e.g. `postgresql://user@host/name`.
        create: False = a store without a catalog is an error.
        late: it is made by the first row that is kept; until then it has no rows.
        storage_options: settings of the object store, as obstore and Lance name them (`aws_endpoint`, `region`, ...).

    Raises:
        FileNotFoundError: there is no catalog and `create` is False.
        VersionError: a newer release wrote it.
        StorageError: it cannot be reached, or is not a catalog.
    """
    catalog = Catalog(Opener(os.fspath(store_uri), url, storage_options, create, late))
    catalog.connect()
    return catalog


class Catalog:
    """Datasets, versions, leases, views, jobs, the audit trail, users and keys of one store.

    Rows go in and out as the records of `smalti.store.rows`; what is returned is what a later read returns. A name
    that is taken, a row that is missing and a state that does not fit raise `VersionError`.

    Args:
        opener: makes the backend, at the first use in each process.
        clock: the time by which leases are judged; None = the database's, or this machine's.
    """

    def __init__(self, opener: Callable[[], Backend], *, clock: Callable[[], datetime] | None = None) -> None:
        self._opener = opener
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: tuple[int, Backend] | None = None
        self._held_back: dict[str, LeaseRow] = {}

    def __repr__(self) -> str:
        return f"Catalog({self._opener!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"opener": self._opener, "clock": self._clock}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["opener"], clock=state["clock"])  # type: ignore[misc]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> Backend:
        """The backend of this process. A connection made before a fork is left alone: it is the parent's."""
        opened = self._opened
        if opened is not None and opened[0] == os.getpid():
            return opened[1]
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                if self._opened is not None:
                    _INHERITED.append(self._opened[1])
                self._opened = (os.getpid(), self._opener())
            return self._opened[1]

    @property
    def is_made(self) -> bool:
        """Whether there is a catalog at all; one that is made late may not be there yet."""
        backend = self.connect()
        return not isinstance(backend, LateBackend) or backend.found() is not None

    def make(self) -> None:
        """Make it, if it is not there."""
        backend = self.connect()
        if isinstance(backend, LateBackend):
            backend.made()

    def close(self) -> None:
        """Let go of every connection; the next call opens again."""
        with self._lock:
            if self._opened is not None and self._opened[0] == os.getpid():
                self._opened[1].close()
                self._opened = None

    # Datasets

    def create_dataset(self, row: DatasetRow) -> DatasetRow:
        """Keep a new dataset; its name is unique in its project."""
        return self._insert(row)

    def get_dataset(self, uuid: str) -> DatasetRow:
        """The dataset with this id."""
        return self._get(DatasetRow, uuid)

    def find_datasets(self, name: str | None = None, project: str | None = None) -> list[DatasetRow]:
        """Datasets of exactly this name and project, oldest first; None = any."""
        return self._select(DatasetRow, name=name, project=project)

    def list_datasets(self) -> list[DatasetRow]:
        """Every dataset, oldest first."""
        return self._select(DatasetRow)

    def update_dataset(self, uuid: str, **changes: Any) -> DatasetRow:
        """Change fields of a dataset."""
        return self._update(DatasetRow, uuid, changes)

    def delete_dataset(self, uuid: str) -> None:
        """Forget a dataset and the rows of its deleted versions; any other version forbids it."""
        try:
            if not self.connect().delete(DatasetRow, uuid, {}):
                raise self._missing(DatasetRow, uuid)
        except InUse as error:
            names = ", ".join(repr(v.name) for v in self.list_versions(uuid)[:5])
            raise VersionError(
                f"dataset {uuid} has versions that are not deleted ({names}); delete those first"
            ) from error

    # Versions

    def create_version(self, row: VersionRow) -> VersionRow:
        """Keep a new version; its name is unique among the versions of its dataset that are not deleted."""
        for parent in row.parents:
            if self._get(VersionRow, parent).dataset != row.dataset:
                raise VersionError(
                    f"version {row.name!r}: parent {parent} belongs to another dataset; name versions of the same one"
                )
        return self._insert(row)

    def get_version(self, uuid: str) -> VersionRow:
        """The version with this id, deleted ones too."""
        return self._get(VersionRow, uuid)

    def find_version(self, dataset: str, name: str) -> VersionRow | None:
        """The version of this name that is not deleted."""
        return next((v for v in self._select(VersionRow, dataset=dataset, name=name) if v.state != "deleted"), None)

    def list_versions(self, dataset: str, *, deleted: bool = False) -> list[VersionRow]:
        """The versions of a dataset, oldest first; with `deleted`, those too whose frames wait for the sweeper."""
        return [v for v in self._select(VersionRow, dataset=dataset) if deleted or v.state != "deleted"]

    def update_version(self, uuid: str, *, expect_state: States = None, **changes: Any) -> VersionRow:
        """Change fields of a version in one step, if its state is (one of) `expect_state`.

        Raises:
            VersionFrozen: it is published, and that was not expected.
            VersionError: it is missing or in another state; its new name is taken.
        """
        return self._update(VersionRow, uuid, changes, expect_state)

    def delete_version(self, uuid: str, *, expect_state: States = None) -> None:
        """Forget the row of a version for good. To delete a version for its users, set its state to "deleted"."""
        row = self._get(VersionRow, uuid)
        children = [v.name for v in self._select(VersionRow, dataset=row.dataset) if uuid in v.parents]
        if children:
            raise VersionError(
                f"version {row.name!r} is a parent of {', '.join(map(repr, children[:5]))}; delete leaves first"
            )
        self._delete(VersionRow, uuid, expect_state)

    # Leases

    def acquire_lease(self, version: str, owner: str, ttl_s: float) -> LeaseRow:
        """The right to write a version in bulk for `ttl_s` seconds; a lease that ran out is taken over.

        Raises:
            VersionError: somebody holds it; the message says who and until when. Or there is no such version.
        """
        self._give_back(version)
        now = self._now()
        lease = LeaseRow(
            **checked(LeaseRow, {"version": version, "owner": owner, "expires": now + _ttl(ttl_s), "token": new_uuid()})
        )
        try:
            standing = self.connect().claim(lease, now)
        except Orphan as error:
            raise self._missing(VersionRow, version) from error
        except StorageError:
            self._held_back[version] = lease  # it may have arrived, and only its answer was lost
            raise
        if standing.token != lease.token:
            raise VersionError(
                f"version {self._spoken(version)} is being written by {standing.owner!r} until "
                f"{standing.expires:%Y-%m-%d %H:%M:%S} UTC; wait for it, or try again then"
            )
        return lease

    def renew_lease(self, lease: LeaseRow, ttl_s: float) -> LeaseRow:
        """The same lease, good for `ttl_s` seconds from now. One that ran out renews as long as nobody took it."""
        changes = {"expires": self._now() + _ttl(ttl_s)}
        renewed = self.connect().update(LeaseRow, lease.version, changes, {"token": [lease.token]})
        if renewed is None:
            holder = self.connect().get(LeaseRow, lease.version)
            found = (
                "it was released" if holder is None else f"{holder.owner!r} has it until {holder.expires:%H:%M:%S} UTC"
            )
            raise VersionError(
                f"the lease of {lease.owner!r} on version {self._spoken(lease.version)} is lost: {found}; stop, and start again"
            )
        return renewed

    def release_lease(self, lease: LeaseRow) -> None:
        """Give a lease back; one that is lost already is no error. On a full disk it waits for the next call here."""
        try:
            self.connect().delete(LeaseRow, lease.version, {"token": [lease.token]})
        except StorageError:
            self._held_back[lease.version] = lease

    def _give_back(self, version: str) -> None:
        if version in self._held_back:
            self.release_lease(self._held_back.pop(version))

    def get_lease(self, version: str) -> LeaseRow | None:
        """Who holds a version now."""
        self._give_back(version)
        lease = self.connect().get(LeaseRow, version)
        return lease if lease is not None and lease.expires > self._now() else None

    # Views

    def save_view(self, row: ViewRow) -> ViewRow:
        """Keep a view, in place of the one with the same id. Names need not be unique."""
        values = checked(ViewRow, msgspec.structs.asdict(row))
        changes = {k: v for k, v in values.items() if k not in KINDS[ViewRow].fixed} | {"updated": utc_now()}
        saved = self.connect().update(ViewRow, row.uuid, changes, {})
        return saved if saved is not None else self._insert(row)

    def get_view(self, uuid: str) -> ViewRow:
        """The view with this id."""
        return self._get(ViewRow, uuid)

    def find_views(
        self, name: str | None = None, project: str | None = None, status: str | None = None
    ) -> list[ViewRow]:
        """Views of exactly this name, project and status, oldest first; None = any."""
        return self._select(ViewRow, name=name, project=project, status=status)

    def list_views(self) -> list[ViewRow]:
        """Every view, oldest first."""
        return self._select(ViewRow)

    def delete_view(self, uuid: str) -> None:
        """Forget a view."""
        self._delete(ViewRow, uuid)

    # Jobs

    def create_job(self, row: JobRow) -> JobRow:
        """Keep a new job."""
        return self._insert(row)

    def get_job(self, uuid: str) -> JobRow:
        """The job with this id."""
        return self._get(JobRow, uuid)

    def list_jobs(self, *, state: str | None = None, kind: str | None = None) -> list[JobRow]:
        """Jobs, oldest first; None = any state, any kind."""
        return self._select(JobRow, state=state, kind=kind)

    def update_job(self, uuid: str, *, expect_state: States = None, **changes: Any) -> JobRow:
        """Change fields of a job in one step, if its state is (one of) `expect_state`."""
        return self._update(JobRow, uuid, changes, expect_state)

    def take_job(self, owner: str, *, kind: str | None = None) -> JobRow | None:
        """The oldest queued job, now running for `owner`; no other caller gets the same one. None = nothing to do."""
        taken = {"state": "running", "owner": owner, "updated": utc_now()}
        for job in self.list_jobs(state="queued", kind=kind):
            row = self.connect().update(JobRow, job.uuid, taken, {"state": ["queued"]})
            if row is not None:
                return row
        return None

    def delete_job(self, uuid: str) -> None:
        """Forget a job."""
        self._delete(JobRow, uuid)

    # Audit

    def record(self, row: AuditRow) -> AuditRow:
        """Write down who did what."""
        return self._insert(row)

    def audit(
        self,
        *,
        dataset: str | None = None,
        version: str | None = None,
        who: str | None = None,
        what: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[AuditRow]:
        """What was written down, newest first; None = any."""
        where = _given(dataset=dataset, version=version, who=who, what=what)
        return self.connect().select(AuditRow, where, since=since, newest_first=True, limit=limit)

    # Users and keys

    def add_user(self, row: UserRow) -> UserRow:
        """Keep a new user; `password` must be a hash already."""
        return self._insert(row)

    def get_user(self, name: str) -> UserRow | None:
        """The user of this name, or None: a login treats a wrong name and a wrong password alike."""
        return self.connect().get(UserRow, name)

    def list_users(self) -> list[UserRow]:
        """Every user, oldest first."""
        return self._select(UserRow)

    def update_user(self, name: str, **changes: Any) -> UserRow:
        """Change the role, the password hash or `extra` of a user."""
        return self._update(UserRow, name, changes)

    def delete_user(self, name: str) -> None:
        """Forget a user and all of their keys."""
        self._delete(UserRow, name)

    def add_key(self, row: KeyRow) -> KeyRow:
        """Keep a new API key of a user; `secret` must be a hash already."""
        return self._insert(row)

    def get_key(self, access_key: str) -> KeyRow | None:
        """The key, revoked or not, or None."""
        return self.connect().get(KeyRow, access_key)

    def list_keys(self, user: str | None = None) -> list[KeyRow]:
        """The keys of a user, oldest first; None = everybody's."""
        return self._select(KeyRow, user=user)

    def revoke_key(self, access_key: str) -> KeyRow:
        """Mark a key as of no more use; the first time counts."""
        row = self.connect().update(KeyRow, access_key, {"revoked": utc_now()}, {"revoked": [None]})
        return row if row is not None else self._get(KeyRow, access_key)

    # What they share

    def _now(self) -> datetime:
        return self._clock() if self._clock is not None else self.connect().now()

    def _get(self, kind: type[R], key: str) -> R:
        row = self.connect().get(kind, key)
        if row is None:
            raise self._missing(kind, key)
        return row

    def _select(self, kind: type[R], /, **where: Any) -> list[R]:
        return self.connect().select(kind, _given(**where))

    def _insert(self, row: R) -> R:
        kind = type(row)
        row = kind(**checked(kind, msgspec.structs.asdict(row)))
        label = _label(row)
        try:
            if not getattr(row, "name", "there is none"):
                raise VersionError(f"{_noun(kind)}: the name is empty; give one")
            self.connect().insert(row)
        except Taken as error:
            raise VersionError(f"{label} is there already; choose another name, or open that one") from error
        except Orphan as error:
            owner = _BELONGS[KINDS[kind].table]
            raise VersionError(f"{label}: there is no {owner} {getattr(row, owner)!r}; create it first") from error
        return row

    def _update(self, kind: type[R], key: str, changes: dict[str, Any], expect_state: States = None) -> R:
        fixed = [name for name in changes if name in KINDS[kind].fixed]
        if fixed:
            raise TypeError(f"{', '.join(fixed)} of a {_noun(kind)} cannot change; make a new one")
        values = {"updated": utc_now()} | checked(kind, changes)
        if values.get("name", "given") == "":
            raise VersionError(f"{_noun(kind)} {key}: the new name is empty; give one")
        try:
            row = self.connect().update(kind, key, values, _expectation(expect_state))
        except Taken as error:
            wanted = kind(**(msgspec.structs.asdict(self._get(kind, key)) | values))
            raise VersionError(f"{_label(wanted)} is there already; choose another name") from error
        if row is None:
            raise self._misfit(kind, key, expect_state)
        return row

    def _delete(self, kind: type[Row], key: str, expect_state: States = None) -> None:
        if not self.connect().delete(kind, key, _expectation(expect_state)):
            raise self._misfit(kind, key, expect_state)

    def _missing(self, kind: type[Row], key: str) -> VersionError:
        return VersionError(f"no {_noun(kind)} {key!r} in this catalog; was it deleted, or is this another store?")

    def _spoken(self, version: str) -> str:
        """DATASET@VERSION, as people name it; its id where that is gone."""
        row = self.connect().get(VersionRow, version)
        dataset = None if row is None else self.connect().get(DatasetRow, row.dataset)
        return version if row is None or dataset is None else f"{dataset.name}@{row.name}"

    def _misfit(self, kind: type[Row], key: str, expect_state: States) -> VersionError:
        """Why a change was refused: the row is missing, or in another state."""
        row = self.connect().get(kind, key)
        if row is None:
            return self._missing(kind, key)
        state = getattr(row, "state", None)
        allowed = " or ".join(_expectation(expect_state).get("state", []))
        message = f"{_label(row)} is {state}, but this needs it to be {allowed}"
        if kind is VersionRow and state == "published":
            return VersionFrozen(f"{message}; a published version never changes: draft a child of it")
        return VersionError(f"{message}; look at it again")


_INHERITED: list[Backend] = []
"""Backends that a forked process got from its parent: neither used nor closed nor collected, they are not ours."""


def _noun(kind: type[Row]) -> str:
    table = KINDS[kind].table
    return _NOUNS.get(table, table)


def _label(row: Row) -> str:
    """A row in a message: `dataset 'drive' of project 'road'`."""
    name = getattr(row, "name", None) or getattr(row, KINDS[type(row)].key)
    project = f" of project {row.project!r}" if isinstance(row, DatasetRow) and row.project else ""
    return f"{_noun(type(row))} {name!r}{project}"


def _given(**where: Any) -> dict[str, Any]:
    return {name: value for name, value in where.items() if value is not None}


def _expectation(states: States) -> dict[str, list[str]]:
    if states is None:
        return {}
    return {"state": [states] if isinstance(states, str) else sorted(states)}


def _ttl(ttl_s: float) -> timedelta:
    if not ttl_s > 0:
        raise ValueError(f"ttl_s is {ttl_s}; give the seconds that the lease shall last, more than 0")
    return timedelta(seconds=ttl_s)
