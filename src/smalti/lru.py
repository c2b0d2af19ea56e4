"""Keeping what was costly to make, in memory and by size; whoever asks first makes it, the others wait."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Lru"]

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
