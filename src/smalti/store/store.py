"""Store: a folder of datasets, on local disk or on an object store."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti import storage
from smalti.errors import StorageError, VersionError
from smalti.store.catalog import Catalog, open_catalog
from smalti.store.dataset import Dataset
from smalti.store.lancing import local_root
from smalti.store.names import check_name
from smalti.store.pinning import require_unread
from smalti.store.rows import AuditRow, DatasetRow
from smalti.store.whoami import user_name

if TYPE_CHECKING:
    from smalti.store.engine import Engine
    from smalti.store.maintain import Upkeep
    from smalti.store.verify import Verdict
    from smalti.store.version import DatasetVersion

__all__ = ["Store", "default_store_uri", "open_store"]


def default_store_uri() -> str:
    """$SMALTI_STORE, else `smalti` in the user's data folder."""
    named = os.environ.get("SMALTI_STORE")
    if named:
        return named
    if sys.platform == "darwin":
        return str(Path.home() / "Library" / "Application Support" / "smalti")
    if sys.platform == "win32":
        return str(Path(os.environ.get("LOCALAPPDATA", Path.home())) / "smalti")
    return str(Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "smalti")


def open_store(
    uri: str | os.PathLike[str] | None = None, *, catalog_url: str | None = None, **storage_options: Any
) -> "Store":
    """Open a store. One that is not there yet lists nothing, and is made by the first write.

    Args:
        uri: a folder, or a prefix of an object store (`s3://bucket/data`, `gs://`, `az://`). None = the default store.
        catalog_url: a database for the catalog (`postgresql://...`); None = inside the store.
        storage_options: settings of the object store, e.g. `aws_endpoint`, `aws_region`.

    Raises:
        StorageError: it cannot be reached, or no store can be there.
    """
    return Store(
        default_store_uri() if uri is None else os.fspath(uri), catalog_url=catalog_url, options=storage_options
    )


class Store:
    """A folder of datasets. Opens what it needs when it is first used; pickles as the recipe to open it again."""

    def __init__(self, uri: str, *, catalog_url: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        folder = local_root(uri)
        self.uri = str(folder.absolute()) if folder is not None else uri.rstrip("/")
        self._catalog_url = catalog_url
        self.options = dict(options or {})
        self.catalog: Catalog = open_catalog(self.uri, url=catalog_url, late=True, **self.options)
        self._engines: dict[str, Engine] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.uri, self._catalog_url, self.options)

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the catalog's connections; the store opens again when it is used."""
        self.catalog.close()

    @property
    def is_made(self) -> bool:
        """Whether there is a store at this place; opening one does not make it, the first write does."""
        return self.catalog.is_made

    def make(self) -> None:
        """Make the store, if it is not there."""
        self.catalog.make()
        folder = local_root(self.uri)
        if folder is not None:  # a catalog in a database makes none
            folder.mkdir(parents=True, exist_ok=True)

    def check_made(self) -> None:
        """Refuse a place that is no store: what is read from it would look like an empty one.

        Raises:
            StorageError: that is so.
        """
        if not self.is_made:
            raise StorageError(
                f"there is no store at {self.uri}",
                uri=self.uri,
                advice="check the name, or make one with create_dataset",
                command=f"check the name, or make one: `smalti dataset create NAME --store {self.uri}`, or "
                f"`smalti import PATH --to DATASET@VERSION --store {self.uri}`",
            )

    @property
    def user(self) -> str:
        """Who is written into the audit trail."""
        return user_name()

    def engine_of(self, row: DatasetRow) -> "Engine":
        """The table of a dataset; one per store and dataset, so that caches are shared."""
        where = row.uri if "://" in row.uri or os.path.isabs(row.uri) else f"{self.uri}/{row.uri}"
        if where not in self._engines:
            from smalti.store.engine import Engine  # brings Arrow

            # What the environment and profile files say about the place, then what the caller said.
            options = storage.store_options(where) | {key: str(value) for key, value in self.options.items()}
            self._engines[where] = Engine(where, options)
        return self._engines[where]

    # ---------------------------------------------------------------------------------------------- datasets
    def create_dataset(
        self,
        name: str,
        project: str | None = None,
        *,
        description: str = "",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Dataset:
        """A new dataset without versions.

        Raises:
            VersionError: the project has one of that name, or it cannot be said.
        """
        from smalti.store.schema import SCHEMA_REVISION

        check_name("dataset", name)
        row = DatasetRow(
            name=name,
            project=project,
            description=description,
            tags=list(tags),
            meta=dict(metadata or {}),
            schema_rev=SCHEMA_REVISION,
        )
        row.uri = f"{row.uuid}.lance"
        if any(found.project == project for found in self.catalog.find_datasets(name=name)):
            raise VersionError(
                f"dataset {name!r}{_in(project)} is there already; choose another name, or open that one"
            )
        self.make()
        self.engine_of(row).create()
        return Dataset(self, self.catalog.create_dataset(row))

    def datasets(self, project: str | None = None) -> list[Dataset]:
        """Every dataset, oldest first; of one project if it is named."""
        rows = self.catalog.list_datasets() if project is None else self.catalog.find_datasets(project=project)
        return [Dataset(self, row) for row in rows]

    def __iter__(self) -> Iterator[Dataset]:
        return iter(self.datasets())

    def __len__(self) -> int:
        return len(self.catalog.list_datasets())

    def __getitem__(self, name: str) -> Dataset:
        """The dataset of this name, `project/name`, or id."""
        found = self._find(name)
        if len(found) == 1:
            return Dataset(self, found[0])
        if found:
            places = ", ".join(f"{row.project}/{row.name}" if row.project else row.name for row in found)
            raise VersionError(f"dataset {name!r} is ambiguous: {places}; name the project, or use the id")
        self.check_made()
        known = [row.name for row in self.catalog.list_datasets()]
        raise VersionError(
            f"{self!r} has no dataset {name!r}; it has {', '.join(map(repr, known[-8:])) or 'none yet'}",
            command=f"make one: smalti version create {name}@VERSION",
        )

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._find(name))

    def _find(self, name: str) -> list[DatasetRow]:
        found = self.catalog.find_datasets(name=name)
        plain = [row for row in found if row.project is None]
        if plain or found:
            return plain or found
        rows = self.catalog.list_datasets()
        return [row for row in rows if row.uuid == name or (row.project and f"{row.project}/{row.name}" == name)]

    def version(self, reference: str) -> "DatasetVersion":
        """The version that `DATASET@VERSION` names; without `@`, the dataset's current draft."""
        name, at, version = reference.rpartition("@")
        return self[name][version] if at else self[reference].current()

    def delete_dataset(self, dataset: Dataset | str, *, force: bool = False, with_views: bool = False) -> None:
        """Delete a dataset with all of its versions; published ones need `force`, those of published views `with_views`."""
        found = dataset if isinstance(dataset, Dataset) else self[dataset]
        published = [version.name for version in found.versions() if version.state == "published"]
        if published and not force:
            raise VersionError(
                f"dataset {found.name!r} has published versions ({', '.join(published[:5])})",
                advice="deleting it needs force=True",
                command="deleting it needs --force, and cannot be undone",
            )
        if not with_views:
            require_unread(found.versions())
        for _, version in reversed(found.tree()):
            found.delete_version(version, force=force, with_views=with_views)
        for row in self.catalog.list_versions(found.id, deleted=True):
            self.catalog.update_version(row.uuid, parents=[])
        self.catalog.delete_dataset(found.id)
        self.catalog.record(AuditRow(who=self.user, what="delete dataset", detail={"name": found.name, "id": found.id}))
        found.engine.drop()
        self._engines.pop(found.engine.uri, None)

    def purge(self, frame_ids: Iterable[str], *, who: str, why: str) -> dict[str, int]:
        """Erase frames from every version of every dataset, published ones too, with their history on disk.

        Args:
            frame_ids: ids of the frames.
            who: who asked for it.
            why: the reason; both are kept in the audit trail.

        Returns:
            How many rows were erased, by `DATASET@VERSION`.
        """
        from smalti.store.copying import purge
        from smalti.store.ingest import several

        return purge(self, list(several(frame_ids, "frame_ids")), who=who, why=why)

    def maintain(self, **options: Any) -> "Upkeep":
        """Compact and index drafts, forget old history, sweep what crashes left: see `smalti.store.maintain`."""
        from smalti.store.maintain import maintain

        self.check_made()
        return maintain(self, **options)

    def verify(self, *, files: bool = False) -> "Verdict":
        """Read everything back and compare it with hashes, counts and references.

        Args:
            files: also look whether the files are there that frames point to, and what they were when uploaded.
        """
        from smalti.store.verify import verify

        self.check_made()
        return verify(self, files=files)

    def backup(
        self, uri: str | os.PathLike[str], *, catalog_url: str | None = None, **storage_options: Any
    ) -> dict[str, int]:
        """Copy everything into a new store; a restore is the same in the other direction.

        Returns:
            Frames by `DATASET@VERSION`.

        Raises:
            VersionError: there is a store with datasets already.
            StorageError: this one is not there.
        """
        from smalti.store.copying import copy_store

        with open_store(uri, catalog_url=catalog_url, **storage_options) as target:
            return copy_store(self, target)


def _reopen(uri: str, catalog_url: str | None, options: dict[str, Any]) -> Store:
    return Store(uri, catalog_url=catalog_url, options=options)


def _in(project: str | None) -> str:
    return f" of project {project!r}" if project else ""
