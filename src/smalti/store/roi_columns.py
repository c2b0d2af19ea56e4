"""The labels and confidences of all ROIs of some rows as arrays; those of a pinned version are kept in memory.

A count over ROIs that no index decides looks at every ROI. Reading a million frames' label sets as text takes longer
than all that follows, so they are read once: two bytes and a number per ROI, up to `_MOST_BYTES` over all versions.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smalti.lru import Lru
from smalti.store.engine import Branch
from smalti.store.pushdown import labels_in

__all__ = ["RoiColumns", "StoredRois", "is_kept", "rois_of", "stored_rois"]

Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
_MOST_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class RoiColumns:
    """The ROIs of n rows, one after the other.

    Attributes:
        starts: (n + 1,) where the ROIs of each row start.
        codes: per ROI the number of its label set.
        sets: the label sets by number.
        confidence: per ROI, NaN where there is none; None = not read.
    """

    starts: Ints
    codes: NDArray[np.unsignedinteger]
    sets: tuple[frozenset[str], ...]
    confidence: Reals | None


@dataclass(frozen=True, slots=True)
class StoredRois:
    """All ROIs of a version, and the row ids of its rows in the same order."""

    rows: Ints
    rois: RoiColumns


def rois_of(batch: pa.RecordBatch) -> RoiColumns:
    """The ROIs of a batch with the column `roi_ls`, and `roi_conf` where confidences are asked for."""
    column = batch.column("roi_ls")
    offsets = column.offsets.to_numpy().astype(np.int64)
    tokens = column.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).dictionary_encode()
    sets = tuple(labels_in(token) for token in tokens.dictionary.to_pylist())
    codes = tokens.indices.to_numpy(zero_copy_only=False).astype(np.uint32)
    confidence = _reals(batch.column("roi_conf")) if "roi_conf" in batch.schema.names else None
    return RoiColumns(offsets - offsets[0], codes, sets, confidence)


def _reals(column: pa.ListArray) -> Reals:
    bounds = column.offsets
    first, last = bounds[0].as_py(), bounds[len(bounds) - 1].as_py()
    found: Reals = column.values.slice(first, last - first).to_numpy(zero_copy_only=False).astype(np.float64)
    return found


# --------------------------------------------------------------------------------------------------- whole versions
def _key(rows: Branch) -> Hashable:
    return rows.engine.uri, rows.name, rows.pinned


_LABELS: Lru[tuple[Ints, Ints, NDArray[np.unsignedinteger], tuple[frozenset[str], ...]]] = Lru(
    _MOST_BYTES // 2, lambda found: sum(part.nbytes for part in found[:3])
)
_CONFIDENCES: Lru[Reals] = Lru(_MOST_BYTES // 2, lambda found: found.nbytes)


def is_kept(rows: Branch) -> bool:
    """Whether the labels of a pinned version's ROIs are in memory."""
    return rows.pinned is not None and _LABELS.get(_key(rows)) is not None


def stored_rois(rows: Branch, *, confidence: bool) -> StoredRois:
    """All ROIs of a version.

    Args:
        rows: pinned: what is at the head may change while it is kept.
        confidence: with confidences.
    """
    key = _key(rows)
    ids, starts, codes, sets = _LABELS.get_or(key, lambda: _read_labels(rows))
    reals = _CONFIDENCES.get_or(key, lambda: _read_confidences(rows)) if confidence else None
    return StoredRois(ids, RoiColumns(starts, codes, sets, reals))


def _read_labels(rows: Branch) -> tuple[Ints, Ints, NDArray[np.unsignedinteger], tuple[frozenset[str], ...]]:
    number: dict[str, int] = {}
    ids, lengths, codes = [], [], []
    for batch in rows.scan(["roi_ls"], with_row_id=True):
        column = batch.column("roi_ls")
        offsets = column.offsets.to_numpy().astype(np.int64)
        tokens = column.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).dictionary_encode()
        table = np.array([number.setdefault(t, len(number)) for t in tokens.dictionary.to_pylist()], np.uint32)
        local = tokens.indices.to_numpy(zero_copy_only=False)
        codes.append(table[local] if len(table) else np.zeros(0, np.uint32))
        lengths.append(np.diff(offsets))
        ids.append(batch.column("_rowid").to_numpy().astype(np.int64, copy=False))
    starts = np.concatenate([np.zeros(1, np.int64), *lengths])
    np.cumsum(starts, out=starts)
    small = np.uint16 if len(number) <= 1 << 16 else np.uint32
    packed = np.concatenate([np.zeros(0, small), *(part.astype(small) for part in codes)])
    return np.concatenate([np.zeros(0, np.int64), *ids]), starts, packed, tuple(labels_in(token) for token in number)


def _read_confidences(rows: Branch) -> Reals:
    parts = [_reals(batch.column("roi_conf")) for batch in rows.scan(["roi_conf"])]
    return np.concatenate([np.zeros(0), *parts])
