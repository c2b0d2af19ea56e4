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
        self._synced: set[tuple[str, int, int]] = set()
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

    def finish_files(self, paths: Iterable[str], since_ns: int) -> None:
        """fsync these files (relative to the root) and the folders that they are in."""
        if self._root is None:
            return
        files = [self._root / path for path in paths]
        for file in files:
            self._sync_file(file, file.stat(), since_ns)
        for folder in {file.parent for file in files}:
            _fsync(folder)
            _fsync(folder.parent)

    def _sync_file(self, path: str | Path, found: os.stat_result, since_ns: int) -> bool:
        """fsync a file that is new, and say whether it was. A file that grows meanwhile is new again."""
        key = (os.fspath(path), found.st_mtime_ns, found.st_size)
        with self._lock:
            if found.st_mtime_ns < since_ns or key in self._synced:
                return False
        _fsync(path)
        with self._lock:
            self._synced.add(key)
        return True

    def _sync_folder(self, folder: Path, since_ns: int) -> None:
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return
        is_changed = False
        for entry in entries:
            try:
                if entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    is_changed |= self._sync_file(entry.path, found, since_ns)
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
