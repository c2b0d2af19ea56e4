"""Decoding apart: stills that strangers may have stored are decoded in small processes, with bounds on memory and time.

Sizes are checked before anything is allocated, here as everywhere; what that cannot bound is a decoder's appetite and
patience (a progressive JPEG of few bytes can keep one busy for minutes) and its faults, which end a worker and not the
server. Clips stay in the server's process: a decoder that is kept open between requests cannot be sent away.
"""

import multiprocessing
import pickle
import queue
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.limits import Limits
from smalti.codecs.raster import Raster
from smalti.errors import DecodeError
from smalti.server.stills import Stills

__all__ = ["Apart"]

TIMEOUT_S = 20.0
_START_S = 60.0
_BYTES_A_PIXEL = 24
_SPARE_BYTES = 256 << 20


class _Worker:
    """One process and the way to it."""

    def __init__(self, limits: Limits) -> None:
        context = multiprocessing.get_context("spawn")
        self.way, far = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_work, args=(far, limits), name="smalti-decoder", daemon=True
        )
        self.process.start()
        far.close()
        self.is_fresh = True

    def ask(self, what: tuple[Any, ...], timeout_s: float) -> Any:
        """What the worker answers.

        Raises:
            TimeoutError: nothing in time. EOFError, OSError: it has died.
        """
        self.way.send(what)
        if not self.way.poll(timeout_s + (_START_S if self.is_fresh else 0)):
            raise TimeoutError
        self.is_fresh = False
        return pickle.loads(self.way.recv_bytes())  # bytes of our own process, which holds a decoder and no door

    def end(self) -> None:
        """At once."""
        self.way.close()
        self.process.kill()
        self.process.join(5)


class Apart(Stills):
    """See the module.

    Args:
        limits: bounds on one picture.
        count: how many processes at most; they start when they are needed.
        timeout_s: how long one picture may take.
    """

    def __init__(self, limits: Limits, count: int, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__(limits)
        self._timeout_s = timeout_s
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)
        self._lock = threading.Lock()
        self._alive: set[_Worker] = set()

    def whole(self, data: bytes, content_type: str | None) -> Raster:
        """The stored samples."""
        self.limits.check_bytes(len(data), content_type=content_type)
        found: Raster = self._ask("whole", data, content_type)
        return found

    def small_jpeg(self, data: bytes, size: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """(h, w, 3) uint8 RGB that fits into size × size, and the (height, width) in full."""
        self.limits.check_bytes(len(data), content_type="image/jpeg")
        found: tuple[NDArray[np.uint8], tuple[int, int]] = self._ask("small_jpeg", data, size)
        return found

    def _ask(self, *what: Any) -> Any:
        worker = self._idle.get()
        try:
            if worker is None:
                worker = _Worker(self.limits)
                with self._lock:
                    self._alive.add(worker)
            answer = worker.ask(what, self._timeout_s)
        except TimeoutError:
            self._end(worker)
            worker = None
            raise DecodeError(f"decoding took longer than {self._timeout_s:g} s, and was given up") from None
        except (EOFError, OSError):
            self._end(worker)
            worker = None
            raise DecodeError(
                "the decoder died of this file: it is damaged, or wants more memory than allowed"
            ) from None
        finally:
            self._idle.put(worker)
        if isinstance(answer, DecodeError):
            raise answer
        return answer

    def _end(self, worker: _Worker | None) -> None:
        if worker is not None:
            with self._lock:
                self._alive.discard(worker)
            worker.end()

    def close(self) -> None:
        """End every process."""
        with self._lock:
            alive, self._alive = self._alive, set()
        for worker in alive:
            worker.end()


def _work(way: Connection, limits: Limits) -> None:
    """What a worker does until the server closes its end."""
    stills = Stills(limits)
    _bound(_SPARE_BYTES + _BYTES_A_PIXEL * limits.max_pixels)
    while True:
        try:
            name, *arguments = way.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Any = getattr(stills, name)(*arguments)
        except DecodeError as error:
            answer = error
        except MemoryError:
            answer = DecodeError("the picture needs more memory to decode than is allowed for one")
        try:
            way.send_bytes(pickle.dumps(answer, protocol=5))
        except (BrokenPipeError, OSError):
            return


def _bound(extra_bytes: int) -> None:
    """No more address space than what is taken now and some more; where the system knows such bounds."""
    try:
        import resource
    except ImportError:
        return
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    limit = taken + extra_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
