"""From a query tree to a filter over the store's columns: which rows surely match, and which may.

Every tree becomes two SQL filters. Rows that fulfil `must` match; rows that do not fulfil `may` do not. Only the rows
between the two are read and evaluated, in NumPy where their columns suffice (`smalti.store.residue`). A negation swaps
the two, so it needs no special care. Where both are equal the index alone answers: that is so for every boolean over
the labels of one ROI, because a version has few distinct label sets and the query is evaluated on each of them here.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from smalti.query.match import LabelsAs, term_fits
from smalti.query.nodes import All, And, Exists, Leaf, Node, Not, Or, Range, Some, Term
from smalti.query.values import ANY_CHAR, ANY_TEXT, analyse, as_number, fold, in_range, instant_span, spellings
from smalti.store.buckets import MANY_MASKS, ONE_MASK, SMALLEST, VOID, buckets
from smalti.store.derive import LONGEST_META_TOKEN, meta_token, numbers_token

__all__ = ["Columns", "Plan", "labels_in", "plan"]

TRUE, FALSE = "true", "false"
_MOST_TOKENS = 4000
"""Above so many label sets a filter costs more than looking at the rows."""


@dataclass(frozen=True)
class Columns:
    """What is known about the columns of a version.

    Attributes:
        labelsets: every distinct token of the `labelsets` column (more do no harm, fewer would); None = not known.
        promoted: path below `meta` → (column, type) of promoted metadata.
        labels: which labels of a ROI count.
    """

    labelsets: dict[str, frozenset[str]] | None = None
    promoted: dict[str, tuple[str, str]] = field(default_factory=dict)
    labels: LabelsAs = "either"


@dataclass(frozen=True, slots=True)
class Plan:
    """Two filters with the answer between them.

    Attributes:
        may: SQL that every matching row fulfils.
        must: SQL that only matching rows fulfil.
    """

    may: str
    must: str

    @property
    def exact(self) -> bool:
        """Whether the filters answer alone."""
        return self.may == self.must

    @property
    def open(self) -> str:
        """SQL for the rows that have to be looked at."""
        return FALSE if self.exact else conjunction([self.may, negation(self.must)])


def plan(tree: Node, columns: Columns) -> Plan:
    """The filters for a tree."""
    match tree:
        case All():
            return Plan(TRUE, TRUE)
        case And(items):
            parts = [plan(item, columns) for item in items]
            return Plan(conjunction(p.may for p in parts), conjunction(p.must for p in parts))
        case Or(items):
            parts = [plan(item, columns) for item in items]
            return Plan(disjunction(p.may for p in parts), disjunction(p.must for p in parts))
        case Not(item):
            inner = plan(item, columns)
            return Plan(negation(inner.must), negation(inner.may))
        case Some(scope="roi"):
            return _rois(tree, columns)
        case Some(scope="mask"):
            return _masks(tree)
        case Some():
            return Plan(TRUE, FALSE)
        case Term() | Range() | Exists():
            return _frame(tree, columns)


# ------------------------------------------------------------------------------------------------------------ SQL
def conjunction(parts: Iterable[str]) -> str:
    """SQL for all of these."""
    kept = list(dict.fromkeys(part for part in parts if part != TRUE))
    return FALSE if FALSE in kept else TRUE if not kept else kept[0] if len(kept) == 1 else f"({' AND '.join(kept)})"


def disjunction(parts: Iterable[str]) -> str:
    """SQL for any of these."""
    kept = list(dict.fromkeys(part for part in parts if part != FALSE))
    return TRUE if TRUE in kept else FALSE if not kept else kept[0] if len(kept) == 1 else f"({' OR '.join(kept)})"


def negation(part: str) -> str:
    """SQL for the opposite."""
    if part in (TRUE, FALSE):
        return FALSE if part == TRUE else TRUE
    return part[5:-1] if part.startswith("(NOT ") else f"(NOT {part})"


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def has_any(column: str, tokens: Sequence[str]) -> str:
    """SQL for a list column that holds one of these."""
    if not tokens:
        return FALSE
    return f"array_has_any({column}, [{', '.join(map(text, tokens))}])"


# ----------------------------------------------------------------------------------------------------------- ROIs
def labels_in(token: str) -> frozenset[str]:
    """The labels that a label-set token stands for."""
    return frozenset(msgspec.json.decode(token, type=list[str]))


def _rois(tree: Some, columns: Columns) -> Plan:
    if tree.low == 0 and tree.high is None:
        return Plan(TRUE, TRUE)
    if columns.labelsets is None:
        return Plan(TRUE, FALSE)
    truths = {token: _on_labels(tree.item, labels, columns.labels) for token, labels in columns.labelsets.items()}
    maybe = sorted(token for token, truth in truths.items() if truth is not False)
    surely = sorted(token for token, truth in truths.items() if truth is True)
    if len(maybe) > _MOST_TOKENS:
        return Plan(TRUE, FALSE)
    some, sure = has_any("labelsets", maybe), has_any("labelsets", surely)
    if tree.high is None:
        return Plan(some, sure if tree.low == 1 else FALSE)
    if tree.high == 0:
        return Plan(negation(sure), negation(some))
    return Plan(TRUE, negation(some)) if tree.low == 0 else Plan(some, FALSE)


def _on_labels(tree: Node, labels: frozenset[str], labels_as: LabelsAs) -> bool | None:
    """Whether a tree holds for a ROI of which only the label set is known; None = it depends."""
    match tree:
        case All():
            return True
        case And(items) | Or(items):
            neutral = isinstance(tree, And)
            found = [_on_labels(item, labels, labels_as) for item in items]
            return (not neutral) if (not neutral) in found else None if None in found else neutral
        case Not(item):
            inner = _on_labels(item, labels, labels_as)
            return None if inner is None else not inner
        case Term(field="label") | Range(field="label") | Exists(field="label"):
            fits = any(_label_fits(tree, label) for label in labels)
            # The token also holds labels that were not written, so its labels prove nothing about the written ones.
            return None if fits and labels_as == "written" else fits
        case _:
            return None


def _label_fits(leaf: Leaf, label: str) -> bool:
    if isinstance(leaf, Term):
        return term_fits(leaf, label)
    return in_range(label, leaf) if isinstance(leaf, Range) else True


# ---------------------------------------------------------------------------------------------------------- masks
def _masks(tree: Some) -> Plan:
    """Columns sum over the masks of a frame, so they are the truth about frames with one mask (`ONE_MASK`)."""
    if (tree.low, tree.high) != (1, None):
        return Plan(TRUE, FALSE)
    lower = _lower_bound(tree.item)
    if lower is not None:  # the buckets speak of the largest share of any mask, whatever their number
        return Plan(_above(lower, sure=False), _above(lower, sure=True))
    one, several = has_any("px_bucket", [ONE_MASK]), has_any("px_bucket", [MANY_MASKS])
    inner = _on_mask(tree.item)
    may = disjunction([conjunction([one, inner.may]), conjunction([several, _touching(tree.item)])])
    return Plan(may, conjunction([one, inner.must]))


def _lower_bound(item: Node) -> Range | None:
    """The item, if it asks for at least some share of a label and nothing else."""
    if not isinstance(item, Range) or not _is_share(item) or item.high is not None:
        return None
    return item if _above_zero(item) else None


def _above_zero(item: Range) -> bool:
    return (as_number(item.low or "") or 0) > 0


def _is_share(item: Node) -> bool:
    return isinstance(item, Range) and item.field in ("share", "void.share")


def _counted(item: Range) -> str:
    return item.of if item.of is not None else VOID


def _occurs(label: str) -> str:
    """Frames with a pixel of the label in any mask. By the buckets, which are indexed."""
    return has_any("px_bucket", buckets(label, SMALLEST, low_open=False, sure=False))


def _above(bounds: Range, *, sure: bool) -> str:
    low = float(as_number(bounds.low or "") or 0)
    return has_any("px_bucket", buckets(_counted(bounds), low, low_open=bounds.low_open, sure=sure))


def _touching(item: Node) -> str:
    """What every frame fulfils that has a mask for which the item holds, however many masks there are."""
    match item:
        case And(items):
            return conjunction(_touching(each) for each in items)
        case Or(items):
            return disjunction(_touching(each) for each in items)
        case Range() if _is_share(item) and _above_zero(item):
            return _above(item, sure=False)
        case Range(of=str(label)) if _above_zero(item):
            return _occurs(label)
        case Term(field="labels", kind="word" | "phrase"):
            return _occurs(item.text)
        case _:
            return TRUE


def _on_mask(item: Node) -> Plan:
    """The filters for an item, on frames with one mask."""
    match item:
        case All():
            return Plan(TRUE, TRUE)
        case And(items):
            parts = [_on_mask(each) for each in items]
            return Plan(conjunction(p.may for p in parts), conjunction(p.must for p in parts))
        case Or(items):
            parts = [_on_mask(each) for each in items]
            return Plan(disjunction(p.may for p in parts), disjunction(p.must for p in parts))
        case Not(inner):
            found = _on_mask(inner)
            return Plan(negation(found.must), negation(found.may))
        case Term(field="labels", kind="word" | "phrase"):
            return _both(_occurs(item.text))
        case Exists(field="labels"):
            return Plan(TRUE, FALSE)
        case Range(field="share" | "void.share"):
            return _share(item)
        case Range(of=str(label)) if _above_zero(item):
            return Plan(_occurs(label), FALSE)
        case _:
            return Plan(TRUE, FALSE)


def _both(sql: str) -> Plan:
    return Plan(sql, sql)


def _share(bounds: Range) -> Plan:
    """A range of shares on frames with one mask: its buckets; where it holds none of the label, too, what it is not."""
    ends = [as_number(end) if end is not None else None for end in (bounds.low, bounds.high)]
    if any(number is None and end is not None for number, end in zip(ends, (bounds.low, bounds.high), strict=True)):
        return Plan(TRUE, FALSE)
    low, high = ends
    label = _counted(bounds)
    if low is not None and (low > 0 or (low == 0 and bounds.low_open)):
        least, is_open = (float(low), bounds.low_open) if low > 0 else (SMALLEST, False)
        most = None if high is None else float(high)
        if most is not None and most <= 0:
            return Plan(FALSE, FALSE)
        within = [
            buckets(label, least, low_open=is_open, sure=sure, high=most, high_open=bounds.high_open)
            for sure in (False, True)
        ]
        return Plan(has_any("px_bucket", within[0]), has_any("px_bucket", within[1]))
    if high is None:
        return Plan(TRUE, TRUE)
    if high < 0 or (high == 0 and bounds.high_open):
        return Plan(FALSE, FALSE)
    above = _beyond(label, float(high), not bounds.high_open)
    return Plan(negation(above.must), negation(above.may))


def _beyond(label: str, low: float, low_open: bool) -> Plan:
    if low == 0:
        return _both(_occurs(label))
    may = has_any("px_bucket", buckets(label, low, low_open=low_open, sure=False))
    return Plan(may, has_any("px_bucket", buckets(label, low, low_open=low_open, sure=True)))


def _number_range(column: str, bounds: Range) -> Plan:
    """A range over a column of numbers without nulls."""
    parts = []
    for end, sign in ((bounds.low, "<" if bounds.low_open else "<="), (bounds.high, ">" if bounds.high_open else ">=")):
        if end is not None:
            number = as_number(end)
            if number is None or abs(number) > 2**53:
                return Plan(TRUE, FALSE)
            parts.append(f"({float(number)!r} {sign} {column})")
    return _both(conjunction(parts))


# ---------------------------------------------------------------------------------------------------------- frames
def _frame(leaf: Leaf, columns: Columns) -> Plan:
    if leaf.field.startswith("meta."):
        return _meta(leaf, leaf.field.removeprefix("meta."), columns)
    if leaf.field in ("id", "context_id"):
        if isinstance(leaf, Exists):
            return Plan(TRUE, TRUE)
        if isinstance(leaf, Term) and leaf.kind != "wildcard":
            return _both(f"({leaf.field} = {text(leaf.text)})")
        return Plan(_like(leaf.field, leaf.text), FALSE) if isinstance(leaf, Term) else Plan(TRUE, FALSE)
    if leaf.field == "timestamp":
        if isinstance(leaf, Range):
            return _number_range("timestamp", leaf)
        return Plan(TRUE, TRUE) if isinstance(leaf, Exists) else Plan(TRUE, FALSE)
    return Plan(TRUE, FALSE)


def _like(column: str, pattern: str) -> str:
    # A literal % or _ matches more than itself here, which is what a superset may do; a backslash would escape.
    if "\\" in pattern:
        return TRUE
    return f"({column} LIKE {text(pattern.replace(ANY_TEXT, '%').replace(ANY_CHAR, '_'))})"


def _meta(leaf: Leaf, path: str, columns: Columns) -> Plan:
    promoted = columns.promoted.get(path)
    if isinstance(leaf, Range):
        return _promoted_range(leaf, path, promoted)
    if isinstance(leaf, Exists):
        return Plan(_key(path), f"({promoted[0]} IS NOT NULL)" if promoted else FALSE)
    if leaf.kind == "wildcard":
        words = re.findall(r"[a-z0-9_]+", fold(leaf.text))
        # Digits alone may be of a number, which the JSON may write in another way: 1e17 is 100000000000000000 here.
        return Plan(_key(path) if all(map(str.isdigit, words)) else _in_meta(words), FALSE)
    texts = spellings(leaf.text)
    words = [] if leaf.exact else analyse(leaf.text)
    if len(words) == 1 and _is_text(words[0]):
        texts = (*texts, words[0])
    tokens = [meta_token(path, each) for each in texts]
    held = has_any("meta_kv", list(dict.fromkeys(tokens)))
    # A number may also be one of a long list, which has one token for all of them.
    maybe = (
        held
        if as_number(leaf.text) is None
        else has_any("meta_kv", list(dict.fromkeys([*tokens, numbers_token(path)])))
    )
    # Tokens of long values are cut, and one of "a=b" may have been made of the key a or of the key a=b.
    is_sure = "=" not in path + leaf.text and all(len(each) < LONGEST_META_TOKEN for each in texts)
    return Plan(disjunction([maybe, _in_meta(words)]) if words else maybe, held if is_sure else FALSE)


def _is_text(word: str) -> bool:
    """Whether the token of a word is no other value's: `-1` finds the text "1", but not the number, which shares it."""
    return as_number(word) is None and word not in ("true", "false")


def _in_meta(words: Iterable[str]) -> str:
    """Rows whose metadata, as text, holds these words somewhere."""
    plain = [word for word in words if word.isascii()]
    return conjunction(_meta_like("lower(meta)", word) for word in plain)


def _key(path: str) -> str:
    last = path.rpartition(".")[2]
    return _meta_like("meta", last) if re.fullmatch(r"[A-Za-z0-9_]+", last) else TRUE


def _meta_like(column: str, piece: str) -> str:
    # Empty metadata is null, and a null would drop out of a negation.
    return f"coalesce({column} LIKE {text(f'%{piece}%')}, false)"


def _promoted_range(leaf: Range, path: str, promoted: tuple[str, str] | None) -> Plan:
    if promoted is None or (leaf.low is None and leaf.high is None):
        return Plan(_key(path), FALSE)
    column, kind = promoted
    within: str | None = None
    if kind == "float":
        found = _number_range(column, leaf)
        within = found.must if found.exact else None
    elif kind == "int":
        within = _whole_range(column, leaf)
    elif kind == "timestamp":
        within = _time_range(column, leaf)
    if within is None:
        return Plan(_key(path), FALSE)
    # Null: the value has another type, is one of several, or is not there; those that have the key are looked at.
    null = f"({column} IS NULL)"
    return Plan(
        disjunction([f"(({column} IS NOT NULL) AND {within})", conjunction([null, _key(path)])]), _sure(column, within)
    )


def _whole_range(column: str, bounds: Range) -> str | None:
    """A range over a column of whole numbers, which Lance compares with no others."""
    parts = []
    for end, sign, is_open, nearest in (
        (bounds.low, ">", bounds.low_open, math.ceil),
        (bounds.high, "<", bounds.high_open, math.floor),
    ):
        if end is not None:
            number = as_number(end)
            if number is None or not abs(number) <= 2**53:
                return None
            whole = nearest(number)
            parts.append(f"({column} {sign}{'' if is_open and whole == number else '='} {whole})")
    return conjunction(parts)


def _sure(column: str, within: str) -> str:
    return f"(({column} IS NOT NULL) AND {within})"


def _time_range(column: str, bounds: Range) -> str | None:
    parts = []
    ends: list[tuple[str | None, Callable[[tuple[int, int]], tuple[str, int]]]] = [
        (bounds.low, lambda span: (">", span[1]) if bounds.low_open else (">=", span[0])),
        (bounds.high, lambda span: ("<", span[0]) if bounds.high_open else ("<=", span[1])),
    ]
    for end, compare in ends:
        if end is not None:
            span = instant_span(end)
            if span is None:
                return None
            sign, micros = compare(span)
            parts.append(f"({column} {sign} {_moment(micros)})")
    return conjunction(parts)


def _moment(micros: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return f"timestamp '{moment:%Y-%m-%dT%H:%M:%S.%f}Z'"
