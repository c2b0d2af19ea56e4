"""From what was written to what is meant: which conditions speak of one and the same ROI, source or mask.

Outside brackets every condition stands alone: `label:car AND label:person` asks for a car and, maybe elsewhere in the
frame, a person. All conditions inside one (outermost) bracket speak of one ROI: `(label:car AND NOT label:occluded)`.
Where a bracket mixes ROI conditions with others, the others are settled first, and what remains must hold on one ROI;
likewise for sources and masks.
"""

from itertools import product

from smalti.errors import QueryError
from smalti.query.nodes import All, And, Leaf, Node, Not, Or, Scope, Some, conjunction, leaves

__all__ = ["Bracket", "bind"]

_MOST_COMBINATIONS = 64


class Bracket:
    """A pair of brackets in the text, with the column of the first."""

    __slots__ = ("column", "item")

    def __init__(self, item: "Written", column: int) -> None:
        self.item = item
        self.column = column


class Both:
    """AND or OR as written, with brackets inside."""

    __slots__ = ("is_and", "items")

    def __init__(self, is_and: bool, items: "list[Written]") -> None:
        self.is_and = is_and
        self.items = items


class Negated:
    """NOT as written."""

    __slots__ = ("item",)

    def __init__(self, item: "Written") -> None:
        self.item = item


Written = Bracket | Both | Negated | Leaf | All


def bind(written: Written, *, one: Scope | None, text: str) -> Node:
    """The tree that is meant. `one`: the whole text speaks of one thing of this scope, as a ROI or source query does.

    Raises:
        QueryError: a bracket mixes too many conditions of different kinds.
    """
    if one is not None:
        return Some(one, _plain(written))
    if isinstance(written, Bracket):
        return _group(_plain(written), written.column, text)
    if isinstance(written, Both):
        items = [bind(item, one=None, text=text) for item in written.items]
        return conjunction(items) if written.is_and else Or(tuple(items))
    if isinstance(written, Negated):
        return Not(bind(written.item, one=None, text=text))
    if isinstance(written, All) or written.scope == "frame":
        return written
    return Some(written.scope, written)


def _plain(written: Written) -> Node:
    """The tree without brackets."""
    if isinstance(written, Bracket):
        return _plain(written.item)
    if isinstance(written, Both):
        items = [_plain(item) for item in written.items]
        return conjunction(items) if written.is_and else Or(tuple(items))
    if isinstance(written, Negated):
        return Not(_plain(written.item))
    return written


def _scopes(tree: Node) -> set[Scope]:
    return {leaf.scope for leaf in leaves(tree)}


def _group(body: Node, column: int, text: str) -> Node:
    scopes = _scopes(body)
    if len(scopes) <= 1:
        return body if scopes <= {"frame"} else Some(scopes.pop(), body)
    cases = _cases(body, negated=False, column=column, text=text)
    found = [_separate(case) for case in cases]
    return found[0] if len(found) == 1 else Or(tuple(found))


def _separate(case: list[Node]) -> Node:
    """Conditions that all hold, put together by scope."""
    by_scope: dict[Scope, list[Node]] = {}
    for item in case:
        by_scope.setdefault(next(iter(_scopes(item)), "frame"), []).append(item)
    return conjunction(
        [
            conjunction(items) if scope == "frame" else Some(scope, conjunction(items))
            for scope, items in by_scope.items()
        ]
    )


def _cases(tree: Node, *, negated: bool, column: int, text: str) -> list[list[Node]]:
    """The tree as alternatives of conditions that have one scope each."""
    if isinstance(tree, Not):
        return _cases(tree.item, negated=not negated, column=column, text=text)
    if len(_scopes(tree)) <= 1 or not isinstance(tree, And | Or):
        return [[Not(tree) if negated else tree]]
    parts = [_cases(item, negated=negated, column=column, text=text) for item in tree.items]
    if isinstance(tree, Or) != negated:
        cases = [case for part in parts for case in part]
    else:
        size = 1
        for part in parts:
            size *= len(part)
            _check(size, column, text)
        cases = [[item for part in choice for item in part] for choice in product(*parts)]
    _check(len(cases), column, text)
    return cases


def _check(size: int, column: int, text: str) -> None:
    if size > _MOST_COMBINATIONS:
        raise QueryError(
            f"this bracket mixes conditions on the frame and its parts in more than {_MOST_COMBINATIONS} combinations; "
            "use one bracket for each part",
            text=text,
            column=column,
        )
