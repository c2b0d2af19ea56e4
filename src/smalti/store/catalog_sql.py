"""The catalog in a database: SQLite in the store's folder, or PostgreSQL by URL.

Both run the same statements. SQLite keeps a write-ahead log, syncs it at every commit (synchronous=FULL) and takes its
write lock when a transaction begins, so that nobody deadlocks while upgrading a read lock; PostgreSQL's own clock
judges leases, for its clients' clocks may differ.
"""

import os
import sqlite3
import time
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql, sqlite

from smalti.errors import MissingExtra, StorageError
from smalti.store import migrations
from smalti.store.catalog_backend import InUse, Orphan, Taken, fields, from_plain, to_plain
from smalti.store.rows import KINDS, DatasetRow, LeaseRow, Row, VersionRow, utc_now

__all__ = ["METADATA", "SqlBackend"]

R = TypeVar("R", bound=Row)
METADATA = sa.MetaData()
BUSY_S = 60.0
"""How long a statement waits for another process's write lock. Writes take milliseconds; a disk may stall."""

_PARENTS = {"version.dataset": "dataset.uuid", "lease.version": "version.uuid", "access_key.user": "account.name"}
_INDEXED: dict[str, list[tuple[str, ...]]] = {
    "version": [("dataset",)],
    "dataview": [("name",)],
    "job": [("state", "created")],
    "audit": [("when",), ("dataset",), ("version",)],
    "access_key": [("user",)],
}


def _table(kind: type[Row]) -> sa.Table:
    """The table of a kind of row, one column a field; a test compares it with what the migrations make."""
    spec = KINDS[kind]
    types: dict[str, type[sa.types.TypeEngine[Any]]] = {"int": sa.BigInteger, "float": sa.Double, "time": sa.BigInteger}
    columns: list[sa.Column[Any]] = []
    for name, field in fields(kind).items():
        parent = _PARENTS.get(f"{spec.table}.{name}")
        parts: list[sa.ForeignKey] = [sa.ForeignKey(parent, ondelete="CASCADE")] if parent else []
        nullable = field.optional and field.form != "json"  # JSON says null as text
        columns.append(
            sa.Column(name, types.get(field.form, sa.Text), *parts, primary_key=name == spec.key, nullable=nullable)
        )
    indices = [sa.Index(f"ix_{spec.table}_{'_'.join(names)}", *names) for names in _INDEXED.get(spec.table, [])]
    return sa.Table(spec.table, METADATA, *columns, *indices)


TABLES = {kind: _table(kind) for kind in KINDS}
_dataset, _version, _lease = TABLES[DatasetRow], TABLES[VersionRow], TABLES[LeaseRow]
sa.Index("uq_dataset_name", sa.func.coalesce(_dataset.c.project, sa.text("''")), _dataset.c.name, unique=True)
_alive = sa.text("state <> 'deleted'")
sa.Index(
    "uq_version_name", _version.c.dataset, _version.c.name, unique=True, sqlite_where=_alive, postgresql_where=_alive
)


class SqlBackend:
    """Rows in a database. Each call is one transaction.

    Args:
        url: a SQLAlchemy URL; `postgres://` and `postgresql://` mean psycopg.
        create: False = a database without our tables is an error.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._url = _parse(url)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self._where = self._url.render_as_string(hide_password=True)
        file = self._url.database if self._is_sqlite else None
        fresh = file is not None and not os.path.exists(file)
        if fresh and not create:
            raise FileNotFoundError(
                f"no catalog at {file}; is this the right store? Open it with create=True to make one"
            )
        self._engine = _engine(self._url)
        # Connections that nobody closed are closed when the backend is collected: no ResourceWarning, no open log.
        self._finalizer = weakref.finalize(self, self._engine.dispose)
        try:
            self._migrate(create)
        except BaseException:
            self._finalizer()
            raise
        if fresh and file is not None:
            # Whoever made the folder may not have synced the name of it.
            _sync_folder(Path(file).parent)
            _sync_folder(Path(file).parent.parent)

    @classmethod
    def in_folder(cls, folder: Path, name: str, *, create: bool = True) -> Self:
        """The SQLite catalog of a store in a folder, which is made if need be."""
        if create:
            _make_folder(folder)
        return cls(sa.URL.create("sqlite", database=str(folder / name)).render_as_string(), create=create)

    def now(self) -> datetime:
        """The database server's time, or this machine's for a file."""
        if self._is_sqlite:
            return utc_now()
        with self._transaction() as connection:
            time_: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
            return time_.astimezone(UTC)

    def insert(self, row: Row) -> None:
        """Keep a new row; raises `Taken` or `Orphan`."""
        kind = type(row)
        values = to_plain(kind, {name: getattr(row, name) for name in fields(kind)}, text=True)
        with self._transaction(write=True) as connection:
            connection.execute(TABLES[kind].insert().values(values))

    def get(self, kind: type[R], key: str) -> R | None:
        """The row with this key."""
        with self._transaction() as connection:
            return self._one(connection, kind, key)

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
        spec, table = KINDS[kind], TABLES[kind]
        order, key = table.c[spec.order], table.c[spec.key]
        query = sa.select(table).where(*(table.c[name] == value for name, value in where.items()))
        if since is not None:
            query = query.where(order >= to_plain(kind, {spec.order: since}, text=True)[spec.order])
        query = query.order_by(order.desc(), key.desc()) if newest_first else query.order_by(order, key)
        with self._transaction() as connection:
            found = connection.execute(query.limit(limit)).all()
        return [from_plain(kind, row._asdict(), text=True) for row in found]

    def update(
        self, kind: type[R], key: str, changes: Mapping[str, Any], expect: Mapping[str, Collection[Any]]
    ) -> R | None:
        """Change fields if each field of `expect` has one of its values."""
        values = to_plain(kind, changes, text=True)
        with self._transaction(write=True) as connection:
            statement = TABLES[kind].update().where(*_conditions(kind, key, expect)).values(values)
            changed = connection.execute(statement).rowcount == 1
            return self._one(connection, kind, key) if changed else None

    def delete(self, kind: type[Row], key: str, expect: Mapping[str, Collection[Any]]) -> bool:
        """Remove a row and, through the foreign keys, what belongs to it."""
        with self._transaction(write=True) as connection:
            if kind is DatasetRow:
                # The row lock keeps a version from being created between the look and the removal.
                connection.execute(sa.select(_dataset.c.uuid).where(_dataset.c.uuid == key).with_for_update()).all()
                alive = sa.select(_version.c.uuid).where(_version.c.dataset == key, _version.c.state != "deleted")
                if connection.execute(alive.limit(1)).first() is not None:
                    raise InUse
            return connection.execute(TABLES[kind].delete().where(*_conditions(kind, key, expect))).rowcount == 1

    def claim(self, row: LeaseRow, now: datetime) -> LeaseRow:
        """Put a lease if there is none or its time is over; the lease that stands afterwards."""
        insert = sqlite.insert if self._is_sqlite else postgresql.insert
        values = to_plain(LeaseRow, {name: getattr(row, name) for name in fields(LeaseRow)}, text=True)
        ended = _lease.c.expires <= to_plain(LeaseRow, {"expires": now}, text=True)["expires"]
        with self._transaction(write=True) as connection:
            statement = insert(_lease).values(values)
            connection.execute(statement.on_conflict_do_update(index_elements=["version"], set_=values, where=ended))
            standing = self._one(connection, LeaseRow, row.version)
        if standing is None:  # released between our two statements, which only PostgreSQL allows: it is free now
            return self.claim(row, now)
        return standing

    def close(self) -> None:
        """Close every connection."""
        self._finalizer()

    def _one(self, connection: sa.Connection, kind: type[R], key: str) -> R | None:
        table = TABLES[kind]
        found = connection.execute(sa.select(table).where(table.c[KINDS[kind].key] == key)).first()
        return None if found is None else from_plain(kind, found._asdict(), text=True)

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        begin = "BEGIN IMMEDIATE" if write else "BEGIN"
        try:
            with self._engine.connect().execution_options(smalti_begin=begin) as connection, connection.begin():
                yield connection
        except exc.IntegrityError as error:
            code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", "")
            raise (Orphan if code in ("23503", "SQLITE_CONSTRAINT_FOREIGNKEY") else Taken) from error
        except exc.DBAPIError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: exc.DBAPIError) -> StorageError:
        reason = str(error.orig).strip()
        hints = {
            "locked": f"another process kept the catalog busy for {BUSY_S:.0f} s; look for one that hangs",
            "full": "free some space; what was acknowledged before is safe",
            "not a database": "is this a catalog of ours? Restore it from a backup if it was damaged",
            "readonly": "is the folder writable?",
            "disk I/O error": "is there a limit on the size of files, or is the disk damaged? What was acknowledged is safe",
        }
        hint = next((hint for word, hint in hints.items() if word in reason), "is it there, and may we use it?")
        return StorageError(f"catalog {self._where}: {reason}; {hint}", uri=self._where)

    def _migrate(self, create: bool) -> None:
        """Bring the database to this release's schema; alembic is imported only when there is something to do."""
        with self._transaction() as connection:
            found = migrations.revision(connection)
        if found is None and not create:
            raise FileNotFoundError(f"no catalog in {self._where}; open it with create=True to make one")
        if migrations.is_current(found, self._where):
            return
        with self._transaction(write=True) as connection:
            if not self._is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(migrations.LOCK)))
            if not migrations.is_current(migrations.revision(connection), self._where):
                migrations.upgrade(connection)


def _conditions(kind: type[Row], key: str, expect: Mapping[str, Collection[Any]]) -> list[sa.ColumnElement[bool]]:
    table = TABLES[kind]
    conditions: list[sa.ColumnElement[bool]] = [table.c[KINDS[kind].key] == key]
    for name, values in expect.items():
        conditions.append(
            sa.or_(*(table.c[name].is_(None) if value is None else table.c[name] == value for value in values))
        )
    return conditions


def _parse(url: str) -> sa.URL:
    """A URL as SQLAlchemy wants it: `postgres://` is what people write, psycopg is what we use."""
    try:
        parsed = sa.make_url(url)
        backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    except (exc.ArgumentError, exc.NoSuchModuleError, ValueError) as error:
        raise StorageError(f"catalog URL: {error}; give sqlite:///FILE or postgresql://USER@HOST/NAME") from error
    if backend == "postgresql":
        try:
            import psycopg  # noqa: F401  (said here, before SQLAlchemy says it less clearly)
        except ImportError as error:
            raise MissingExtra("a catalog in PostgreSQL", "postgres") from error
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or parsed.database in (None, "", ":memory:"):
        shown = parsed.render_as_string(hide_password=True)
        raise StorageError(f"catalog URL {shown}: a catalog lives in an SQLite file or PostgreSQL; give one of those")
    return parsed


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=20)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_S}, pool_size=5, max_overflow=50)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, with DDL inside them
    cursor = connection.cursor()
    # Turning the log on can fail at once, without waiting, while another process does the same.
    deadline = time.monotonic() + BUSY_S
    while cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("smalti_begin", "BEGIN"))


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each with a name that survives a power cut."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: the store's folder cannot be made: {error}", uri=str(folder)) from error
    for path in reversed(new):
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; a file can be synced and its name still be lost with the power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
