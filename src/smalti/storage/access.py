"""The verbs: read, write and list what URIs name, wherever it lies."""

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

from smalti.errors import StorageError
from smalti.storage import local, remote
from smalti.storage.cache import Cache, CacheInfo, Entry
from smalti.storage.config import Storage, default_storage
from smalti.storage.faults import LengthUnknown, NotModified, RangesUnsupported
from smalti.storage.ranges import BLOCK_BYTES, RemoteFile
from smalti.storage.uri import Place, UriLike, join_uri, parse_uri, shown

__all__ = [
    "cache_info",
    "clear_cache",
    "delete",
    "exists",
    "fetch",
    "fetch_many",
    "list_uris",
    "local_path",
    "open_uri",
    "put",
    "size",
    "stamp",
    "store_options",
]

_LOG = logging.getLogger("smalti.storage")


def _find(uri: UriLike, storage: Storage | None) -> tuple[Place, Storage]:
    storage = storage if storage is not None else default_storage()
    place = parse_uri(uri)
    if storage.schemes is not None:
        name = "https" if place.uri[:6].lower() == "https:" else place.scheme
        if name not in storage.schemes and place.scheme not in storage.schemes:
            allowed = ", ".join(sorted(storage.schemes)) or "none"
            raise StorageError(f"{shown(place.uri)}: {name} may not be used here; allowed are {allowed}", uri=place.uri)
    return place, storage


def _address(place: Place, storage: Storage) -> str | None:
    """What the cache knows an object by; None where an address says nothing (memory is another one each process)."""
    if place.scheme == "memory":
        return None
    endpoint = remote.store_options(place, storage).get("aws_endpoint", "") if place.scheme == "s3" else ""
    return "\n".join((place.scheme, endpoint, place.account, place.root, place.key))


# -- reading ----------------------------------------------------------------------------------------------------


def fetch(uri: UriLike, *, storage: Storage | None = None) -> bytes:
    """All bytes that a URI or path names.

    A remote object that the cache holds is asked for with its ETag, and transferred only if it has changed.

    Raises:
        FileNotFoundError: There is no such file or object.
        AccessDenied: We may not read it; the message says what to set.
        StorageError: Anything else that keeps the bytes away.
    """
    place, storage = _find(uri, storage)
    if place.is_local:
        return local.read(place, storage.max_bytes)
    if storage.cache is None or place.scheme == "memory":
        return remote.read(place, storage).data
    return _fetch_cached(place, storage, storage.cache)


def _fetch_cached(place: Place, storage: Storage, cache: Cache) -> bytes:
    address = _address(place, storage)
    entry = cache.lookup(address) if address is not None else None
    held = cache.read(entry) if entry is not None else None
    if entry is not None and held is not None:
        try:
            part = remote.read(place, storage, etag=entry.etag, modified=entry.modified)
        except NotModified:
            return held
    else:
        part = remote.read(place, storage)
    facts = part.facts
    if facts.etag is None and facts.modified is None:
        return part.data  # nothing to ask with later: a copy could never be used
    if entry is None or held != part.data or not _matches(entry, facts):
        try:
            cache.keep([part.data], uri=shown(place.uri), address=address, etag=facts.etag, modified=facts.modified)
        except StorageError as fault:
            _LOG.warning("%s", fault)  # the bytes are here; a full disk must not keep them from the caller
    return part.data


def _matches(entry: Entry, facts: remote.Facts) -> bool:
    return entry.matches(etag=facts.etag, modified=facts.modified, size=facts.size)


def fetch_many(
    uris: Sequence[UriLike], *, concurrency: int = 16, storage: Storage | None = None
) -> list[bytes | OSError]:
    """What fetch() gives for each URI, in order; an error takes the place of the bytes.

    Equal URIs are fetched once. At most `concurrency` are under way at a time.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}, but must be at least 1")
    storage = storage if storage is not None else default_storage()
    names = [os.fspath(uri) for uri in uris]
    wanted = list(dict.fromkeys(names))

    def one(name: str) -> bytes | OSError:
        try:
            return fetch(name, storage=storage)
        except OSError as fault:
            return fault

    if len(wanted) < 2 or concurrency == 1:
        got = [one(name) for name in wanted]
    else:
        pool = ThreadPoolExecutor(min(concurrency, len(wanted)), thread_name_prefix="smalti-fetch")
        try:
            got = list(pool.map(one, wanted))
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt must not wait for what has not begun
    found = dict(zip(wanted, got, strict=True))
    return [found[name] for name in names]


def open_uri(uri: UriLike, *, storage: Storage | None = None) -> BinaryIO:
    """A seekable binary file that reads only the ranges it is asked for.

    Remote files are RemoteFile objects with `bytes_fetched`, `requests` and `note`; where a server cannot send ranges
    the whole object is read, and `note` says so.
    """
    place, storage = _find(uri, storage)
    if place.is_local:
        return local.open_file(place, storage.max_bytes)
    try:
        part = remote.read_part(place, storage, 0, BLOCK_BYTES)
    except (RangesUnsupported, LengthUnknown):
        return cast(BinaryIO, _open_whole(place, storage))
    remote.check_size(place, part.facts.size, storage)
    if (copy := _current_copy(place, storage, part.facts)) is not None:
        return copy
    facts = part.facts

    def fetch_range(start: int, stop: int) -> bytes:
        return remote.read_part(place, storage, start, stop, etag=facts.etag).data

    return cast(BinaryIO, RemoteFile(shown(place.uri), facts.size, part.data, fetch_range))


def _open_whole(place: Place, storage: Storage) -> RemoteFile:
    data = fetch(place.uri, storage=storage)
    note = "the server does not send ranges: the whole object was read" if data else None

    def never(start: int, stop: int) -> bytes:
        raise StorageError(f"{shown(place.uri)}: bytes {start} to {stop} lie behind its end", uri=place.uri)

    return RemoteFile(shown(place.uri), len(data), data, never, note=note)


def _current_copy(place: Place, storage: Storage, facts: remote.Facts) -> BinaryIO | None:
    """The cached copy, if the store says that it is current."""
    if storage.cache is None or facts.size <= BLOCK_BYTES:
        return None
    address = _address(place, storage)
    entry = storage.cache.lookup(address) if address is not None else None
    if entry is None or not _matches(entry, facts):
        return None
    path = storage.cache.path(entry)
    try:
        return path.open("rb") if path is not None else None
    except OSError:
        return None  # removed by another process since


def local_path(uri: UriLike, *, refresh: bool = False, storage: Storage | None = None) -> Path:
    """A path that holds the bytes: the file itself, or a copy in the cache.

    With `refresh` the object is transferred even if the copy is current. The copy is read only by agreement, and may
    be removed when the cache needs room; open it soon.

    Raises:
        StorageError: The object is remote and there is no cache to copy it to.
    """
    place, storage = _find(uri, storage)
    if place.is_local:
        return local.path_of(place)
    cache = storage.cache
    if cache is None:
        raise StorageError(
            f"{shown(place.uri)}: a local copy needs a cache and this storage has none; "
            "set SMALTI_CACHE to a folder or pass Storage(cache=Cache(folder))",
            uri=place.uri,
        )
    address = _address(place, storage)
    if not refresh and address is not None and (entry := cache.lookup(address)) is not None:
        path = cache.path(entry) if _matches(entry, remote.head(place, storage)) else None
        if path is not None:
            return path

    def copy() -> Entry:
        facts, pieces = remote.stream(place, storage)
        return cache.keep(pieces, uri=shown(place.uri), address=address, etag=facts.etag, modified=facts.modified)

    for _ in range(3):
        entry = remote.persistently(storage, copy)
        if (path := cache.path(entry)) is not None:
            return path
    raise StorageError(f"{cache.folder}: copies vanish as they are made; is something else emptying it?", uri=place.uri)


def size(uri: UriLike, *, storage: Storage | None = None) -> int:
    """Length in bytes."""
    place, storage = _find(uri, storage)
    return local.size(place) if place.is_local else remote.head(place, storage).size


def stamp(uri: UriLike, *, storage: Storage | None = None) -> tuple[object, ...]:
    """What changes when the bytes change: size and time of a file, size and ETag of an object. Reads no bytes."""
    place, storage = _find(uri, storage)
    if place.is_local:
        return local.stamp(place)
    facts = remote.head(place, storage)
    return (facts.size, facts.etag, facts.modified)


def exists(uri: UriLike, *, storage: Storage | None = None) -> bool:
    """True if there is such a file or object. A directory or bucket is neither; AccessDenied is raised, not False."""
    place, storage = _find(uri, storage)
    if place.is_local:
        return local.exists(place)
    try:
        remote.head(place, storage)
    except FileNotFoundError:
        return False
    return True


# -- writing and listing ----------------------------------------------------------------------------------------


def put(
    uri: UriLike,
    data: bytes,
    *,
    content_type: str | None = None,
    overwrite: bool = True,
    storage: Storage | None = None,
) -> None:
    """Write all bytes of a file or object: readers see the old or the new, never a part. Folders are made.

    Raises:
        FileExistsError: The name is taken and `overwrite` is False.
    """
    place, storage = _find(uri, storage)
    if place.is_local:
        local.put(place, data, overwrite=overwrite)
    else:
        remote.put(place, data, storage, content_type=content_type, overwrite=overwrite)


def delete(uri: UriLike, *, storage: Storage | None = None) -> None:
    """Remove a file or object; one that is not there is fine."""
    place, storage = _find(uri, storage)
    if place.is_local:
        local.delete(place)
    else:
        remote.delete(place, storage)


def list_uris(prefix: UriLike, *, storage: Storage | None = None) -> Iterator[str]:
    """URIs of all files below a folder, however deep, sorted; none if there is no such folder.

    The prefix ends at a slash, written or not: `s3://b/masks` lists `masks/a.png`, never `masks2/a.png`.
    """
    place, storage = _find(prefix, storage)
    if place.is_local:
        return _list_local(place)
    return (place.base + key for key in remote.list_keys(place, storage))


def _list_local(place: Place) -> Iterator[str]:
    return (join_uri(place.uri, *key.split("/")) for key in local.list_keys(place))


# -- for others -------------------------------------------------------------------------------------------------


def store_options(uri: UriLike, *, storage: Storage | None = None) -> dict[str, str]:
    """Options that open the store of a URI in libraries built on object_store, such as Lance. Holds secrets."""
    place, storage = _find(uri, storage)
    return {} if place.is_local or place.scheme in ("http", "memory") else remote.store_options(place, storage)


def cache_info(storage: Storage | None = None) -> CacheInfo | None:
    """What the local cache holds; None if there is none."""
    cache = storage.cache if storage is not None else default_storage().cache
    return cache.info() if cache is not None else None


def clear_cache(storage: Storage | None = None) -> CacheInfo | None:
    """Empty the local cache. Returns what was removed; None if there is no cache."""
    cache = storage.cache if storage is not None else default_storage().cache
    return cache.clear() if cache is not None else None
