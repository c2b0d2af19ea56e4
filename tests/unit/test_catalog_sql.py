"""What is particular to the catalog in a database: durability, migrations, trouble said plainly."""

import gc
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from smalti.errors import MissingExtra, StorageError, VersionError
from smalti.store import catalog_sql, migrations
from smalti.store.catalog import Catalog, open_catalog
from smalti.store.catalog_sql import METADATA, SqlBackend
from smalti.store.rows import DatasetRow, VersionRow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


@pytest.fixture
def file(folder: Path) -> Path:
    """The database of a catalog that was made and closed."""
    open_catalog(folder).close()
    return folder / "catalog.sqlite"


@pytest.fixture
def engine(file: Path) -> Iterator[sa.Engine]:
    """The same database, seen without our code."""
    engine = sa.create_engine(f"sqlite:///{file}")
    yield engine
    engine.dispose()


def backend_of(catalog: Catalog) -> SqlBackend:
    backend = catalog.connect()
    assert isinstance(backend, SqlBackend)
    return backend


def test_commits_are_logged_ahead_and_synced(folder: Path) -> None:
    with open_catalog(folder) as catalog, backend_of(catalog)._engine.connect() as connection:
        wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
        assert {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted} == wanted
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == catalog_sql.BUSY_S * 1000


def test_new_folders_and_files_are_synced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_ino), real(handle)))
    open_catalog(folder).close()
    assert synced == [path.stat().st_ino for path in (folder.parent.parent, folder.parent, folder, folder.parent)]
    open_catalog(folder).close()
    assert len(synced) == 4


def test_kill_9_loses_nothing_that_was_acknowledged(folder: Path) -> None:
    with open_catalog(folder) as catalog:
        dataset = catalog.create_dataset(DatasetRow(name="d")).uuid
    rng = random.Random(9)
    said: list[tuple[str, str]] = []
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.catalog_workers", str(folder), dataset],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(rng.randint(1, 60))]
            writer.kill()
            lines += writer.stdout.readlines()
        said += [(line.split()[0], line.split()[1]) for line in lines if line.endswith("\n")]
        with open_catalog(folder) as catalog:
            found = {row.uuid: row for row in catalog.list_versions(dataset)}
            states = {row.state for row in found.values()}
        assert states <= {"draft", "publishing", "published"}
        for word, uuid in said:
            assert uuid in found
            if word == "published":
                assert (found[uuid].state, found[uuid].head_version) == ("published", 7)
    assert len(said) >= 4
    with sa.create_engine(f"sqlite:///{folder}/catalog.sqlite", poolclass=sa.NullPool).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_migrations_make_the_tables_of_the_code(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        with pytest.warns() as caught:
            differences = compare_metadata(context, METADATA)
        unique = "SELECT name, sql FROM sqlite_master WHERE name LIKE 'uq_%'"
        made = {name: sql.replace('"', "") for name, sql in connection.exec_driver_sql(unique)}
    assert differences == []
    # The two that alembic cannot compare: it says so, and we look ourselves.
    assert all("uq_dataset_name" in str(warning.message) for warning in caught)
    indices = {index.name: index for table in METADATA.tables.values() for index in table.indexes if index.unique}
    for name, sql in made.items():
        wanted = str(sa.schema.CreateIndex(indices[name]).compile(engine)).replace('"', "")
        assert wanted == sql
    assert len(made) == len(indices) == 2


def test_the_revisions_in_code_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [migrations.REVISIONS[-1]]
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == migrations.REVISIONS


def test_a_newer_schema_is_refused(folder: Path, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(VersionError, match=r"'0999' is newer than '0001', .*update smalti"):
        open_catalog(folder)


def test_a_migration_happens_wholly_or_not_at_all(folder: Path) -> None:
    folder.mkdir(parents=True)
    engine = sa.create_engine(f"sqlite:///{folder}/catalog.sqlite")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE audit (x)")  # in the way of the last steps
    with pytest.raises(StorageError, match="audit already exists"):
        open_catalog(folder)
    assert sa.inspect(engine).get_table_names() == ["audit"]
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE audit")
    engine.dispose()
    with open_catalog(folder) as catalog:
        assert catalog.list_datasets() == []


def test_opening_and_listing_needs_no_alembic(folder: Path) -> None:
    with open_catalog(folder) as catalog:
        catalog.create_dataset(DatasetRow(name="d"))
    code = (
        "import sys\nfrom smalti.store.catalog import open_catalog\n"
        "with open_catalog(sys.argv[1]) as c: print(len(c.list_datasets()), 'alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.split() == ["1", "False"]


def test_a_store_that_is_not_there_is_not_made_by_looking(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no catalog at"):
        open_catalog(folder, create=False)
    assert not folder.exists()
    folder.mkdir(parents=True)
    (folder / "catalog.sqlite").touch()
    with pytest.raises(FileNotFoundError, match="no catalog in"):
        open_catalog(folder, create=False)


def test_what_is_not_a_catalog_is_said(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"certainly not a database" * 50)
    with pytest.raises(StorageError, match="file is not a database; is this a catalog of ours"):
        open_catalog(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="folder cannot be made"):
        open_catalog(tmp_path / "file")


def test_a_full_disk_loses_nothing_that_was_acknowledged(folder: Path) -> None:
    with open_catalog(folder) as catalog:
        engine = backend_of(catalog)._engine
        engine.dispose()
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count=60"))
        kept: list[str] = []

        def fill() -> None:
            for number in range(1000):
                kept.append(catalog.create_dataset(DatasetRow(name=f"d{number}", description="x" * 3000)).name)

        with pytest.raises(StorageError, match="full; free some space"):
            fill()
        assert [row.name for row in catalog.list_datasets()] == kept
        assert kept
        catalog.update_dataset(catalog.list_datasets()[0].uuid, description="")  # still of use


def test_a_hanging_writer_is_said(folder: Path, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_sql, "BUSY_S", 0.05)
    with open_catalog(folder) as catalog, engine.connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"database is locked; another process kept the catalog busy"):
            catalog.create_dataset(DatasetRow(name="d"))
        assert catalog.list_datasets() == []  # readers go on
        other.rollback()
        catalog.create_dataset(DatasetRow(name="d"))


def test_a_forgotten_catalog_closes_its_connections(folder: Path) -> None:
    def handles() -> list[str]:
        links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
        return [target for link in links if link.exists() and str(folder) in (target := os.readlink(link))]

    catalog = open_catalog(folder)
    catalog.list_datasets()
    assert handles()
    del catalog
    gc.collect()
    assert handles() == []


def test_a_forked_process_opens_its_own_connection(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_catalog(folder) as catalog:
        before = catalog.connect()
        pid = os.getpid()
        monkeypatch.setattr("smalti.store.catalog.os.getpid", lambda: pid + 1)
        inside = catalog.connect()
        assert inside is not before
        assert catalog.connect() is inside
        catalog.close()
        assert before.select(DatasetRow, {}) == []  # the parent's was neither used nor closed
        before.close()
        monkeypatch.undo()


def test_secrets_of_a_url_are_not_shown() -> None:
    with pytest.raises(StorageError) as caught:
        open_catalog("anywhere", url="postgresql://anna:hunter2@127.0.0.1:1/name?connect_timeout=2")
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "nonsense", "oracle9://x"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(StorageError, match="catalog"):
        open_catalog("anywhere", url=url)


def test_postgresql_without_its_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"smalti\[postgres\]"):
        open_catalog("anywhere", url="postgres://host/name")


def test_a_store_may_be_named_by_a_file_uri_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "ein Ordner 100%?#ü"
    with open_catalog(folder) as catalog:
        row = catalog.create_dataset(DatasetRow(name="d"))
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    with open_catalog(folder.as_uri()) as catalog:
        assert catalog.list_datasets() == [row]
    with open_catalog("elsewhere", url=f"sqlite:///{tmp_path}/own.db") as catalog:
        catalog.create_version(VersionRow(dataset=catalog.create_dataset(DatasetRow(name="d")).uuid, name="v"))
    assert (tmp_path / "own.db").exists()
