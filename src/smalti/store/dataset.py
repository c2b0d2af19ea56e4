"""Dataset: a tree of versions that share one table of frames."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from smalti.errors import VersionError, VersionFrozen
from smalti.store.catalog import Catalog
from smalti.store.names import check_name
from smalti.store.pinning import require_unread
from smalti.store.rows import AuditRow, DatasetRow, VersionRow

if TYPE_CHECKING:
    from smalti.store.diff import VersionDiff
    from smalti.store.engine import Engine
    from smalti.store.merge import Rule
    from smalti.store.store import Store
    from smalti.store.version import DatasetVersion

__all__ = ["Dataset"]

VersionLike: TypeAlias = "DatasetVersion | str"


class Dataset:
    """A dataset of a store. Get one from `store.create_dataset(...)` or `store[name]`."""

    def __init__(self, store: "Store", row: DatasetRow) -> None:
        self.store = store
        if row.extra.get("moving"):
            from smalti.store.copying import finish_move

            row = finish_move(store, row)
        self._row = row
        self._engine: Engine | None = None  # made when frames are asked for: a listing needs no engine

    @property
    def engine(self) -> "Engine":
        """The table of its frames."""
        if self._engine is None:
            self._engine = self.store.engine_of(self._row)
        return self._engine

    def reopen(self) -> None:
        """Look up where the frames lie now."""
        self._engine = self.store.engine_of(self.row)

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self.versions())} versions)"

    @property
    def catalog(self) -> Catalog:
        """The catalog of the store."""
        return self.store.catalog

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
        return self._row.uuid

    @property
    def name(self) -> str:
        """Its name among the datasets of its project."""
        return self._row.name

    @property
    def project(self) -> str | None:
        """The project it belongs to."""
        return self._row.project

    @property
    def row(self) -> DatasetRow:
        """What the catalog says now."""
        self._row = self.catalog.get_dataset(self.id)
        return self._row

    @property
    def description(self) -> str:
        """Free text."""
        return self._row.description

    @property
    def tags(self) -> list[str]:
        """Free words."""
        return list(self._row.tags)

    @property
    def metadata(self) -> dict[str, Any]:
        """Free JSON about the dataset."""
        return dict(self._row.meta)

    def describe(
        self,
        description: str | None = None,
        *,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is said about it; None leaves a part as it is."""
        changes = {
            "description": description,
            "tags": None if tags is None else list(tags),
            "meta": None if metadata is None else dict(metadata),
        }
        self._row = self.catalog.update_dataset(self.id, **{k: v for k, v in changes.items() if v is not None})

    def rename(self, name: str) -> None:
        """Give it another name; its id stays."""
        check_name("dataset", name)
        self._row = self.catalog.update_dataset(self.id, name=name)

    # ---------------------------------------------------------------------------------------------- versions
    def versions(self) -> "list[DatasetVersion]":
        """Its versions, oldest first."""
        return [_version(self, row) for row in self.catalog.list_versions(self.id)]

    def __iter__(self) -> "Iterator[DatasetVersion]":
        return iter(self.versions())

    def __getitem__(self, name: str) -> "DatasetVersion":
        row = self.catalog.find_version(self.id, name)
        if row is not None:
            return _version(self, row)
        known = self.catalog.list_versions(self.id)
        by_id = next((row for row in known if row.uuid == name), None)
        if by_id is None:
            names = ", ".join(repr(row.name) for row in known[-8:]) or "none yet"
            raise VersionError(
                f"dataset {self.name!r} has no version {name!r}; it has {names}",
                command=f"make one: smalti version create {self.name}@{name}",
            )
        return _version(self, by_id)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.catalog.find_version(self.id, name) is not None

    def version(self, uuid: str) -> "DatasetVersion":
        """The version with this id, deleted ones too."""
        return _version(self, self.catalog.get_version(uuid))

    def current(self) -> "DatasetVersion":
        """The draft that was made last: where new frames go.

        Raises:
            VersionError: there is no draft.
        """
        drafts = [version for version in self.versions() if version.state == "draft"]
        if not drafts:
            raise VersionError(
                f"dataset {self.name!r} has no draft",
                advice="make one with create_version or a version's child",
                command=f"make one: smalti version create {self.name}@VERSION",
            )
        return drafts[-1]

    def create_version(
        self,
        name: str,
        parents: "Sequence[VersionLike]" = (),
        *,
        description: str = "",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        prefer: "Rule" = "error",
    ) -> "DatasetVersion":
        """A new draft.

        Args:
            name: unique among the versions of the dataset.
            parents: published versions that it starts from: the frames of the first, with what the others changed
                merged in, one after the other.
            prefer: for several parents, what to do where they disagree: see `merge`.

        Raises:
            VersionError: the name is taken or cannot be said, or a parent is not published.
            ConflictError: the parents disagree and `prefer` is "error"; nothing is created.
        """
        check_name("version", name, told_by_at=True)
        made_from = [self._resolve(parent) for parent in parents]
        for parent in made_from:
            if not parent.is_published:
                raise VersionError(
                    f"version {self.name}@{parent.name} is {parent.state}, and only a published version can have "
                    "children; publish it first"
                )
        if len({parent.id for parent in made_from}) != len(made_from):
            raise VersionError(f"version {name!r}: a parent is named twice; name each once")
        row = VersionRow(
            dataset=self.id,
            name=name,
            parents=[parent.id for parent in made_from],
            description=description,
            tags=list(tags),
            meta=dict(metadata or {}),
        )
        row.branch = f"v-{row.uuid}.lance"
        if made_from:
            first = made_from[0].row
            row.meta = dict(first.meta) | row.meta
            row.legend = first.legend
        if self.catalog.find_version(self.id, name) is not None:
            raise VersionError(f"version {name!r} of dataset {self.name!r} is there already; choose another name")
        if len(made_from) < 2:
            return _version(self, self._branch_off(row, made_from))
        from smalti.store.merge import fill_from_parents

        return fill_from_parents(self, row, made_from, prefer)

    def _branch_off(self, row: VersionRow, made_from: "Sequence[DatasetVersion]") -> VersionRow:
        """The branch first, its row after: a crash in between leaves a branch that the sweeper finds."""
        parent = made_from[0].row if made_from else None
        start = None if parent is None or parent.head_version is None else (parent.branch, parent.head_version)
        row.base_version = self.engine.create_branch(row.branch, start)
        from smalti.store.declaring import add_declared

        add_declared(self.engine.at(row.branch), self.row.declared)
        return self.catalog.create_version(row)

    def _resolve(self, version: VersionLike) -> "DatasetVersion":
        if not isinstance(version, str):
            if version.dataset.id != self.id:
                raise VersionError(f"version {version.dataset.name}@{version.name} is not one of dataset {self.name!r}")
            return _version(self, version.row)
        return self[version]

    def delete_version(self, version: VersionLike, *, force: bool = False, with_views: bool = False) -> None:
        """Delete a version that has no children; a published one needs `force`. Its frames go with the next sweep.

        Args:
            version: which.
            force: also a published one.
            with_views: also one that published views read; they cannot be read any more then.
        """
        found = self._resolve(version)
        if found.row.state != "draft" and not force:
            raise VersionFrozen(
                f"version {self.name}@{found.name} is {found.row.state}",
                advice="deleting it needs force=True, and cannot be undone",
                command="deleting it needs --force, and cannot be undone",
            )
        children = [v.name for v in self.versions() if found.id in v.row.parents]
        if children:
            raise VersionError(
                f"version {self.name}@{found.name} has children ({', '.join(children)}); delete those first"
            )
        branch = found.row.branch
        lease = self.catalog.acquire_lease(found.id, f"deleting {found.name}", 60)
        try:
            if not with_views:
                require_unread([found])
            self.catalog.update_version(found.id, expect_state=("draft", "publishing", "published"), state="deleted")
        finally:
            self.catalog.release_lease(lease)
        self.catalog.record(AuditRow(who=self.store.user, what="delete version", dataset=self.id, version=found.id))
        self.engine.delete_branch(branch)

    def tree(self) -> "list[tuple[int, DatasetVersion]]":
        """Every version with its depth, parents before children, as a listing shows them."""
        versions = self.versions()
        children: dict[str | None, list[DatasetVersion]] = {}
        known = {version.id for version in versions}
        for version in versions:
            first = version.row.parents[0] if version.row.parents else None
            children.setdefault(first if first in known else None, []).append(version)
        found: list[tuple[int, DatasetVersion]] = []
        waiting = [(0, version) for version in reversed(children.get(None, []))]
        while waiting:
            depth, version = waiting.pop()
            found.append((depth, version))
            waiting += [(depth + 1, child) for child in reversed(children.get(version.id, []))]
        return found

    # -------------------------------------------------------------------------------- diff, merge, declarations
    def diff(self, a: VersionLike, b: VersionLike) -> "VersionDiff":
        """What it takes to get from version a to version b: see `VersionDiff`."""
        from smalti.store.diff import compare

        return compare(self._resolve(a), self._resolve(b))

    def merge(
        self,
        ours: VersionLike,
        theirs: VersionLike,
        *,
        base: "VersionLike | None" = None,
        rule: "Rule" = "error",
        name: str | None = None,
    ) -> "DatasetVersion":
        """The changes of `theirs` since `base`, made to `ours`: legends per mask id, frames per part, mask and ROI.

        Args:
            ours: a draft, which is changed in place; or a published version, of which a draft child is made.
            theirs: the version whose changes are taken.
            base: what both started from; None = their nearest common ancestor.
            rule: what to do where both changed the same thing: "error" = refuse all of it, "ours", "theirs", or a
                callable that takes a Conflict and returns "ours" or "theirs".
            name: of the child, where one is made; None = `<ours>+<theirs>`.

        Returns:
            The version that has the result; its `row.extra["conflicts"]` lists what the rule decided.

        Raises:
            ConflictError: there are conflicts and the rule is "error"; nothing has changed.
        """
        from smalti.store.merge import merge

        parts = [self._resolve(ours), self._resolve(theirs)]
        if parts[0].id == parts[1].id:
            raise VersionError(f"merging {self.name}@{parts[0].name} into itself changes nothing; name another version")
        return merge(self, parts[0], parts[1], None if base is None else self._resolve(base), rule=rule, name=name)

    @property
    def declared(self) -> dict[str, str]:
        """The promoted metadata paths and their types."""
        return dict(self.row.declared)

    def declare(self, path: str, kind: str) -> None:
        """Promote a metadata path to a typed column, for ranges and sorting; filled in for every version.

        Args:
            path: into the frame's metadata, e.g. "meta.city".
            kind: "string", "int", "float", "bool", "timestamp", or "vector[768]" for dense vectors to search the
                nearest of ("vector[768,l2_norm]": an index serves another measure than the angle). A value of another
                type is null in the column; the metadata itself stays as it is.
        """
        from smalti.store.declaring import promote
        from smalti.store.promoted import field_of

        field_of(path, kind)
        promote(self, path, kind)

    def delete(self, *, force: bool = False, with_views: bool = False) -> None:
        """Delete the dataset with all of its versions: see `Store.delete_dataset`."""
        self.store.delete_dataset(self, force=force, with_views=with_views)


def _version(dataset: Dataset, row: VersionRow) -> "DatasetVersion":
    from smalti.store.version import DatasetVersion  # brings Arrow, which a listing of datasets does without

    return DatasetVersion(dataset, row)
