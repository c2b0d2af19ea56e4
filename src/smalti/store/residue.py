"""Rows that a filter leaves open, evaluated exactly, reading no more columns than the query speaks of.

Conditions on labels and confidences of ROIs are evaluated for a whole batch at a time: one array entry per ROI, a
running sum per frame. Everything else goes through `smalti.query.match`, which defines it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, reduce
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from smalti.facts import MaskFacts
from smalti.query.match import LabelsAs, Subject, matches, term_fits
from smalti.query.nodes import All, And, Exists, Leaf, Node, Not, Or, Range, Some, Term
from smalti.query.values import as_number, at_path, in_range
from smalti.records import Frame
from smalti.store.derive import LONGEST_META_TOKEN, NUMBERS
from smalti.store.roi_columns import RoiColumns, rois_of
from smalti.store.schema import TRUTH, from_rows

__all__ = ["columns_of", "evaluate", "evaluate_rois", "facts_in"]

Bools = NDArray[np.bool_]
_FACTS = "px_masks"
_SUMS = ("px_label", "px_count")
_MOST_KNOWN = 1 << 17
_decode_facts = msgspec.json.Decoder(list[MaskFacts]).decode
_decode_meta = msgspec.json.Decoder(dict[str, Any]).decode


def columns_of(tree: Node, labels: LabelsAs = "either") -> list[str]:
    """The columns that it takes to evaluate a tree; those of the whole record where single ones do not do."""
    found: dict[str, None] = {}
    for part in _parts(tree):
        found.update(dict.fromkeys(_columns(part, labels)))
    if "sources" in found:
        found = {**dict.fromkeys(TRUTH.names), **({_FACTS: None} if _FACTS in found else {})}
    return list(found)


def _parts(tree: Node) -> Iterator[Some | Leaf]:
    if isinstance(tree, And | Or):
        for item in tree.items:
            yield from _parts(item)
    elif isinstance(tree, Not):
        yield from _parts(tree.item)
    elif not isinstance(tree, All):
        yield tree


def _columns(part: Some | Leaf, labels: LabelsAs) -> Sequence[str]:
    if not isinstance(part, Some):
        own = part.field if part.field in ("id", "context_id", "timestamp") else "sources"
        return _meta_columns(part) if part.field.startswith("meta.") else [own]
    if part.scope == "mask":
        return [*_SUMS, _FACTS] if _is_summed(part) else [_FACTS]
    if part.scope == "source":
        return ["sources"]
    fields = {leaf.field for leaf in _leaves(part.item)}
    if not fields <= {"label", "confidence"} or ("label" in fields and labels == "written"):
        return ["sources"]
    return ["roi_ls", *(["roi_conf"] if "confidence" in fields else [])]


def _meta_columns(leaf: Leaf) -> list[str]:
    """Tokens answer for most values; the JSON for those that a token does not tell apart."""
    has_tokens = not isinstance(leaf, Exists) and "=" not in leaf.field
    return ["meta_kv", "meta"] if has_tokens else ["meta"]


def _is_summed(part: Some) -> bool:
    """Whether sums over the masks of a frame answer for a frame with one mask: pixels and names of labels do."""
    is_any = (part.low, part.high) == (1, None)
    return is_any and all(leaf.of is not None and leaf.field == "pixels" for leaf in _leaves(part.item))


def _leaves(tree: Node) -> Iterator[Leaf]:
    for part in _parts(tree):
        if not isinstance(part, Some):
            yield part


def evaluate(tree: Node, batch: pa.RecordBatch, labels: LabelsAs = "either") -> Bools:
    """(n,) bool: which rows match. The batch has the columns of `columns_of`."""
    if "rois" in batch.schema.names:
        frames = from_rows(batch)
        facts = facts_in(batch.column(_FACTS)) if _FACTS in batch.schema.names else [None] * len(frames)
        found = (matches(tree, f, each, labels) for f, each in zip(frames, facts, strict=True))
        return np.fromiter(found, np.bool_, len(frames))
    return _Batch(batch).holds(tree)


def facts_in(column: pa.Array) -> list[Mapping[str, MaskFacts] | None]:
    """What is stored about the masks of each row, by mask id."""
    return [None if t is None else {each.mask: each for each in _decode_facts(t)} for t in column.to_pylist()]


class _Batch:
    """Some columns of some rows."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self._frames: list[Frame] | None = None
        self._facts: list[Mapping[str, MaskFacts] | None] | None = None
        self._decoded: list[dict[str, Any]] | None = None
        self._roi_columns: RoiColumns | None = None

    def holds(self, tree: Node) -> Bools:
        return _folded(tree, len(self.batch), self._part)

    def _part(self, tree: Node) -> Bools:
        match tree:
            case Some(scope="roi"):
                return self._rois(tree)
            case Some(scope="mask") if _is_summed(tree):
                return self._sums(tree)
            case Some(scope="mask"):
                return self._on_masks(tree)
            case Term() | Range() if tree.field.startswith("meta."):
                return self._meta(tree)
            case _:
                found = (Subject(frame).holds(tree) for frame in self._plain())
                return np.fromiter(found, np.bool_, len(self.batch))

    def _meta(self, leaf: Term | Range) -> Bools:
        """A condition on a path of the metadata; each distinct value is looked at once."""
        path = leaf.field.removeprefix("meta.")
        found = np.zeros(len(self.batch), np.bool_)
        rows: Iterable[int] = range(len(self.batch))
        if "meta_kv" in self.batch.schema.names and "=" not in path:
            found, rows = self._by_tokens(leaf, f"{path}=")
        known: dict[tuple[type, Any], bool] = {}
        for row in rows:
            for value in at_path(self._meta_of(row), path):
                fits = known.get((type(value), value))
                if fits is None:
                    fits = known[type(value), value] = _fits(leaf, value)
                if fits:
                    found[row] = True
                    break
        return found

    def _by_tokens(self, leaf: Term | Range, start: str) -> tuple[Bools, list[int]]:
        """Rows with a token that surely fits, and those whose JSON has to be looked at."""
        column = self.batch.column("meta_kv")
        offsets = column.offsets.to_numpy()
        first, last = int(offsets[0]), int(offsets[-1])
        tokens = column.values.slice(first, last - first)
        mine = pc.starts_with(tokens, start)
        texts = tokens.filter(mine).dictionary_encode()
        owner = np.repeat(np.arange(len(self.batch)), np.diff(offsets))[mine.to_numpy(zero_copy_only=False)]
        known = _known(leaf)
        verdicts = np.zeros(len(texts.dictionary), np.int8)
        for i, text in enumerate(texts.dictionary.to_pylist()):
            verdict = known.get(text)
            if verdict is None:
                verdict = known[text] = _token_fits(leaf, text[len(start) :])
            verdicts[i] = verdict
        found = np.zeros(len(self.batch), np.bool_)
        if not len(verdicts):
            return found, []
        each = verdicts[texts.indices.to_numpy(zero_copy_only=False)]
        found[owner[each == _YES]] = True
        unsure = np.unique(owner[each == _UNSURE])
        return found, unsure[~found[unsure]].tolist()

    def _meta_of(self, row: int) -> dict[str, Any]:
        text = self.batch.column("meta")[row].as_py()
        return _decode_meta(text) if text else {}

    def _metas(self) -> list[dict[str, Any]]:
        if self._decoded is None:
            self._decoded = [_decode_meta(text) if text else {} for text in self.batch.column("meta").to_pylist()]
        return self._decoded

    def _masks(self) -> Sequence[Any]:
        if self._facts is None:
            self._facts = facts_in(self.batch.column(_FACTS))
        return self._facts

    def _plain(self) -> list[Frame]:
        """Frames with the fields that conditions on frames look at, as far as they were read."""
        if self._frames is None:
            names = [n for n in ("id", "context_id", "timestamp") if n in self.batch.schema.names]
            columns: dict[str, list[Any]] = {name: self.batch.column(name).to_pylist() for name in names}
            if "meta" in self.batch.schema.names:
                columns["meta"] = self._metas()
            rows = zip(*columns.values(), strict=True)
            self._frames = [Frame(sources=[], **dict(zip(columns, row, strict=True))) for row in rows]
        return self._frames

    def _on_masks(self, tree: Some) -> Bools:
        """A count of masks: the condition on all masks of all rows at once, then a sum for each row."""
        facts = self._masks()
        masks = [mask for each in facts if each for mask in each.values()]
        sums = np.concatenate([[0], np.cumsum(_fitting(tree.item, masks))])
        ends = np.cumsum([len(each) if each else 0 for each in facts])
        counts = np.diff(sums[ends], prepend=0)
        enough: Bools = counts >= tree.low
        return enough if tree.high is None else enough & (counts <= tree.high)

    def _sums(self, tree: Some) -> Bools:
        """Sums over masks where there is one mask; the facts themselves where there are several."""
        texts = self.batch.column(_FACTS)
        masks = pc.fill_null(pc.count_substring(texts, '"source":'), 0).to_numpy()  # once in the JSON of each mask
        found: Bools = _on_sums(tree.item, self.batch) & np.asarray(masks == 1, np.bool_)
        for row in np.flatnonzero(masks > 1).tolist():
            found[row] = Subject(Frame(sources=[]), facts_in(texts.slice(row, 1))[0]).holds(tree)
        return found

    def _rois(self, tree: Some) -> Bools:
        if self._roi_columns is None:
            self._roi_columns = rois_of(self.batch)
        return on_rois(tree, self._roi_columns)


def on_rois(tree: Some, rois: RoiColumns) -> Bools:
    """(n,) bool: which rows have as many ROIs as the tree asks for."""
    hits = _on_rois(tree.item, rois.codes, rois.sets, rois.confidence)
    sums = np.zeros(len(hits) + 1, np.int64 if len(hits) >= 2**31 else np.int32)
    np.cumsum(hits, out=sums[1:])
    counts = np.diff(sums[rois.starts])
    enough: Bools = counts >= tree.low
    return enough if tree.high is None else enough & (counts <= tree.high)


def evaluate_rois(tree: Node, rois: RoiColumns) -> Bools:
    """(n,) bool: which rows match a tree for which `columns_of` names ROI columns alone."""

    def part(found: Node) -> Bools:
        if not isinstance(found, Some):
            raise TypeError(f"{type(found).__name__} is no condition on ROIs")
        return on_rois(found, rois)

    return _folded(tree, len(rois.starts) - 1, part)


def _folded(tree: Node, size: int, part: Callable[[Node], Bools]) -> Bools:
    """(size,) bool: a tree of AND, OR and NOT over what `part` says of everything else."""
    match tree:
        case All():
            return np.ones(size, np.bool_)
        case And(items) | Or(items):
            combine = np.logical_and if isinstance(tree, And) else np.logical_or
            start: Bools = np.full(size, isinstance(tree, And), np.bool_)
            joined: Bools = reduce(combine, (_folded(item, size, part) for item in items), start)
            return joined
        case Not(item):
            return ~_folded(item, size, part)
        case _:
            return part(tree)


def _on_rois(
    tree: Node, codes: NDArray[Any], sets: Sequence[frozenset[str]], confidence: NDArray[np.float64] | None
) -> Bools:
    """(number of ROIs,) bool."""

    def part(leaf: Node) -> Bools:
        if confidence is not None and getattr(leaf, "field", "") == "confidence":
            return _on_numbers(leaf, confidence) if isinstance(leaf, Term | Range) else ~np.isnan(confidence)
        if isinstance(leaf, Term | Range):
            table = np.array([any(_fits(leaf, label) for label in labels) for labels in sets], np.bool_)
        else:
            table = np.array([bool(labels) for labels in sets], np.bool_)
        found: Bools = table[codes] if len(sets) else np.zeros(len(codes), np.bool_)
        return found

    return _folded(tree, len(codes), part)


def _fitting(tree: Node, masks: Sequence[MaskFacts]) -> Bools:
    """(number of masks,) bool: for which a condition on masks holds."""
    subject = Subject(Frame(sources=[]))

    def part(leaf: Node) -> Bools:
        match leaf:
            case Range(field="share", of=str(label)):
                return _on_numbers(leaf, np.array([mask.share(label) for mask in masks], np.float64))
            case Range(field="pixels", of=str(label)):
                return _on_numbers(leaf, np.array([mask.pixels.get(label, 0) for mask in masks], np.float64))
            case Range(field="void.share"):
                return _on_numbers(leaf, np.array([mask.void_share for mask in masks], np.float64))
            case _:
                return np.fromiter((subject.holds(leaf, mask) for mask in masks), np.bool_, len(masks))

    return _folded(tree, len(masks), part)


def _on_sums(tree: Node, batch: pa.RecordBatch) -> Bools:
    """(n,) bool: a condition on pixels of labels, by the pixels that a label has in all masks of a frame."""

    def part(leaf: Node) -> Bools:
        if isinstance(leaf, Term | Range):
            return _on_numbers(leaf, _pixels(leaf.of or "", batch))
        return np.ones(len(batch), np.bool_)

    return _folded(tree, len(batch), part)


def _pixels(label: str, batch: pa.RecordBatch) -> NDArray[np.float64]:
    column = batch.column("px_label")
    starts = column.offsets.to_numpy()
    inside = slice(int(starts[0]), int(starts[-1]))
    hits = pc.equal(column.values.slice(inside.start, inside.stop - inside.start), label).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(batch)), np.diff(starts))
    counts = batch.column("px_count")
    first = int(counts.offsets[0].as_py())
    values = counts.values.slice(first, len(owner)).to_numpy()
    pixels = np.zeros(len(batch))
    pixels[owner[hits]] = values[hits]
    return pixels


def _on_numbers(leaf: Term | Range, values: NDArray[np.float64]) -> Bools:
    there = ~np.isnan(values)
    if isinstance(leaf, Range):
        ends = [None if end is None else as_number(end) for end in (leaf.low, leaf.high)]
        is_plain = all((e is None) == (n is None) for e, n in zip((leaf.low, leaf.high), ends, strict=True))
        if is_plain:
            low, high = ends
            if low is not None:
                there &= values > low if leaf.low_open else values >= low
            if high is not None:
                there &= values < high if leaf.high_open else values <= high
            return there
    distinct, which = np.unique(values, return_inverse=True)
    fits = [not np.isnan(value) and _fits(leaf, value) for value in distinct.tolist()]
    return np.array(fits, np.bool_)[which.reshape(-1)] if len(distinct) else there


def _fits(leaf: Term | Range, value: str | float) -> bool:
    return term_fits(leaf, value) if isinstance(leaf, Term) else in_range(value, leaf)


_NO, _YES, _UNSURE = 0, 1, 2


@lru_cache(maxsize=64)
def _known(leaf: Term | Range) -> dict[str, int]:
    """What is known of the tokens that a condition has met, from batch to batch."""
    return _Few()


class _Few(dict[str, int]):
    """A dict that starts anew when it is full."""

    def __setitem__(self, key: str, value: int) -> None:
        if len(self) >= _MOST_KNOWN:
            self.clear()
        super().__setitem__(key, value)


def _token_fits(leaf: Term | Range, text: str) -> int:
    """Whether the value that a token stands for fits: it may be a text, or the number or truth value of that text."""
    if "=" in text or len(text) >= LONGEST_META_TOKEN or text == NUMBERS:  # part of a key, cut, or for a whole list
        return _UNSURE
    values: list[Any] = [text]
    if (number := as_number(text)) is not None:
        values.append(number)
    elif text in ("true", "false"):
        values.append(text == "true")
    found = {_fits(leaf, value) for value in values}
    return _UNSURE if len(found) > 1 else _YES if found == {True} else _NO
