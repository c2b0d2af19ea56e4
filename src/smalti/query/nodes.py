"""The tree that a query is read into.

Leaves (`Term`, `Range`, `Exists`) test one field of one thing: the frame itself, or a ROI, a source or a mask of it
(`scope`). `Some` counts the things of a scope for which its inner tree holds: inside one `Some` every leaf speaks of
the same ROI (source, mask). Outside every `Some` stand leaves of scope "frame" only; `smalti.query.bind` sees to that.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

__all__ = [
    "All",
    "And",
    "Exists",
    "Leaf",
    "Node",
    "Not",
    "Or",
    "Range",
    "Scope",
    "Some",
    "Term",
    "conjunction",
    "leaves",
]

Scope = Literal["frame", "roi", "source", "mask"]


class _Node(msgspec.Struct, frozen=True, tag=True):
    pass


class All(_Node, frozen=True):
    """Everything matches."""


class And(_Node, frozen=True):
    """All items hold."""

    items: tuple["Node", ...]


class Or(_Node, frozen=True):
    """At least one item holds; an empty one never does."""

    items: tuple["Node", ...]


class Not(_Node, frozen=True):
    """The item does not hold."""

    item: "Node"


class Some(_Node, frozen=True):
    """Between `low` and `high` (None = no limit) things of `scope` satisfy `item`."""

    scope: Scope
    item: "Node"
    low: int = 1
    high: int | None = None


class Term(_Node, frozen=True):
    """A field has this value.

    Attributes:
        field: dotted path inside the scope, without `.keyword`.
        text: the value as written, escapes resolved; in a "wildcard", `*` and `?` are `\\ue000` and `\\ue001`.
        exact: compare whole values and case (a `.keyword` field, or a field that holds names).
        of: the label that a mask field speaks of.
    """

    scope: Scope
    field: str
    text: str
    kind: Literal["word", "phrase", "wildcard"] = "word"
    exact: bool = False
    of: str | None = None


class Range(_Node, frozen=True):
    """A field lies between two bounds, each as written or None for open; `*_open` excludes the bound itself."""

    scope: Scope
    field: str
    low: str | None = None
    high: str | None = None
    low_open: bool = False
    high_open: bool = False
    of: str | None = None


class Exists(_Node, frozen=True):
    """A field has any value (or, for a path to an object, anything below it)."""

    scope: Scope
    field: str
    of: str | None = None


Leaf = Term | Range | Exists
Node = All | And | Or | Not | Some | Term | Range | Exists

NOTHING = Or(())
"""The tree that never matches."""


def leaves(tree: Node) -> Iterator[Leaf]:
    """Every leaf, left to right."""
    if isinstance(tree, And | Or):
        for item in tree.items:
            yield from leaves(item)
    elif isinstance(tree, Not | Some):
        yield from leaves(tree.item)
    elif isinstance(tree, Term | Range | Exists):
        yield tree


def conjunction(items: list[Node]) -> Node:
    """All of these, without needless wrapping."""
    useful = [item for item in items if not isinstance(item, All)]
    return useful[0] if len(useful) == 1 else And(tuple(useful)) if useful else All()
