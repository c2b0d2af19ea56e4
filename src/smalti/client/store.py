"""A store behind a server: see `smalti.store.Store` and `Dataset`, whose names and meanings these are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from smalti.client.diff import RemoteDiff
from smalti.client.http import Http, segment
from smalti.client.remote import Remote, only_there
from smalti.client.version import RemoteVersion
from smalti.errors import VersionError

__all__ = ["RemoteDataset", "RemoteStore", "connect"]

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
    def is_made(self) -> bool:
        """True: a server speaks for the store that it was started with."""
        return True

    @property
    def user(self) -> str:
        """Who the server takes us for."""
        return str(self.http.ask("GET", "/auth/me")["name"])

    def close(self) -> None:
        """Let go of the connection."""
        self.http.close()

    def datasets(self, project: str | None = None) -> list["RemoteDataset"]:
        """Every dataset, oldest first; of one project if it is named."""
        rows = list(self.http.pages("GET", "/datasets", project=project, limit=_AT_ONCE))
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
        self,
        name: str,
        project: str | None = None,
        *,
        description: str = "",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> "RemoteDataset":
        """A new dataset without versions."""
        body = {
            "name": name,
            "project": project,
            "description": description,
            "tags": list(tags),
            "metadata": dict(metadata or {}),
        }
        return RemoteDataset(self.http, self.http.ask("POST", "/datasets", body))

    def version(self, reference: str) -> RemoteVersion:
        """The version that `DATASET@VERSION` names; without `@`, the dataset's current draft."""
        name, at, version = reference.rpartition("@")
        return self[name][version] if at else self[reference].current()

    def delete_dataset(self, dataset: "RemoteDataset | str", *, force: bool = False, with_views: bool = False) -> None:
        """Delete a dataset with all of its versions; published ones need `force`, those of published views `with_views`."""
        found = self[dataset] if isinstance(dataset, str) else dataset
        found.delete(force=force, with_views=with_views)

    def purge(self, frame_ids: Any, *, who: str, why: str) -> Any:
        """Not from here: it rewrites the store."""
        raise only_there("purge", "`smalti store purge`")

    def maintain(self, **options: Any) -> Any:
        """Not from here."""
        raise only_there("maintain", "`smalti store maintain`")

    def verify(self, **options: Any) -> Any:
        """Not from here."""
        raise only_there("verify", "`smalti store verify`")

    def backup(self, uri: Any, **options: Any) -> Any:
        """Not from here."""
        raise only_there("backup", "`smalti store backup`")


class RemoteDataset(Remote):
    """A dataset of a server."""

    def __init__(self, http: Http, row: dict[str, Any]) -> None:
        super().__init__(row)
        self.http = http

    def __repr__(self) -> str:
        return f"RemoteDataset({self.name!r}, {self._row['versions']} versions)"

    @property
    def path(self) -> str:
        """Below which its routes lie."""
        return f"/datasets/{segment(self.id)}"

    @property
    def project(self) -> str | None:
        """The project it belongs to."""
        return self._row["project"] and str(self._row["project"])

    @property
    def metadata(self) -> dict[str, Any]:
        """Free JSON about the dataset."""
        return dict(self._row["metadata"])

    def describe(
        self,
        description: str | None = None,
        *,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is said about it; None leaves a part as it is."""
        self._describe(
            description=description,
            tags=None if tags is None else list(tags),
            metadata=None if metadata is None else dict(metadata),
        )

    @property
    def declared(self) -> dict[str, str]:
        """The promoted metadata paths and their types."""
        return dict(self.row["declared"])

    def declare(self, path: str, kind: str) -> None:
        """Promote a metadata path to a typed column of every version: see `Dataset.declare`."""
        self._row = self.http.ask("POST", f"{self.path}/declare", {"path": path, "kind": kind})

    def version(self, uuid: str) -> RemoteVersion:
        """The version with this id."""
        return self[uuid]

    def tree(self) -> list[tuple[int, RemoteVersion]]:
        """Every version with its depth, parents before children."""
        rows = self.http.ask("GET", f"{self.path}/versions")
        return [(row["depth"], RemoteVersion(self, row)) for row in rows]

    def versions(self) -> list[RemoteVersion]:
        """Its versions, oldest first."""
        found = [version for _, version in self.tree()]
        return sorted(found, key=lambda version: (version._row["created"], version.id))

    def __iter__(self) -> Iterator[RemoteVersion]:
        return iter(self.versions())

    def __getitem__(self, name: str) -> RemoteVersion:
        """The version of this name, or id."""
        return RemoteVersion(self, self.http.ask("GET", f"{self.path}/versions/{segment(name)}"))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(version.name == name for version in self.versions())

    def current(self) -> RemoteVersion:
        """The draft that was made last.

        Raises:
            VersionError: there is no draft.
        """
        drafts = [version for version in self.versions() if version._row["state"] == "draft"]
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
        parents: Sequence[RemoteVersion | str] = (),
        *,
        description: str = "",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        prefer: str = "error",
    ) -> RemoteVersion:
        """A new draft, empty or from published parents."""
        body = {
            "name": name,
            "parents": [_reference(parent) for parent in parents],
            "description": description,
            "tags": list(tags),
            "metadata": dict(metadata or {}),
            "prefer": _rule(prefer),
        }
        return RemoteVersion(self, self.http.ask("POST", f"{self.path}/versions", body))

    def diff(self, a: RemoteVersion | str, b: RemoteVersion | str) -> RemoteDiff:
        """What it takes to get from version a to version b."""
        first, second = (v if isinstance(v, RemoteVersion) else self[v] for v in (a, b))
        return RemoteDiff(first, second)

    def merge(
        self,
        ours: RemoteVersion | str,
        theirs: RemoteVersion | str,
        *,
        base: RemoteVersion | str | None = None,
        rule: str = "error",
        name: str | None = None,
    ) -> RemoteVersion:
        """The changes of `theirs` since `base`, made to `ours`: see `Dataset.merge`. A rule is a word here, no function.

        Raises:
            ConflictError: both changed the same thing, and the rule is "error"; nothing has changed.
        """
        body = {
            "ours": _reference(ours),
            "theirs": _reference(theirs),
            "base": None if base is None else _reference(base),
            "rule": _rule(rule),
            "name": name,
        }
        return RemoteVersion(self, self.http.ask("POST", f"{self.path}/merge", body))

    def delete_version(self, version: RemoteVersion | str, *, force: bool = False, with_views: bool = False) -> None:
        """Delete a version that has no children; a published one needs `force`, one of published views `with_views`."""
        found = version if isinstance(version, RemoteVersion) else self[version]
        found.delete(force=force, with_views=with_views)

    def delete(self, *, force: bool = False, with_views: bool = False) -> None:
        """Delete the dataset with all of its versions: see `delete_dataset` of the store."""
        self.http.ask("DELETE", self.path, etag=self.row["etag"], force=force, with_views=with_views)


def _reference(version: RemoteVersion | str) -> str:
    return version if isinstance(version, str) else version.id


def _rule(rule: Any) -> str:
    if not isinstance(rule, str):
        raise VersionError('a rule that is a function works only where the store is; say "error", "ours" or "theirs"')
    return rule
