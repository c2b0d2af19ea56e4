"""Frames in bulk: JSON-lines, Arrow and Parquet, in and out; and copies of whole stores.

Arrow and Parquet files hold the truth columns of `schema.TRUTH`; what the store computes is left out and made anew on
the way in. JSON-lines are the canonical wire form, one frame a line.

Masks that the version's legends explain mean nothing without these, so they go along: in the schema's metadata, and beside
JSON-lines, which have no place for what is said of all frames, in a file of their own.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from smalti import wire
from smalti.errors import FrameError, LegendError, SmaltiError
from smalti.parallel import available_cores
from smalti.records import Frame
from smalti.store.adopt import adopt, made_rows, rows_of_lines
from smalti.store.ingest import Failed
from smalti.store.legends import Stored, join, stored
from smalti.store.loading import load_rows
from smalti.store.schema import TRUTH, from_rows

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = [
    "FORMATS",
    "INSTEAD",
    "add_arrow",
    "export_frames",
    "import_frames",
    "legend_beside",
    "legend_of",
    "records_of",
]

Format = Literal["jsonl", "arrow", "parquet"]
FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".jsonlines": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".parquet": "parquet",
}
Made = tuple[pa.RecordBatch | None, list[Failed]]
Job = Callable[[], Made]
INSTEAD = "add them to another version, or change that legend first (smalti version describe --legend)"
_LEGENDS = b"smalti:mask_labels"
_ROWS = 16384
_ROWS_OF_A_FILE = 1 << 16
"""Rows that come in large batches stay together: the engine takes less for a file in one batch than in four."""
_LINES_BYTES = 2 << 20
_AHEAD = 4
_MOST_WORKERS = 4
_WORTH_WORKERS_BYTES = 24 << 20
"""A file of this size is read by processes; starting them takes as long as reading a smaller one."""


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
    # Under its name there is never half a file: a disk may be full, a process killed.
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part_legend = part.with_suffix(".legend")
    try:
        with part.open("wb") as file:
            count = _WRITERS[kind](version, file)
        legend = version.get_masks_labels() if kind == "jsonl" else {}
        # Two files cannot be replaced at once. In this order, whatever a killed process leaves behind has a legend that
        # names other frames, and is refused: never frames without their legend, which would be taken as they are.
        if legend:
            part_legend.write_bytes(msgspec.json.encode(_Beside(legend, _fingerprint(part))))
            part_legend.replace(legend_beside(target))
        part.replace(target)
        if kind == "jsonl" and not legend:
            legend_beside(target).unlink(missing_ok=True)  # of an earlier export to this name
    finally:
        part.unlink(missing_ok=True)
        part_legend.unlink(missing_ok=True)
    return count


class _Fingerprint(msgspec.Struct, frozen=True):
    """Which bytes a file of frames has."""

    size: int
    sha256: str


class _Beside(msgspec.Struct, frozen=True):
    """What is kept beside JSON-lines: the legends, and the frames they are of (None: of whichever are there)."""

    mask_labels: Stored
    of: _Fingerprint | None = None


def _fingerprint(path: Path) -> _Fingerprint:
    with path.open("rb") as file:
        return _Fingerprint(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def legend_beside(path: Path) -> Path:
    """Where the legends of JSON-lines are."""
    return path.with_name(f"{path.name}.mask_labels.json")


def _schema(version: "DatasetVersion") -> pa.Schema:
    legend = version.get_masks_labels()
    return TRUTH.with_metadata({_LEGENDS: msgspec.json.encode(legend)}) if legend else TRUTH


def _write_lines(version: "DatasetVersion", file: BinaryIO) -> int:
    count = 0
    for record in version.records():
        file.write(wire.dump_line(record))
        count += 1
    return count


def _write_arrow(version: "DatasetVersion", file: BinaryIO) -> int:
    with pa.ipc.new_file(file, _schema(version), options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        return _write_tables(version, writer)


def _write_parquet(version: "DatasetVersion", file: BinaryIO) -> int:
    with pq.ParquetWriter(file, _schema(version), compression="zstd") as writer:
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
    """Add the frames of a file, and its legends; see `DatasetVersion.add_frames` for what is returned and raised.

    Raises:
        LegendError: the version has other legends for the same masks; nothing is written.
    """
    source = Path(path)
    kind = format or format_of(source)
    join(version, [(legend_of(source, kind), INSTEAD)])
    if kind == "jsonl":
        with source.open("rb") as file:
            return _add_lines(version, file, str(path))
    with _readable(source, kind):
        return add_arrow(version, _batches(source, kind), where=str(path))


@contextmanager
def _readable(path: Path, kind: Format) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError | SmaltiError):
            raise
        raise FrameError(f"{path} is not readable as {kind}: {error}") from None


def legend_of(path: str | Path, format: Format | None = None) -> Stored:
    """The legends of the version that a file of frames was exported from; {} where it had none.

    The file is opened for it: a legend is not to be taken over for frames that cannot be.

    Raises:
        FrameError: the file is not what its name says, or has no columns of frames.
        FileNotFoundError: there is no such file.
        LegendError: what is kept is no legend, or that of other frames.
    """
    source = Path(path)
    kind = format or format_of(source)
    if kind == "jsonl":
        source.open("rb").close()
        beside = legend_beside(source)
        kept, where = (_kept_beside(beside, source), beside) if beside.exists() else (b"{}", source)
    else:
        with _readable(source, kind):
            schema = pq.read_schema(source) if kind == "parquet" else _arrow_schema(source)
        adopt(pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema), str(path))
        kept, where = (schema.metadata or {}).get(_LEGENDS, b"{}"), source
    try:
        return stored(msgspec.json.decode(kept, type=dict[str, list[dict[str, Any]]]))
    except (msgspec.MsgspecError, LegendError) as error:
        raise LegendError(f"{where} has legends that cannot be read: {error}; export the frames again") from None


def _kept_beside(beside: Path, source: Path) -> bytes:
    """The legends in the file beside JSON-lines. One that was made by hand may hold nothing else: it fits any frames.

    Raises:
        LegendError: they are those of other frames.
    """
    kept = beside.read_bytes()
    try:
        found = msgspec.json.decode(kept, type=_Beside)
    except msgspec.MsgspecError:
        return kept
    if found.of is not None and (source.stat().st_size != found.of.size or _fingerprint(source) != found.of):
        raise LegendError(
            f"{beside} has the legends of other frames than those in {source}: an export was cut short, or the frames "
            f"were changed since; export them again, or remove {beside.name} if their masks need no legend (its part "
            '"of" if they do need this one)'
        )
    return msgspec.json.encode(found.mask_labels)


def _arrow_schema(source: Path) -> pa.Schema:
    with pa.memory_map(str(source)) as file:
        return pa.ipc.open_file(file).schema


def _add_lines(version: "DatasetVersion", file: BinaryIO, where: str) -> list[Failed]:
    cores = min(available_cores(), _MOST_WORKERS)
    failed: list[Failed] = []
    if cores == 1 or os.fstat(file.fileno()).st_size < _WORTH_WORKERS_BYTES:
        jobs: Iterator[Job] = (partial(rows_of_lines, data, where, number) for data, number in _pieces(file))
        load_rows(version, _done(jobs, failed))
        return failed
    from smalti.store.line_workers import LineWorkers

    with LineWorkers(cores, where) as workers:
        jobs = (partial(workers.rows_of_lines, data, number) for data, number in _pieces(file))
        load_rows(version, _done(jobs, failed, cores))
    return failed


def _pieces(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Some whole lines at a time, with the number of the first."""
    number = 1
    while data := file.read(_LINES_BYTES):
        data += file.readline()
        yield data, number
        number += data.count(b"\n")


def _batches(source: Path, kind: Format) -> Iterator[pa.RecordBatch]:
    if kind == "parquet":
        yield from pq.ParquetFile(source).iter_batches(_ROWS_OF_A_FILE)
        return
    with pa.memory_map(str(source)) as file:
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def records_of(path: str | Path) -> Iterator[Frame]:
    """The frames of an Arrow or Parquet file, one after another.

    Raises:
        FrameError: a column is missing or of another type, or a row breaks a rule.
    """
    for batch in _batches(Path(path), format_of(Path(path))):
        rows, failed = made_rows(adopt(batch, str(path)))
        if failed:
            raise FrameError(f"{path}: frame {failed[0].id!r}: {failed[0].error}")
        if rows is not None:
            yield from from_rows(rows.select(TRUTH.names))


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
    chunks = (batch.slice(at, _ROWS_OF_A_FILE) for batch in batches for at in range(0, len(batch), _ROWS_OF_A_FILE))
    load_rows(version, _done((partial(made_rows, adopt(chunk, where)) for chunk in chunks), failed))
    return failed


def _done(jobs: Iterable[Job], failed: list[Failed], threads: int | None = None) -> Iterator[pa.RecordBatch]:
    """What the jobs return, in order; a few run at a time, as msgspec, NumPy and Arrow let other threads run."""
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(threads or min(4, available_cores()), thread_name_prefix="smalti-rows") as pool:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) >= _AHEAD:
                yield from _result(waiting.popleft(), failed)
        while waiting:
            yield from _result(waiting.popleft(), failed)


def _result(job: "Future[Made]", failed: list[Failed]) -> Iterator[pa.RecordBatch]:
    rows, refused = job.result()
    failed += refused
    if rows is not None:
        yield rows
