"""Keeping what was costly to make: in memory (`smalti.lru`), and on disk by size."""

import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from smalti.lru import Lru

__all__ = ["Folder", "Lru"]


class Folder:
    """Small files by key on disk, up to a number of bytes; any of them may vanish at any time.

    Args:
        folder: where; made when first written to.
        max_bytes: how much is kept.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def get(self, key: str) -> bytes | None:
        """The bytes of a key, or None."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes; a full or read-only disk is no error, for nothing depends on it."""
        path = self._path(key)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(name, path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                return
            with self._lock:
                if self._bytes is None:
                    self._bytes = sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())
                else:
                    self._bytes += len(data)
                if self._bytes > self.max_bytes:
                    self._bytes = self._trim()

    def _trim(self) -> int:
        """Remove the files that were used longest ago until a tenth is free; returns what is left."""
        facts = []
        for path in self.folder.rglob("*"):
            with suppress(OSError):
                if path.is_file():
                    found = path.stat()
                    facts.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in facts)
        for _, size, path in sorted(facts, key=lambda fact: fact[0]):
            if total <= self.max_bytes * 0.9:
                break
            with suppress(OSError):
                path.unlink()
            total -= size
        return total
