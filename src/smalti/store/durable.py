"""Local commits that survive a power cut: what was newly written is fsynced before it is acknowledged.

The engine's commits are atomic (a manifest is linked into place) but not durable. Object stores are durable by
themselves, so there is nothing to do for them.
"""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Durable"]

_SLACK_NS = 2_000_000_000
"""File systems round times; a file this much older than the call still counts as new."""


class Durable:
    """Remembers which files of a local folder are known to be on disk, and syncs the others."""

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._synced: set[tuple[str, int]] = set()
        self._lock = threading.Lock()

    def start(self) -> int:
        """The time to hand to `finish`: what appears after it is new."""
        return time.time_ns() - _SLACK_NS

    def finish(self, folders: Iterable[str], since_ns: int) -> None:
        """fsync every file that appeared in these folders (relative to the root) since `start`, then the folders."""
        if self._root is None:
            return
        for folder in folders:
            self._sync_folder(self._root / folder, since_ns)

    def _sync_folder(self, folder: Path, since_ns: int) -> None:
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return
        is_changed = False
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
                if found.st_mtime_ns < since_ns or not entry.is_file(follow_symlinks=False):
                    continue
                key = (entry.path, found.st_mtime_ns)
                with self._lock:
                    if key in self._synced:
                        continue
                _fsync(entry.path)
                is_changed = True
                with self._lock:
                    self._synced.add(key)
            except FileNotFoundError:  # another process cleaned up: what it removed no manifest needs
                continue
        if is_changed:
            _fsync(folder)
            _fsync(folder.parent)


def _fsync(path: str | Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
