"""Keeping what was costly to make: in memory by size, on disk by size; whoever asks first makes it, the others wait."""

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["Folder", "Lru"]

V = TypeVar("V")


class Lru(Generic[V]):
    """The last used things, up to a number of bytes.

    Args:
        max_bytes: how much is kept.
        weigh: the size of a thing in bytes.
    """

    def __init__(self, max_bytes: int, weigh: Callable[[V], int]) -> None:
        self.max_bytes = max_bytes
        self._weigh = weigh
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[int, V]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self.bytes = 0
        self.hits = self.misses = 0

    def get(self, key: Hashable) -> V | None:
        """What is kept under a key, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._kept.move_to_end(key)
            return found[1]

    def put(self, key: Hashable, value: V) -> None:
        """Keep something; what was used longest ago makes room."""
        weight = self._weigh(value)
        with self._lock:
            old = self._kept.pop(key, None)
            self.bytes -= old[0] if old is not None else 0
            if weight > self.max_bytes:
                return
            self._kept[key] = (weight, value)
            self.bytes += weight
            while self.bytes > self.max_bytes:
                _, (gone, _value) = self._kept.popitem(last=False)
                self.bytes -= gone

    def get_or(self, key: Hashable, make: Callable[[], V]) -> V:
        """What is kept, else what `make` gives; of several who ask at once only one makes it."""
        found = self.get(key)
        if found is not None:
            return found
        with self._lock:
            busy = self._making.setdefault(key, threading.Lock())
        try:
            with busy:
                with self._lock:
                    known = self._kept.get(key)
                if known is not None:
                    return known[1]
                value = make()
                self.put(key, value)
                return value
        finally:
            with self._lock:
                self._making.pop(key, None)

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)


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
