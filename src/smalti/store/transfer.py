"""Frames in bulk: JSON-lines, Arrow and Parquet, in and out; and copies of whole stores.

Arrow and Parquet files hold the truth columns of `schema.TRUTH`; what the store computes is left out and made anew on
the way in. JSON-lines are the canonical wire form, one frame a line.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from smalti import wire
from smalti.errors import FrameError
from smalti.store.adopt import adopt, made_rows
from smalti.store.ingest import Failed
from smalti.store.loading import load_rows
from smalti.store.schema import TRUTH

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = ["FORMATS", "add_arrow", "export_frames", "import_frames"]

Format = Literal["jsonl", "arrow", "parquet"]
FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jsonlines": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".parquet": "parquet",
}
_ROWS = 16384


def format_of(path: Path) -> Format:
    """The format that a file name says.

    Raises:
        FrameError: the ending is none of `FORMATS`.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise FrameError(f"{path}: the ending {path.suffix!r} names no format; allowed: {', '.join(FORMATS)}")
    return found


# ------------------------------------------------------------------------------------------------------------ out
def export_frames(version: "DatasetVersion", path: str | Path, *, format: Format | None = None) -> int:
    """Write all frames to a file, by context, timestamp and id, and return how many."""
    target = Path(path)
    kind = format or format_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        return _WRITERS[kind](version, file)


def _write_lines(version: "DatasetVersion", file: BinaryIO) -> int:
    count = 0
    for record in version.records():
        file.write(wire.dump_line(record))
        count += 1
    return count


def _write_arrow(version: "DatasetVersion", file: BinaryIO) -> int:
    with pa.ipc.new_file(file, TRUTH, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        return _write_tables(version, writer)


def _write_parquet(version: "DatasetVersion", file: BinaryIO) -> int:
    with pq.ParquetWriter(file, TRUTH, compression="zstd") as writer:
        return _write_tables(version, writer)


def _write_tables(version: "DatasetVersion", writer: Any) -> int:
    count = 0
    for table in version.tables(_ROWS):
        writer.write_table(table)
        count += len(table)
    return count


_WRITERS: dict[Format, Callable[["DatasetVersion", BinaryIO], int]] = {
    "jsonl": _write_lines,
    "arrow": _write_arrow,
    "parquet": _write_parquet,
}


# ------------------------------------------------------------------------------------------------------------- in
def import_frames(version: "DatasetVersion", path: str | Path, *, format: Format | None = None) -> list[Failed]:
    """Add the frames of a file; see `DatasetVersion.add_frames` for what is returned and raised."""
    source = Path(path)
    kind = format or format_of(source)
    if kind == "jsonl":
        with source.open("rb") as file:
            return version.add_frames(line for line in file if line.strip())
    try:
        return add_arrow(version, _batches(source, kind), where=str(path))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise FrameError(f"{path} is not readable as {kind}: {error}") from None


def _batches(source: Path, kind: Format) -> Iterator[pa.RecordBatch]:
    if kind == "parquet":
        yield from pq.ParquetFile(source).iter_batches(_ROWS)
        return
    with pa.memory_map(str(source)) as file:
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def add_arrow(
    version: "DatasetVersion", batches: Iterable[pa.RecordBatch], *, where: str = "the table"
) -> list[Failed]:
    """Add frames that are rows already; the fast way in. Rows that break a rule are returned, the others are stored.

    Args:
        version: a draft.
        batches: with the columns of `schema.TRUTH`, in any order; further columns are ignored.
        where: what to call the rows in messages.

    Raises:
        FrameError: a column is missing or of another type.
    """
    failed: list[Failed] = []
    chunks = (batch.slice(at, _ROWS) for batch in batches for at in range(0, len(batch), _ROWS))
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="smalti-derive") as pool:
        load_rows(version, _in_order(pool, (adopt(chunk, where) for chunk in chunks), failed))
    return failed


def _in_order(
    pool: ThreadPoolExecutor, chunks: Iterable[pa.RecordBatch], failed: list[Failed]
) -> Iterator[pa.RecordBatch]:
    """Whole rows for the truth columns, in order; a few chunks at a time, as NumPy and Arrow let other threads run."""
    waiting: deque[Future[tuple[pa.RecordBatch | None, list[Failed]]]] = deque()
    for chunk in chunks:
        waiting.append(pool.submit(made_rows, chunk))
        while len(waiting) > 3 or (waiting and waiting[0].done()):
            yield from _result(waiting.popleft(), failed)
    while waiting:
        yield from _result(waiting.popleft(), failed)


def _result(
    job: "Future[tuple[pa.RecordBatch | None, list[Failed]]]", failed: list[Failed]
) -> Iterator[pa.RecordBatch]:
    rows, refused = job.result()
    failed += refused
    if rows is not None:
        yield rows
