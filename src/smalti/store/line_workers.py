"""Processes that turn JSON-lines into rows: reading JSON makes many objects, which one interpreter makes one at a time.

A worker is `python -m smalti.store.line_workers`, not a fork and nothing that imports the caller's main module. It gets
pieces of a file on its standard input and answers with rows as an Arrow stream. Where a worker cannot be started, or
dies, its pieces are read in this process.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Sequence
from queue import SimpleQueue
from struct import Struct
from types import TracebackType
from typing import IO, Any, Self

import msgspec
import pyarrow as pa

from smalti.store.adopt import rows_of_lines
from smalti.store.ingest import Failed

__all__ = ["LineWorkers"]

Made = tuple[pa.RecordBatch | None, list[Failed]]
_HEAD = Struct("<QQ")
_read_failed = msgspec.json.Decoder(list[Failed]).decode
_END_S = 5
_PIPE_BYTES = 1 << 20
"""A piece that goes through in two parts and not in thirty: on a busy machine each part waits for its turn."""


class LineWorkers:
    """Some processes that read JSON-lines.

    Args:
        count: how many.
        where: what to call the file in messages.
    """

    def __init__(self, count: int, where: str) -> None:
        self._where = where
        self._all: list[subprocess.Popen[bytes]] = []
        self._free: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        for _ in range(count):
            worker = _start(where)
            self._free.put(worker)
            if worker is not None:
                self._all.append(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._all:
            for stream in (worker.stdin, worker.stdout):
                try:
                    if stream is not None:
                        stream.close()
                except OSError:  # it died with something of ours unread
                    continue
        for worker in self._all:
            try:
                worker.wait(_END_S)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def rows_of_lines(self, data: bytes, first: int) -> Made:
        """As `adopt.rows_of_lines`, in whatever worker is free. At most as many threads as workers may call it."""
        worker = self._free.get()
        answer = None
        if worker is not None:
            try:
                answer = _ask(worker, data, first)
            except (OSError, EOFError, ValueError):
                worker.kill()
                worker = None
        self._free.put(worker)
        return answer if answer is not None else rows_of_lines(data, self._where, first)


def _start(where: str) -> "subprocess.Popen[bytes] | None":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    command = [sys.executable, "-m", __name__, where]
    for size in (_PIPE_BYTES, -1):  # a user may have no large pipes left
        try:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, pipesize=size
            )
        except (OSError, ValueError):
            continue
    return None


def _ask(worker: "subprocess.Popen[bytes]", data: bytes, first: int) -> Made:
    if worker.stdin is None or worker.stdout is None:
        raise EOFError
    worker.stdin.write(_HEAD.pack(len(data), first))
    worker.stdin.write(data)
    worker.stdin.flush()
    rows_size, failed_size = _HEAD.unpack(_exactly(worker.stdout, _HEAD.size))
    rows = _exactly(worker.stdout, rows_size)
    failed = _read_failed(_exactly(worker.stdout, failed_size))
    return pa.ipc.open_stream(rows).read_next_batch() if rows else None, failed


def _exactly(stream: IO[bytes], size: int) -> bytes:
    found = stream.read(size)
    if len(found) != size:
        raise EOFError(f"a worker ended after {len(found)} of {size} bytes")
    return found


def _written(rows: pa.RecordBatch | None) -> Any:
    if rows is None:
        return b""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return sink.getvalue()


def main(arguments: Sequence[str]) -> None:
    """Answer until the input ends: when the parent is done, or dead."""
    gc.disable()  # records are made and thrown away, and none of them is in a cycle
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # a stray print must not become an answer
        while head := requests.read(_HEAD.size):
            size, first = _HEAD.unpack(head)
            rows, failed = rows_of_lines(requests.read(size), arguments[0], first)
            written, reasons = _written(rows), msgspec.json.encode(failed)
            answers.write(_HEAD.pack(len(written), len(reasons)))
            answers.write(written)
            answers.write(reasons)
            answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
