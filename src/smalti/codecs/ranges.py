"""Bytes of a clip, read where needed: views over memory or a seekable file, each with a position of its own."""

import io
import os
import threading
from typing import BinaryIO, NamedTuple

__all__ = ["ByteView", "ClipBytes"]

HELD_LIMIT = 16 << 20  # header boxes kept in memory; a longer header is read again instead
PAYLOADS = (b"mdat", b"free", b"skip", b"wide")  # boxes that hold coded pictures, or nothing
BOX_LIMIT = 100_000  # a file of more top-level boxes is hostile or hopeless: the rest is read as it stands


class Span(NamedTuple):
    """Byte offsets, the end excluded."""

    start: int
    end: int


class ClipBytes:
    """The bytes of one clip, shared by several views.

    A file object is only touched under a lock, so that views may belong to different threads.

    Args:
        data: the whole clip, or a seekable binary file object whose reads fetch only what they are asked for.
    """

    def __init__(self, data: bytes | bytearray | memoryview | BinaryIO) -> None:
        self.in_memory = isinstance(data, bytes | bytearray | memoryview)
        self._file: BinaryIO = io.BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data
        self._lock = threading.Lock()
        with self._lock:
            self.size = self._file.seek(0, os.SEEK_END)
        self._payloads: list[Span] | None = None
        self._held: list[tuple[int, bytes]] = []

    def read_at(self, start: int, count: int) -> bytes:
        """Up to `count` bytes from `start`; fewer only at the end of the clip or of what is held in memory."""
        for offset, held in self._held:
            if offset <= start < offset + len(held):
                return held[start - offset : start - offset + count]
        with self._lock:
            self._file.seek(start)
            return self._file.read(count)

    def payloads(self) -> list[Span]:
        """Where an ISO file (MP4, MOV) keeps coded pictures, or nothing: inside top-level "mdat" and "free" boxes.

        All else is box headers and tables.
        """
        if self._payloads is None:
            self._payloads = self._walk_boxes()
        return self._payloads

    def _walk_boxes(self) -> list[Span]:
        found: list[Span] = []
        start = 0
        for _ in range(BOX_LIMIT):
            head = self.read_at(start, 16)
            if len(head) < 8:
                break
            length, inside = int.from_bytes(head[:4], "big"), 8
            if length == 1 and len(head) == 16:
                length, inside = int.from_bytes(head[8:], "big"), 16
            end = start + length if length else self.size  # 0 means: to the end of the file
            if end < start + inside:
                break
            if head[4:8] in PAYLOADS:
                found.append(Span(start + inside, min(end, self.size)))
            start = end
        return found

    def hold_headers(self) -> None:
        """Reads what is no payload once and keeps it, since the index and the decoder both need it."""
        if self.in_memory or self._held:
            return
        edges = [0, *(edge for span in self.payloads() for edge in span), self.size]
        headers = [Span(*pair) for pair in zip(edges[::2], edges[1::2], strict=True) if pair[0] < pair[1]]
        if sum(end - start for start, end in headers) <= HELD_LIMIT:
            self._held = [(start, self.read_at(start, end - start)) for start, end in headers]

    def view(self, *, blank: bool = False) -> "ByteView":
        """A file-like view from the start; `blank` shows zeros for the payloads without reading them."""
        return ByteView(self, self.payloads() if blank else [])


class ByteView:
    """What FFmpeg uses of a file object's interface.

    A read that fails looks like the end of the file to FFmpeg, which may go on regardless; whoever called FFmpeg asks
    `raise_error` afterwards.
    """

    def __init__(self, source: ClipBytes, blank: list[Span]) -> None:
        self._source = source
        self._blank = blank
        self._position = 0
        self._error: OSError | None = None

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; empty at the end. Never more: FFmpeg's buffer has no room for them."""
        start, end = self._position, min(self._position + count, self._source.size)
        if start >= end:
            return b""
        for span in self._blank:
            if span.start <= start < span.end:
                end = min(end, span.end)
                self._position = end
                return bytes(end - start)
            if start < span.start < end:
                end = span.start
        try:
            chunk = self._source.read_at(start, end - start)[: end - start]
        except OSError as error:
            self._error = error
            return b""
        self._position += len(chunk)
        return chunk

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new position, counted from the start."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        """The position, counted from the start."""
        return self._position

    def raise_error(self) -> None:
        """Raises what a read raised, if one did."""
        if self._error is not None:
            raise self._error
