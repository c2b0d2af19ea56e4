"""What stands before every request: names of hosts, paths, headers, who asks, and whether another site made them ask.

Pure ASGI: nothing here buffers a body or wraps a response in another one, so streams and cancellation work.
"""

import ipaddress
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import anyio.to_thread
import msgspec

from smalti.server.auth import Gate, Identity
from smalti.server.problems import MEDIA_TYPE, Problem, Refusal

__all__ = ["CSP", "HEADERS", "SLASH", "Front", "cookie_name", "host_is_allowed"]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "worker-src 'self'; media-src 'self' blob:; font-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
SLASH = "\ue02f"
"""Stands for a slash inside a path segment: servers decode %2F before they route, and ids may hold slashes."""

_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LOCAL_NAMES = ("localhost",)
Scope = dict[str, Any]


def cookie_name(port: int) -> str:
    """Cookies know hosts and not ports: two servers on one machine need two names."""
    return f"smalti_session_{port}"


@lru_cache(maxsize=256)
def host_is_allowed(host: str, names: tuple[str, ...]) -> bool:
    """Whether a Host header may name us. An address in digits may: a rebound name is never one."""
    if not host or any(c in host for c in "/\\@ \t"):
        return False
    try:
        parts = urlsplit(f"//{host}")
        bare, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    allowed = {name.lower() for name in (*_LOCAL_NAMES, *names)}
    if bare in allowed or host.lower() in allowed:
        return True
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return True


class Front:
    """The outermost application.

    Args:
        app: what answers.
        gate: who may come in.
        names: what the server may be called.
        prefix: the path that a reverse proxy puts before ours.
        cookie: the name of the session cookie.
    """

    def __init__(self, app: Any, gate: Gate, *, names: tuple[str, ...], prefix: str, cookie: str) -> None:
        self.app, self.gate = app, gate
        self.names, self.prefix, self.cookie = names, prefix, cookie

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        guarded = _with_headers(send)
        try:
            self._check_host(headers)
            scope["path"] = _routing_path(scope, self.prefix)
            scope["raw_path"] = quote(scope["path"]).encode()
            await self._identify(scope, headers)
            self._check_origin(scope, headers)
        except Refusal as refusal:
            await _refuse(guarded, refusal)
            return
        await self.app(scope, receive, guarded)

    def _check_host(self, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if not host_is_allowed(host, self.names):
            raise Refusal(
                400, "host", f"this server is not called {host!r}; an operator can add the name with --allow-name"
            )

    async def _identify(self, scope: Scope, headers: dict[str, str]) -> None:
        scope["smalti.identity"] = None
        scope["smalti.cookie"] = cookie = _cookie(headers.get("cookie", ""), self.cookie)
        header = headers.get("authorization")
        look: Callable[[], Identity | None]
        if header:
            client = (scope.get("client") or ("?", 0))[0]
            scope["smalti.cookie"] = None
            look = partial(self.gate.by_header, header, client)
        elif cookie is not None:
            look = partial(self.gate.by_cookie, cookie)
        else:
            return
        if self.gate.is_at_hand(cookie, header or None):
            scope["smalti.identity"] = look()
        else:
            scope["smalti.identity"] = await anyio.to_thread.run_sync(look)

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> None:
        """Cross-site request forgery: a request that changes something and brings a cookie must come from our pages."""
        if scope["method"] not in _UNSAFE or "authorization" in headers:
            return
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refusal(403, "cross-site", "another site made this request; open the page of this server instead")
        origin = headers.get("origin")
        if origin is None and scope["smalti.cookie"] is not None:
            raise Refusal(403, "cross-site", "a request with a cookie must say its Origin; programs use an API key")
        if origin is not None and not _same_origin(origin, headers.get("host", ""), scope.get("scheme", "http")):
            raise Refusal(
                403, "cross-site", f"a page of {origin} made this request; open the page of this server instead"
            )
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if has_body and not (
            kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
        ):
            raise Refusal(415, "content-type", f"the body is {kind or 'of no stated type'}; send application/json")


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        # A second Host or Origin would let two readers see two requests.
        found[key] = "\0" if key in ("host", "origin") and key in found else value.decode("latin-1")
    return found


def _cookie(header: str, name: str) -> str | None:
    """The value of one cookie. Ours holds letters, digits, - and _ only, so nothing needs to be unquoted."""
    for item in header.split(";"):
        key, _, value = item.strip().partition("=")
        if key == name:
            return value.strip('"') or None
    return None


def _same_origin(origin: str, host: str, scheme: str) -> bool:
    try:
        parts = urlsplit(origin)
        given = (parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme))
        own = urlsplit(f"{scheme}://{host}")
        # Behind a proxy that does not say so, https looks like http from here: the host and an explicit port decide.
        ports = {own.port} if own.port else {80, 443}
    except ValueError:
        return False
    return given[0] == own.hostname and given[1] in ports and parts.scheme in ("http", "https")


def _routing_path(scope: Scope, prefix: str) -> str:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    text = raw.partition(b"?")[0].decode("ascii", "replace")
    path = unquote(text.replace("%2F", quote(SLASH)).replace("%2f", quote(SLASH)), errors="replace")
    if "\0" in path:
        raise Refusal(400, "path", "the path holds a NUL")
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        path = path[len(prefix) :]
    return path or "/"


def _with_headers(send: Any) -> Callable[[Any], Any]:
    async def guarded(message: Any) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *((k, v) for k, v in HEADERS if k not in given)]
        await send(message)

    return guarded


async def _refuse(send: Any, refusal: Refusal) -> None:
    problem: Problem = refusal.problem
    body = msgspec.json.encode(problem)
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((k.lower().encode(), v.encode()) for k, v in refusal.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
