"""Pages of an iteration as the bytes that are sent: made once, kept for other workers, and one page ahead of the client.

A page follows from the view, the place in its order and the size, so workers that each read everything share it, and a
request that is sent again is answered again. While a client takes one page apart the next is made.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec

from smalti.errors import QueryError
from smalti.iterate import Served, ViewIterator
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.shown import served_raw
from smalti.store.ingest import calm
from smalti.view import DataView

__all__ = ["Page", "Pages"]

_KEPT_BYTES = 96 << 20
_KEPT_PAGES = 256
_WORKERS = 4
Key = tuple[DataView, str, int, tuple[str, ...] | None]


@dataclass
class Page:
    """Frames in a row.

    Attributes:
        frames: their JSON.
        state: the token of the place after them.
        eof: whether they are the last.
        iterator: stands after them, for whoever makes the next page.
        size: in bytes.
    """

    frames: list[msgspec.Raw]
    state: str
    eof: bool
    iterator: ViewIterator | None

    def __post_init__(self) -> None:
        self.size = sum(map(len, self.frames))


class Pages:
    """What was made lately, and what is being made. Several threads may ask."""

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, Future[Page]] = OrderedDict()
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="smalti-clearml-page")

    def get(self, view: DataView, position: str, size: int, paths: Sequence[str] | None) -> Page:
        """The page at a place, "" for the first.

        Raises:
            Fault: the place is one of another view.
        """
        key = (view, position, size, None if paths is None else tuple(paths))
        with self._lock:
            future = self._known.get(key) or self._start(key, None)
            self._known.move_to_end(key)
        try:
            page = future.result()
        finally:
            if future.done() and future.exception() is not None:
                self._known.pop(key, None)  # the next request tries again
        if not page.eof:
            self._look_ahead((view, page.state, size, key[3]), page)
        return page

    def _look_ahead(self, key: Key, page: Page) -> None:
        with self._lock:
            is_busy = sum(not each.done() for each in self._known.values()) >= 2 * _WORKERS
            if key not in self._known and not is_busy:
                iterator, page.iterator = page.iterator, None
                self._start(key, iterator)

    def _start(self, key: Key, iterator: ViewIterator | None) -> "Future[Page]":
        future = self._known[key] = self._workers.submit(self._make, key, iterator)
        return future

    def _make(self, key: Key, iterator: ViewIterator | None) -> Page:
        view, position, size, paths = key
        with calm():
            page = _page(view, iterator or _iterator(view, position), size, paths)
        with self._lock:
            sizes = {known: each.result().size for known, each in self._known.items() if _is_good(each)}
            too_much, too_many = sum(sizes.values()) + page.size - self._most, len(self._known) - _KEPT_PAGES
            for known, freed in sizes.items():
                if too_much <= 0 and too_many <= 0:
                    break
                del self._known[known]
                too_much, too_many = too_much - freed, too_many - 1
        return page


def _is_good(future: "Future[Page]") -> bool:
    return future.done() and future.exception() is None


def _iterator(view: DataView, position: str) -> ViewIterator:
    try:
        return view.iterate(resume=position or None, output="records")
    except QueryError as error:
        raise Fault(400, f"this scroll cannot go on, start the iteration again: {error.reason}") from None


def _page(view: DataView, iterator: ViewIterator, size: int, paths: Sequence[str] | None) -> Page:
    served, eof = _take(iterator, size)
    mapping = view.mapping
    return Page([served_raw(item, mapping, paths) for item in served], iterator.state(), eof, iterator)


def _take(iterator: ViewIterator, size: int) -> tuple[list[Served], bool]:
    """Up to so many frames, and whether they are the last. With a frame for every ROI, all of one frame come together."""
    found: list[Any] = []
    left = iterator.left
    done = iterator.delivered
    is_between = True
    while len(found) < size or not is_between:
        if is_between and left is not None and iterator.delivered >= left:
            break
        try:
            found.append(next(iterator))
        except StopIteration:
            break
        is_between, done = iterator.delivered != done, iterator.delivered
    return found, left is not None and iterator.delivered >= left
