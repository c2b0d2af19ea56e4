"""What handlers need to read of a request, and to say in an answer: cursors, entity tags, JSON of bounded depth."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response

from smalti.server.auth import Identity, identity_of
from smalti.server.media import Sent, tag_matches
from smalti.server.problems import Refusal

__all__ = [
    "AnyRequest",
    "as_json",
    "check_json",
    "cursor_of",
    "etag_header",
    "must_match",
    "page_of",
    "read_cursor",
    "who",
]

AnyRequest = Request[Any, Any, Any]
T = TypeVar("T")
MAX_DEPTH = 64
MAX_META_BYTES = 1 << 20


def who(request: AnyRequest) -> Identity:
    """Who makes this request; guards have seen to it that there is somebody."""
    found = identity_of(request)
    if found is None:
        raise Refusal(401, "unauthorized", "log in first")
    return found


def etag_header(etag: str) -> dict[str, str]:
    """Headers of something that can be edited."""
    return {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}


def as_json(
    found: Any, *, etag: str | None = None, request: AnyRequest | None = None, status: int = 200
) -> Response[Any]:
    """A JSON answer with its entity tag; 304 where the client has it already."""
    headers = etag_header(etag) if etag is not None else {"Cache-Control": "private, no-cache"}
    if request is not None and etag is not None and request.method == "GET":
        known = request.headers.get("if-none-match")
        if known is not None and tag_matches(known, etag, weak=True):
            return Sent(b"", status=304, headers=headers, media_type="application/json")
    content = found if isinstance(found, bytes) else msgspec.json.encode(found)
    return Sent(content, status=status, headers=headers, media_type="application/json")


def must_match(request: AnyRequest, etag: str, *, required: bool = True) -> None:
    """Refuse an edit of something that has changed since it was read.

    Raises:
        Refusal: 428 without If-Match, 412 with another one.
    """
    header = request.headers.get("if-match")
    if header is None:
        if required:
            raise Refusal(428, "precondition-required", "say in If-Match which state you edit: the ETag that you read")
        return
    if not tag_matches(header, etag, weak=False):
        raise Refusal(
            412,
            "conflict",
            "somebody changed it since you read it; read it again and repeat the edit, or save yours as a copy",
            etag=etag,
            headers={"ETag": f'"{etag}"'},
        )


def check_json(found: Any, where: str, *, max_bytes: int = MAX_META_BYTES) -> None:
    """Refuse free JSON that is nested too deeply or too large.

    Raises:
        Refusal: 400 or 413, with the JSON path.
    """
    waiting = [(found, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise Refusal(400, "nesting", f"{where} is nested more than {MAX_DEPTH} deep", path=where)
        if isinstance(item, Mapping):
            waiting += [(value, depth + 1) for value in item.values()]
        elif isinstance(item, list | tuple):
            waiting += [(value, depth + 1) for value in item]
    size = len(msgspec.json.encode(found))
    if size > max_bytes:
        raise Refusal(413, "too-large", f"{where} has {size} bytes, at most {max_bytes} are allowed", path=where)


def cursor_of(**parts: Any) -> str:
    """An opaque cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def read_cursor(cursor: str | None) -> dict[str, Any]:
    """What a cursor says; {} for none.

    Raises:
        Refusal: 400: it is not one of ours.
    """
    if not cursor:
        return {}
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, msgspec.DecodeError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise Refusal(400, "cursor", "the cursor is not one of this server; start without one")
    return found


def page_of(items: Sequence[T], cursor: str | None, limit: int) -> tuple[list[T], str | None]:
    """A page of a list that is held whole, and the cursor of the next."""
    start = read_cursor(cursor).get("o", 0)
    if not isinstance(start, int) or start < 0:
        raise Refusal(400, "cursor", "the cursor is not one of this server; start without one")
    stop = start + limit
    return list(items[start:stop]), cursor_of(o=stop) if stop < len(items) else None
