"""Filter rules as they are stored and sent: label rules, a frame query and a source query, all of which must hold.

Field names are those of the wire format, so that a rule and its JSON are the same thing.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from smalti.errors import QueryError
from smalti.query.nodes import All, Node, Not, Range, Some, conjunction
from smalti.query.parse import parse, quote

__all__ = ["EVERY", "FilterRule", "LabelRule", "checked_weight", "label_query", "label_rule"]

EVERY = "*"
"""Stands for every dataset, or every version, that a view already names."""


_BY_ROI = ("label_rules", "no_rois", "disabled")


class LabelRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many ROIs of a frame must match.

    Attributes:
        label: Lucene over one ROI; all of it must hold on the same ROI. The default field is the label.
        count_range: at least and at most so many; -1 = no limit. Without it: at least one.
        conf_range: only ROIs whose confidence lies in the range count; -1 = no limit. One without does not.
        must_not: the frame must not be as the rest of the rule says.
    """

    label: str
    count_range: tuple[int, int] | None = None
    conf_range: tuple[float, float] | None = None
    must_not: bool = False

    def roi_tree(self) -> Some:
        """The rule as a count of ROIs, without `must_not`.

        Raises:
            QueryError: the label query cannot be read, or a range is upside down.
        """
        found = parse(self.label, "roi")
        item = found.item if isinstance(found, Some) else All()
        if self.conf_range is not None:
            bounds = _bounds("conf_range", self.conf_range, self.label)
            if bounds != (None, None):
                low, high = (None if b is None else repr(float(b)) for b in bounds)
                item = conjunction([item, Range("roi", "confidence", low, high)])
        if self.count_range is None:
            return Some("roi", item)
        least, most = _bounds("count_range", self.count_range, self.label)
        return Some("roi", item, int(least or 0), None if most is None else int(most))

    def tree(self) -> Node:
        """What the rule means for a frame."""
        found = self.roi_tree()
        return Not(found) if self.must_not else found


class FilterRule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One filter of a view; the frames of a view are those that any of its filters lets through.

    Attributes:
        dataset: id or name of a dataset, or "*" for all that the view names.
        version: id or name of a version, or "*".
        filter_by_roi: "label_rules", "no_rois" (frames without any ROI), or "disabled" (the label rules do not count).
        label_rules: all must hold; each may be satisfied by other ROIs.
        frame_query: Lucene over the frame, or None.
        sources_query: Lucene over one source, or None.
        query: the one-string form of `version.view(...)`, ANDed with the rest; ours alone, not part of the wire format.
        weight: how often frames of this filter are drawn in relation to other filters.
        name: what the filter is called in counts and on the frames it served.
    """

    dataset: str = EVERY
    version: str = EVERY
    filter_by_roi: Literal["label_rules", "no_rois", "disabled"] = "label_rules"
    label_rules: tuple[LabelRule, ...] = ()
    frame_query: str | None = None
    sources_query: str | None = None
    query: str | None = None
    weight: float = 1.0
    name: str | None = None

    def tree(self) -> Node:
        """What the filter means for a frame.

        Raises:
            QueryError: one of its texts cannot be read, or `filter_by_roi` is none of those.
        """
        if self.filter_by_roi not in _BY_ROI:
            allowed = ", ".join(map(repr, _BY_ROI))
            raise QueryError(f"filter_by_roi is {self.filter_by_roi!r}; allowed: {allowed}", completions=_BY_ROI)
        items: list[Node] = []
        if self.filter_by_roi == "no_rois":
            items.append(Not(Some("roi", All())))
        elif self.filter_by_roi == "label_rules":
            items += [rule.tree() for rule in self.label_rules]
        if self.frame_query:
            items.append(parse(self.frame_query, "frame"))
        if self.sources_query:
            items.append(parse(self.sources_query, "source"))
        if self.query:
            items.append(parse(self.query))
        return conjunction(items)

    def roi_trees(self) -> list[Some]:
        """The conditions that pick ROIs: those of the label rules that must match, and of the one-string form."""
        rules = self.label_rules if self.filter_by_roi == "label_rules" else ()
        picked = [rule.roi_tree() for rule in rules if not rule.must_not]
        return picked + (_positive(parse(self.query)) if self.query else [])


def _positive(tree: Node) -> list[Some]:
    if isinstance(tree, Some):
        return [tree] if tree.scope == "roi" and tree.high != 0 else []
    items = () if isinstance(tree, Not) else getattr(tree, "items", ())
    return [found for item in items for found in _positive(item)]


def label_query(roi_query: str | Sequence[str]) -> str:
    """The label rule's text for a label, a Lucene text, or a list of labels that one ROI must have all.

    A plain string that is no Lucene is taken as it is: `traffic light` asks for a ROI with both labels, `"traffic
    light"` for one label of two words.
    """
    return roi_query if isinstance(roi_query, str) else " AND ".join(quote(label) for label in roi_query)


def _bounds(name: str, given: Sequence[Any], text: str) -> tuple[Any, Any]:
    """Lower and upper limit, None for -1.

    Raises:
        QueryError: not two numbers, or the upper one is below the lower one.
    """
    numbers = [value for value in given if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) != 2 or len(given) != 2:
        raise QueryError(f"{name} is {list(given)!r}, allowed are two numbers, -1 for no limit", text=text)
    low, high = (None if value == -1 else value for value in numbers)
    if low is not None and high is not None and high < low:
        raise QueryError(f"{name} is {list(given)!r}, its end lies below its start; turn it round", text=text)
    return low, high


def label_rule(rule: LabelRule | Mapping[str, Any]) -> LabelRule:
    """A label rule from its JSON; null means not given.

    Raises:
        QueryError: a value is not what a rule allows.
    """
    if isinstance(rule, LabelRule):
        return rule
    given = {key: value for key, value in rule.items() if value is not None}
    try:
        return msgspec.convert(given, LabelRule)
    except msgspec.ValidationError as error:
        raise QueryError(f"a ROI rule is {dict(rule)!r}: {error}") from None


def checked_weight(weight: float | None) -> float:
    """A filter's weight; 1 where none is given.

    Raises:
        QueryError: the weight is negative, infinite or no number.
    """
    if weight is None:
        return 1.0
    if not 0 <= weight < math.inf:
        raise QueryError(f"the weight is {weight}; allowed: a number from 0")
    return float(weight)
