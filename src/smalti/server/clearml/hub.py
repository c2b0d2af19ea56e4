"""What the handlers of the protocol share: the server's store and gate, found by the ids that travel on the wire."""

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from smalti.errors import VersionError
from smalti.server.auth import RANKS, Identity
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.pages import Pages
from smalti.server.service import Service
from smalti.store import Dataset, DatasetVersion, Store
from smalti.store.catalog import Catalog
from smalti.store.rows import JobRow, KeyRow

__all__ = ["Caller", "Endpoint", "Hub", "Kept", "endpoint", "page_of", "project_id", "stamp", "trimmed"]

T = TypeVar("T")
PROJECT, TASK = "clearml.project", "clearml.task"
_MOST_PATTERN = 4096


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and with which key."""

    who: Identity
    key: KeyRow


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: `run(hub, asked, caller)` answers with what goes into `data`.

    Attributes:
        raw: a key of the body whose list holds JSON texts (`msgspec.Raw`), which the endpoint reads itself.
    """

    name: str
    role: str
    run: Callable[..., dict[str, Any]]
    raw: str = ""


def endpoint(name: str, role: str, *, raw: str = "") -> Callable[[Callable[..., dict[str, Any]]], Endpoint]:
    """Mark a function as the answer to an endpoint, for callers of at least this role."""
    return lambda run: Endpoint(name, role, run, raw)


class Kept(dict[str, Any]):
    """What a row remembers for this protocol alone: the part of its `extra` under "clearml"."""

    def __init__(self, extra: dict[str, Any]) -> None:
        found = extra.get("clearml")
        super().__init__(found if isinstance(found, dict) else {})

    def into(self, extra: dict[str, Any]) -> dict[str, Any]:
        """`extra` with this part replaced."""
        return {**extra, "clearml": dict(self)}


def project_id(name: str) -> str:
    """The id of a project: it follows from the name, so two clients that make one at a time make the same."""
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=16).hexdigest()


def stamp(at: datetime | None) -> str | None:
    """A time as the client parses it: ISO 8601 with the offset."""
    return None if at is None else at.isoformat()


def page_of(found: Sequence[T], page: int | None, page_size: int | None) -> Sequence[T]:
    """One page of a list; all of it where no page is asked for."""
    if page_size is None and page is None:
        return found
    size = page_size if page_size else 500
    first = (page or 0) * size
    return found[first : first + size]


def trimmed(found: dict[str, Any], only: Sequence[str] | None) -> dict[str, Any]:
    """The fields that are asked for, and the id; all where none is named."""
    if not only:
        return found
    wanted = {"id", *(name.partition(".")[0] for name in only)}
    return {key: value for key, value in found.items() if key in wanted}


@dataclass
class Hub:
    """See the module.

    Attributes:
        service: the server's own service: one store, one gate, one set of caches for both interfaces.
    """

    service: Service
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: "OrderedDict[Any, Any]" = field(default_factory=OrderedDict)
    pages: Pages = field(default_factory=Pages)

    @property
    def store(self) -> Store:
        """The store."""
        return self.service.store

    @property
    def catalog(self) -> Catalog:
        """Its catalog."""
        return self.service.store.catalog

    def allow(self, caller: Caller, role: str) -> None:
        """Refuse whoever has a lower role.

        Raises:
            Fault: 403.
        """
        if RANKS[caller.who.role] < RANKS[role]:
            raise Fault(403, f"this needs the role {role}; {caller.who.name} is {caller.who.role}")

    # ----------------------------------------------------------------------------------------- datasets, versions
    def dataset(self, uuid: str) -> Dataset:
        """A dataset by id.

        Raises:
            Fault: 400, which the client takes for "not there".
        """
        try:
            return Dataset(self.store, self.catalog.get_dataset(uuid))
        except VersionError:
            raise Fault(400, f"there is no dataset with id {uuid!r}") from None

    def version(self, uuid: str, dataset: str | None = None) -> DatasetVersion:
        """A version by id, which must belong to a dataset where one is named.

        Raises:
            Fault: 400.
        """
        try:
            row = self.catalog.get_version(uuid)
        except VersionError:
            row = None
        if row is None or row.state == "deleted" or dataset not in (None, "", row.dataset):
            of = f" in dataset {dataset!r}" if dataset else ""
            raise Fault(400, f"there is no version with id {uuid!r}{of}")
        found = DatasetVersion(self.dataset(row.dataset), row)
        return DatasetVersion(found.dataset, found.row)

    # ---------------------------------------------------------------------------------------------------- projects
    def projects(self) -> dict[str, str]:
        """Every project, id → name: those of datasets and views, and those that were made and are still empty."""
        named = [row.project for row in self.catalog.list_datasets()]
        named += [row.project for row in self.catalog.list_views()]
        named += [str(row.spec.get("name", "")) for row in self.catalog.list_jobs(kind=PROJECT)]
        return {project_id(name): name for name in sorted({name for name in named if name})}

    def project_name(self, uuid: str | None) -> str | None:
        """The name of a project by id; None for no project.

        Raises:
            Fault: 400.
        """
        if not uuid:
            return None
        known = self.projects()
        if uuid not in known:
            raise Fault(400, f"there is no project with id {uuid!r}")
        return known[uuid]

    def make_project(self, name: str, description: str) -> str:
        """The id of a project of this name, which is there after this."""
        uuid = project_id(name)
        if uuid not in self.projects():
            row = JobRow(
                kind=PROJECT, uuid=uuid, state="done", spec={"name": name, "description": description}, progress=1.0
            )
            try:
                self.catalog.create_job(row)
            except VersionError:  # somebody made it at the same moment
                self.catalog.get_job(uuid)
        return uuid

    # ----------------------------------------------------------------------------------------------------- helpers
    def matching(self, pattern: str | None, names: Sequence[str]) -> list[bool]:
        """Which names a regular expression finds. It is the caller's, so it runs where no pattern takes for ever."""
        if not pattern:
            return [True] * len(names)
        if len(pattern) > _MOST_PATTERN:
            raise Fault(400, f"the pattern has {len(pattern)} characters; at most {_MOST_PATTERN} are allowed")
        try:
            found = pc.match_substring_regex(pa.array(names, pa.string()), pattern)
        except (pa.ArrowInvalid, UnicodeEncodeError) as error:
            raise Fault(400, f"{pattern!r} is no regular expression: {error}") from None
        return [bool(item) for item in found.to_pylist()]

    def remembered(self, key: Any, make: Callable[[], T]) -> T:
        """A costly thing, kept for the next request: the least recently used of 64 goes first."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                known: T = self._kept[key]
                return known
        made = make()
        self.remember(key, made)
        return made

    def remember(self, key: Any, made: Any) -> None:
        """Keep it."""
        with self._lock:
            self._kept[key] = made
            self._kept.move_to_end(key)
            while len(self._kept) > 64:
                self._kept.popitem(last=False)

    def tags_fit(self, wanted: Iterable[str] | None, tags: Iterable[str]) -> bool:
        """Whether tags are as asked: at least one of the plain ones, none of those with a minus."""
        if wanted is None:
            return True
        have = set(tags)
        plain = [tag for tag in wanted if not re.match(r"-|__\$", tag)]
        refused = [tag[1:] for tag in wanted if tag.startswith("-")]
        if have.intersection(refused):
            return False
        if "__$all" in wanted or "__$and" in wanted:
            return have.issuperset(plain)
        return not plain or bool(have.intersection(plain))
