"""Label maps kept on disk: what was decoded once is read back in a fraction of the time, whole or a box of it.

    FOLDER/kept1/maps/ab/<key>      a map (see `smalti.kept_file`)
    FOLDER/kept1/index/cd/<name>    the content hash of a file that had a certain address, size and time
    FOLDER/kept1/tmp/               files being written

A key is made of the content of the mask file, everything that the labels depend on (legend, timestamp, policy, …) and
the versions of smalti and of the layout. So a changed mask is never answered with old labels, and equal masks under
two names are kept once. Hashing reads the file: the index remembers what was hashed for as long as the file's size, time
and inode (an object's size and ETag) stay. A file that was written less than two seconds before is hashed again
next time, because another write could still get the same time. Clips of remote stores are known by address and ETag only.

Nothing is kept unless somebody asks: `use(KeptMaps(...))` in this process, or SMALTI_KEPT (`on` or a folder) with
SMALTI_KEPT_LIMIT (`20GB`) for this process and its children. Any number of processes and threads may share a folder:
files appear by rename and may vanish at any moment; each tile has a checksum, and what is damaged is removed and decoded
again. Not being able to write (a full disk) is logged and otherwise no different from not keeping.
"""

import hashlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from smalti import codecs, kept_file, storage
from smalti.errors import StorageError
from smalti.kept_file import Box, DamagedError, Place
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.storage import CacheInfo

__all__ = ["Asked", "KeptKey", "KeptMaps", "in_use", "use", "using"]

_LOG = logging.getLogger("smalti.kept")
_DEFAULT_BYTES = 20 * 10**9
_CHUNK_BYTES = 1 << 20
_FRESH_NS = 2 * 10**9
_TOUCH_NS = 60 * 10**9
_STALE_TMP_S = 3600.0
_MOST_KNOWN = 200_000

Question = tuple[Any, ...]


class KeptKey(NamedTuple):
    """What a kept map is asked for by: its name on disk, and the legend that it was asked with."""

    name: str
    legend: Legend | None


class _Address(NamedTuple):
    """A file as it stands now: a name made of its URI and its stamp."""

    name: str
    is_local: bool
    stamp: tuple[object, ...]

    @property
    def is_fresh(self) -> bool:
        """Whether another write could still get the same time."""
        return self.is_local and time.time_ns() - int(str(self.stamp[1])) < _FRESH_NS


class Asked(NamedTuple):
    """A question about a file as it stood when it was asked."""

    key: KeptKey
    uri: str
    address: _Address


@dataclass(slots=True)
class _Shared:
    """What the threads of this process know of a folder: content hashes by address and stamp, bytes added."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    known: dict[str, str] = field(default_factory=dict)
    added: int | None = None


_shared: dict[str, _Shared] = {}


@dataclass(frozen=True, slots=True)
class KeptMaps:
    """A folder of label maps.

    Attributes:
        folder: where it lies; None = beside the cache of remote files (`smalti cache show` says where that is).
        max_bytes: maps beyond this are removed, the longest unused first.
    """

    folder: Path | None = None
    max_bytes: int = _DEFAULT_BYTES

    def __post_init__(self) -> None:
        folder = self.folder
        if folder is None:
            cache = storage.default_storage().cache
            if cache is None:
                raise StorageError("there is no cache folder to keep label maps in; name one: KeptMaps(folder)")
            folder = cache.folder
        object.__setattr__(self, "folder", Path(folder).absolute())
        if self.max_bytes < 1:
            raise StorageError(f"max_bytes is {self.max_bytes}; at least 1 is needed")

    # -- by key -------------------------------------------------------------------------------------------------

    def key(self, data: bytes, legend: Legend | None, **question: Any) -> KeptKey:
        """The key of a mask file's bytes read with a legend; `question` is whatever else the labels depend on."""
        return _key(_digest(data), (legend, *sorted(question.items())))

    def get(self, key: KeptKey, box2d_xywh: Box | Place | None = None) -> LabelMap | None:
        """The map, or None where it is not kept or was damaged (then it is removed).

        Args:
            key: of the map.
            box2d_xywh: a box in pixels, or a function that is told (height, width) of the map and says which; only tiles
                that it touches are read. `settled` speaks of the whole map.

        Raises:
            ValueError: the box does not lie in the map.
        """
        path = self._path("maps", key.name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            found = kept_file.read(descriptor, key.legend, box2d_xywh)
            status = os.fstat(descriptor)
            if time.time_ns() - status.st_atime_ns > _TOUCH_NS:  # mounts rarely keep it; the longest unused go first
                os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
            return found
        except DamagedError as fault:
            _LOG.warning("the kept label map %s is damaged (%s): removed, the mask is decoded again", path, fault)
            _forget(path)
            return None
        except OSError:
            return None  # vanished, or cannot be read: as if it were not there
        finally:
            os.close(descriptor)

    def has(self, key: KeptKey) -> bool:
        """Whether the map is kept at this moment."""
        return os.path.exists(self._path("maps", key.name))

    def put(self, key: KeptKey, found: LabelMap) -> None:
        """Keep a map; where that is not possible, log it and go on."""
        if not found.data.size:
            return
        content = kept_file.pack(found, key.legend)
        if self._write(self._path("maps", key.name), content):
            self._grown(len(content))

    # -- by file ------------------------------------------------------------------------------------------------

    def ask(
        self, uri: str, question: Question, *, data: bytes | None = None, is_clip: bool = False
    ) -> tuple[Asked | None, bytes | None]:
        """What a file's labels are kept under, and the file's bytes where they are known or had to be read.

        Args:
            uri: of the mask file.
            question: all that the labels depend on besides the file; the legend and the content type come first.
            data: the file's bytes where somebody has them.
            is_clip: whether the file is a clip, which is not read whole to be decoded.

        Returns:
            None in the first place where a store cannot say that a file has changed, or a decoder is not ours.

        Raises:
            FileNotFoundError, StorageError: there is no such file.
        """
        address = _address(uri)
        if address is None or not _is_stock(question):
            return None, data
        digest = self._known(address)
        if digest is None and is_clip:
            # Of a local clip the content; of a remote one address and ETag, since hashing would transfer all of it.
            digest = self._hash_file(uri) if address.is_local else address.name
            self._note(address, digest)
        elif digest is None:
            data = data if data is not None else storage.fetch(uri)
            digest = _digest(data)
            self._note(address, digest)
        return Asked(_key(digest, question), uri, address), data

    def keep(self, asked: Asked, found: LabelMap) -> None:
        """Keep what was read, unless the file has changed since it was asked for."""
        try:
            is_same = _address(asked.uri) == asked.address
        except OSError:
            return
        if is_same:
            self.put(asked.key, found)

    def through(
        self,
        uri: str,
        question: Question,
        read: Callable[[bytes | None], LabelMap],
        *,
        data: bytes | None = None,
        is_clip: bool = False,
    ) -> LabelMap:
        """The kept map, or what `read` gives (it gets the file's bytes where they are known), which is then kept."""
        asked, data = self.ask(uri, question, data=data, is_clip=is_clip)
        if asked is None:
            return read(data)
        found = self.get(asked.key)
        if found is None:
            found = read(data)
            self.keep(asked, found)
        return found

    def _known(self, address: _Address) -> str | None:
        shared = self._mine()
        digest = shared.known.get(address.name)
        if digest is None:
            try:
                digest = Path(self._path("index", address.name)).read_text("ascii")
            except (OSError, UnicodeDecodeError):
                return None
            if len(digest) != 40:
                return None
            self._remember(address, digest)
        return digest

    def _note(self, address: _Address, digest: str) -> None:
        if not address.is_fresh:
            self._remember(address, digest)
            self._write(self._path("index", address.name), digest.encode())

    def _remember(self, address: _Address, digest: str) -> None:
        shared = self._mine()
        with shared.lock:
            if len(shared.known) >= _MOST_KNOWN:
                shared.known.clear()
            shared.known[address.name] = digest

    @staticmethod
    def _hash_file(uri: str) -> str:
        digest = hashlib.blake2b(digest_size=20)
        with storage.open_uri(uri) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    # -- files --------------------------------------------------------------------------------------------------

    @property
    def _root(self) -> str:
        return f"{self.folder}/kept1"

    def _path(self, kind: str, name: str) -> str:  # no Path: making one takes a tenth of the time of reading a crop
        return f"{self._root}/{kind}/{name[:2]}/{name}"

    def _mine(self) -> _Shared:
        return _shared.setdefault(self._root, _Shared())

    def _write(self, path: str, content: bytes) -> bool:
        temporary = Path(f"{self._root}/tmp/{os.getpid()}-{secrets.token_hex(8)}")
        try:
            try:
                temporary.write_bytes(content)
            except FileNotFoundError:
                Path(self._root).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                temporary.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(content)
            try:
                os.replace(temporary, path)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.replace(temporary, path)
        except OSError as fault:
            _LOG.warning("%s: a label map cannot be kept (%s)", self._root, fault.strerror or fault)
            _forget(temporary)
            return False
        return True

    def _files(self, kind: str) -> Iterator[tuple[Path, os.stat_result]]:
        for folder, _, names in os.walk(f"{self._root}/{kind}"):
            for name in names:
                path = Path(folder, name)
                try:
                    yield path, path.stat()
                except OSError:
                    continue

    def _grown(self, size: int) -> None:
        """Count what was added, and look at the whole folder once in a while: a look costs a walk over it."""
        shared = self._mine()
        with shared.lock:
            if shared.added is not None:
                shared.added += size
                if shared.added <= self.max_bytes // 50:
                    return
            shared.added = 0
        self.evict()

    def evict(self) -> int:
        """Remove the longest unused maps until nine tenths of the limit are kept, if it is exceeded. Bytes removed."""
        found = sorted(((s.st_atime_ns, s.st_size, path) for path, s in self._files("maps")), key=lambda row: row[:2])
        total, removed = sum(row[1] for row in found), 0
        for _used_ns, size, path in found if total > self.max_bytes else ():
            if total - removed <= self.max_bytes * 9 // 10:
                break
            if _forget(path):
                removed += size
        oldest_s = time.time() - _STALE_TMP_S
        for path, status in self._files("tmp"):
            if status.st_mtime < oldest_s:
                _forget(path)
        return removed

    def info(self) -> CacheInfo:
        """What is kept now."""
        sizes = [status.st_size for _, status in self._files("maps")]
        return CacheInfo(Path(self._root), len(sizes), sum(sizes), self.max_bytes)

    def clear(self) -> CacheInfo:
        """Remove every map. Returns what was removed."""
        files = size = 0
        for path, status in self._files("maps"):
            if _forget(path):
                files, size = files + 1, size + status.st_size
        for path, _ in self._files("index"):
            _forget(path)
        with (shared := self._mine()).lock:
            shared.known.clear()
        return CacheInfo(Path(self._root), files, size, self.max_bytes)


def _address(uri: str) -> _Address | None:
    """None where a store cannot say that a file has changed."""
    place = storage.parse_uri(uri)
    stamp = storage.stamp(uri)
    if place.is_local:
        name = _digest(f"{os.path.abspath(place.key)}\n{stamp}".encode("utf-8", "surrogatepass"))
        return _Address(name, True, stamp)
    if place.scheme == "memory" or stamp[1] is None:
        return None  # another memory each process; no ETag
    return _Address(_digest(f"{uri}\n{stamp}".encode("utf-8", "surrogatepass")), False, stamp)


def _is_stock(question: Question) -> bool:
    """Whether the decoders are ours: what another one makes of a file is not ours to keep."""
    declared = codecs.normalise(question[1]) if len(question) > 1 and isinstance(question[1], str) else None
    return codecs.has_only_built_in() and (declared is None or codecs.is_built_in(declared) or declared[:6] == "video/")


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def _key(digest: str, question: Question) -> KeptKey:
    legend = question[0]
    told = f"{digest}\n{_version()}\n{_told(legend)}\n{question[1:]!r}"
    return KeptKey(_digest(told.encode("utf-8", "surrogatepass")), legend)


@lru_cache(maxsize=64)
def _told(legend: Legend | None) -> str:
    """A legend in words: what it is, whatever made it."""
    return "" if legend is None else repr((legend.kind, legend.scheme, legend.entries))


@lru_cache(maxsize=1)
def _version() -> str:
    """Decoding may change from release to release, and so may the layout."""
    from smalti import __version__

    return f"{__version__}/{kept_file.VERSION}/{kept_file.TILE}"


def _forget(path: str | Path) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


_UNSET = object()
_chosen: Any = _UNSET


def use(maps: KeptMaps | None) -> None:
    """Keep label maps there from now on, in this process; None = keep none, whatever the environment says."""
    global _chosen
    _chosen = maps


@contextmanager
def using(maps: KeptMaps | None) -> Iterator[KeptMaps | None]:
    """As `use`, within a `with` block. All threads see it."""
    global _chosen
    before, _chosen = _chosen, maps
    try:
        yield maps
    finally:
        _chosen = before


def in_use() -> KeptMaps | None:
    """Where label maps are kept now: what `use` said, else what the environment says, else nowhere."""
    if _chosen is not _UNSET:
        chosen: KeptMaps | None = _chosen
        return chosen
    asked = os.environ.get("SMALTI_KEPT", "")
    return _from_environment(asked, os.environ.get("SMALTI_KEPT_LIMIT", "")) if asked else None


@lru_cache(maxsize=4)
def _from_environment(asked: str, limit: str) -> KeptMaps | None:
    if asked.lower() in ("off", "no", "none", "0"):
        return None
    max_bytes = storage.parse_bytes(limit, name="SMALTI_KEPT_LIMIT") if limit else _DEFAULT_BYTES
    folder = None if asked.lower() in ("on", "yes", "1") else Path(asked).expanduser()
    return KeptMaps(folder, max_bytes)
