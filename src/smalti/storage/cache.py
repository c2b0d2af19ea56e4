"""Local copies of remote objects, named by what is in them.

    FOLDER/v1/blobs/ab/<blake2b of the bytes>[.png]    the bytes
    FOLDER/v1/index/cd/<blake2b of the address>        which bytes an address had, and the validators it had them under
    FOLDER/v1/tmp/                                     files being written

Any number of processes may share a folder: files appear by rename and may vanish at any moment, and bytes are checked
against their name before they are used. The cache never says that a copy is current; the store does (ETag).
"""

import hashlib
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from smalti.errors import StorageError

__all__ = ["Cache", "CacheInfo", "Entry"]

_LOG = logging.getLogger("smalti.storage")
_CHUNK_BYTES = 1 << 20
_STALE_TMP_S = 3600.0
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}", re.ASCII)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What an address held when it was last read."""

    uri: str
    blob: str
    size: int
    etag: str | None = None
    modified: str | None = None

    def matches(self, *, etag: str | None, modified: str | None, size: int) -> bool:
        """True if these validators say that the bytes are still the same."""
        if self.size != size:
            return False
        if self.etag is not None or etag is not None:
            return self.etag == etag
        return self.modified is not None and self.modified == modified


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """Where a cache lies and what it holds; after a clearing: what was removed."""

    folder: Path
    files: int
    bytes: int
    max_bytes: int


@dataclass(slots=True)
class _Tally:
    """What this process has done to one folder: bytes added since the last look, blobs found whole."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    added: int | None = None
    whole: dict[str, tuple[int, int, int]] = field(default_factory=dict)


_tallies: dict[Path, _Tally] = {}


def _digest() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=32)


def _forget(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False  # another process was faster, or the folder is read-only
    return True


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of local copies.

    Attributes:
        folder: Where it lies; made when first needed, readable by its owner only.
        max_bytes: Copies beyond this are removed, the longest unused first.
        grace_s: A copy used less than this long ago is never removed, so that a path that was handed out can be opened.
    """

    folder: Path
    max_bytes: int = 10 * 10**9
    grace_s: float = 60.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    # -- reading ------------------------------------------------------------------------------------------------

    def lookup(self, address: str) -> Entry | None:
        """The entry of an address, if there is one and its copy is still there."""
        try:
            entry = msgspec.json.decode(self._index(address).read_bytes(), type=Entry)
            # The name becomes a path: take nothing from an index file that could lead out of the folder.
            if not re.fullmatch(r"[0-9a-f]{64}(\.[A-Za-z0-9]{1,8})?", entry.blob):
                return None
            found = self._blob(entry.blob).stat().st_size
        except (OSError, msgspec.MsgspecError):
            return None
        return entry if found == entry.size else None

    def read(self, entry: Entry) -> bytes | None:
        """The bytes of an entry; None if they are gone or damaged (a damaged copy is removed)."""
        path = self._blob(entry.blob)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        digest = _digest()
        digest.update(data)
        if digest.hexdigest() != entry.blob[:64]:
            self._damaged(path)
            return None
        self._used(path)
        return data

    def path(self, entry: Entry) -> Path | None:
        """The file of an entry, checked; None if it is gone or damaged (a damaged copy is removed)."""
        path = self._blob(entry.blob)
        tally = self._tally()
        try:
            found = path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if tally.whole.get(entry.blob) != seen:
                digest = _digest()
                with path.open("rb") as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        digest.update(chunk)
                if digest.hexdigest() != entry.blob[:64]:
                    self._damaged(path)
                    return None
                tally.whole[entry.blob] = seen
        except OSError:
            return None
        self._used(path)
        return path

    def _damaged(self, path: Path) -> None:
        _LOG.warning("the cached copy %s is damaged: removed, it is read again from its store", path)
        _forget(path)

    @staticmethod
    def _used(path: Path) -> None:
        """Note the use in the access time: the modification time stays, so a checked copy stays known as checked."""
        try:
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        except OSError:
            return

    # -- writing ------------------------------------------------------------------------------------------------

    def keep(
        self,
        chunks: Iterable[bytes],
        *,
        uri: str,
        address: str | None = None,
        etag: str | None = None,
        modified: str | None = None,
    ) -> Entry:
        """Copy bytes into the cache; with an address and a validator they can be found again.

        Raises:
            StorageError: The folder cannot be written.
        """
        temporary: Path | None = None
        try:
            temporary = self._temporary()
            digest, size = _digest(), 0
            with temporary.open("xb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                    size += len(chunk)
            suffix = os.path.splitext(uri.partition("?")[0])[1]
            name = digest.hexdigest() + (suffix.lower() if _SUFFIX.fullmatch(suffix) else "")
            entry = Entry(uri=uri, blob=name, size=size, etag=etag, modified=modified)
            self._place(temporary, self._blob(name))
            if address is not None and (etag is not None or modified is not None):
                temporary = self._temporary()
                temporary.write_bytes(msgspec.json.encode(entry))
                self._place(temporary, self._index(address))
        except StorageError:
            raise
        except OSError as fault:
            raise StorageError(
                f"{self.folder}: the cache cannot be written ({fault.strerror or fault}); "
                "free some space, or set SMALTI_CACHE to another folder or to off"
            ) from fault
        finally:
            if temporary is not None:
                _forget(temporary)
        self._grown(size)
        return entry

    def _temporary(self) -> Path:
        folder = self.folder / "v1" / "tmp"
        if not folder.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{os.getpid()}-{secrets.token_hex(8)}"

    @staticmethod
    def _place(temporary: Path, path: Path) -> None:
        try:
            os.replace(temporary, path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, path)

    def _blob(self, name: str) -> Path:
        return self.folder / "v1" / "blobs" / name[:2] / name

    def _index(self, address: str) -> Path:
        name = hashlib.blake2b(address.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
        return self.folder / "v1" / "index" / name[:2] / name

    # -- size ---------------------------------------------------------------------------------------------------

    def _tally(self) -> _Tally:
        return _tallies.setdefault(self.folder, _Tally())

    def _grown(self, size: int) -> None:
        """Count what was added, and look at the whole folder once in a while: a look costs a walk over it."""
        tally = self._tally()
        with tally.lock:
            if tally.added is not None:
                tally.added += size
                if tally.added <= self.max_bytes // 50:
                    return
            tally.added = 0
        self.evict()

    def _files(self, kind: str) -> Iterator[tuple[Path, os.stat_result]]:
        """Every file of one kind (blobs, index, tmp) that is still there when looked at."""
        for folder, _, names in os.walk(self.folder / "v1" / kind):
            for name in names:
                path = Path(folder, name)
                try:
                    yield path, path.stat()
                except OSError:
                    continue

    def evict(self) -> int:
        """Remove the longest unused copies until nine tenths of the limit are kept. Returns the bytes removed."""
        found = sorted(((s.st_atime_ns, s.st_size, p) for p, s in self._files("blobs")), key=lambda row: row[0])
        total, removed = sum(row[1] for row in found), 0
        if total > self.max_bytes:
            newest_ns = time.time_ns() - int(self.grace_s * 1e9)
            for used_ns, size, path in found:
                if total - removed <= self.max_bytes * 9 // 10 or used_ns > newest_ns:
                    break
                if _forget(path):
                    removed += size
            self._drop_orphans()
        self._sweep()
        return removed

    def _sweep(self) -> None:
        """Remove what crashed writers left; younger files may be in the hands of a living one."""
        oldest_s = time.time() - _STALE_TMP_S
        for path, status in self._files("tmp"):
            if status.st_mtime < oldest_s:
                _forget(path)

    def _drop_orphans(self) -> None:
        for path, _ in self._files("index"):
            try:
                entry = msgspec.json.decode(path.read_bytes(), type=Entry)
            except (OSError, msgspec.MsgspecError):
                _forget(path)
                continue
            if not self._blob(entry.blob).exists():
                _forget(path)

    def info(self) -> CacheInfo:
        """What the cache holds now."""
        sizes = [status.st_size for _, status in self._files("blobs")]
        return CacheInfo(self.folder, len(sizes), sum(sizes), self.max_bytes)

    def clear(self) -> CacheInfo:
        """Remove every copy. Returns what was removed."""
        files = size = 0
        for path, status in self._files("blobs"):
            if _forget(path):
                files, size = files + 1, size + status.st_size
        for path, _ in self._files("index"):
            _forget(path)
        self._sweep()
        return CacheInfo(self.folder, files, size, self.max_bytes)
