"""The two doors to bytes that a URI names: `open_under` for files, `fetch` for web servers. There is no third.

A URI is user data. What may be read is decided on what was opened, not on how it is spelled: a file on its descriptor,
a server on the address that the connection goes to. Object stores are read only below places that an operator listed.
"""

import io
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from smalti import storage
from smalti.errors import AccessDenied, StorageError
from smalti.server.auth import Limiter
from smalti.server.pinned import Hosts, Pinned
from smalti.storage import RemoteFile, Storage, parse_uri, shown

__all__ = ["Doors", "Policy", "local_parts", "open_under"]

_NEVER = ("/proc", "/sys", "/dev", "/run")
_BLOCK = 1 << 18
_FRESH_S = 30.0
_FETCHES_A_MINUTE = 3000
"""Files fetched from one web server in a minute: what a few people browse, and no flood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What frames may name.

    Attributes:
        base: the store's folder (what relative paths start from), or None for a store that is not local.
        roots: folders whose files may be read, `base` among them.
        own_files: any regular file may be read: the only user is the one who started the server, on loopback, and the
            URIs that reach this far were stored by that user (edits over HTTP cannot add others: see `check_new`).
        hosts: web servers that may be read.
        buckets: URIs of places on object stores.
        max_bytes: the largest file or object.
    """

    base: Path | None = None
    roots: tuple[Path, ...] = ()
    own_files: bool = False
    hosts: Hosts = field(default_factory=Hosts)
    buckets: tuple[str, ...] = ()
    max_bytes: int = 1 << 29


def local_parts(uri: str) -> list[str]:
    """The components of a path or `file:` URI, absolute ones starting with "/".

    Raises:
        AccessDenied: it has components or characters that could mean something else to somebody.
    """
    path = uri
    if uri[:5].lower() == "file:":
        parts = urlsplit(uri)
        if parts.netloc.lower() not in ("", "localhost") or parts.query or parts.fragment:
            raise _refused(uri, "a file URI names no host, no query and no fragment")
        path = unquote(parts.path)
    if not path or any(mark in path for mark in ("\0", "\\", "#", "?")):
        raise _refused(uri, "paths hold no NUL, backslash, # or ?")
    if path.startswith("//"):
        raise _refused(uri, "paths start with one slash")
    components = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in components:
        raise _refused(uri, "paths hold no '..'")
    if not components:
        raise _refused(uri, "it names no file")
    return ["/", *components] if path.startswith("/") else components


def _refused(uri: str, why: str) -> AccessDenied:
    return AccessDenied(f"{shown(uri)} may not be read by this server: {why}", uri=uri)


def open_under(root: Path, components: Iterable[str], *, uri: str, max_bytes: int) -> BinaryIO:
    """A regular file below a folder, reached component by component without following a single link.

    Raises:
        FileNotFoundError: there is none.
        AccessDenied: a component is a link, or the end is no regular file.
        StorageError: it is too large.
    """
    names = list(components)
    if not names:
        raise _refused(uri, "it is a folder")
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names[:-1]:
            inner = _open_in(folder, name, os.O_RDONLY | os.O_DIRECTORY, uri)
            os.close(folder)
            folder = inner
        # O_NONBLOCK: opening a FIFO must not wait for a writer; it is refused below.
        file = _open_in(folder, names[-1], os.O_RDONLY | os.O_NONBLOCK, uri)
    finally:
        os.close(folder)
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > max_bytes:
        os.close(file)
        if stat.S_ISREG(facts.st_mode):
            raise StorageError(f"{shown(uri)} has {facts.st_size} bytes, at most {max_bytes} are read here", uri=uri)
        raise _refused(uri, "it is no regular file")
    return os.fdopen(file, "rb")


def _open_in(folder: int, name: str, flags: int, uri: str) -> int:
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise FileNotFoundError(f"{shown(uri)}: there is no such file") from None
    except PermissionError:
        raise _refused(uri, "the operating system does not let this server read it") from None
    except OSError as error:  # ELOOP or ENOTDIR: a link, or a file where a folder should be
        raise _refused(uri, f"{name!r} is a link or no folder ({error.strerror})") from None


class Doors:
    """Reads what a policy allows."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._web = Pinned(policy.hosts, max_bytes=policy.max_bytes)
        self._clouds = Storage(schemes=frozenset({"s3", "gs", "az"}), max_bytes=policy.max_bytes, cache=None)
        self._recent: dict[str, tuple[float, bytes]] = {}
        self.fetches = Limiter(_FETCHES_A_MINUTE, 60)

    def read(self, uri: str) -> bytes:
        """All bytes.

        Raises:
            AccessDenied: the policy forbids it.
            FileNotFoundError, StorageError: it is not there, too large, or cannot be had.
        """
        kind = self._kind(uri)
        if kind == "file":
            with self._file(uri) as file:
                # Never by the limit: Python would set that many bytes aside first.
                return file.read(os.fstat(file.fileno()).st_size)
        known = self._recent.get(uri)
        if known is not None and time.monotonic() - known[0] < _FRESH_S:
            return known[1]
        if kind == "http":
            self._spend(uri)
        data = self._web.fetch(uri) if kind == "http" else storage.fetch(uri, storage=self._clouds)
        self._remember(uri, data)
        return data

    def open(self, uri: str) -> BinaryIO:
        """A seekable file that reads the ranges that it is asked for; errors as in `read`."""
        kind = self._kind(uri)
        if kind == "file":
            return self._file(uri)
        if kind == "cloud":
            return storage.open_uri(uri, storage=self._clouds)
        self._spend(uri)
        first = self._web.fetch_range(uri, 0, _BLOCK)
        if first.size is None:
            return io.BytesIO(first.data)

        def more(start: int, stop: int) -> bytes:
            return self._web.fetch_range(uri, start, stop).data

        return cast(BinaryIO, RemoteFile(shown(uri), first.size, first.data, more))

    def _spend(self, uri: str) -> None:
        """Nobody makes this server hammer another one."""
        self.fetches.spend((urlsplit(uri).hostname or "").lower())

    def stamp(self, uri: str) -> tuple[object, ...] | None:
        """What changes when a local file changes; None for what can only be told by reading it."""
        if self._kind(uri) != "file":
            return None
        with self._file(uri) as file:
            facts = os.fstat(file.fileno())
        return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)

    def check_new(self, uri: str) -> None:
        """Refuse a URI that somebody adds over HTTP if this server could never read it, or should not.

        Raises:
            AccessDenied: see above.
        """
        if self._kind(uri) != "file":
            return
        parts = local_parts(uri)
        if parts[0] != "/":
            if self.policy.base is None:
                raise _refused(uri, "a relative path needs a store in a folder")
            return
        path = Path(*parts)
        if not any(path.is_relative_to(root) for root in self.policy.roots):
            raise _refused(uri, "only files below the store's folder, or below --allow-root, can be added over HTTP")

    def _kind(self, uri: str) -> str:
        place = parse_uri(uri)
        if place.is_local:
            return "file"
        if place.scheme == "http":
            return "http"
        if place.scheme not in ("s3", "gs", "az"):
            raise _refused(uri, f"{place.scheme!r} is not served")
        for listed in self.policy.buckets:
            allowed = parse_uri(f"{listed.rstrip('/')}/x")
            folder = allowed.key[:-1]
            same = (allowed.scheme, allowed.endpoint, allowed.account, allowed.root)
            if same == (place.scheme, place.endpoint, place.account, place.root) and place.key.startswith(folder):
                return "cloud"
        raise _refused(uri, "its bucket is not listed; start with --allow-bucket")

    def _file(self, uri: str) -> BinaryIO:
        parts, limit = local_parts(uri), self.policy.max_bytes
        if parts[0] != "/":
            return self._relative(uri, parts)
        path = Path(*parts)
        for root in self.policy.roots:
            if path.is_relative_to(root):
                try:
                    return open_under(root, path.relative_to(root).parts, uri=uri, max_bytes=limit)
                except AccessDenied:
                    if not self.policy.own_files:
                        raise
        if self.policy.own_files:
            return self._own(path, uri)
        raise _refused(uri, "it lies outside the folders that the operator allowed; start with --allow-root")

    def _relative(self, uri: str, parts: list[str]) -> BinaryIO:
        if self.policy.base is not None:
            try:
                return open_under(self.policy.base, parts, uri=uri, max_bytes=self.policy.max_bytes)
            except FileNotFoundError:
                if not self.policy.own_files:
                    raise
        if self.policy.own_files:
            return self._own(Path.cwd().joinpath(*parts), uri)
        raise _refused(uri, "a relative path needs a store in a folder")

    def _own(self, path: Path, uri: str) -> BinaryIO:
        """A file of the user who started the server; links are followed, as that user's other programs do."""
        real = Path(os.path.realpath(path))
        if any(real.is_relative_to(place) for place in _NEVER):
            raise _refused(uri, "devices and process files are never read")
        return open_under(Path("/"), real.parts[1:], uri=uri, max_bytes=self.policy.max_bytes)

    def _remember(self, uri: str, data: bytes) -> None:
        if len(data) > 32 << 20:
            return
        self._recent[uri] = (time.monotonic(), data)
        total = sum(len(item[1]) for item in list(self._recent.values()))
        for old in list(self._recent):
            if total <= 64 << 20:
                break
            gone = self._recent.pop(old, None)
            total -= len(gone[1]) if gone is not None else 0
