"""What a query means: its tree, evaluated on one frame, plainly. Every faster way to answer must agree with it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from smalti.facts import MaskFacts
from smalti.query.nodes import All, And, Exists, Leaf, Node, Not, Or, Range, Some, Term, leaves
from smalti.query.values import (
    Scalar,
    analyse,
    at_path,
    below_path,
    canonical,
    fold,
    has_phrase,
    in_range,
    like,
    spellings,
)
from smalti.records import Frame, Roi, Source

__all__ = [
    "Facts",
    "LabelsAs",
    "Subject",
    "asks_facts",
    "count_things",
    "lacks_facts",
    "matches",
    "roi_labels",
    "term_fits",
]

Facts = Mapping[str, MaskFacts]
"""The stored facts of a frame, by mask id."""
LabelsAs = Literal["either", "written"]
"""Which labels a ROI has: those written and those that its mask means, or only the written ones."""


def matches(tree: Node, frame: Frame, facts: Facts | None = None, labels: LabelsAs = "either") -> bool:
    """Whether the frame is one that the query asks for.

    Args:
        tree: from `smalti.query.parse` or `smalti.query.rules`.
        frame: the record.
        facts: what is stored about its masks; without facts a frame has no mask that a mask condition could hold for.
        labels: whether labels that a mask ROI means count besides those written.
    """
    return Subject(frame, facts, labels).holds(tree)


def count_things(tree: Some, frame: Frame, facts: Facts | None = None, labels: LabelsAs = "either") -> int:
    """How many ROIs (sources, masks) of the frame satisfy the inner tree."""
    return len(Subject(frame, facts, labels).satisfying(tree))


def asks_facts(tree: Node) -> bool:
    """Whether the query asks for stored facts about masks."""
    return any(leaf.scope == "mask" for leaf in leaves(tree))


def lacks_facts(frame: Frame, facts: Facts | None) -> bool:
    """Whether the frame has a mask that nothing is stored about."""
    return any(mask.id not in (facts or {}) for source in frame.sources for mask in source.masks)


def roi_labels(frame: Frame, labels: LabelsAs = "either") -> list[frozenset[str]]:
    """The labels of each ROI: as written, and as meant where a label names the mask and the mask id names the label."""
    written = [frozenset(roi.label) for roi in frame.rois]
    if labels == "written" or not any(roi.mask for roi in frame.rois):
        return written
    masks = {mask.id for source in frame.sources for mask in source.masks}
    return [
        names | {roi.mask.id} if roi.mask is not None and roi.mask.id not in masks and names & masks else names
        for roi, names in zip(frame.rois, written, strict=True)
    ]


class Subject:
    """A frame while questions about it are answered."""

    def __init__(self, frame: Frame, facts: Facts | None = None, labels: LabelsAs = "either") -> None:
        self.frame = frame
        self.facts = facts
        self._labels_as = labels

    @cached_property
    def labels(self) -> Sequence[frozenset[str]]:
        return roi_labels(self.frame, self._labels_as)

    def holds(self, tree: Node, thing: Any = None) -> bool:
        """Whether the tree holds: for the frame, or for one `thing` of it (the position of a ROI, a source, facts)."""
        match tree:
            case All():
                return True
            case And(items):
                return all(self.holds(item, thing) for item in items)
            case Or(items):
                return any(self.holds(item, thing) for item in items)
            case Not(item):
                return not self.holds(item, thing)
            case Some(_, _, low, high):
                found = len(self.satisfying(tree))
                return low <= found and (high is None or found <= high)
            case Term() | Range() | Exists():
                return self._leaf(tree, thing)

    def satisfying(self, tree: Some) -> list[Any]:
        """The things of the tree's scope that satisfy its inner tree (ROIs as positions in `frame.rois`)."""
        return [thing for thing in self._things(tree.scope) if self.holds(tree.item, thing)]

    def _things(self, scope: str) -> Iterable[Any]:
        if scope == "roi":
            return range(len(self.frame.rois))
        return self.frame.sources if scope == "source" else (self.facts or {}).values()

    def _leaf(self, leaf: Leaf, thing: Any) -> bool:
        if isinstance(leaf, Exists) and leaf.scope != "mask" and leaf.field.startswith("meta."):
            return below_path(self._owner(leaf, thing).meta, leaf.field.removeprefix("meta."))
        values = self._values(leaf, thing)
        if isinstance(leaf, Exists):
            return any(True for _ in values)
        if isinstance(leaf, Range):
            return any(in_range(value, leaf) for value in values)
        return any(term_fits(leaf, value) for value in values)

    def _owner(self, leaf: Leaf, thing: Any) -> Frame | Roi | Source:
        if leaf.scope == "roi":
            roi: Roi = self.frame.rois[thing]
            return roi
        if leaf.scope == "source":
            source: Source = thing
            return source
        return self.frame

    def _values(self, leaf: Leaf, thing: Any) -> Iterator[Scalar]:
        if leaf.scope == "mask":
            return _mask_values(leaf, thing)
        if leaf.scope == "roi" and leaf.field == "label":
            return iter(self.labels[thing])
        if leaf.scope == "frame" and leaf.field in ("context_id", "timestamp"):
            return self._filled(leaf.field)
        return at_path(self._owner(leaf, thing), leaf.field)

    def _filled(self, field: str) -> Iterator[Scalar]:
        """A field of the frame that the first source stands in for."""
        written = getattr(self.frame, field)
        if written is None and self.frame.sources:
            first = self.frame.sources[0]
            written = first.uri if field == "context_id" else first.timestamp
        if written is not None:
            yield written


def _mask_values(leaf: Leaf, facts: MaskFacts) -> Iterator[Scalar]:
    if leaf.of is not None:
        yield facts.share(leaf.of) if leaf.field == "share" else facts.pixels.get(leaf.of, 0)
        return
    match leaf.field:
        case "labels":
            yield from (label for label, pixels in facts.pixels.items() if pixels > 0)
        case "void.share":
            yield facts.void_share
        case "void.pixels":
            yield facts.void
        case "id":
            yield facts.mask
        case "source":
            yield facts.source
        case "height":
            yield facts.size_hw[0]
        case "width":
            yield facts.size_hw[1]
        case "size":
            yield facts.total
            yield f"{facts.size_hw[1]}x{facts.size_hw[0]}"
        case "segments":
            yield len(facts.segments)
        case "mode" | "codec" if getattr(facts, leaf.field):
            yield getattr(facts, leaf.field)


def term_fits(term: Term, value: Scalar) -> bool:
    """Whether one value is what a term asks for.

    A scalar equals the term when their canonical texts do (3 and 3.0, true and True); names (labels, ids, URIs) equal
    it letter by letter. A string also fits a term of a
    field that is not exact, without case: a phrase if its words follow one another in the string, a wildcard if it
    fits the whole string or one of its words.
    """
    if term.kind == "wildcard":
        text = canonical(value)
        if term.exact:
            return like(text, term.text)
        pattern = fold(term.text)
        return like(fold(text), pattern) or (isinstance(value, str) and any(like(w, pattern) for w in analyse(value)))
    if isinstance(value, str) and term.exact and not term.field.startswith("meta."):
        return value == term.text
    if canonical(value) in spellings(term.text):
        return True
    return not term.exact and isinstance(value, str) and has_phrase(value, analyse(term.text))
