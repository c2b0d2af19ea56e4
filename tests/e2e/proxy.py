"""A small reverse proxy, as somebody would put nginx before the server: the path and the Host header pass unchanged."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["proxied"]

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade"}


@contextmanager
def proxied(origin: str, prefix: str) -> Iterator[str]:
    """Serve `origin` below `prefix` and nothing else; gives the proxy's origin."""
    behind = urlsplit(origin).netloc

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def _pass(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404, "only what lies below the prefix is passed on")
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            link = http.client.HTTPConnection(behind, timeout=30)
            try:
                link.request(self.command, self.path, body, {**dict(self.headers), "X-Forwarded-For": "127.0.0.1"})
                answer = link.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Connection", "close")
                self.end_headers()
                while part := answer.read1(65536):  # as it comes: the stream of changes never ends
                    self.wfile.write(part)
                    self.wfile.flush()
            except (OSError, http.client.HTTPException):
                pass  # a browser that went away, or the end of the test
            finally:
                self.close_connection = True
                link.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
