"""Answers with bytes that browsers may keep: conditions, ranges and encodings, the same for every media route."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa
from litestar import Response
from litestar.response import Stream

from smalti.server.problems import Refusal

__all__ = [
    "MEDIA_HEADERS",
    "Media",
    "Sent",
    "conditional",
    "digest",
    "encode_body",
    "negotiate",
    "serve_file",
    "tag_matches",
]

MEDIA_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Disposition": "inline",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Media are never pages: whatever a browser makes of them, it runs nothing."""

NO_CACHE = "private, no-cache"
FOREVER = "private, max-age=31536000, immutable"
_ENCODERS = (("zstd", "zstd", 1), ("br", "brotli", 4), ("gzip", "gzip", 1))
_LEAST = 256
_CHUNK = 1 << 18


def digest(*parts: bytes) -> str:
    """32 hexadecimal digits that change with the content."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.hexdigest()


class Sent(Response[bytes]):
    """A finished answer: its bytes go out as they are. Half of the framework's time for a warm thumbnail was wrapping.

    Args:
        content: bytes, or a flat view of bytes that somebody keeps: a label map is sent without a copy of it.
        status: the HTTP status code.
        headers: all of them but Content-Type and Content-Length.
        media_type: Content-Type.
    """

    def __init__(self, content: bytes | memoryview, *, status: int, headers: dict[str, str], media_type: str) -> None:
        # On purpose without the base's own: it copies and checks what stands here already.
        self.content: Any = content
        self.status_code: int = status
        self.headers = headers
        self.media_type: str = media_type

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Itself."""
        return self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        if self.status_code != 304:
            head.append((b"content-type", self.media_type.encode("latin-1")))
            head.append((b"content-length", b"%d" % len(self.content)))
        await send({"type": "http.response.start", "status": self.status_code, "headers": head})
        await send({"type": "http.response.body", "body": self.content})


@dataclass(frozen=True, slots=True)
class Media:
    """A body before anybody asked for it.

    Attributes:
        data: the bytes, not encoded; or a flat view of them.
        content_type: what they are.
        etag: changes with the content; without quotes.
        compress: whether it pays to encode them.
        headers: others.
    """

    data: bytes | memoryview
    content_type: str
    etag: str
    compress: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


def negotiate(accept: str) -> str:
    """The content encoding to use for an Accept-Encoding header: "zstd", "br", "gzip" or "identity".

    Raises:
        Refusal: 406: nothing that we have is acceptable.
    """
    wanted: dict[str, float] = {}
    for item in accept.split(","):
        name, _, rest = item.strip().partition(";")
        match = re.search(r"q\s*=\s*([01](?:\.\d{0,3})?)", rest)
        if name:
            wanted[name.strip().lower()] = float(match[1]) if match else 1.0
    anything = wanted.get("*", 0.0)
    ranked = [(wanted.get(name, anything), -place, name) for place, (name, _, _) in enumerate(_ENCODERS)]
    quality, _, best = max(ranked)
    plain = wanted.get("identity", wanted.get("*", 1.0))
    if quality > 0 and (quality >= plain or "identity" not in wanted):
        return best
    if plain == 0 and quality == 0:
        raise Refusal(406, "encoding", "zstd, br, gzip and identity can be sent; accept one of them")
    return "identity" if plain > 0 else best


def encode_body(data: bytes | memoryview, encoding: str) -> bytes:
    """A body as `negotiate` said, one of its answers but "identity"."""
    name, level = next((codec, level) for key, codec, level in _ENCODERS if key == encoding)
    packed: bytes = pa.Codec(name, compression_level=level).compress(data, asbytes=True)
    return packed


def tag_matches(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags (or `*`) names this one."""
    if header.strip() == "*":
        return True
    return any(item[1] == etag and (weak or not item[0]) for item in re.findall(r'(W/)?"([^"]*)"', header))


def conditional(request: Any, media: Media, encoded: Any = None) -> Sent:
    """The answer to a request for some media: 200, 206, 304, 412 or 416.

    Args:
        request: its headers decide.
        media: what it is about.
        encoded: a cache of encoded bodies: `encoded(etag, make)`; None = encode each time.
    """
    asked = request.headers
    encoding = (
        negotiate(asked.get("accept-encoding", "")) if media.compress and len(media.data) >= _LEAST else "identity"
    )
    wants_part = "range" in asked and encoding == "identity"
    etag = media.etag if encoding == "identity" else f"{media.etag}-{encoding}"
    fresh = request.query_params.get("h") == media.etag
    headers = {
        **MEDIA_HEADERS,
        "ETag": f'"{etag}"',
        "Cache-Control": FOREVER if fresh else NO_CACHE,
        "X-Content-Hash": media.etag,
        **media.headers,
    }
    if media.compress:
        headers["Vary"] = "Accept-Encoding"
    else:
        headers["Accept-Ranges"] = "bytes"
    if "if-match" in asked and not tag_matches(asked["if-match"], etag, weak=False):
        raise Refusal(412, "precondition", "it has changed since; read it again", headers={"ETag": f'"{etag}"'})
    if "if-none-match" in asked and tag_matches(asked["if-none-match"], etag, weak=True):
        return Sent(b"", status=304, headers=headers, media_type=media.content_type)
    if wants_part and not media.compress and _range_holds(asked, etag):
        span = _span(asked["range"], len(media.data))
        if span is not None:
            start, stop = span
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(media.data)}"
            return Sent(media.data[start:stop], status=206, headers=headers, media_type=media.content_type)
    data = media.data
    if encoding != "identity":
        headers["Content-Encoding"] = encoding
        data = (
            encoded(etag, lambda: encode_body(media.data, encoding))
            if encoded is not None
            else encode_body(data, encoding)
        )
    return Sent(data, status=200, headers=headers, media_type=media.content_type)


def _range_holds(asked: Mapping[str, str], etag: str) -> bool:
    """A range counts unless If-Range names another content."""
    return "if-range" not in asked or tag_matches(asked["if-range"], etag, weak=False)


def _span(header: str, size: int) -> tuple[int, int] | None:
    """The [start, stop) of a single range; None for what is to be ignored (several ranges, other units).

    Raises:
        Refusal: 416: it lies outside.
    """
    match = re.fullmatch(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", header)
    if match is None or (not match[1] and not match[2]) or max(len(match[1]), len(match[2])) > 18:
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
        is_outside = int(match[2]) == 0 or size == 0
    else:
        start = int(match[1])
        stop = min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
        is_outside = start >= size
    if is_outside:
        raise Refusal(416, "range", f"there are {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return start, stop


def serve_file(request: Any, file: BinaryIO, size: int, content_type: str, etag: str) -> Response[Any] | Stream:
    """A file in the ranges that a player asks for, never all of it in memory; closes the file."""
    asked = request.headers
    headers = {**MEDIA_HEADERS, "ETag": f'"{etag}"', "Cache-Control": NO_CACHE, "Accept-Ranges": "bytes"}
    try:
        if "if-match" in asked and not tag_matches(asked["if-match"], etag, weak=False):
            raise Refusal(412, "precondition", "it has changed since; read it again", headers={"ETag": f'"{etag}"'})
        if "if-none-match" in asked and tag_matches(asked["if-none-match"], etag, weak=True):
            file.close()
            return Response(content=b"", status_code=304, headers=headers, media_type=content_type)
        span = _span(asked["range"], size) if "range" in asked and _range_holds(asked, etag) else None
    except Refusal:
        file.close()
        raise
    start, stop = span if span is not None else (0, size)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    headers |= {"Content-Length": str(stop - start), "Content-Type": content_type}

    def pieces() -> Any:
        with file:
            file.seek(start)
            left = stop - start
            while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk

    return Stream(pieces(), status_code=206 if span is not None else 200, headers=headers, media_type=content_type)
