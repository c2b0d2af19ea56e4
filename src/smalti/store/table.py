"""A version as a view sees it: rows chosen by a filter and, where that leaves some open, evaluated; read when needed."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from smalti.facts import MaskFacts
from smalti.query.match import LabelsAs
from smalti.query.nodes import Node
from smalti.query.values import at_path
from smalti.records import Frame
from smalti.store.engine import Branch
from smalti.store.promoted import scalar_fields
from smalti.store.pushdown import FALSE, TRUE, Columns, Plan, labels_in, plan
from smalti.store.residue import columns_of, evaluate, evaluate_rois, facts_in
from smalti.store.roi_columns import is_kept, stored_rois
from smalti.store.schema import TRUTH, from_rows
from smalti.tables import Ordering

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = ["VersionTable", "draft_state", "published_state", "scan"]

Ints = NDArray[np.int64]
_ORDER = ("context_id", "timestamp", "id")
_ROWS_AT_ONCE = 2048
_ROI_COLUMNS = {"roi_ls", "roi_conf"}
_FEW_OF_ALL = 0.15
_FEW_OF_ROIS = 0.05
"""Parts of a version up to which looking up single rows beats scanning all: less for ROIs, which are kept once read."""


def draft_state(branch: str, number: int, rebuilt: str) -> str:
    """What names one state of a draft: a purge counts its numbers anew."""
    return _since(f"{branch}:{number}", rebuilt)


def published_state(version: str, rebuilt: str) -> str:
    """What names the one state of a published version: a purge makes it another."""
    return _since(version, rebuilt)


def _since(state: str, rebuilt: str) -> str:
    return f"{state}~{rebuilt}" if rebuilt else state


class VersionTable:
    """One state of one version: published versions always, drafts as they were when this was made. Pickles small."""

    def __init__(self, version: "DatasetVersion") -> None:
        self.dataset = version.dataset.id
        self.version = version.id
        self.home: Any = version.dataset.store
        self.names = ((version.dataset.name,), (version.name,))
        self.mask_labels: Any = version.get_masks_labels() or None
        self.rows: Branch = version.rows()
        self.is_published = version.is_published
        self._rebuilt = version.rebuilt
        stats = version.stats if self.is_published else {}
        stored = stats.get("labelsets")
        self._lacking = max(0, stats["frames"] - stats["frames_with_facts"]) if "frames_with_facts" in stats else None
        self._labelsets: list[str] | None = list(stored) if stored is not None else None
        self._known: Columns | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A worker reads rows; it has no business with the catalog.
        return {**self.__dict__, "_known": None, "home": None}

    @property
    def fingerprint(self) -> str:
        """A published version is itself until a purge; a draft is the state that was looked at."""
        if self.is_published:
            return published_state(self.version, self._rebuilt)
        return draft_state(self.rows.name, self.rows.version, self._rebuilt)

    # -------------------------------------------------------------------------------------------------- choosing
    def columns(self, labels: LabelsAs = "either") -> Columns:
        """What filters can speak of."""
        if self._known is None:
            if self._labelsets is None:
                self._labelsets = _distinct(self.rows, "labelsets")
            sets = {token: labels_in(token) for token in self._labelsets}
            fields = scalar_fields(self.rows.schema)
            promoted = {
                f.metadata[b"smalti:path"].decode().removeprefix("meta."): (f.name, f.metadata[b"smalti:type"].decode())
                for f in fields
            }
            self._known = Columns(sets, promoted)
        return Columns(self._known.labelsets, self._known.promoted, labels)

    def plan(self, tree: Node, labels: LabelsAs = "either") -> Plan:
        """The filters that a query becomes."""
        return plan(tree, self.columns(labels))

    def count(self, tree: Node, labels: LabelsAs = "either") -> int:
        """How many rows match."""
        found = self._settled(tree, labels)
        sure = 0 if found.must == FALSE else self.rows.count(None if found.must == TRUE else found.must)
        return sure + sum(int(hits.sum()) for _, hits in self._open(tree, found, labels))

    def select(self, tree: Node, labels: LabelsAs = "either") -> Ints:
        """The row ids that match, ascending."""
        found = self._settled(tree, labels)
        parts: list[Ints] = []
        if found.must != FALSE:
            where = None if found.must == TRUE else found.must
            parts.append(_row_ids(self.rows.table([], where, with_row_id=True)))
        parts += [rows[hits] for rows, hits in self._open(tree, found, labels)]
        found_rows = np.concatenate([*parts, np.zeros(0, np.int64)]) if len(parts) != 1 else parts[0]
        return found_rows if bool((np.diff(found_rows) > 0).all()) else np.sort(found_rows)

    def _settled(self, tree: Node, labels: LabelsAs) -> Plan:
        """The plan; where it leaves many rows open, one that leaves all open: a whole scan beats as many look-ups."""
        found = self.plan(tree, labels)
        names = set(columns_of(tree, labels))
        if found.open in (TRUE, FALSE) or "sources" in names:
            return found
        if names <= _ROI_COLUMNS:
            part = 0 if is_kept(self.rows) else _FEW_OF_ROIS
        else:
            part = _FEW_OF_ALL
        is_wide = self.rows.count(found.open) > self.rows.count() * part
        return Plan(TRUE, FALSE) if is_wide else found

    def _open(self, tree: Node, found: Plan, labels: LabelsAs) -> Iterator[tuple[Ints, NDArray[np.bool_]]]:
        """Row ids that the plan leaves open, and which of them match."""
        if found.open == FALSE:
            return
        names = columns_of(tree, labels)
        if found.open == TRUE and self.rows.pinned is not None and set(names) <= _ROI_COLUMNS:
            stored = stored_rois(self.rows, confidence="roi_conf" in names)
            yield stored.rows, evaluate_rois(tree, stored.rois)
            return
        for batch in self.rows.scan(names, None if found.open == TRUE else found.open, with_row_id=True):
            if len(batch):
                yield _row_ids(batch), evaluate(tree, batch, labels)

    def written_labels(self) -> set[str]:
        """Every label of a ROI, as written or as meant."""
        return {label for labels in (self.columns().labelsets or {}).values() for label in labels}

    def counted_labels(self) -> list[str]:
        """Every label with pixels in a mask that was counted."""
        return _distinct(self.rows, "px_label")

    def lacking_facts(self) -> int:
        """How many rows have not been counted."""
        return self._lacking if self._lacking is not None else self.rows.count("NOT px_known")

    # --------------------------------------------------------------------------------------------------- reading
    def take(self, rows: Ints) -> list[Frame]:
        """The frames of these rows, in the order asked; each says which version it is of."""
        found = self._frames(rows)
        for frame in found:
            frame.extra = {**frame.extra, "dataset": {"id": self.dataset, "version": self.version}}
        return found

    def _frames(self, rows: Ints) -> list[Frame]:
        found: list[Frame] = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            table = self._aligned(rows[start : start + _ROWS_AT_ONCE], TRUTH.names)
            found += from_rows(table)
        return found

    def _aligned(self, rows: Ints, columns: Sequence[str]) -> pa.Table:
        """Columns of these rows, in the order asked."""
        if len(rows) > _ROWS_AT_ONCE:
            table = self.rows.table(list(columns), None, with_row_id=True)  # one scan beats thousands of look-ups
        else:
            table = self.rows.take(np.unique(rows).tolist(), columns)
        ids = _row_ids(table)
        order = np.argsort(ids, kind="stable")
        return table.take(pa.array(order[np.searchsorted(ids[order], rows)]))

    def order(self, rows: Ints) -> Ordering:
        """The sequence of these rows by (context, timestamp, id)."""
        table = self._aligned(rows, _ORDER)
        context = pc.fill_null(table.column("context_id"), "").combine_chunks().dictionary_encode()
        stamps = table.column("timestamp").to_numpy().astype(np.float64)
        # Sorting few distinct contexts and then numbers is ten times faster than sorting as many strings as rows.
        names = np.array(context.dictionary.to_pylist(), dtype=object)
        rank = np.empty(len(names), np.int64)
        rank[np.argsort(names)] = np.arange(len(names))
        codes = rank[context.indices.to_numpy(zero_copy_only=False)] if len(names) else np.zeros(0, np.int64)
        by = np.lexsort((stamps, codes)) if not _is_sorted(codes, stamps) else np.arange(len(codes))
        ties = (np.diff(codes[by]) == 0) & (np.diff(stamps[by]) == 0)
        if ties.any():
            keys = pa.table({"a": codes, "b": stamps, "c": table.column("id")})
            by = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in "abc"]).to_numpy()
        first, numbers = np.unique(codes[by], return_inverse=True)
        return Ordering(by.astype(np.int64), numbers.astype(np.int64), stamps[by], np.sort(names)[first].tolist())

    def column(self, rows: Ints, field: str) -> list[Any]:
        """One value per row: of `id`, `context_id`, `timestamp`, or a path below `meta` (several values: the first)."""
        if field in _ORDER:
            values: list[Any] = self._aligned(rows, [field]).column(field).to_pylist()
            return values
        if not field.startswith("meta."):
            return [next(at_path(frame, field), None) for frame in self._frames(rows)]
        path = field.removeprefix("meta.")
        texts = self._aligned(rows, ["meta"]).column("meta").to_pylist()
        return [next(at_path(msgspec.json.decode(text), path), None) if text else None for text in texts]

    def roi_labels(self, rows: Ints) -> list[list[frozenset[str]]]:
        """The labels of each ROI of these rows."""
        tokens = self._aligned(rows, ["roi_ls"]).column("roi_ls").to_pylist()
        return [[_labels_of(token) for token in row] for row in tokens]

    def facts(self, rows: Ints) -> list[Mapping[str, MaskFacts] | None]:
        """What is stored about the masks of these rows."""
        return facts_in(self._aligned(rows, ["px_masks"]).column("px_masks"))


_labels_of = lru_cache(maxsize=1 << 16)(labels_in)


def _is_sorted(codes: Ints, stamps: NDArray[np.float64]) -> bool:
    steps = np.diff(codes)
    return bool((steps >= 0).all() and (np.diff(stamps)[steps == 0] >= 0).all())


def _row_ids(rows: pa.Table | pa.RecordBatch) -> Ints:
    ids: Ints = rows.column("_rowid").to_numpy().astype(np.int64, copy=False)
    return ids


def _distinct(rows: Branch, column: str) -> list[str]:
    """Every distinct word of a list column."""
    found: set[str] = set()
    for batch in rows.scan([column]):
        found.update(batch.column(column).flatten().unique().to_pylist())
    return sorted(found)


def scan(version: "DatasetVersion", tree: Node, columns: Sequence[str] | None = None) -> Iterator[Frame]:
    """The frames of a version that a query asks for, by (context, timestamp, id).

    Args:
        version: the version.
        tree: the query.
        columns: not needed: whole records are cheap to read beside finding them.
    """
    table = VersionTable(version)
    rows = table.select(tree)
    rows = rows[table.order(rows).by] if len(rows) else rows
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield from table.take(rows[start : start + _ROWS_AT_ONCE])
