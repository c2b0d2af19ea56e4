"""Rows in Lance: one Lance dataset per hyper-dataset, one branch per version. The only code that calls Lance.

Nothing here knows what a version's state is: whoever gets a `Branch` may write to it. `smalti.store.version` is the one
place that hands branches to writers, and it refuses for published versions.

The rules that look odd each stand on a failure that was reproduced:

* upserts go by `use_index(False)`: through the index, two processes that upsert the same new id both insert it;
* an index that a branch inherited is re-created before the branch is compacted: else it points at files that are not there;
* the branch point of every child is tagged: else a cleanup removes its manifest, and the diff with the parent with it;
* a process that was forked after it used Lance would crash, so it is refused.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

import pyarrow as pa

from smalti.errors import StorageError, VersionError
from smalti.store.durable import Durable
from smalti.store.encoding import hinted
from smalti.store.lancing import lance, local_root, translated
from smalti.store.schema import SCHEMA

__all__ = ["Branch", "Engine", "local_root", "quoted", "where_in"]

_FORMAT: Literal["2.2"] = "2.2"
_BRANCH_FOLDERS = ("data", "_deletions", "_indices", "_transactions", "_versions")
_ROOT_FOLDERS = ("_refs/branches", "_refs/tags", "_versions", "_transactions", "tree")
_WRITE_TRIES = 30
_AT_ONCE = 10_000
"""Ids in one filter: more and the plan itself becomes the cost."""


def quoted(value: str) -> str:
    """A string as a literal of a filter."""
    return "'" + value.replace("'", "''") + "'"


def where_in(column: str, values: Sequence[Any]) -> str:
    """The filter `column IN (...)`; for no values one that holds for no row."""
    if not values:
        return "false"
    return f"{column} IN ({', '.join(quoted(v) if isinstance(v, str) else str(v) for v in values)})"


class Engine:
    """One Lance dataset. Opens when it is first used; pickles as its URI and options."""

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        folder = local_root(uri)
        self.uri = str(folder) if folder is not None else uri
        self._options = dict(storage_options or {})
        self.durable = Durable(folder)
        self._root: Any = None
        self._pid = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return Engine, (self.uri, self._options)

    def __repr__(self) -> str:
        return f"Engine({self.uri!r})"

    def create(self) -> None:
        """Make the dataset, with no rows. Format and stable row ids can be chosen only now."""
        since = self.durable.start()
        with translated(f"creating {self.uri}"):
            self._root = lance().write_dataset(
                hinted(SCHEMA).empty_table(),
                self.uri,
                storage_options=self._options or None,
                data_storage_version=_FORMAT,
                enable_stable_row_ids=True,
            )
        self._pid = os.getpid()
        self.durable.finish(_ROOT_FOLDERS, since)

    def root(self) -> Any:
        """The Lance dataset, on its main branch."""
        if self._root is None:
            with translated(f"opening {self.uri}"):
                self._root = lance().dataset(self.uri, storage_options=self._options or None)
            self._pid = os.getpid()
        elif self._pid != os.getpid():
            raise VersionError(
                f"{self.uri} was opened before this process was forked; the engine cannot be used after a fork: "
                'start workers with "spawn" or "forkserver" and open the store in the worker'
            )
        return self._root

    def at(self, branch: str, version: int | None = None) -> "Branch":
        """A branch, at its head or pinned to one version."""
        return Branch(self, branch, version)

    def branches(self) -> dict[str, tuple[str | None, int]]:
        """Every branch with its parent branch (None = main) and the version it was made from."""
        with translated(f"listing branches of {self.uri}"):
            found = self.root().branches.list()
        return {name: (item["parent_branch"], item["parent_version"]) for name, item in found.items()}

    def create_branch(self, name: str, parent: tuple[str, int] | None = None) -> int:
        """Make a branch from a pinned version of another (None = from nothing) and tag the point; returns its version."""
        since = self.durable.start()
        with translated(f"creating branch {name} of {self.uri}"):
            root = self._own_root()
            try:
                version = int(root.create_branch(name, parent if parent is not None else (None, 1)).version)
            except (OSError, ValueError, RuntimeError):
                if name not in root.branches.list():
                    raise
                # Its name is ours alone: it was made, only the answer of the object store was lost on the way.
                version = int(root.checkout_version((name, None)).version)
            self._pin(_tag("base", name), (name, version), is_new=True)
        self.durable.finish(
            [*_ROOT_FOLDERS, f"tree/{name}", f"tree/{name}/_versions", f"tree/{name}/_transactions"], since
        )
        return version

    def _own_root(self) -> Any:
        """A handle for a change of branches or tags: Lance borrows it, and any other thread that shares it is refused."""
        return lance().dataset(self.uri, storage_options=self._options or None)

    def delete_branch(self, name: str) -> None:
        """Delete a branch and its tags. It must have no children left."""
        since = self.durable.start()
        with translated(f"deleting branch {name} of {self.uri}"):
            root = self._own_root()
            for tag in self.tags_of(name):
                root.tags.delete(tag)
            if name in root.branches.list():
                root.branches.delete(name)
        self.durable.finish(_ROOT_FOLDERS, since)

    def exists(self) -> bool:
        """Whether there is such a dataset."""
        try:
            lance().dataset(self.uri, storage_options=self._options or None)
        except (OSError, ValueError):
            return False
        return True

    def drop(self) -> None:
        """Delete the dataset with everything in it."""
        with translated(f"deleting {self.uri}"):
            lance().LanceDataset.drop(self.uri, storage_options=self._options or None)
        self._root = None

    def age(self, branch: str) -> timedelta:
        """How long ago a branch was made."""
        with translated(f"looking at branch {branch} of {self.uri}"):
            made = self.root().branches.list()[branch]["create_at"]
        return timedelta(seconds=max(0.0, time.time() - float(made)))

    def sweep_folders(self, older_than: timedelta) -> list[str]:
        """Remove local folders of branches that are not listed: a crash while a branch was made leaves one."""
        root = local_root(self.uri)
        if root is None or not (root / "tree").is_dir():
            return []
        listed = set(self.branches())
        swept = []
        for folder in (root / "tree").iterdir():
            if folder.name not in listed and time.time() - folder.stat().st_mtime > older_than.total_seconds():
                shutil.rmtree(folder, ignore_errors=True)
                swept.append(folder.name)
        return swept

    def tag(self, kind: str, branch: str, version: int) -> None:
        """Pin a version of a branch against cleanup; a tag of that kind moves if it exists."""
        since = self.durable.start()
        name = _tag(kind, branch)
        with translated(f"tagging {name} in {self.uri}"):
            self._pin(name, (branch, version), is_new=name not in self.root().tags.list())
        self.durable.finish(_ROOT_FOLDERS, since)

    def _pin(self, name: str, place: tuple[str, int], *, is_new: bool) -> None:
        tags = self._own_root().tags
        try:
            (tags.create if is_new else tags.update)(name, place)
        except (OSError, ValueError, RuntimeError):
            found = tags.list().get(name)
            if found is None or (found["branch"], found["version"]) != place:
                raise  # else it was made, and only the answer of the object store was lost on the way

    def untag(self, kind: str, branch: str) -> None:
        """Remove a pin if it is there."""
        with translated(f"untagging {branch} in {self.uri}"):
            tags = self._own_root().tags
            if _tag(kind, branch) in tags.list():
                tags.delete(_tag(kind, branch))

    def tags_of(self, branch: str) -> list[str]:
        """The tags that pin versions of a branch."""
        with translated(f"listing tags of {self.uri}"):
            return [name for name, item in self.root().tags.list().items() if item["branch"] == branch]

    def saved(self, branch: str, since_ns: int) -> None:
        """Everything that a commit on a branch wrote is on disk after this."""
        indices = self._index_folders(branch)
        self.durable.finish([f"tree/{branch}/{folder}" for folder in _BRANCH_FOLDERS] + indices, since_ns)

    def _index_folders(self, branch: str) -> list[str]:
        folder = local_root(self.uri)
        if folder is None:
            return []
        try:
            return [
                f"tree/{branch}/_indices/{entry.name}" for entry in os.scandir(folder / "tree" / branch / "_indices")
            ]
        except FileNotFoundError:
            return []

    def starting(self) -> int:
        """The time to hand to `saved`."""
        return self.durable.start()


def _tag(kind: str, branch: str) -> str:
    return f"{kind}-{branch.removeprefix('v-').removesuffix('.lance')}"


class Branch:
    """The rows of one version: at the head (reads see the newest commit) or pinned (reads never change)."""

    def __init__(self, engine: Engine, name: str, version: int | None = None) -> None:
        self.engine = engine
        self.name = name
        self.pinned = version
        self._lance: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Branch, (self.engine, self.name, self.pinned)

    def __repr__(self) -> str:
        return f"Branch({self.engine.uri!r}, {self.name!r}, {self.pinned})"

    @property
    def dataset(self) -> Any:
        """Lance's dataset at this branch; the head is looked up anew each time."""
        root = self.engine.root()  # also refuses a forked process
        with translated(f"opening branch {self.name} of {self.engine.uri}"):
            if self._lance is None or self.pinned is None:
                self._lance = root.checkout_version((self.name, self.pinned))
        return self._lance

    def snapshot(self) -> "Branch":
        """The same branch pinned to what is the head now: several reads that belong together."""
        if self.pinned is not None:
            return self
        found = self.dataset
        fixed = Branch(self.engine, self.name, int(found.version))
        fixed._lance = found
        return fixed

    @property
    def version(self) -> int:
        """The Lance version that reads see now."""
        return int(self.dataset.version)

    @property
    def schema(self) -> pa.Schema:
        """The columns of this branch: ours and the promoted ones."""
        schema: pa.Schema = self.dataset.schema
        return schema

    # ------------------------------------------------------------------------------------------------- reading
    def count(self, where: str | None = None) -> int:
        """How many rows there are, or fulfil a filter."""
        with translated(f"counting in branch {self.name}"):
            return int(self.dataset.count_rows(where))

    def scan(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        *,
        with_row_id: bool = False,
        order_by: Sequence[str] | None = None,
        limit: int | None = None,
        batch_size: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Batches of rows, in storage order unless `order_by` names columns.

        Args:
            columns: top-level columns; None = all. The sort columns must be among them.
            where: a filter in SQL over top-level columns.
            with_row_id: adds `_rowid`; it means something only within this branch.
        """
        with translated(f"reading branch {self.name}"):
            scanner = self.dataset.scanner(
                columns=list(columns) if columns is not None else None,
                filter=where,
                with_row_id=with_row_id,
                order_by=list(order_by) if order_by else None,
                limit=limit,
                batch_size=batch_size,
            )
            yield from scanner.to_batches()

    def table(self, columns: Sequence[str] | None = None, where: str | None = None, **options: Any) -> pa.Table:
        """What `scan` yields, as one table."""
        with translated(f"reading branch {self.name}"):
            scanner = self.dataset.scanner(
                columns=list(columns) if columns is not None else None, filter=where, **options
            )
            table: pa.Table = scanner.to_table()
        return table

    def find(self, ids: Sequence[str], columns: Sequence[str] | None = None, **options: Any) -> pa.Table:
        """The rows with these frame ids, in storage order; ids that are not there are left out."""
        parts = [
            self.table(columns, where_in("id", ids[start : start + _AT_ONCE]), **options)
            for start in range(0, max(len(ids), 1), _AT_ONCE)
        ]
        return pa.concat_tables(parts) if len(parts) > 1 else parts[0]

    def take(self, row_ids: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """The rows with these row ids, in storage order."""
        parts = [
            self.table(columns, where_in("_rowid", sorted(row_ids[start : start + _AT_ONCE])), with_row_id=True)
            for start in range(0, max(len(row_ids), 1), _AT_ONCE)
        ]
        return pa.concat_tables(parts) if len(parts) > 1 else parts[0]

    def deleted_since(self, version: int) -> list[int] | None:
        """Row ids deleted after an ancestor's version; None where the history does not say."""
        try:
            found = self.dataset.delta(compared_against=version).get_deleted_row_ids().read_all()
        except (OSError, ValueError, RuntimeError):  # cleaned up, or more than one generation back
            return None
        return [int(value) for value in found.column(0).to_pylist()]

    # ------------------------------------------------------------------------------------------------- writing
    def append(self, batches: Sequence[pa.RecordBatch]) -> int:
        """Add rows whose ids are known to be new; returns the version that has them."""
        return self.add_files(self.write_files(batches))

    def write_files(self, batches: Sequence[pa.RecordBatch]) -> list[Any]:
        """Write rows to new files, which no version has yet; several threads may do that at once."""
        since = self.engine.starting()
        with translated(f"writing files for branch {self.name}"):
            reader = pa.RecordBatchReader.from_batches(batches[0].schema, batches)
            files: list[Any] = lance().fragment.write_fragments(reader, self.dataset, mode="append")
        written = [f"tree/{self.name}/data/{file.path}" for found in files for file in found.files]
        self.engine.durable.finish_files(written, since)
        return files

    def add_files(self, files: Sequence[Any]) -> int:
        """Make files a part of the branch; returns the version that has them. Their ids are known to be new."""
        since = self.engine.starting()
        with translated(f"writing branch {self.name}"):
            dataset = self.dataset
            operation = lance().LanceOperation.Append(list(files))
            made = lance().LanceDataset.commit(dataset, operation, read_version=dataset.version)
        self.engine.durable.finish([f"tree/{self.name}/{folder}" for folder in ("_transactions", "_versions")], since)
        return int(made.version)

    def upsert(self, rows: pa.Table | pa.RecordBatch) -> int:
        """Insert rows or replace those with the same id; returns the version that has them. Ids must not repeat."""
        since = self.engine.starting()
        with translated(f"writing branch {self.name}"):
            dataset = self.dataset
            merge = dataset.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            merge.use_index(False).conflict_retries(_WRITE_TRIES).retry_timeout(timedelta(seconds=60)).execute(rows)
        self.engine.saved(self.name, since)
        return int(dataset.version)

    def swap(self, row: pa.RecordBatch, etag: int) -> bool:
        """Replace one row if its etag is still the given one; the check and the write are one step."""
        since = self.engine.starting()
        with translated(f"writing branch {self.name}"):
            merge = self.dataset.merge_insert("id").when_matched_update_all(f"target.etag = {etag}")
            done = merge.use_index(False).conflict_retries(_WRITE_TRIES).execute(row)
        self.engine.saved(self.name, since)
        return int(done["num_updated_rows"]) == 1

    def annotate(self, rows: pa.Table) -> int:
        """Write some columns of rows that are still as they were: same `id`, same `etag`. Others are left alone."""
        since = self.engine.starting()
        with translated(f"writing branch {self.name}"):
            dataset = self.dataset
            merge = dataset.merge_insert("id").when_matched_update_all("target.etag = source.etag")
            merge.use_index(False).conflict_retries(_WRITE_TRIES).execute(rows)
        self.engine.saved(self.name, since)
        return int(dataset.version)

    def delete(self, where: str) -> int:
        """Delete the rows that a filter selects; returns the version without them."""
        since = self.engine.starting()
        with translated(f"deleting in branch {self.name}"):
            dataset = self.dataset
            dataset.delete(where, conflict_retries=_WRITE_TRIES)
        self.engine.saved(self.name, since)
        return int(dataset.version)

    def add_column(
        self, field: pa.Field, fill: Callable[[pa.RecordBatch], pa.RecordBatch], reads: Sequence[str]
    ) -> int:
        """Add a column computed from others; content, row ids and history of the rows stay as they are."""
        since = self.engine.starting()
        schema = pa.schema([field])
        with translated(f"adding column {field.name} to branch {self.name}"):
            dataset = self.dataset
            dataset.add_columns(lance().batch_udf(output_schema=schema)(fill), read_columns=list(reads))
        self.engine.saved(self.name, since)
        return int(dataset.version)

    # -------------------------------------------------------------------------------------------------- upkeep
    def history(self) -> list[int]:
        """The versions of this branch that can still be opened."""
        with translated(f"looking at the history of branch {self.name}"):
            return [int(item["version"]) for item in self.dataset.versions()]

    def indices(self) -> dict[str, str]:
        """Column → name of the index on it."""
        with translated(f"listing indices of branch {self.name}"):
            return {item.field_names[0]: item.name for item in self.dataset.describe_indices()}

    def create_index(self, column: str, kind: str, **options: Any) -> None:
        """Make an index on a column, in place of one that is there; `IVF_...` are indices of vectors."""
        since = self.engine.starting()
        with translated(f"indexing {column} of branch {self.name}"):
            dataset = self.dataset
            make = dataset.create_index if kind.startswith("IVF_") else dataset.create_scalar_index
            make(column, kind, replace=True, **options)
        self.engine.saved(self.name, since)

    def drop_indices(self) -> None:
        """Remove every index from this branch; those of its parent stay."""
        since = self.engine.starting()
        with translated(f"dropping indices of branch {self.name}"):
            dataset = self.dataset
            for name in dict.fromkeys(item.name for item in dataset.describe_indices()):
                dataset.drop_index(name)
        self.engine.saved(self.name, since)

    def optimize_indices(self) -> None:
        """Bring the rows that no index covers into the indices."""
        since = self.engine.starting()
        with translated(f"updating indices of branch {self.name}"):
            self.dataset.optimize.optimize_indices()
        self.engine.saved(self.name, since)

    def compact(self, rows_per_file: int) -> None:
        """Rewrite small and much-deleted files. The branch must have no index at that time: see `drop_indices`."""
        since = self.engine.starting()
        with translated(f"compacting branch {self.name}"):
            dataset = self.dataset
            if dataset.describe_indices():
                raise StorageError(f"compacting branch {self.name}: it has indices, which would break; drop them first")
            dataset.optimize.compact_files(target_rows_per_fragment=rows_per_file)
        self.engine.saved(self.name, since)

    def raggedness(self, rows_per_file: int) -> tuple[int, float]:
        """How many files are small, and the largest share of deleted rows in a file."""
        with translated(f"looking at branch {self.name}"):
            found = [item.metadata for item in self.dataset.get_fragments()]
        small = sum(item.num_rows < rows_per_file // 2 for item in found)
        return small, max((item.num_deletions / max(item.physical_rows, 1) for item in found), default=0.0)

    def clean_up(self, older_than: timedelta) -> int:
        """Remove history that is older and that no tag and no child needs; returns the bytes freed."""
        with translated(f"cleaning up branch {self.name}"):
            done = self.dataset.cleanup_old_versions(older_than=older_than, error_if_tagged_old_versions=False)
        return int(done.bytes_removed)
