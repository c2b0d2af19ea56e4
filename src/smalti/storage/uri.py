"""What a URI names: a local path, or a store and a key in it.

Bare and relative paths are URIs too. Nothing here touches a disk or a network.
"""

import os
import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from smalti.errors import StorageError

__all__ = ["SCHEMES", "Place", "UriLike", "join_uri", "parse_uri", "shown"]

UriLike: TypeAlias = str | os.PathLike[str]

SCHEMES = ("file", "http", "https", "s3", "gs", "az", "azure", "abfs", "abfss", "memory")
_ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "azure": "az", "abfs": "az", "abfss": "az", "https": "http"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://", re.ASCII)
_SECRET = re.compile(r"sig|token|key|cred|secret|password|auth", re.IGNORECASE)
_AZURE_HOST = re.compile(r"([^.@/]+)\.(?:blob|dfs)\.[^/]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of one URI lie.

    Attributes:
        uri: The URI as it was given.
        scheme: One of file, http, s3, gs, az, memory: aliases are settled.
        root: Bucket, container, or origin; empty for files. For http URIs that must be sent letter by letter (a query,
            an encoded slash) the whole URL, and then `key` is empty.
        key: Key in the store, or the local path.
        base: `base + key` spells a URI of the same store.
        account: Azure storage account, if the URI names one.
        endpoint: Origin of an S3-compatible server, if the URI names one as `s3://host:9000/bucket/key`.
    """

    uri: str
    scheme: str
    root: str
    key: str
    base: str = ""
    account: str = ""
    endpoint: str = ""

    @property
    def is_local(self) -> bool:
        """True for files of this machine."""
        return self.scheme == "file"


def parse_uri(uri: UriLike) -> Place:
    """The place that a URI or path names; StorageError if the URI cannot be understood."""
    text = os.fspath(uri)
    if not isinstance(text, str):
        raise StorageError(f"{text!r} is not a URI: it must be text or a path")
    if not text or "\0" in text:
        raise StorageError(f"{text!r} is not a URI: it is empty or holds a NUL", uri=text)
    if text[:5].lower() == "file:":
        return _parse_file(text)
    match = _SCHEME.match(text)
    if match is None:
        return Place(uri=text, scheme="file", root="", key=text)
    name = match[1].lower()
    scheme = _ALIASES.get(name, name)
    rest = text[match.end() :]
    if scheme == "http":
        return _parse_http(text)
    if scheme == "s3":
        return _parse_s3(text, rest)
    if scheme == "az":
        return _parse_azure(text, rest)
    if scheme in ("gs", "memory"):
        return _parse_bucket(text, scheme, rest)
    raise StorageError(
        f"{shown(text)}: unknown scheme {name!r}; known are {', '.join(SCHEMES)} and plain paths", uri=text
    )


def _parse_file(text: str) -> Place:
    rest = text[5:]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            raise StorageError(
                f"{text}: a file URI names the host {host!r}, but files are read from this machine only; "
                f"write file:///{host}{slash}{path} or a plain path",
                uri=text,
            )
        path = slash + path
    else:
        path = rest
    path = unquote(path)
    if not path or "\0" in path:
        raise StorageError(f"{text}: the file URI has no path; write file:///folder/name", uri=text)
    return Place(uri=text, scheme="file", root="", key=path)


def _parse_http(text: str) -> Place:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as fault:
        raise StorageError(f"{shown(text)}: not a valid address ({fault})", uri=text) from None
    if not host:
        raise StorageError(f"{shown(text)}: the address has no host", uri=text)
    origin = f"{parts.scheme.lower()}://{parts.netloc}"
    path = parts.path[1:]
    segments = path.split("/")
    letter_by_letter = bool(parts.query) or "%2f" in path.lower() or any(s in ("", ".", "..") for s in segments)
    if letter_by_letter:
        query = f"?{parts.query}" if parts.query else ""
        return Place(
            uri=text, scheme="http", root=f"{origin}/{quote(path, safe='/%:@!$&()*+,;=~' + chr(39))}{query}", key=""
        )
    return Place(uri=text, scheme="http", root=origin, key=unquote(path), base=origin + "/")


def _parse_s3(text: str, rest: str) -> Place:
    host, _, key = rest.partition("/")
    if ":" not in host:
        return _parse_bucket(text, "s3", rest)
    bucket, _, key = key.partition("/")
    if not bucket:
        raise StorageError(f"{text}: expected s3://host:port/bucket/key, but the bucket is missing", uri=text)
    return Place(uri=text, scheme="s3", root=bucket, key=key, base=f"s3://{host}/{bucket}/", endpoint=host)


def _parse_azure(text: str, rest: str) -> Place:
    host, _, key = rest.partition("/")
    start = text[: len(text) - len(rest)]
    container, at, server = host.partition("@")
    if at:  # abfs://container@account.dfs.core.windows.net/key
        return Place(
            uri=text, scheme="az", root=container, key=key, base=f"{start}{host}/", account=server.split(".")[0]
        )
    match = _AZURE_HOST.fullmatch(host)
    if match is None:
        return _parse_bucket(text, "az", rest)
    container, _, key = key.partition("/")  # azure://account.blob.core.windows.net/container/key
    if not container:
        raise StorageError(f"{text}: expected azure://{host}/container/key, but the container is missing", uri=text)
    return Place(uri=text, scheme="az", root=container, key=key, base=f"{start}{host}/{container}/", account=match[1])


def _parse_bucket(text: str, scheme: str, rest: str) -> Place:
    bucket, _, key = rest.partition("/")
    if not bucket and scheme != "memory":
        raise StorageError(f"{text}: expected {scheme}://bucket/key, but the bucket is missing", uri=text)
    start = text[: len(text) - len(rest)]
    return Place(uri=text, scheme=scheme, root=bucket, key=key, base=f"{start}{bucket}/")


def join_uri(base: UriLike, *parts: str) -> str:
    """`base` with names appended: `join_uri("s3://b/x", "y.png")` is `"s3://b/x/y.png"`.

    Parts are names as a person would write them; they are percent-encoded where the base is a file or http URI.
    """
    text = os.fspath(base)
    encoded = text[:5].lower() == "file:" or text[:7].lower() == "http://" or text[:8].lower() == "https://"
    for part in parts:
        name = quote(part, safe="/~") if encoded else part
        text = f"{text}{name}" if text.endswith("/") else f"{text}/{name}"
    return text


def shown(uri: UriLike) -> str:
    """The URI as messages and logs may show it: passwords and the values of signatures and tokens are masked."""
    text = os.fspath(uri)
    if "://" not in text:
        return text
    head, mark, query = text.partition("?")
    start, rest = head.split("://", 1)
    host, slash, path = rest.partition("/")
    if "@" in host and ":" in host.rpartition("@")[0]:
        host = "***@" + host.rpartition("@")[2]
    if mark and start.lower() in ("http", "https"):
        pairs = parse_qsl(query, keep_blank_values=True)
        query = "&".join(f"{name}={'***' if _SECRET.search(name) else value}" for name, value in pairs) or query
    return f"{start}://{host}{slash}{path}{mark}{query}"
