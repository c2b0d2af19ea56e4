"""The viewer's files, the pages that it shows, and what belongs to no noun: health, metrics, the API's description."""

import html
import re
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from smalti import __version__, kernels
from smalti.server.asking import AnyRequest
from smalti.server.auth import identity_of
from smalti.server.media import Media, conditional, digest
from smalti.server.openapi import describe
from smalti.server.payloads.others import VersionInfo
from smalti.server.problems import Refusal
from smalti.server.routes.auth import session_cookie
from smalti.server.safe_io import open_under
from smalti.server.security import SLASH
from smalti.server.service import Service, plain

__all__ = ["API", "PAGES"]

Hub = NamedDependency[Service]
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
}
_MAX_FILE = 16 << 20


@get("/version", sync_to_thread=False, tags=["server"])
def show_version() -> VersionInfo:
    """What runs here."""
    return VersionInfo(name="smalti", version=__version__, api="v1", native_kernels=bool(kernels.IS_NATIVE))


@get("/openapi.json", sync_to_thread=True, tags=["server"], include_in_schema=False)
def show_openapi(request: AnyRequest) -> Response[bytes]:
    """The description of this API (OpenAPI 3.1)."""
    data = _openapi(request.app)
    media = Media(data, "application/vnd.oai.openapi+json", digest(data), compress=True)
    answer = conditional(request, media)
    answer.headers.pop("Content-Security-Policy", None)
    return answer


@lru_cache(maxsize=4)
def _openapi(app: Any) -> bytes:
    return msgspec.json.encode(describe(app))


@get("/healthz", sync_to_thread=True, include_in_schema=False)
def healthz(hub: Hub) -> Response[bytes]:
    """200 while the store can be asked."""
    hub.store.catalog.connect()
    return Response(content=b'{"status":"ok"}', media_type="application/json", headers={"Cache-Control": "no-store"})


@get("/metrics", sync_to_thread=False, include_in_schema=False)
def metrics(hub: Hub, request: AnyRequest) -> Response[str]:
    """Counters in Prometheus' text format; where others can reach the server, for those who may read only."""
    if not hub.doors.policy.own_files and identity_of(request) is None:
        raise Refusal(401, "unauthorized", "log in first, or send an API key", headers={"WWW-Authenticate": "Bearer"})
    text = hub.metrics.text()
    return Response(content=text, media_type="text/plain; version=0.0.4", headers={"Cache-Control": "no-store"})


@get("/assets/{path:path}", sync_to_thread=True, include_in_schema=False)
def asset(hub: Hub, request: AnyRequest, path: FromPath[Path]) -> Response[bytes]:
    """A file of the viewer; its name changes with its content."""
    media = _static(hub.settings.static_folder, ["assets", *_parts(str(path))])
    if media is None:
        raise Refusal(404, "asset", "there is no such file")
    answer = conditional(request, media)
    answer.headers.pop("Content-Security-Policy", None)
    answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return answer


@get("/", sync_to_thread=True, include_in_schema=False)
def front_page(hub: Hub, request: AnyRequest) -> Response[Any]:
    """The first page."""
    return _page(hub, request)


@get("/{path:path}", sync_to_thread=True, include_in_schema=False)
def any_page(hub: Hub, request: AnyRequest) -> Response[Any]:
    """Every other page."""
    return _page(hub, request)


def _page(hub: Service, request: AnyRequest) -> Response[Any]:
    """Any page: the viewer finds out from the address what to show. A link's token becomes a cookie and disappears."""
    path = request.scope["path"]
    token = request.query_params.get("token")
    if token:
        return _enter(hub, request, path, token)
    if path.startswith("/api/"):
        raise Refusal(404, "route", f"there is no {plain(path)}; see /api/v1/openapi.json")
    folder = hub.settings.static_folder
    if path.count("/") == 1 and "." in path:
        media = _static(folder, _parts(path))
        if media is not None and not path.endswith(".html"):
            answer = conditional(request, media)
            answer.headers.pop("Content-Security-Policy", None)
            return answer
    data = _index(folder, hub.settings.prefix)
    headers = {"Cache-Control": "no-cache"}
    if data is None:
        is_known = identity_of(request) is not None
        return Response(content=_hint(is_known), media_type="text/html", headers=headers)
    return Response(content=data, media_type="text/html", headers=headers)


def _enter(hub: Service, request: AnyRequest, path: str, token: str) -> Response[Any]:
    client = (request.scope.get("client") or ("?", 0))[0]
    left = [(k, v) for k, v in request.query_params.multi_items() if k != "token"]

    # One slash at the front: "//host" in a Location would lead to another site.
    clean = (
        hub.settings.prefix
        + "/"
        + quote(path.lstrip("/")).replace(quote(SLASH), "%2F")
        + (f"?{urlencode(left)}" if left else "")
    )
    headers = {"Location": clean, "Cache-Control": "no-store"}
    if identity_of(request) is None:
        headers["Set-Cookie"] = session_cookie(hub, request, hub.gate.exchange(token, client))
    return Response(content=b"", status_code=303, headers=headers, media_type="text/html")


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    if any(part.startswith(".") or not re.fullmatch(r"[\w.@+~-]+", part) for part in parts) or not parts:
        raise Refusal(404, "asset", "there is no such file")
    return parts


def _static(folder: Path, parts: list[str]) -> Media | None:
    kind = _TYPES.get(Path(parts[-1]).suffix.lower())
    if kind is None or not folder.is_dir():
        return None
    try:
        with open_under(folder, parts, uri="/".join(parts), max_bytes=_MAX_FILE) as file:
            data = file.read()
    except OSError:
        return None
    return Media(data, kind, digest(data), compress=not kind.startswith(("image/png", "image/webp", "font/")))


def _index(folder: Path, prefix: str) -> bytes | None:
    try:
        data = (folder / "index.html").read_bytes()
    except OSError:
        return None
    if prefix:
        shown = html.escape(prefix, quote=True).encode()
        data = re.sub(rb'((?:href|src)=")/(?!/)', lambda m: m[1] + shown + b"/", data)
        data = data.replace(b"</head>", b'<meta name="smalti-base" content="' + shown + b'"></head>', 1)
    return data


def _hint(is_known: bool) -> str:
    """What is shown where the viewer was not built."""
    door = "" if is_known else "<p>Not logged in: open the link that <code>smalti serve</code> printed.</p>"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>smalti</title><h1>smalti is running</h1>'
        f"{door}<p>The viewer is not part of this installation. Build it with <code>make web</code> (node 22 or later), "
        "or install smalti from a wheel.</p>"
        '<p>The API is there: <a href="/api/v1/openapi.json">its description</a>, '
        '<a href="/api/v1/datasets">the datasets</a>.</p></html>'
    )


API = [show_version, show_openapi]
PAGES = [healthz, metrics, asset, front_page, any_page]
