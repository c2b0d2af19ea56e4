"""The ASGI application: `[/v2.23]/service.action` and the file server. Whatever is asked, the envelope answers."""

import logging
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import parse_qs, unquote

import anyio.to_thread
import msgspec

from smalti.server.clearml import (
    datasets,
    dataviews,
    downloads,
    login,
    reading,
    saving,
    snippets,
    summaries,
    tasks,
    versions,
)
from smalti.server.clearml.asked import Asked
from smalti.server.clearml.downloads import Download
from smalti.server.clearml.envelope import Fault, answer, fault_of
from smalti.server.clearml.files import Item, Shelf
from smalti.server.clearml.hub import Caller, Endpoint, Hub
from smalti.server.clearml.multipart import OnePart, boundary_of

__all__ = ["MAX_BODY", "Api", "Files"]

MAX_BODY = 160 << 20
_LOG = logging.getLogger("smalti.server.clearml")
_PATH = re.compile(r"^/*(?:v(\d+(?:\.\d+)?)/)?([a-z_]{1,40}\.[a-z0-9_]{1,80})/*$")
_METHODS = frozenset({"GET", "POST", "PUT"})
_PARTS = (datasets, versions, saving, dataviews, reading, snippets, summaries, downloads, tasks)
ENDPOINTS: dict[str, Endpoint] = {each.name: each for part in _PARTS for each in part.ENDPOINTS}

Scope = dict[str, Any]


async def _body(receive: Any, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The body piece by piece.

    Raises:
        Fault: the client went away in the middle.
    """
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Fault(400, "the request broke off before its end; send it again")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def _send(send: Any, status: int, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> None:
    given = [
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": _encoded(given)})
    await send({"type": "http.response.body", "body": body})


async def _send_file(send: Any, file: Download) -> None:
    """A file in pieces. What goes wrong before the first of them is told in the envelope."""
    piece = await anyio.to_thread.run_sync(next, file.pieces, None)
    told = [
        ("content-type", file.content_type),
        ("content-disposition", f'attachment; filename="{file.name}"'),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": _encoded(told)})
    while piece is not None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        piece = await anyio.to_thread.run_sync(next, file.pieces, None)
    await send({"type": "http.response.body", "body": b""})


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _client(scope: Scope) -> str:
    return str((scope.get("client") or ("?", 0))[0])


def _refusal(error: Exception) -> Fault:
    fault = fault_of(error)
    if fault.code == 500:
        _LOG.error("a request of the ClearML protocol failed", exc_info=error)
    return fault


class Api:
    """The endpoints.

    Args:
        hub: what they share.
        prefix: the path below which they are, "" for the root.
    """

    def __init__(self, hub: Hub, prefix: str = "") -> None:
        self.hub, self.prefix = hub, prefix

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(self.prefix)
        found = _PATH.match(path)
        name, requested = (found[2], found[1] or "") if found else (path.strip("/")[:120], "")
        data, fault = None, None
        try:
            if found is None or scope["method"] not in _METHODS:
                raise Fault(404, f"there is no endpoint {scope['method']} {path[:120]!r}")
            raw = await _whole_body(receive, _headers(scope))
            data = await anyio.to_thread.run_sync(self._run, name, scope, raw)
            if isinstance(data, Download):
                await _send_file(send, data)
                return
            status, body = await anyio.to_thread.run_sync(answer, name, requested, data)
        except Exception as error:  # noqa: BLE001 - outermost: the client must never see anything else
            fault = _refusal(error)
            status, body = answer(name, requested, None, fault)
        more = [("connection", "close")] if fault is not None and "too large" in str(fault) else []
        await _send(send, status, body, more)

    def _run(self, name: str, scope: Scope, raw: bytes) -> dict[str, Any]:
        headers = _headers(scope)
        gate = self.hub.service.gate
        if name == "auth.login":
            return login.log_in(gate, headers.get("authorization", ""), _client(scope), _query(scope, "expiration_sec"))
        caller = login.caller_of(gate, headers.get("authorization", ""), _client(scope))
        wanted = ENDPOINTS.get(name)
        if wanted is None:
            raise Fault(404, f"there is no endpoint {name!r} on this server")
        self.hub.allow(caller, wanted.role)
        body = _decoded(raw, headers.get("content-type", ""), wanted.raw)
        if name == "frames.download_for_dataview" and not body:  # a link that a browser follows
            body = {"prepare_id": _query(scope, "prepare_id")}
        return wanted.run(self.hub, Asked(body), caller)


async def _whole_body(receive: Any, headers: dict[str, str]) -> bytes:
    stated = headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > MAX_BODY:
        raise Fault(
            400, f"the request is too large: {stated} bytes, at most {MAX_BODY} are taken; send smaller batches"
        )
    pieces, size = [], 0
    async for piece in _body(receive, headers):
        size += len(piece)
        if size > MAX_BODY:
            raise Fault(400, f"the request is too large: over {MAX_BODY} bytes; send smaller batches")
        pieces.append(piece)
    return b"".join(pieces)


def _decoded(raw: bytes, content_type: str, kept: str) -> dict[str, Any]:
    """The JSON object of a body; JSON-lines become `{"lines": [...]}`. What is in the list `kept` stays text."""
    if not raw.strip():
        return {}
    try:
        if "json-lines" in content_type or "jsonlines" in content_type:
            return {"lines": [msgspec.json.decode(line) for line in raw.split(b"\n") if line.strip()]}
        found = msgspec.json.decode(raw) if not kept else _shallow(raw, kept)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault(400, f"the body is no JSON: {error}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Fault(400, f"the body is a {type(found).__name__}; send an object")
    return found


def _shallow(raw: bytes, kept: str) -> Any:
    if not raw.lstrip().startswith(b"{"):
        return msgspec.json.decode(raw)
    parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    is_list = kept in parts and bytes(parts[kept]).startswith(b"[")
    found = {key: msgspec.json.decode(part) for key, part in parts.items() if key != kept or not is_list}
    return found | ({kept: msgspec.json.decode(parts[kept], type=list[msgspec.Raw])} if is_list else {})


def _query(scope: Scope, key: str) -> str | None:
    found = parse_qs(scope.get("query_string", b"").decode("latin-1")).get(key)
    return found[0] if found else None


class Files:
    """The file server: POST stores, GET and HEAD read (with ranges), DELETE forgets.

    Args:
        hub: what endpoints share.
        shelf: the files.
        prefix: the path below which they are, "" for the root.
    """

    def __init__(self, hub: Hub, shelf: Shelf, prefix: str = "") -> None:
        self.hub, self.shelf, self.prefix = hub, shelf, prefix

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        method = scope["method"]
        try:
            headers = _headers(scope)
            role = "viewer" if method in ("GET", "HEAD") else "annotator"
            caller = await anyio.to_thread.run_sync(self._caller, headers, _client(scope), role)
            if method in ("POST", "PUT"):
                await self._store(receive, headers, caller)
                await _send(send, *answer("files.upload", "", {"uploaded": True}))
            elif method in ("GET", "HEAD"):
                await self._read(scope, headers, send)
            elif method == "DELETE":
                if not await anyio.to_thread.run_sync(self.shelf.forget, self._path(scope)):
                    raise Fault(404, f"there is no file {self._path(scope)!r}")
                await _send(send, *answer("files.delete", "", {"deleted": True}))
            else:
                raise Fault(404, f"files know no {method}")
        except Exception as error:  # noqa: BLE001 - as above
            status, body = answer("files", "", None, _refusal(error))
            await _send(send, status, b"" if method == "HEAD" else body, [("connection", "close")])

    def _caller(self, headers: dict[str, str], client: str, role: str) -> Caller:
        caller = login.caller_of(self.hub.service.gate, headers.get("authorization", ""), client)
        self.hub.allow(caller, role)
        return caller

    def _path(self, scope: Scope) -> str:
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        return unquote(raw.partition(b"?")[0].decode("latin-1"), errors="replace").removeprefix(self.prefix)

    async def _store(self, receive: Any, headers: dict[str, str], caller: Caller) -> Item:
        upload = await anyio.to_thread.run_sync(self.shelf.receive)
        with upload.file:
            part = OnePart(boundary_of(headers.get("content-type", "")), upload.write)
            waiting, size = [], 0
            async for piece in _body(receive, headers):
                waiting.append(piece)
                size += len(piece)
                if size >= 1 << 20:
                    await anyio.to_thread.run_sync(part.feed, b"".join(waiting))
                    waiting, size = [], 0
            await anyio.to_thread.run_sync(part.feed, b"".join(waiting))
            part.finish()
            return await anyio.to_thread.run_sync(self.shelf.keep, upload, part.name, caller.who.name)

    async def _read(self, scope: Scope, headers: dict[str, str], send: Any) -> None:
        item = await anyio.to_thread.run_sync(self.shelf.find, self._path(scope))
        if item is None:
            raise Fault(404, f"there is no file {self._path(scope)!r}")
        etag = f'"{item.sha256}"'
        wanted = headers.get("range", "") if headers.get("if-range", etag) == etag else ""
        status, start, stop = _range(wanted, item.size)
        if headers.get("if-none-match") == etag:
            status, start, stop = 304, 0, 0
        told = [
            ("content-type", item.content_type),
            ("content-length", str(stop - start)),
            ("etag", etag),
            ("accept-ranges", "bytes"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("cache-control", "private, no-cache"),
        ]
        if status == 206:
            told.append(("content-range", f"bytes {start}-{stop - 1}/{item.size}"))
        elif status == 416:
            told.append(("content-range", f"bytes */{item.size}"))
        await send({"type": "http.response.start", "status": status, "headers": _encoded(told)})
        if scope["method"] == "GET" and stop > start:
            pieces = self.shelf.read(item, start, stop)
            while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _range(wanted: str, size: int) -> tuple[int, int, int]:
    """The status, the first byte and the one after the last that a Range header asks for; several ranges = all."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted.strip())
    if found is None or found[0] == "bytes=-":
        return 200, 0, size
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
    return (206, start, stop) if start < stop else (416, 0, 0)
