"""An HTTP server on loopback whose faults can be chosen."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest


@dataclass
class Page:
    """One object and how it is served."""

    data: bytes
    ranges: bool = True
    head: bool = True
    etag: bool = True
    modified: str | None = None
    chunked: bool = False
    statuses: list[int] = field(default_factory=list)  # served first, one each request
    cuts: int = 0  # so many answers break off half way
    silent: bool = False  # never answers
    location: str | None = None


@dataclass
class Web:
    """A running server: set pages, read what was asked."""

    origin: str = ""
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    sent: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def put(self, path: str, data: bytes, **how: object) -> str:
        """Serve bytes at a path (with its query, percent-decoded). Returns the address."""
        self.pages[path] = Page(data, **how)  # type: ignore[arg-type]
        return f"{self.origin}/{path}"

    def asked(self, path: str) -> list[str | None]:
        """The Range headers of the GET requests for a path."""
        return [headers.get("range") for method, p, headers in self.requests if method == "GET" and p == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    web: Web

    def log_message(self, format: str, *args: object) -> None:
        return

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(self.path[1:])
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.web.requests.append((self.command, path, headers))
        page = self.web.pages.get(path)
        if page is None:
            return self._answer(404, b"<h1>nothing here</h1>")
        if page.silent:
            self.web.released.wait(30)
            self.close_connection = True
            return None
        if page.statuses:
            return self._answer(page.statuses.pop(0), b"in trouble")
        if self.command == "HEAD" and not page.head:
            return self._answer(405, b"")
        if page.location is not None:
            return self._answer(302, b"", {"Location": page.location})
        return self._serve(page, headers)

    def _serve(self, page: Page, headers: dict[str, str]) -> None:
        tag = f'"{hashlib.md5(page.data, usedforsecurity=False).hexdigest()}"'
        extra = {"ETag": tag} if page.etag else {}
        if page.modified:
            extra["Last-Modified"] = page.modified
        if page.etag and headers.get("if-none-match") == tag:
            return self._answer(304, b"", extra)
        if page.modified and headers.get("if-modified-since") == page.modified:
            return self._answer(304, b"", extra)
        if page.chunked:
            return self._chunks(page.data, extra, cut=self._cut(page))
        wanted = headers.get("range")
        if wanted is None or not page.ranges:
            return self._answer(200, page.data, extra, cut=self._cut(page))
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1 if last else len(page.data), len(page.data))
        if start >= len(page.data):
            return self._answer(416, b"", {"Content-Range": f"bytes */{len(page.data)}"})
        extra["Content-Range"] = f"bytes {start}-{stop - 1}/{len(page.data)}"
        return self._answer(206, page.data[start:stop], extra, cut=self._cut(page))

    @staticmethod
    def _cut(page: Page) -> bool:
        page.cuts -= 1
        return page.cuts >= 0

    def _chunks(self, data: bytes, extra: dict[str, str], *, cut: bool) -> None:
        self.send_response(200)
        for name, value in (extra | {"Transfer-Encoding": "chunked"}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            for start in range(0, len(data), 1000):
                piece = data[start : start + 1000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if cut:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: int, body: bytes, extra: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET" and status != 304:
            body = body[: len(body) // 2] if cut else body
            self.web.sent += len(body)  # before it is sent: the client may look as soon as it has all
            self.wfile.write(body)
        self.close_connection = self.close_connection or cut


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        return  # clients may hang up


@pytest.fixture
def web() -> Iterator[Web]:
    """A new server on a free port of loopback."""
    state = Web()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": state}))
    state.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
