"""A store behind a server: see `smalti.store.Store` and `Dataset`, whose names and meanings these are."""

from collections.abc import Iterator, Sequence
from typing import Any

from smalti.client.http import Http, segment
from smalti.client.version import RemoteVersion
from smalti.errors import VersionError

__all__ = ["RemoteDataset", "RemoteDiff", "RemoteStore", "connect"]

_AT_ONCE = 200


def connect(uri: str, *, api_key: str | None = None, **options: Any) -> "RemoteStore":
    """The store behind a server.

    Args:
        uri: its address, e.g. "https://data.example.org/smalti".
        api_key: "access:secret", or the server's standing token; None = $SMALTI_API_KEY.
        options: `client`: an httpx client to use.

    Raises:
        AccessDenied: the key is wrong. StorageError: nobody answers, or not a smalti server.
    """
    client = options.pop("client", None)
    if options:
        raise VersionError(f"{', '.join(options)}: a server takes api_key and nothing else")
    store = RemoteStore(Http(uri, api_key, client=client))
    store.http.ask("GET", "/auth/me")
    return store


class RemoteStore:
    """Datasets of a server."""

    def __init__(self, http: Http) -> None:
        self.http = http

    def __repr__(self) -> str:
        return f"RemoteStore({self.uri!r})"

    def __enter__(self) -> "RemoteStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def uri(self) -> str:
        """The address of the server."""
        return self.http.base

    @property
    def user(self) -> str:
        """Who the server takes us for."""
        return str(self.http.ask("GET", "/auth/me")["name"])

    def close(self) -> None:
        """Let go of the connection."""
        self.http.close()

    def datasets(self, project: str | None = None) -> list["RemoteDataset"]:
        """Every dataset, oldest first; of one project if it is named."""
        rows, cursor = [], None
        while True:
            page = self.http.ask("GET", "/datasets", project=project, cursor=cursor, limit=_AT_ONCE)
            rows += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        return [RemoteDataset(self.http, row) for row in sorted(rows, key=lambda row: (row["created"], row["id"]))]

    def __iter__(self) -> Iterator["RemoteDataset"]:
        return iter(self.datasets())

    def __len__(self) -> int:
        return int(self.http.ask("GET", "/datasets", limit=1)["total"])

    def __getitem__(self, name: str) -> "RemoteDataset":
        """The dataset of this name, `project/name`, or id."""
        return RemoteDataset(self.http, self.http.ask("GET", f"/datasets/{segment(name)}"))

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        try:
            self[name]
        except VersionError:
            return False
        return True

    def create_dataset(
        self, name: str, project: str | None = None, *, description: str = "", tags: Sequence[str] = ()
    ) -> "RemoteDataset":
        """A new dataset without versions."""
        body = {"name": name, "project": project, "description": description, "tags": list(tags)}
        return RemoteDataset(self.http, self.http.ask("POST", "/datasets", body))

    def version(self, reference: str) -> RemoteVersion:
        """The version that `DATASET@VERSION` names; without `@`, the dataset's current draft."""
        name, at, version = reference.rpartition("@")
        return self[name][version] if at else self[reference].current()

    def delete_dataset(self, dataset: "RemoteDataset | str", *, force: bool = False) -> None:
        """Delete a dataset with all of its versions; published ones need `force`."""
        found = self[dataset] if isinstance(dataset, str) else dataset
        found.delete(force=force)


class RemoteDiff:
    """What it takes to get from one version to another: sorted frame ids."""

    def __init__(self, added: list[str], removed: list[str], changed: list[str]) -> None:
        self.added, self.removed, self.changed = added, removed, changed

    def __len__(self) -> int:
        return len(self.added) + len(self.removed) + len(self.changed)

    def __repr__(self) -> str:
        counts = f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"
        return f"RemoteDiff({counts})"


class RemoteDataset:
    """A dataset of a server."""

    def __init__(self, http: Http, row: dict[str, Any]) -> None:
        self.http = http
        self._row = row

    def __repr__(self) -> str:
        return f"RemoteDataset({self.name!r}, {self._row['versions']} versions)"

    @property
    def _path(self) -> str:
        return f"/datasets/{segment(self.id)}"

    @property
    def row(self) -> dict[str, Any]:
        """What the server says now."""
        self._row = self.http.ask("GET", self._path)
        return self._row

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
        return str(self._row["id"])

    @property
    def name(self) -> str:
        """Its name among the datasets of its project."""
        return str(self._row["name"])

    @property
    def project(self) -> str | None:
        """The project it belongs to."""
        return self._row["project"] and str(self._row["project"])

    @property
    def description(self) -> str:
        """Free text."""
        return str(self._row["description"])

    @property
    def tags(self) -> list[str]:
        """Free words."""
        return list(self._row["tags"])

    @property
    def metadata(self) -> dict[str, Any]:
        """Free JSON about the dataset."""
        return dict(self._row["metadata"])

    def describe(
        self,
        description: str | None = None,
        *,
        tags: Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Change what is said about it; None leaves a part as it is."""
        changes = {"description": description, "tags": None if tags is None else list(tags), "metadata": metadata}
        self._change(**{key: value for key, value in changes.items() if value is not None})

    def rename(self, name: str) -> None:
        """Give it another name; its id stays."""
        self._change(name=name)

    def _change(self, **changes: Any) -> None:
        self._row = self.http.ask("PATCH", self._path, changes, etag=self.row["etag"])

    def tree(self) -> list[tuple[int, RemoteVersion]]:
        """Every version with its depth, parents before children."""
        rows = self.http.ask("GET", f"{self._path}/versions")
        return [(row["depth"], RemoteVersion(self, row)) for row in rows]

    def versions(self) -> list[RemoteVersion]:
        """Its versions, oldest first."""
        found = [version for _, version in self.tree()]
        return sorted(found, key=lambda version: (version._row["created"], version.id))

    def __iter__(self) -> Iterator[RemoteVersion]:
        return iter(self.versions())

    def __getitem__(self, name: str) -> RemoteVersion:
        """The version of this name, or id."""
        return RemoteVersion(self, self.http.ask("GET", f"{self._path}/versions/{segment(name)}"))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(version.name == name for version in self.versions())

    def current(self) -> RemoteVersion:
        """The draft that was made last.

        Raises:
            VersionError: there is no draft.
        """
        drafts = [version for version in self.versions() if version._row["state"] == "draft"]
        if not drafts:
            raise VersionError(f"dataset {self.name!r} has no draft; make one with create_version or a version's child")
        return drafts[-1]

    def create_version(
        self,
        name: str,
        parents: Sequence[RemoteVersion | str] = (),
        *,
        description: str = "",
        tags: Sequence[str] = (),
        prefer: str = "error",
    ) -> RemoteVersion:
        """A new draft, empty or from published parents."""
        ids = [parent if isinstance(parent, str) else parent.id for parent in parents]
        body = {"name": name, "parents": ids, "description": description, "tags": list(tags), "prefer": prefer}
        return RemoteVersion(self, self.http.ask("POST", f"{self._path}/versions", body))

    def diff(self, a: RemoteVersion | str, b: RemoteVersion | str) -> RemoteDiff:
        """What it takes to get from version a to version b."""
        first, second = (v if isinstance(v, RemoteVersion) else self[v] for v in (a, b))
        found: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
        cursor = None
        while True:
            page = self.http.ask("GET", f"{first.path}/diff/{segment(second.id)}", cursor=cursor, limit=1000)
            for item in page["items"]:
                found[item["kind"]].append(item["id"])
            cursor = page["next"]
            if cursor is None:
                return RemoteDiff(**{kind: sorted(ids) for kind, ids in found.items()})

    def delete_version(self, version: RemoteVersion | str, *, force: bool = False) -> None:
        """Delete a version that has no children; a published one needs `force`."""
        (version if isinstance(version, RemoteVersion) else self[version]).delete(force=force)

    def delete(self, *, force: bool = False) -> None:
        """Delete the dataset with all of its versions; published ones need `force`."""
        self.http.ask("DELETE", self._path, etag=self.row["etag"], force=force)
