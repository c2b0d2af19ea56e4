"""Live changes: one stream of server-sent events for all, with a short memory for those who come back."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec

__all__ = ["Event", "Events"]

KEEP_ALIVE_S = 15.0
_REMEMBERED = 1000
_WAITING = 256


class Event(msgspec.Struct, frozen=True):
    """Something that happened: "frame.updated", "version.published", "job.progress", ..."""

    id: int
    kind: str
    data: dict[str, Any]

    def encode(self) -> bytes:
        """As it goes over the wire. JSON holds no raw line ends, so one data line is enough."""
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.id, self.kind.encode(), msgspec.json.encode(self.data))


class Events:
    """Tells everybody who listens. `publish` may be called from any thread.

    Args:
        first: the number of the first event; later than any of a server before, so that who comes back after a restart
            is told that something may be missing.
    """

    def __init__(self, first: int = 1) -> None:
        self._lock = threading.Lock()
        self._past: deque[Event] = deque(maxlen=_REMEMBERED)
        self._next = first
        self._listeners: dict[int, Callable[[Event | None], None]] = {}
        self._listener = 0
        self.closed = False

    def publish(self, kind: str, /, **data: Any) -> Event:
        """Tell everybody."""
        with self._lock:
            event = Event(self._next, kind, data)
            self._next += 1
            self._past.append(event)
            listeners = list(self._listeners.values())
        for tell in listeners:
            tell(event)
        return event

    def close(self) -> None:
        """End every stream: the server stops."""
        self.closed = True
        with self._lock:
            listeners = list(self._listeners.values())
        for tell in listeners:
            tell(None)

    @property
    def last(self) -> int:
        """The number of the last event."""
        return self._next - 1

    def since(self, number: int) -> list[Event]:
        """The events after one, as far as they are remembered."""
        with self._lock:
            return [event for event in self._past if event.id > number]

    def lose_sight(self) -> None:
        """Something may happen now that is not told: who comes back after it has to read anew."""
        with self._lock:
            self._past.clear()
            self._next += 1

    @property
    def listening(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    async def stream(self, after: int | None, *, keep_alive_s: float = KEEP_ALIVE_S) -> AsyncGenerator[bytes, None]:
        """What happens from now on, after what has happened since the event `after`, as far as it is remembered.

        A listener who does not keep up is told so ("reset") and should read what it shows anew.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(event: Event | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, event)

        with self._lock:
            self._listener += 1
            number = self._listener
            self._listeners[number] = tell
            missed = [event for event in self._past if after is not None and event.id > after]
            oldest = self._past[0].id if self._past else self._next
            is_lost = after is not None and (after + 1 < oldest or after >= self._next)
        try:
            yield b"retry: 3000\n\n"
            if is_lost:
                yield b"event: reset\ndata: {}\n\n"
            for event in missed if not is_lost else ():
                yield event.encode()
            while not self.closed:
                try:
                    told = await asyncio.wait_for(queue.get(), keep_alive_s)
                except TimeoutError:
                    yield b": keep-alive\n\n"
                    continue
                if told is None:
                    return
                if queue.qsize() > _WAITING:
                    while not queue.empty():
                        queue.get_nowait()
                    yield b"event: reset\ndata: {}\n\n"
                    continue
                yield told.encode()
        finally:
            with self._lock:
                self._listeners.pop(number, None)
