"""What all handlers share: the store, the doors, caches, sessions, events. One per running server."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from smalti.binding import MaskPlan, Resolution, resolve
from smalti.codecs.limits import Limits
from smalti.errors import VersionError
from smalti.records import Frame, Source
from smalti.server.apart import Apart
from smalti.server.auth import Gate, Identity, Limiter
from smalti.server.events import Events
from smalti.server.jobs import Jobs
from smalti.server.lru import Folder, Lru
from smalti.server.media import digest
from smalti.server.metrics import Metrics
from smalti.server.pictures import Pictures, Slots
from smalti.server.pinned import Hosts
from smalti.server.problems import Refusal
from smalti.server.safe_io import Doors, Policy
from smalti.server.security import SLASH
from smalti.server.settings import Settings, default_cache
from smalti.server.stills import Stills
from smalti.server.thumbs import Thumbs
from smalti.server.watching import Watcher
from smalti.store import Dataset, DatasetVersion, Store
from smalti.store.engine import local_root
from smalti.store.rows import AuditRow, ViewRow
from smalti.store.schema import TRUTH, from_rows
from smalti.store.table import VersionTable, published_state

__all__ = ["Found", "Service", "plain"]

_FRAMES_KEPT = 8192
_UNREAD: Any = object()
_VERSION_FRESH_S = 1.0
"""How long the row of a published version is believed: its frames never change, its name and its being there may."""


def plain(value: str) -> str:
    """A path segment as it was meant: slashes that were percent-encoded come back."""
    return value.replace(SLASH, "/")


@dataclass(frozen=True, slots=True)
class Found:
    """A frame as it was read: the record, its etag and the version that it stands in."""

    version: DatasetVersion
    record: Frame
    etag: str
    known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What was found out about it; shared by all who ask for the same state of a frame."""
    legends: Any = field(default=_UNREAD, compare=False, repr=False)
    """The version's legends, where they are known already."""

    def resolution(self) -> Resolution:
        """Which masks its ROIs speak of."""
        legends = self.version.get_masks_labels() or None if self.legends is _UNREAD else self.legends
        known = self.known.get("resolution")
        if known is None or known[0] != legends:  # the legends of a draft may change without its frames
            known = self.known["resolution"] = (legends, resolve(self.record, legends))
        found: Resolution = known[1]
        return found

    def source(self, source_id: str) -> Source:
        """One source by id.

        Raises:
            Refusal: 404 with the ids that exist.
        """
        for source in self.record.sources:
            if source.id == source_id:
                return source
        known = [source.id for source in self.record.sources]
        raise Refusal(404, "source", f"frame {self.record.id!r} has no source {source_id!r}", known=known)

    def plan(self, source_id: str, mask_id: str) -> MaskPlan:
        """How to read one mask.

        Raises:
            Refusal: 404 with the ids that exist.
        """
        source = self.source(source_id)
        if all(mask.id != mask_id for mask in source.masks):
            known = [mask.id for mask in source.masks]
            raise Refusal(404, "mask", f"source {source_id!r} has no mask {mask_id!r}", known=known)
        return self.resolution().plan(mask_id, source_id)

    def overlay(self, source: Source, wanted: str) -> MaskPlan | None:
        """The mask to show over a source: by id, or for "masks" the first that has labels, None where there is none."""
        if wanted != "masks":
            return self.plan(source.id, wanted)
        plans = [p for p in self.resolution().masks if p.source.id == source.id and not p.is_alpha]
        named = [p for p in plans if p.legend is not None]
        return next(iter(named or plans), None)


def _state(table: VersionTable) -> tuple[Any, ...]:
    """Equal for tables of which the same is found out."""
    return table.fingerprint, table.mask_labels, table.names


class Service:
    """See the module."""

    def __init__(self, settings: Settings, store: Store | None = None, *, doors: Doors | None = None) -> None:
        self.settings = settings
        self.store = store if store is not None else Store(settings.store, catalog_url=settings.catalog_url)
        self.owner = self.store.user
        self.gate = Gate(self.store.catalog, self.owner, settings.token)
        self.doors = doors if doors is not None else Doors(self._policy())
        self.gate.only_owner = self.doors.policy.own_files
        self.slots = Slots(2 * (os.cpu_count() or 1))
        limits = Limits(max_pixels=settings.max_pixels, max_bytes=settings.max_media_bytes)
        # Who reads own files only has nothing to fear from them; what strangers have stored is decoded apart.
        cores = os.cpu_count() or 1
        stills = Stills(limits) if self.doors.policy.own_files else Apart(limits, cores)
        self.pictures = Pictures(
            self.doors, limits, memory_bytes=settings.memory_bytes, slots=self.slots, stills=stills
        )
        self.encoded: Lru[bytes] = Lru(settings.memory_bytes // 4, len)
        self.events = Events(int(time.time() * 1000))
        self.watcher = Watcher(self.store, self.events)
        self.jobs = Jobs(self.store.catalog, self.events)
        self.statistics = Limiter(120, 60)
        self.owner_settings: dict[str, Any] = {}
        self.metrics = Metrics()
        folder = Folder(settings.thumbs or default_cache(), settings.thumbs_bytes)
        self.thumbs = Thumbs(self.pictures, folder, self.metrics)
        self.metrics.gauges["memory_bytes"] = lambda: float(self.pictures.kept.bytes)
        self.metrics.gauges["listeners"] = lambda: float(self.events.listening)
        self._tables: OrderedDict[str, VersionTable] = OrderedDict()
        self._frames: OrderedDict[tuple[str, str, str], Found] = OrderedDict()
        self.searches: Lru[Any] = Lru(
            64 << 20, lambda found: len(found) if isinstance(found, bytes) else int(getattr(found, "nbytes", 4096))
        )
        self._versions: dict[str, tuple[float, DatasetVersion]] = {}
        self._lock = threading.Lock()
        self._editing: dict[str, threading.Lock] = {}

    def _policy(self) -> Policy:
        settings = self.settings
        folder = local_root(settings.store) if settings.store else None
        base = Path(os.path.realpath(folder)) if folder is not None else None
        roots = [Path(os.path.realpath(root)) for root in settings.roots]
        missing = [str(root) for root in roots if not root.is_dir()]
        if missing:
            raise VersionError(f"--allow-root {missing[0]}: there is no such folder")
        cloud = (settings.store,) if folder is None else ()
        return Policy(
            base=base,
            roots=(*roots, *([base] if base is not None else [])),
            own_files=settings.is_local and not self._is_shared(),
            hosts=Hosts(settings.read_hosts, public=settings.public_http),
            buckets=(*cloud, *settings.buckets),
            max_bytes=settings.max_media_bytes,
        )

    def _is_shared(self) -> bool:
        """Whether anybody besides who started the server can log in."""
        return any(user.name != self.owner for user in self.store.catalog.list_users())

    def close(self) -> None:
        """Let go of clips, listeners and the catalog."""
        self.events.close()
        self.watcher.close()
        self.jobs.close()
        self.pictures.close()
        self.store.close()

    # --------------------------------------------------------------------------------------------------- lookups
    def dataset(self, reference: str) -> Dataset:
        """A dataset by id, by name, or by project/name.

        Raises:
            Refusal: 404.
        """
        name = plain(reference)
        rows = self.store.catalog.list_datasets()
        by_id = [row for row in rows if row.uuid == name]
        if by_id:
            return Dataset(self.store, by_id[0])
        try:
            return self.store[name]
        except VersionError as error:
            raise Refusal(404, "dataset", str(error)) from None

    def version(self, reference: str) -> DatasetVersion:
        """A version by id, or as dataset@version by names.

        Raises:
            Refusal: 404.
        """
        name = plain(reference)
        dataset, at, version = name.rpartition("@")
        if at:
            return self.version_of(self.dataset(dataset), version)
        known = self._versions.get(name)
        if known is not None and time.monotonic() - known[0] < _VERSION_FRESH_S:
            return known[1]
        try:
            row = self.store.catalog.get_version(name)
            found = Dataset(self.store, self.store.catalog.get_dataset(row.dataset))
        except VersionError:
            raise Refusal(404, "version", f"there is no version {name!r}; give its id, or dataset@version") from None
        if row.state == "deleted":
            raise Refusal(404, "version", f"version {found.name}@{row.name} was deleted")
        opened = DatasetVersion(found, row)
        if row.state == "published":
            if len(self._versions) > 256:
                self._versions.clear()
            self._versions[name] = (time.monotonic(), opened)
        return opened

    def version_of(self, dataset: Dataset, reference: str) -> DatasetVersion:
        """A version of one dataset by name or id.

        Raises:
            Refusal: 404.
        """
        try:
            return dataset[plain(reference)]
        except VersionError as error:
            raise Refusal(404, "version", str(error)) from None

    def view(self, reference: str) -> ViewRow:
        """A saved data view by id.

        Raises:
            Refusal: 404.
        """
        try:
            return self.store.catalog.get_view(plain(reference))
        except VersionError as error:
            raise Refusal(404, "view", str(error)) from None

    def table(self, version: DatasetVersion) -> VersionTable:
        """The rows of a version as they are now; those of a published version stay open."""
        if version.state == "published":
            with self._lock:
                known = self._tables.get(version.id)
                # Rules of views go by names too, and a published version may get another one.
                is_same = known is not None and known.fingerprint == published_state(version.id, version.rebuilt)
                if known is not None and is_same and known.names == ((version.dataset.name,), (version.name,)):
                    self._tables.move_to_end(version.id)
                    return known
                if known is not None and not is_same:  # what was erased must not be kept in memory either
                    for place in [place for place in self._frames if place[0] == version.id]:
                        del self._frames[place]
        made = VersionTable(version)
        key = version.id if version.state == "published" else f"{version.id} draft"
        with self._lock:
            known = self._tables.get(key)
            if known is not None and _state(known) == _state(made):
                made = known  # what it has found out about its columns still holds
            self._tables[key] = made
            self._tables.move_to_end(key)
            while len(self._tables) > 32:
                self._tables.popitem(last=False)
        return made

    def frame(self, version: DatasetVersion, reference: str) -> Found:
        """A frame with its etag.

        Raises:
            Refusal: 404.
        """
        frame_id = plain(reference)
        found = self.frames(version, [frame_id])
        if frame_id not in found:
            raise Refusal(404, "frame", f"version {version.dataset.name}@{version.name} has no frame {frame_id!r}")
        return found[frame_id]

    def frames(self, version: DatasetVersion, frame_ids: Sequence[str]) -> dict[str, Found]:
        """Those of the frames that are there, by id; what is not in memory is read at once."""
        table = self.table(version)
        found: dict[str, Found] = {}
        with self._lock:
            for frame_id in frame_ids:
                key = (version.id, table.fingerprint, frame_id)
                known = self._frames.get(key)
                if known is not None:
                    self._frames.move_to_end(key)
                    found[frame_id] = Found(version, known.record, known.etag, known.known, table.mask_labels)
        missing = [frame_id for frame_id in dict.fromkeys(frame_ids) if frame_id not in found]
        if missing:
            rows = table.rows.find(missing, [*TRUTH.names, "etag"])
            for record, etag in zip(from_rows(rows), rows.column("etag").to_pylist(), strict=True):
                made = found[record.id or ""] = Found(version, record, f"{etag:016x}", legends=table.mask_labels)
                self._remember((version.id, table.fingerprint, record.id or ""), made)
        return found

    def remember(self, version: DatasetVersion, table: VersionTable, record: Frame, etag: str) -> None:
        """Keep a frame that was read for a list: its pictures will be asked for next."""
        self._remember((version.id, table.fingerprint, record.id or ""), Found(version, record, etag))

    def _remember(self, key: tuple[str, str, str], found: Found) -> None:
        with self._lock:
            self._frames[key] = found
            while len(self._frames) > _FRAMES_KEPT:
                self._frames.popitem(last=False)

    # ----------------------------------------------------------------------------------------------------- edits
    @contextmanager
    def editing(self, key: str) -> Iterator[None]:
        """One edit of one thing at a time, so that If-Match and the change belong together."""
        with self._lock:
            busy = self._editing.setdefault(key, threading.Lock())
        with busy:
            yield

    def tell(self, who: Identity | None, what: str, version: DatasetVersion | None = None, **detail: Any) -> None:
        """Write into the audit trail who did what, and tell everybody who listens."""
        name = who.name if who is not None else "nobody"
        self._versions.clear()
        self.store.catalog.record(
            AuditRow(
                who=name,
                what=what,
                dataset=version.dataset.id if version is not None else detail.get("dataset"),
                version=version.id if version is not None else None,
                detail={"via": who.via if who is not None else None, **detail},
            )
        )

    def row_etag(self, row: msgspec.Struct) -> str:
        """An entity tag of a catalog row."""
        return digest(msgspec.json.encode(row))[:16]
