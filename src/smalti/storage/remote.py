"""Objects of stores that obstore speaks to: http(s), s3, gs, az, memory.

The only module that loads obstore. Clients hold sockets and threads, so they live per process and are made when
first needed.
"""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from smalti.errors import AccessDenied, StorageError
from smalti.storage.aws import s3_options
from smalti.storage.config import Storage
from smalti.storage.faults import Changed, Interrupted, LengthUnknown, RangesUnsupported, translated
from smalti.storage.uri import Place, shown

__all__ = [
    "Facts",
    "Part",
    "check_size",
    "delete",
    "head",
    "list_keys",
    "persistently",
    "put",
    "read",
    "read_part",
    "store_options",
    "stream",
]

_T = TypeVar("_T")
_MAX_CLIENTS = 64
_STREAM_BYTES = 1 << 20
_clients: OrderedDict[tuple[object, ...], Any] = OrderedDict()
_memory: dict[str, Any] = {}
_lock = threading.Lock()
_owner_pid: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a store says about an object. `modified` is ISO text, None if the store does not know."""

    size: int
    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of an object, from `start`, and what the store says about the whole."""

    data: bytes
    start: int
    facts: Facts


def _facts(meta: Any) -> Facts:
    modified: datetime = meta["last_modified"]
    return Facts(
        size=int(meta["size"]), etag=meta["e_tag"], modified=modified.isoformat() if modified.timestamp() > 0 else None
    )


# -- clients ----------------------------------------------------------------------------------------------------


def store_options(place: Place, storage: Storage) -> dict[str, str]:
    """Options for the store of a place, spelled as the object_store library spells them (Lance takes them, too)."""
    found: dict[str, str] = {}
    if place.scheme == "s3":
        found = s3_options(storage, place.endpoint)
        own = ("access_key_id", "secret_access_key", "session_token", "token", "region", "endpoint", "endpoint_url")
        known = {*own, *(f"aws_{name}" for name in own)}
        found |= {name: value for name, value in storage.given.items() if name not in known}
        return found
    found |= storage.given
    if place.scheme == "gs" and storage.anonymous:
        found["google_skip_signature"] = "true"
    if place.scheme == "az":
        given = storage.option("azure_storage_account_name", "account_name")
        account = place.account or given or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
        account = account or os.environ.get("AZURE_STORAGE_ACCOUNT")
        if not account:
            raise AccessDenied(
                f"{place.uri}: the Azure storage account is unknown; set AZURE_STORAGE_ACCOUNT_NAME or write "
                "abfs://container@account.dfs.core.windows.net/key",
                uri=place.uri,
            )
        found = {name: value for name, value in found.items() if name != "account_name"}
        found["azure_storage_account_name"] = account
        if storage.anonymous:
            found["azure_skip_signature"] = "true"
    return found


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def _guard_fork() -> None:
    """The library's threads do not survive a fork, and a call without them would wait for ever."""
    global _owner_pid
    if _owner_pid is None:
        _owner_pid = os.getpid()
    elif _owner_pid != os.getpid():
        raise StorageError(
            "this process was forked from one that had remote stores open, which cannot work; start workers with "
            'spawn: multiprocessing.get_context("spawn"), or DataLoader(..., multiprocessing_context="spawn")'
        )


def _client(place: Place, storage: Storage, *, writing: bool = False) -> Any:
    _guard_fork()
    if place.scheme == "memory":
        from obstore.store import MemoryStore

        with _lock:
            return _memory.setdefault(place.root, MemoryStore())
    options = store_options(place, storage) if place.scheme != "http" else {}
    limits = (storage.timeout_s, storage.deadline_s, storage.retries)
    identity = (place.scheme, place.root, *limits, writing, *sorted(options.items()))
    with _lock:
        if identity in _clients:
            _clients.move_to_end(identity)
            return _clients[identity]
    with translated(place):
        client = _make(place, storage, options, writing=writing)
    with _lock:
        _clients[identity] = client
        while len(_clients) > _MAX_CLIENTS:
            _clients.popitem(last=False)
    return client


def _make(place: Place, storage: Storage, options: dict[str, str], *, writing: bool) -> Any:
    from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

    # While we send, the server is silent: only the deadline bounds a write.
    silence_s = storage.deadline_s if writing else storage.timeout_s
    config: Any = dict(options)
    client: dict[str, Any] = {
        "connect_timeout": _milliseconds(min(storage.timeout_s, 10.0)),
        "read_timeout": _milliseconds(silence_s),
        "timeout": _milliseconds(storage.deadline_s),
        "allow_http": place.scheme == "http" or config.pop("allow_http", "") == "true",
    }
    retry: dict[str, Any] = {
        "max_retries": storage.retries,
        "retry_timeout": timedelta(seconds=storage.deadline_s),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
    }
    shared: dict[str, Any] = {"client_options": client, "retry_config": retry}
    if place.scheme == "http":
        return HTTPStore.from_url(place.root, **shared)
    if place.scheme == "s3":
        if "AWS_ENDPOINT_URL_S3" in os.environ:  # the library lets the variable win, even an empty one
            config["aws_endpoint_url_s3"] = config.get(
                "aws_endpoint", f"https://s3.{config['aws_region']}.amazonaws.com"
            )
        return S3Store(place.root, config=config, **shared)
    if place.scheme == "gs":
        return GCSStore(place.root, config=config, **shared)
    return AzureStore(container_name=place.root, config=config, **shared)


# -- reading ----------------------------------------------------------------------------------------------------


def check_size(place: Place, found: int, storage: Storage) -> None:
    if storage.max_bytes is not None and found > storage.max_bytes:
        raise StorageError(
            f"{shown(place.uri)}: {found} bytes, but at most {storage.max_bytes} are allowed (max_bytes)", uri=place.uri
        )


def persistently(storage: Storage, attempt: Callable[[], _T]) -> _T:
    """Repeat what broke in the middle of the bytes; the library itself repeats only what broke before them."""
    for _ in range(storage.retries):
        try:
            return attempt()
        except Interrupted:
            continue
    return attempt()


def _key(place: Place) -> str:
    if not place.key and place.scheme != "http":
        raise StorageError(f"{place.uri}: this names a bucket, not an object in it; add a key", uri=place.uri)
    return place.key


def read(place: Place, storage: Storage, *, etag: str | None = None, modified: str | None = None) -> Part:
    """All bytes of an object.

    Raises:
        NotModified: The store says that the object still has the validator that was given.
    """
    import obstore

    options: dict[str, Any] = {}
    if etag is not None:
        options["if_none_match"] = etag
    elif modified is not None:
        options["if_modified_since"] = datetime.fromisoformat(modified)
    client, key = _client(place, storage), _key(place)

    def attempt() -> Part:
        with translated(place):
            answer = obstore.get(client, key, options=options or None)  # type: ignore[arg-type]
            facts = _facts(answer.meta)
            check_size(place, facts.size, storage)
            return Part(bytes(answer.bytes()), 0, facts)

    try:
        return persistently(storage, attempt)
    except LengthUnknown:
        return _read_unmeasured(place, storage)


def stream(place: Place, storage: Storage) -> tuple[Facts, Iterator[bytes]]:
    """What the store says about an object, and its bytes in pieces, for objects that memory should not hold."""
    import obstore

    client, key = _client(place, storage), _key(place)
    try:
        with translated(place):
            answer = obstore.get(client, key)
            facts = _facts(answer.meta)
    except LengthUnknown:
        whole = _read_unmeasured(place, storage)
        return whole.facts, iter([whole.data])
    check_size(place, facts.size, storage)

    def pieces() -> Iterator[bytes]:
        with translated(place):
            for piece in answer.stream(min_chunk_size=_STREAM_BYTES):
                yield bytes(piece)

    return facts, pieces()


def _read_unmeasured(place: Place, storage: Storage) -> Part:
    """Pages that are made while they are sent have no length, which obstore insists on: read until the end."""
    from http.client import HTTPException
    from urllib.error import URLError
    from urllib.parse import quote
    from urllib.request import Request, urlopen

    where = shown(place.uri)
    address = quote(place.uri.partition("#")[0], safe="/%:@?!$&()*+,;=~[]'")  # this client wants ASCII
    deadline = time.monotonic() + storage.deadline_s
    try:
        with urlopen(Request(address, headers={"User-Agent": "smalti"}), timeout=storage.timeout_s) as answer:
            data = bytearray()
            while piece := answer.read(_STREAM_BYTES):
                data += piece
                check_size(place, len(data), storage)
                if time.monotonic() > deadline:
                    raise StorageError(f"{where}: not read within {storage.deadline_s:g} s (deadline_s)", uri=place.uri)
            etag = answer.headers.get("ETag")
    except TimeoutError:
        raise StorageError(f"{where}: timeout, the server went silent; raise timeout_s", uri=place.uri) from None
    except URLError as fault:
        raise StorageError(f"{where}: {fault.reason}; check the address", uri=place.uri) from None
    except StorageError:
        raise
    except (OSError, HTTPException):
        raise StorageError(f"{where}: the connection broke before all bytes came; try again", uri=place.uri) from None
    return Part(bytes(data), 0, Facts(len(data), etag))


def read_part(place: Place, storage: Storage, start: int, stop: int, *, etag: str | None = None) -> Part:
    """Bytes [start, stop) of an object, fewer at its end.

    Raises:
        RangesUnsupported: The server sends all or nothing.
        Changed: The object no longer has the ETag that was given.
    """
    import obstore

    client, key = _client(place, storage), _key(place)

    def attempt() -> Part:
        with translated(place):
            answer = obstore.get(client, key, options={"range": (start, stop)})
            facts = _facts(answer.meta)
            if etag is not None and facts.etag != etag:
                raise Changed(
                    f"{shown(place.uri)}: it was replaced while it was being read; open it again", uri=place.uri
                )
            return Part(bytes(answer.bytes()), answer.range[0], facts)

    return persistently(storage, attempt)


def head(place: Place, storage: Storage) -> Facts:
    """What the store says about an object, without its bytes if the server allows."""
    import obstore

    client, key = _client(place, storage), _key(place)
    try:
        with translated(place):
            return _facts(obstore.head(client, key))
    except (FileNotFoundError, AccessDenied):
        raise
    except StorageError:
        if place.scheme != "http":
            raise
    # Some servers know no HEAD: ask for one byte, and then for all.
    try:
        return read_part(place, storage, 0, 1).facts
    except (RangesUnsupported, LengthUnknown):
        return read(place, storage).facts


# -- writing ----------------------------------------------------------------------------------------------------


def _read_only(place: Place) -> None:
    if place.scheme == "http":
        raise StorageError(
            f"{shown(place.uri)}: http(s) addresses are read only here; write to a path or to s3://, gs://, az://",
            uri=place.uri,
        )


def put(
    place: Place, data: bytes, storage: Storage, *, content_type: str | None = None, overwrite: bool = True
) -> None:
    """Write an object."""
    import obstore

    _read_only(place)
    client, key = _client(place, storage, writing=True), _key(place)
    attributes: dict[str, str] | None = {"Content-Type": content_type} if content_type else None
    with translated(place):
        obstore.put(
            client,
            key,
            data,
            attributes=attributes,
            mode="overwrite" if overwrite else "create",
        )


def delete(place: Place, storage: Storage) -> None:
    """Remove an object; one that is not there is fine."""
    import obstore

    _read_only(place)
    client, key = _client(place, storage, writing=True), _key(place)
    try:
        with translated(place):
            obstore.delete(client, key)
    except FileNotFoundError:
        return


def list_keys(place: Place, storage: Storage) -> Iterator[str]:
    """Keys below a prefix that ends at a slash, in the order of the store (sorted)."""
    import obstore

    if place.scheme == "http":
        raise StorageError(f"{shown(place.uri)}: http(s) servers have no list of files; name them", uri=place.uri)
    client = _client(place, storage)
    with translated(place):
        for batch in obstore.list(client, place.key.rstrip("/") or None, chunk_size=1000):
            for meta in batch:
                yield str(meta["path"])
