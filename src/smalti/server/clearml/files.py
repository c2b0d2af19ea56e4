"""The file server's shelf: what was uploaded, by content; and which path stands for which content.

Contents lie under `files/sha256/` in the store, each once however often it is uploaded. A path that a client chose is
never a path on the disk: it is the name of a small record. Uploading to a path again points it to the new content, as
the client's own server does; what the old URI named before is then no longer reachable, and is swept after a day.
"""

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO

import msgspec

from smalti import storage
from smalti.server.clearml.envelope import Fault
from smalti.store.engine import local_root

__all__ = ["Item", "Shelf", "Upload", "clean_path"]

MOST_BYTES = 1 << 30
_PIECE = 1 << 18
_SWEEP_EVERY_S = 6 * 3600
_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "json": "application/json",
    "txt": "text/plain",
}
"""Types that are told to whoever downloads; anything else is a stream of bytes, so no browser runs it."""


class Item(msgspec.Struct, frozen=True):
    """What a path stands for.

    Attributes:
        path: as the client chose it, without the leading slash.
        sha256: of the content.
        size: in bytes.
        user: who uploaded it.
    """

    path: str
    sha256: str
    size: int
    user: str = ""

    @property
    def content_type(self) -> str:
        """By the end of the path."""
        return _TYPES.get(self.path.rpartition(".")[2].lower(), "application/octet-stream")


def clean_path(text: str) -> str:
    """A path below the root, without a leading slash.

    Raises:
        Fault: it leads elsewhere, or holds what no path should.
    """
    parts = [part for part in text.split("/") if part not in ("", ".")]
    is_odd = any(ord(c) < 32 or ord(c) == 127 or c == "\\" or "\ud800" <= c <= "\udfff" for c in text)
    if not parts or ".." in parts or is_odd:
        raise Fault(400, "a file's path has names between slashes: no '..', no backslash, no control characters")
    if len(text.encode()) > 2048:
        raise Fault(400, f"the path has {len(text.encode())} bytes; at most 2048 are allowed")
    return "/".join(parts)


class Upload:
    """A file on its way in.

    Args:
        file: where the bytes wait.
        most: bytes that are taken.
    """

    def __init__(self, file: IO[bytes], most: int) -> None:
        self.file, self._most = file, most
        self.size = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            Fault: they are too many.
        """
        self.size += len(data)
        if self.size > self._most:
            raise Fault(400, f"the file has more than {self._most} bytes, which is all that this server takes")
        self._digest.update(data)
        self.file.write(data)

    @property
    def sha256(self) -> str:
        """The name of the content."""
        return self._digest.hexdigest()


class Shelf:
    """The files of one store.

    Args:
        store_uri: where the store is; the files lie in its folder `files`.
        most_bytes: the largest file.
    """

    def __init__(self, store_uri: str, most_bytes: int = MOST_BYTES) -> None:
        self._folder = local_root(store_uri)
        self.uri = f"{store_uri.rstrip('/')}/files" if self._folder is None else str(self._folder / "files")
        self.most_bytes = most_bytes
        self._next_sweep_s = 0.0

    def receive(self) -> Upload:
        """A place for an upload; closing its file throws it away."""
        if self._folder is not None:
            incoming = Path(self.uri) / "incoming"
            incoming.mkdir(parents=True, exist_ok=True)
            return Upload(tempfile.NamedTemporaryFile(dir=incoming), self.most_bytes)
        return Upload(tempfile.TemporaryFile(), self.most_bytes)

    def keep(self, upload: Upload, path: str, user: str) -> Item:
        """Put an upload on the shelf: the content first, then the name, so a name always leads somewhere."""
        item = Item(clean_path(path), upload.sha256, upload.size, user)
        upload.file.flush()
        target = self._content(item.sha256)
        if not storage.exists(target):
            self._place(upload, target)
        elif self._folder is not None:
            os.utime(target)  # wanted again: a sweep that looks now leaves it alone
        storage.put(self._record(item.path), msgspec.json.encode(item))
        if not storage.exists(target):  # swept as nameless in the moment before
            self._place(upload, target)
        self._sweep_sometimes()
        return item

    def _sweep_sometimes(self) -> None:
        """Sweep in the background, with the first upload and then every few hours."""
        now = time.monotonic()
        if now >= self._next_sweep_s:
            self._next_sweep_s = now + _SWEEP_EVERY_S
            threading.Thread(target=self.sweep, name="smalti-clearml-sweep", daemon=True).start()

    def _place(self, upload: Upload, target: str) -> None:
        if self._folder is None:
            upload.file.seek(0)
            storage.put(target, upload.file.read())
            return
        os.fsync(upload.file.fileno())
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(upload.file.name, target)
        except FileExistsError:
            return  # somebody uploaded the same content meanwhile
        folder = os.open(Path(target).parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _content(self, sha256: str) -> str:
        return f"{self.uri}/{self.relative(sha256)}"

    def relative(self, sha256: str) -> str:
        """Where a content lies, from the shelf."""
        return f"sha256/{sha256[:2]}/{sha256}"

    def _record(self, path: str) -> str:
        name = hashlib.sha256(path.encode()).hexdigest()
        return f"{self.uri}/names/{name[:2]}/{name}"

    def find(self, path: str) -> Item | None:
        """What a path stands for; None for nothing."""
        try:
            raw = storage.fetch(self._record(clean_path(path)))
        except FileNotFoundError:
            return None
        return msgspec.json.decode(raw, type=Item)

    def sweep(self, older_than: timedelta = timedelta(days=1)) -> int:
        """Remove uploads that broke off and contents that no name leads to; only on a local disk. Returns how many.

        Args:
            older_than: younger ones may be on their way, or about to be named.
        """
        if self._folder is None:
            return 0
        limit = time.time() - older_than.total_seconds()
        root = Path(self.uri)
        named = {
            msgspec.json.decode(path.read_bytes(), type=Item).sha256
            for path in root.glob("names/*/*")
            if path.is_file() and not path.name.startswith(".")
        }
        suspects = [*root.glob("incoming/*"), *(p for p in root.glob("sha256/*/*") if p.name not in named)]
        suspects += root.glob("names/*/.*")  # what a killed server was about to rename
        swept = 0
        for path in suspects:
            if _is_older(path, limit):
                path.unlink(missing_ok=True)
                swept += 1
        return swept

    def forget(self, path: str) -> bool:
        """Take a path off the shelf. Its content stays: another path may stand for it."""
        if self.find(path) is None:
            return False
        storage.delete(self._record(clean_path(path)))
        return True

    def read(self, item: Item, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`, piece by piece."""
        with storage.open_uri(self._content(item.sha256)) as file:
            file.seek(start)
            left = stop - start
            while left > 0 and (piece := file.read(min(_PIECE, left))):
                left -= len(piece)
                yield piece


def _is_older(path: Path, limit: float) -> bool:
    try:
        return path.stat().st_mtime < limit
    except FileNotFoundError:  # finished, or swept by somebody else
        return False
