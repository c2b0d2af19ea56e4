"""Counts: statistics of a version, and the pixels of its masks, which are counted once and kept with the frames."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smalti.binding import MaskPlan
from smalti.errors import SmaltiError
from smalti.facts import MaskFacts
from smalti.frames import handle_of
from smalti.labelmap import LabelMap
from smalti.records import Frame
from smalti.store.derive import facts_columns
from smalti.store.engine import Branch
from smalti.store.ingest import Failed, chunks
from smalti.store.schema import DERIVED, TRUTH, from_rows

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = ["compute_facts", "counter", "stats_of"]

_FACTS_AT_ONCE = 512
_FACTS_PER_COMMIT = 8192

Count = Callable[[Sequence[Frame]], tuple[list[Sequence[MaskFacts] | None], list[Failed]]]


def stats_of(rows: Branch) -> dict[str, Any]:
    """Frames, ROIs, ROIs per label and per label set, frames per label, and frames whose masks were counted."""
    frames = counted = 0
    per_roi: dict[str, int] = {}
    per_frame: dict[str, int] = {}
    for batch in rows.scan(["labels", "roi_ls", "px_known"]):
        frames += len(batch)
        counted += pc.sum(batch.column("px_known")).as_py() or 0
        _tally(per_roi, batch.column("roi_ls").flatten())
        _tally(per_frame, batch.column("labels").flatten())
    return {
        "frames": frames,
        "rois": sum(per_roi.values()),
        "frames_with_facts": counted,
        "labelsets": dict(sorted(per_roi.items())),
        "frames_per_label": dict(sorted(per_frame.items())),
    }


def _tally(counts: dict[str, int], words: pa.StringArray) -> None:
    found = words.value_counts()
    for word, count in zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True):
        counts[word] = counts.get(word, 0) + count


def counter(
    version: "DatasetVersion", threads: int | None = None, read: Callable[[MaskPlan], LabelMap] | None = None
) -> Count:
    """A function that counts the masks of some frames, several at a time; decoding lets other threads run.

    Args:
        version: its legends fill in what frames do not say.
        threads: how many frames at a time; None = one for each processor.
        read: decodes a mask; None = as this process can.
    """
    from smalti.stats import frame_facts

    workers = threads or os.cpu_count() or 1

    def one(frame: Frame, legend: Any) -> list[MaskFacts] | Failed:
        try:
            return list(frame_facts(handle_of(frame, mask_labels=legend), legend, read=read))
        except (SmaltiError, OSError) as error:
            return Failed(frame.id, str(error), "validation")

    def count(frames: Sequence[Frame]) -> tuple[list[Sequence[MaskFacts] | None], list[Failed]]:
        legend = version.get_masks_labels() or None  # of now: whoever writes the counts has looked the version up
        with ThreadPoolExecutor(workers, thread_name_prefix="smalti-facts") as pool:
            found = list(pool.map(one, frames, repeat(legend)))
        return (
            [None if isinstance(item, Failed) else item for item in found],
            [item for item in found if isinstance(item, Failed)],
        )

    return count


def compute_facts(
    version: "DatasetVersion",
    *,
    again: bool = False,
    threads: int | None = None,
    count: Count | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Failed]:
    """See `DatasetVersion.compute_facts`; `count` counts instead of `counter`, `progress` is told the frames done."""
    failed: list[Failed] = []
    count = count if count is not None else counter(version, threads)
    done = 0
    with version.lease("counting masks") as renew, version.writing() as branch:
        waiting: list[pa.RecordBatch] = []
        for chunk in chunks(_uncounted(branch.snapshot(), again), _FACTS_AT_ONCE):
            renew()
            facts, troubles = count([frame for frame, _ in chunk])
            failed += troubles
            known = [
                (frame.id, etag, item) for (frame, etag), item in zip(chunk, facts, strict=True) if item is not None
            ]
            if known:
                waiting.append(_facts_rows(known))
            if sum(map(len, waiting)) >= _FACTS_PER_COMMIT:
                _write(branch, waiting)
                waiting = []
            done += len(chunk)
            if progress is not None:
                progress(done)
        _write(branch, waiting)
    return failed


def _uncounted(rows: Branch, again: bool) -> Iterator[tuple[Frame, int]]:
    where = None if again else "NOT px_known"
    for batch in rows.scan([*TRUTH.names, "etag"], where, batch_size=1024):
        yield from zip(from_rows(batch), batch.column("etag").to_pylist(), strict=True)


def _facts_rows(known: Iterable[tuple[str | None, int, Sequence[MaskFacts]]]) -> pa.RecordBatch:
    ids, etags, facts = zip(*known, strict=True)
    names = [name for name in DERIVED.names if name.startswith("px_")]
    columns = [pa.array(ids, pa.string()), pa.array(np.array(etags, np.uint64)), *facts_columns(facts)]
    return pa.RecordBatch.from_arrays(columns, names=["id", "etag", *names])


def _write(branch: Branch, batches: Sequence[pa.RecordBatch]) -> None:
    """Add the counts to frames that are still as they were when they were counted."""
    if batches:
        branch.annotate(pa.Table.from_batches(batches))
