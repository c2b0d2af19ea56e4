"""Clips that stay open between requests: neighbouring pictures go on with the decoder that the last one left."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from smalti import codecs, storage
from smalti.errors import DecodeError
from smalti.steady import Steady

if TYPE_CHECKING:
    from smalti.codecs.clip import Clip

__all__ = ["MAX_OPEN_CLIPS", "OpenClip", "close_clips", "is_clip", "lend_clip", "open_clip"]

MAX_OPEN_CLIPS = 8
"""How many clips stay open; each holds a decoder, its index, and the labels of the last picture where those help."""

_VIDEO_ENDINGS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg", ".ts", ".ogv")


def is_clip(uri: str, content_type: str | None) -> bool:
    """Whether to open the URI as a clip, before any byte of it is read; the magic bytes have the last word."""
    if content_type is not None and codecs.is_video(content_type, b""):
        return True
    return content_type is None and uri.split("?", 1)[0].lower().endswith(_VIDEO_ENDINGS)


@dataclass(slots=True, eq=False)
class OpenClip:
    """A clip, the lock that its one user at a time holds, and what its last pictures taught about the next."""

    clip: "Clip"
    file: BinaryIO
    busy: threading.Lock = field(default_factory=threading.Lock)
    steady: Steady = field(default_factory=Steady)
    is_closed: bool = False

    def close(self) -> None:
        """Close the decoder and the file below it, which it only borrows."""
        self.is_closed = True
        self.clip.close()
        self.file.close()


class _Pool:
    """Open clips by URI, the least recently used closed first. One request at a time per clip."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clips: OrderedDict[tuple[str, object], OpenClip] = OrderedDict()

    @contextmanager
    def lend(self, uri: str, content_type: str | None) -> Iterator[OpenClip]:
        # A decoder does not survive a fork: the process is part of the key.
        key = (uri, (os.getpid(), *storage.stamp(uri)))
        while True:
            entry = self._entry(key, uri, content_type)
            with entry.busy:
                # Another thread may have put it out of the pool while this one waited for it.
                if entry.is_closed:
                    continue
                yield entry
            break
        self._settle(key)

    def _entry(self, key: tuple[str, object], uri: str, content_type: str | None) -> OpenClip:
        with self._lock:
            entry = self._clips.get(key)
        if entry is not None:
            return entry
        file = storage.open_uri(uri)
        try:
            opened = OpenClip(codecs.open_clip(file, content_type=content_type, uri=uri), file)
        except BaseException:
            file.close()
            raise
        with self._lock:
            entry = self._clips.setdefault(key, opened)
        if entry is not opened:
            opened.close()
        return entry

    def _settle(self, key: tuple[str, object]) -> None:
        """Mark as used last, and close what is over the limit and idle."""
        with self._lock:
            if key in self._clips:
                self._clips.move_to_end(key)
            for old in list(self._clips)[: max(0, len(self._clips) - MAX_OPEN_CLIPS)]:
                entry = self._clips[old]
                if entry.busy.acquire(blocking=False):
                    try:
                        del self._clips[old]
                        entry.close()
                    finally:
                        entry.busy.release()

    def close(self) -> None:
        with self._lock:
            for entry in self._clips.values():
                with entry.busy:
                    entry.close()
            self._clips.clear()


_pool = _Pool()


@contextmanager
def lend_clip(uri: str, content_type: str | None = None) -> Iterator[OpenClip]:
    """The open clip at a URI with what goes with it, for one user at a time."""
    try:
        with _pool.lend(uri, content_type) as found:
            yield found
    except DecodeError as error:
        if error.uri is None:
            error.uri = uri
            if not str(error.args[0]).startswith(uri):
                error.args = (f"{uri}: {error.args[0]}", *error.args[1:])
        raise


@contextmanager
def open_clip(uri: str, content_type: str | None = None) -> "Iterator[Clip]":
    """The clip at a URI, kept open for neighbouring requests and shared between threads one request at a time."""
    with lend_clip(uri, content_type) as found:
        yield found.clip


def close_clips() -> None:
    """Close every clip that is kept open, e.g. before deleting the files."""
    _pool.close()
