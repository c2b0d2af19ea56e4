"""Frames and tables as files to take away. Cells that a spreadsheet would run as formulas are disarmed."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from litestar.response import Stream

from smalti import wire
from smalti.server.search import Result

__all__ = ["cell", "csv_of", "frames_csv", "frames_jsonl"]

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


def csv_of(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def _frames(result: Result) -> Iterator[Any]:
    for start in range(0, len(result.rows), _AT_ONCE):
        for frame in result.table.take(result.rows[start : start + _AT_ONCE]):
            frame.extra = {key: value for key, value in frame.extra.items() if key != "dataset"}
            yield frame


def frames_jsonl(result: Result) -> Stream:
    """Whole frames, one JSON text a line."""
    return Stream(
        (wire.dump_line(frame) for frame in _frames(result)),
        headers={"Content-Type": "application/x-ndjson", "Content-Disposition": 'attachment; filename="frames.jsonl"'},
    )


def frames_csv(result: Result) -> Stream:
    """One line a frame: ids, time, source, labels."""
    header = ["id", "context_id", "timestamp", "sources", "uri", "masks", "rois", "labels"]

    def lines() -> Iterator[str]:
        yield csv_of(header, [])
        for frame in _frames(result):
            labels = dict.fromkeys(label for roi in frame.rois for label in roi.label)
            masks = [mask.id for source in frame.sources for mask in source.masks]
            ids = [source.id for source in frame.sources]
            row = [frame.id, frame.context_id, frame.timestamp, ";".join(ids), frame.sources[0].uri]
            yield csv_of([], [[*row, ";".join(masks), len(frame.rois), ";".join(labels)]]).split("\r\n", 1)[1]

    return Stream(
        lines(),
        headers={"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": 'attachment; filename="frames.csv"'},
    )
