"""A remote object as a file: reads fetch the blocks that they need, and a little more when they go forward."""

import io
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["BLOCK_BYTES", "RemoteFile"]

BLOCK_BYTES = 128 * 1024
_KEPT_BLOCKS = 128  # 16 MiB
_MOST_AHEAD = 16  # 2 MiB


class RemoteFile(io.BufferedIOBase):
    """A seekable, read-only file over ranges of an object.

    One thread at a time may use it.

    Attributes:
        uri: What is read.
        bytes_fetched: Bytes that were transferred so far.
        requests: Requests that were made so far.
        note: Said when the object could not be read in parts, else None.
    """

    def __init__(
        self,
        uri: str,
        size: int,
        head: bytes,
        fetch: Callable[[int, int], bytes],
        *,
        note: str | None = None,
    ) -> None:
        """`head` holds the first bytes (one block, or all); `fetch(start, stop)` reads bytes [start, stop)."""
        self.uri = uri
        self.note = note
        self.bytes_fetched = len(head)
        self.requests = 1
        self._size = size
        self._fetch = fetch
        self._at = 0
        self._whole = head if len(head) >= size else None
        self._blocks: OrderedDict[int, bytes] = OrderedDict() if self._whole is not None else OrderedDict({0: head})
        self._ahead = 0
        self._next_block = 1

    @property
    def name(self) -> str:
        """The URI."""
        return self.uri

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        self._check_open()
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position; nothing is fetched."""
        self._check_open()
        if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
            raise ValueError(f"whence is {whence}, but must be 0, 1 or 2")
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"{self.uri}: seek to {base + offset}, before the first byte")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes from here; all that follow if negative or None."""
        self._check_open()
        stop = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if stop <= self._at:
            return b""
        data = self._whole[self._at : stop] if self._whole is not None else self._assemble(self._at, stop)
        self._at += len(data)
        return data

    def read1(self, size: int = -1, /) -> bytes:
        """As read()."""
        return self.read(size)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError(f"{self.uri}: the file is closed")

    def _assemble(self, start: int, stop: int) -> bytes:
        first, last = start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
        got: dict[int, bytes] = {}
        block = first
        while block <= last:
            if block in self._blocks:
                self._blocks.move_to_end(block)
                got[block] = self._blocks[block]
                block += 1
                continue
            end = block
            while end <= last and end not in self._blocks:
                end += 1
            got.update(self._load(block, end))
            block = end
        joined = b"".join(got[b] for b in range(first, last + 1))
        return joined[start - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]

    def _load(self, first: int, end: int) -> dict[int, bytes]:
        """Fetch blocks [first, end) in one request, more when the last request ended here. Returns all that came."""
        self._ahead = min(max(1, self._ahead * 2), _MOST_AHEAD) if first == self._next_block else 0
        blocks = -(-self._size // BLOCK_BYTES)
        end = min(end + self._ahead, blocks)
        start, stop = first * BLOCK_BYTES, min(end * BLOCK_BYTES, self._size)
        data = self._fetch(start, stop)
        self.requests += 1
        self.bytes_fetched += len(data)
        self._next_block = end
        view = memoryview(data)
        got = {b: bytes(view[(b - first) * BLOCK_BYTES : (b - first + 1) * BLOCK_BYTES]) for b in range(first, end)}
        for number, piece in got.items():
            self._blocks[number] = piece
            self._blocks.move_to_end(number)
        while len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return got
