"""What others change: scripts, the command line, other servers. Looked for while somebody listens, and told like our own.

The catalog says what became of datasets and versions; the newest state of a draft's rows says that its frames changed,
not which. What this server has told itself in the meantime is not told again.
"""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from smalti.errors import SmaltiError
from smalti.server.events import Events
from smalti.store import Dataset, DatasetVersion, Store
from smalti.store.rows import DatasetRow, VersionRow

__all__ = ["Watcher"]

_LOG = logging.getLogger("smalti.server")
EVERY_S = 2.0
_PATIENCE_S = 60.0
_DRAFTS = 64
"""Drafts whose frames are looked at, the last changed ones."""


@dataclass(slots=True)
class _Seen:
    """A store at one moment: rows by id, and the state of each draft's frames."""

    datasets: dict[str, DatasetRow] = field(default_factory=dict)
    versions: dict[str, VersionRow] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)
    told: int = 0


class Watcher:
    """Compares the store with what it was.

    Args:
        store: what is watched.
        events: who is told; their own events are passed over.
    """

    def __init__(self, store: Store, events: Events) -> None:
        self._store, self._events = store, events
        self._before: _Seen | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._heard = 0.0

    def wake(self) -> None:
        """Somebody listens: look from now on, until a minute after the last one has gone."""
        self._heard = time.monotonic()
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="smalti-watcher", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join(5)

    def _run(self) -> None:
        self._before = None
        while not self._stop.wait(EVERY_S if self._before is not None else 0):
            if self._events.listening:
                self._heard = time.monotonic()
            try:
                self.look()
            except (SmaltiError, OSError) as error:
                _LOG.warning("looking for changes by others: %s", error)
                self._before = self._before or _Seen()
            with self._lock:
                if time.monotonic() - self._heard > _PATIENCE_S:
                    self._thread = None
                    self._events.lose_sight()  # who comes back later has missed what nobody looked for
                    return

    def look(self) -> None:
        """Look once, and tell what is new since the last look."""
        before, now = self._before, self._see()
        self._before = now
        if before is None:
            return
        own = self._events.since(before.told)
        known = {(event.kind, event.data.get("version") or event.data.get("dataset")) for event in own}
        edits = Counter(event.data.get("version") for event in own if event.kind.startswith("frame"))

        def tell(kind: str, id_: str, **data: Any) -> None:
            if (kind, id_) not in known:
                self._events.publish(kind, **data)

        for id_ in now.datasets.keys() | before.datasets.keys():
            kind = _became(before.datasets.get(id_), now.datasets.get(id_))
            if kind is not None:
                tell(f"dataset.{kind}", id_, dataset=id_)
        for id_ in now.versions.keys() | before.versions.keys():
            was, row = before.versions.get(id_), now.versions.get(id_)
            kind = _became(was, row)
            if kind == "updated" and row is not None and was is not None and row.state != was.state:
                kind = {"published": "published"}.get(row.state, "updated")
            some = row or was
            if kind is not None and some is not None:
                tell(f"version.{kind}", id_, dataset=some.dataset, version=id_, name=some.name)
        for id_, head in now.heads.items():
            if id_ in before.heads and head - before.heads[id_] > edits[id_]:
                dataset = now.versions[id_].dataset
                self._events.publish("frames.changed", dataset=dataset, version=id_, who=None)

    def _see(self) -> _Seen:
        told = self._events.last
        catalog = self._store.catalog
        found = _Seen({row.uuid: row for row in catalog.list_datasets()}, told=told)
        for dataset in found.datasets.values():
            found.versions |= {row.uuid: row for row in catalog.list_versions(dataset.uuid)}
        drafts = sorted((row for row in found.versions.values() if row.state == "draft"), key=lambda row: row.updated)
        for row in drafts[-_DRAFTS:]:
            try:
                version = DatasetVersion(Dataset(self._store, found.datasets[row.dataset]), row)
                found.heads[row.uuid] = version.rows().version
            except (SmaltiError, OSError):
                continue  # deleted in between, or not readable now: the next look will see
        return found


def _became(was: DatasetRow | VersionRow | None, now: DatasetRow | VersionRow | None) -> str | None:
    if was is None or now is None:
        return "created" if now is not None else "deleted"
    return "updated" if was.updated != now.updated else None
