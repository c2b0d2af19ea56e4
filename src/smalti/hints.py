"""What a query may have missed: labels that only masks have, names that nothing has, masks that nobody has counted."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smalti.chosen import count_lacking, covers, names_of
from smalti.legend import Legend
from smalti.query.match import asks_facts, roi_labels
from smalti.query.nodes import All, Leaf, Node, Term, leaves
from smalti.query.parse import quote
from smalti.tables import Table

if TYPE_CHECKING:
    from smalti.view import DataView

__all__ = ["Known", "hints", "hints_of", "lacking_of", "nearest", "unknown_labels"]


@dataclass(frozen=True)
class Known:
    """The labels that some versions have, looked up as far as they are asked for.

    Attributes:
        tables: the versions, or lists.
    """

    tables: Sequence[Table]

    @property
    def where(self) -> str:
        """The versions as people name them."""
        return ", ".join(f"{dataset[-1]}@{version[-1]}" for dataset, version in map(names_of, self.tables))

    @property
    def is_published(self) -> bool:
        """Whether none of them can be counted as it is."""
        return all(getattr(table, "is_published", False) for table in self.tables)

    @cached_property
    def frames(self) -> int:
        """How many frames there are."""
        return sum(table.count(All()) for table in self.tables)

    @cached_property
    def lacking(self) -> int:
        """How many of them have masks without stored facts."""
        return sum(map(count_lacking, self.tables))

    @cached_property
    def rois(self) -> frozenset[str]:
        """Labels of ROIs, as written and as meant."""
        return frozenset(label for table in self.tables for label in _of_rois(table))

    @cached_property
    def legends(self) -> frozenset[str]:
        """Labels of the legends that belong to the versions."""
        return frozenset(label for table in self.tables for label in _of_legends(table.mask_labels))

    @cached_property
    def counted(self) -> frozenset[str]:
        """Labels that have pixels in masks that were counted."""
        return frozenset(label for table in self.tables for label in _of_facts(table))

    @cached_property
    def every(self) -> frozenset[str]:
        """All of these."""
        return self.rois | self.legends | self.counted


def _of_rois(table: Table) -> Collection[str]:
    known = getattr(table, "written_labels", None)
    if known is not None:
        found: Collection[str] = known()
        return found
    return {label for frame in table.take(table.select(All())) for labels in roi_labels(frame) for label in labels}


def _of_facts(table: Table) -> Collection[str]:
    known = getattr(table, "counted_labels", None)
    if known is not None:
        found: Collection[str] = known()
        return found
    facts = table.facts(np.asarray(table.select(All())))
    return {label for each in facts for mask in (each or {}).values() for label in mask.pixels}


def _of_legends(given: Any) -> Iterator[str]:
    if isinstance(given, Legend):
        yield from given.labels
    elif isinstance(given, Mapping):
        for part in given.values():
            if isinstance(part, Legend):
                yield from part.labels
            else:
                yield from (label for row in part for label in row.get("labels", ()))


def hints_of(view: "DataView") -> list[str]:
    """The hints for each filter of a view, about the versions that it speaks of.

    Raises:
        QueryError: a filter cannot be read.
    """
    found: dict[str, None] = {}
    for rule in view.get_queries():
        mine = [table for table in view.tables if covers(rule, table)]
        if mine:
            found.update(dict.fromkeys(hints(rule.tree(), Known(mine))))
    return list(found)


def lacking_of(view: "DataView") -> int:
    """How many frames conditions on masks say nothing about, since nothing is stored about their masks."""
    asking = [rule for rule in view.get_queries() if asks_facts(rule.tree())]
    return Known([table for table in view.tables if any(covers(rule, table) for rule in asking)]).lacking


def hints(tree: Node, known: Known) -> list[str]:
    """What whoever asked this should know, most telling first; nothing where every name is known."""
    found: dict[str, None] = {}
    for leaf in leaves(tree):
        said = _on_roi(leaf, known) if leaf.scope == "roi" else _on_mask(leaf, known) if leaf.scope == "mask" else None
        if said is not None:
            found[said] = None
    if asks_facts(tree) and known.lacking:
        found[
            f"{known.lacking} of {known.frames} frames of {known.where} have masks that nobody has counted, and no "
            f"condition on masks holds for them: {_count_them(known)}"
        ] = None
    return list(found)


def _on_roi(leaf: Leaf, known: Known) -> str | None:
    if not isinstance(leaf, Term) or leaf.field != "label" or leaf.kind == "wildcard" or leaf.text in known.rois:
        return None
    said = f"no ROI of {known.where} is labelled {leaf.text!r}"
    if leaf.text not in known.legends and leaf.text not in known.counted:
        return said + _near(leaf.text, known)
    asked = f"mask.labels:{leaf.text if leaf.text.isidentifier() else quote(leaf.text)}"
    if known.lacking == known.frames:
        return f"{said}; its masks are: {_count_them(known)}, then ask {asked}"
    counted = f"{known.frames - known.lacking} of {known.frames} frames are counted"
    more = f"; {_count_them(known)}" if known.lacking else ""
    return f"{said}; its masks are: ask {asked} ({counted}{more})"


def _on_mask(leaf: Leaf, known: Known) -> str | None:
    is_name = isinstance(leaf, Term) and leaf.field == "labels" and leaf.kind != "wildcard"
    label = leaf.text if isinstance(leaf, Term) and is_name else leaf.of
    if label is None or label in known.legends or label in known.rois or label in known.counted:
        return None
    return f"no mask of {known.where} is known to have {label!r}{_near(label, known)}"


def unknown_labels(labels: Iterable[str], known: Known) -> list[str]:
    """A sentence for each label that neither ROIs nor masks have."""
    return [
        f"nothing in {known.where} is labelled {label!r}{_near(label, known)}"
        for label in labels
        if label not in known.every
    ]


def nearest(label: str, labels: Collection[str]) -> list[str]:
    """Labels that look like one, nearest first; case counts last."""
    folded: dict[str, list[str]] = {}
    for each in sorted(labels):
        folded.setdefault(each.casefold(), []).append(each)
    return [each for key in difflib.get_close_matches(label.casefold(), folded, n=3) for each in folded[key]][:3]


def _near(label: str, known: Known) -> str:
    near = nearest(label, known.every)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _count_them(known: Known) -> str:
    if known.is_published:
        return f"count them in a child of {known.where} (`smalti frames facts DATASET@CHILD`)"
    return f"count them with `smalti frames facts {known.where.partition(', ')[0]}`"
