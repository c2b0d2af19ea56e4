"""Frames and tables as files to take away. Cells that a spreadsheet would run as formulas are disarmed."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from litestar.response import Stream

from smalti import wire
from smalti.server.search import Result

__all__ = ["KINDS", "cell", "csv_of", "frames_as", "stream_frames", "write_frames"]

_AT_ONCE = 512
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> Any:
    """A value for a CSV cell; a text that looks like a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text


def csv_of(header: Sequence[str] | None, rows: Sequence[Sequence[Any]]) -> str:
    """A table as CSV; None = without a header."""
    out = io.StringIO()
    writer = csv.writer(out)
    if header is not None:
        writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def _frames(result: Result) -> Iterator[Any]:
    for start in range(0, len(result.rows), _AT_ONCE):
        for frame in result.table.take(result.rows[start : start + _AT_ONCE]):
            frame.extra = {key: value for key, value in frame.extra.items() if key != "dataset"}
            yield frame


KINDS = {
    "jsonl": ("application/x-ndjson", "frames.jsonl"),
    "csv": ("text/csv; charset=utf-8", "frames.csv"),
}
"""What the frames of a search may be written as: the content type and the name of the file."""

_HEADER = ("id", "context_id", "timestamp", "sources", "uri", "masks", "rois", "labels")


def frames_as(result: Result, kind: str) -> Iterator[bytes]:
    """The frames one by one: "jsonl" = each whole, as a line of JSON; "csv" = ids, time, source, labels."""
    if kind == "csv":
        yield csv_of(_HEADER, []).encode()
    for frame in _frames(result):
        yield _csv_line(frame).encode() if kind == "csv" else wire.dump_line(frame)


def _csv_line(frame: Any) -> str:
    labels = dict.fromkeys(label for roi in frame.rois for label in roi.label)
    masks = [mask.id for source in frame.sources for mask in source.masks]
    ids = [source.id for source in frame.sources]
    row = [frame.id, frame.context_id, frame.timestamp, ";".join(ids), frame.sources[0].uri]
    return csv_of(None, [[*row, ";".join(masks), len(frame.rois), ";".join(labels)]])


def stream_frames(result: Result, kind: str) -> Stream:
    """The frames as an answer, written while they are read."""
    content_type, name = KINDS[kind]
    headers = {"Content-Type": content_type, "Content-Disposition": f'attachment; filename="{name}"'}
    return Stream(frames_as(result, kind), headers=headers)


def write_frames(result: Result, kind: str, path: Path, progress: Callable[[int], None]) -> int:
    """The frames as a file; returns its bytes."""
    with path.open("wb") as file:
        for done, line in enumerate(frames_as(result, kind)):
            file.write(line)
            if done % _AT_ONCE == 0:
                progress(done)
        return file.tell()
