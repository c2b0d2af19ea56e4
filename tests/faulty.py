"""A proxy in front of the S3 emulator that misbehaves as networks and object stores do."""

import http.client
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["FAULTS", "Faults", "faulty"]

FAULTS = ("refused", "unanswered", "cut short", "silent")
"""503; applied and then the connection is dropped; dropped before it was applied; no answer until the client gives up."""


class Faults:
    """Which requests go wrong, and how many did.

    Args:
        every: so many requests one goes wrong; which of them that hits is up to the threads of the client.
        kinds: of `FAULTS`, in turn.
        silence_s: how long a silent one says nothing.
    """

    def __init__(self, every: int, kinds: tuple[str, ...] = FAULTS, *, silence_s: float = 2.0) -> None:
        self.silence_s = silence_s
        self.counts: Counter[str] = Counter()
        self.stopped = threading.Event()
        self._every = every
        self._kinds = itertools.cycle(kinds)
        self._lock = threading.Lock()

    def next(self) -> str:
        """What shall happen to this request."""
        with self._lock:
            kind = next(self._kinds) if self.counts.total() % self._every == self._every - 1 else "answered"
            self.counts[kind] += 1
            return kind


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    address: tuple[str, int]
    faults: Faults

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.faults.next()
        if kind == "cut short":
            self.close_connection = True
            return
        if kind == "refused":
            self._answer(503, {"Content-Type": "application/xml"}, b"<Error><Code>SlowDown</Code></Error>")
            return
        upstream = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            data = answer.read()
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("transfer-encoding", "connection")}
        finally:
            upstream.close()
        if kind == "silent":
            self.faults.stopped.wait(self.faults.silence_s)
        if kind in ("silent", "unanswered"):
            self.close_connection = True
            return
        self._answer(answer.status, headers, data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        length = headers.get("Content-Length", headers.get("content-length")) if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def faulty(address: str, faults: Faults) -> Iterator[str]:
    """The address of a proxy in front of `address`."""
    place = urlsplit(address)
    handler = type("Handler", (_Handler,), {"address": (place.hostname, place.port), "faults": faults})

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that gave up are what this is about."""

    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        faults.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
