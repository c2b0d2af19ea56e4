"""What a view needs to know of the frames below it: a list, or anything that can be scanned or looked up by row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti import wire
from smalti.facts import MaskFacts
from smalti.order import digest
from smalti.query.match import Facts, LabelsAs, matches
from smalti.query.nodes import All, Node
from smalti.query.values import at_path
from smalti.records import Frame

__all__ = ["ListTable", "Ordering", "Scannable", "Table", "table_of"]

Ints = NDArray[np.int64]


class Ordering(msgspec.Struct, frozen=True):
    """Rows in sequence: `by` sorts them by (context, timestamp, id); the others are aligned with the sorted rows.

    Attributes:
        by: (n,) int64, positions into the rows that were asked about.
        context: (n,) int64, equal where the context is; numbered from 0 as they first occur.
        timestamp: (n,) float64, milliseconds.
        contexts: the context ids by number.
    """

    by: Any
    context: Any
    timestamp: Any
    contexts: Sequence[str]


@runtime_checkable
class Scannable(Protocol):
    """Anything that yields the frames that a query asks for."""

    def scan(self, tree: Node, columns: Sequence[str] | None = None) -> Iterator[Frame]:
        """The frames for which the tree holds."""
        ...


@runtime_checkable
class Table(Protocol):
    """Frames that can be chosen first and read later. Row numbers stay what they are while the table lives."""

    dataset: str
    version: str

    @property
    def fingerprint(self) -> str:
        """Equal for equal contents; changes when frames do."""
        ...

    @property
    def mask_labels(self) -> Any:
        """The legends for masks that a frame does not explain itself, or None."""
        ...

    def select(self, tree: Node, labels: LabelsAs = "either") -> Ints:
        """The rows for which the tree holds, ascending."""
        ...

    def count(self, tree: Node, labels: LabelsAs = "either") -> int:
        """How many rows the tree holds for."""
        ...

    def take(self, rows: Ints) -> list[Frame]:
        """The frames of these rows, in the order asked."""
        ...

    def order(self, rows: Ints) -> Ordering:
        """The sequence of these rows by (context, timestamp, id)."""
        ...

    def column(self, rows: Ints, field: str) -> list[Any]:
        """One value per row: of `id`, `context_id`, `timestamp`, or a path below `meta` (several values: the first)."""
        ...

    def facts(self, rows: Ints) -> list[Facts | None]:
        """What is stored about the masks of these rows; None where nothing is."""
        ...


class ListTable:
    """Frames in memory.

    Args:
        frames: records or handles; they are not copied.
        facts: frame id → facts of its masks, by mask id or as a list.
        dataset, version: what the list is called in filters and reports.
        mask_labels: legends for masks that a frame does not explain itself.
    """

    def __init__(
        self,
        frames: Iterable[Any],
        *,
        facts: Mapping[str, Facts | Iterable[MaskFacts]] | None = None,
        dataset: str = "list",
        version: str = "frames",
        mask_labels: Any = None,
    ) -> None:
        listed = list(frames)
        self.frames: list[Frame] = [getattr(frame, "record", frame) for frame in listed]
        self._bases: list[str | None] = [getattr(frame, "base", None) for frame in listed]
        self.dataset = dataset
        self.version = version
        self.mask_labels = mask_labels
        self._facts = {key: _by_mask(found) for key, found in (facts or {}).items()}

    @property
    def fingerprint(self) -> str:
        """A hash of the frames' ids."""
        return digest([self._id(frame) for frame in self.frames]).hex()

    def _id(self, frame: Frame) -> str:
        return frame.id or wire.stable_id(frame)

    def _facts_of(self, frame: Frame) -> Facts | None:
        return self._facts.get(self._id(frame)) if self._facts else None

    def scan(self, tree: Node, columns: Sequence[str] | None = None) -> Iterator[Frame]:
        """The frames for which the tree holds, whole whatever the columns."""
        return iter(self.take(self.select(tree)))

    def select(self, tree: Node, labels: LabelsAs = "either") -> Ints:
        """The positions in the list for which the tree holds."""
        frames = enumerate(self.frames)
        return np.array([i for i, f in frames if matches(tree, f, self._facts_of(f), labels)], np.int64)

    def count(self, tree: Node, labels: LabelsAs = "either") -> int:
        """How many frames the tree holds for."""
        return len(self.select(tree, labels))

    def take(self, rows: Ints) -> list[Frame]:
        """The frames at these positions."""
        return [self.frames[row] for row in rows.tolist()]

    def only(self, rows: Ints) -> "ListTable":
        """A table of these frames alone, in the order of `rows`: what a process needs that reads no others."""
        part = ListTable(self.take(rows), dataset=self.dataset, version=self.version, mask_labels=self.mask_labels)
        part._bases = self.bases(rows)
        part._facts = {key: self._facts[key] for frame in part.frames if (key := self._id(frame)) in self._facts}
        return part

    def bases(self, rows: Ints) -> list[str | None]:
        """The folders that relative URIs of these frames are meant from; None = the working directory."""
        return [self._bases[row] for row in rows.tolist()]

    def order(self, rows: Ints) -> Ordering:
        """The sequence of these rows by (context, timestamp, id)."""
        contexts, stamps = self.column(rows, "context_id"), self.column(rows, "timestamp")
        ids = self.column(rows, "id")
        by = sorted(range(len(rows)), key=lambda i: (contexts[i], stamps[i], ids[i]))
        names = {name: i for i, name in enumerate(dict.fromkeys(contexts[i] for i in by))}
        return Ordering(
            np.array(by, np.int64),
            np.array([names[contexts[i]] for i in by], np.int64),
            np.array([stamps[i] for i in by], np.float64),
            list(names),
        )

    def column(self, rows: Ints, field: str) -> list[Any]:
        """One value per row; what the first source says where the frame itself does not."""
        frames = self.take(rows)
        if field == "id":
            return [self._id(frame) for frame in frames]
        if field == "context_id":
            return [f.context_id if f.context_id is not None else f.sources[0].uri if f.sources else "" for f in frames]
        if field == "timestamp":
            return [
                f.timestamp if f.timestamp is not None else f.sources[0].timestamp if f.sources else 0 for f in frames
            ]
        return [next(at_path(frame, field), None) for frame in frames]

    def facts(self, rows: Ints) -> list[Facts | None]:
        """The facts that were given."""
        return [self._facts_of(frame) for frame in self.take(rows)]


def _by_mask(found: Facts | Iterable[MaskFacts]) -> Facts:
    return found if isinstance(found, Mapping) else {facts.mask: facts for facts in found}


def table_of(source: Any, *, facts: Mapping[str, Any] | None = None, mask_labels: Any = None) -> Table:
    """A table over a list of frames, over something that can only be scanned, or the table that it is.

    What can only be scanned is read whole. A stored version is a table itself, or has one as `.table`.

    Args:
        source: the list, version or table.
        facts, mask_labels: for a list; a version has its own.
    """
    if isinstance(source, Table):
        return source
    own = getattr(source, "table", None)
    if isinstance(own, Table):
        return own
    if isinstance(source, Scannable):
        return ListTable(
            source.scan(All()),
            dataset=str(getattr(source, "dataset_id", "list")),
            version=str(getattr(source, "id", "frames")),
            facts=facts,
            mask_labels=mask_labels if mask_labels is not None else getattr(source, "mask_labels", None),
        )
    return ListTable(source, facts=facts, mask_labels=mask_labels)
