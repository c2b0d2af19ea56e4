"""Parts of a view: splits that never change, samples by weight, and class weights for a loss."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from smalti.binding import resolve
from smalti.errors import QueryError
from smalti.facts import MaskFacts
from smalti.legend import Legend
from smalti.mapping import LabelMapping
from smalti.order import digest, permutation
from smalti.query.match import Facts, roi_labels
from smalti.viewspec import SampleRecipe, SplitPart

if TYPE_CHECKING:
    from smalti.chosen import Chosen

__all__ = [
    "METHODS",
    "Counted",
    "class_pixels",
    "class_weights",
    "counted",
    "entry_pixels",
    "frame_weights",
    "keep_parts",
    "pick_sample",
    "place_of",
    "split_parts",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
METHODS = ("inverse", "median_frequency", "effective_number", "inverse_log")


# -------------------------------------------------------------------------------------------------------- splits
def place_of(value: Any, seed: int = 0) -> float:
    """Where in 0..1 a value falls: the same everywhere and for ever, whatever else is in the view."""
    return int.from_bytes(digest("split", seed, value)[:7], "big") / 2.0**56


def split_parts(shares: Mapping[str, float], by: str, seed: int) -> dict[str, SplitPart]:
    """Cut 0..1 into parts of these sizes.

    Raises:
        QueryError: a share is negative or no number, or they do not add up to at most 1.
    """
    for name, share in shares.items():
        if not isinstance(share, SupportsFloat):
            raise QueryError(
                f"the share of {name!r} is {share!r}; allowed: a number from 0, at most 1 for all together"
            )
    total = math.fsum(shares.values())
    if not shares or not all(share >= 0 for share in shares.values()) or total > 1 + 1e-9:
        raise QueryError(f"the shares {dict(shares)} add up to {total:g}; allowed: shares from 0, at most 1 together")
    ends = [min(1.0, math.fsum(list(shares.values())[: i + 1])) for i in range(len(shares))]
    if total > 1 - 1e-9:
        ends[-1] = 1.0
    starts = [0.0, *ends[:-1]]
    return {name: SplitPart(by, a, b, seed) for name, a, b in zip(shares, starts, ends, strict=True)}


def keep_parts(chosen: "Chosen", part: SplitPart) -> Ints:
    """The places of the frames that fall into a part."""
    known: dict[Any, bool] = {}
    found = []
    for place, value in enumerate(chosen.column(part.by)):
        if value not in known:
            known[value] = part.start <= place_of(value, part.seed) < part.stop
        if known[value]:
            found.append(place)
    return np.array(found, np.int64)


# ------------------------------------------------------------------------------------------------------- samples
def frame_weights(chosen: "Chosen", by: str | Mapping[str, float] | None) -> Floats:
    """(n,) how often each frame is to be drawn in relation to the others.

    Args:
        chosen: the frames.
        by: None: evenly. "label": by the rarest label of the frame's ROIs, so that each label is drawn about as often.
            "pixels": by its pixels, each weighing 1 / (all pixels of its label), from stored facts; frames without
            facts weigh the mean. A field ("meta.city", "context_id"): each of its values as often as any other.
            {label: weight}: the largest weight of the frame's labels, 0 without any of them.

    Raises:
        QueryError: nothing is stored about any mask.
    """
    if by is None:
        return np.ones(len(chosen))
    if by == "pixels":
        return _by_pixels(chosen.facts())
    if by == "label" or not isinstance(by, str):
        labels = [frozenset[str]().union(*roi_labels(frame)) for frame in chosen.take(np.arange(len(chosen)))]
        counts = Counter(label for found in labels for label in found)
        weights = by if not isinstance(by, str) else {label: 1 / count for label, count in counts.items()}
        return np.array([max((weights.get(label, 0.0) for label in found), default=0.0) for found in labels])
    values = chosen.column(by)
    counts = Counter(values)
    return np.array([1 / counts[value] for value in values])


def _by_pixels(facts: Sequence[Facts | None]) -> Floats:
    totals: Counter[str] = Counter()
    for found in facts:
        for mask in (found or {}).values():
            totals.update(mask.pixels)
    if not totals:
        raise QueryError("nothing is stored about the masks of these frames; count their pixels first")
    weights = np.array(
        [
            math.nan
            if not found
            else math.fsum(n / totals[label] for m in found.values() for label, n in m.pixels.items() if totals[label])
            for found in facts
        ]
    )
    weights[np.isnan(weights)] = np.nanmean(weights)
    return weights


def pick_sample(chosen: "Chosen", recipe: SampleRecipe) -> Ints:
    """The places that are drawn; a place occurs more than once only where `replace` allows it.

    With `replace` each frame is drawn size x weight / sum times, rounded up or down by chance, so exactly so often in
    expectation. Without, frames are drawn one after the other, each by its weight among those left.

    Raises:
        QueryError: no frame has a weight, or more frames are asked for than there are.
    """
    weights = frame_weights(chosen, recipe.by)
    size = len(chosen) if recipe.size is None else recipe.size
    able = np.flatnonzero(weights > 0)
    raw = np.random.Philox(key=int.from_bytes(digest("sample", recipe.seed), "big")).random_raw(max(len(weights), 1))
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    if not len(able):
        raise QueryError("no frame has a weight, so none can be drawn; look at the labels that the weights name")
    if recipe.replace:
        ends = np.cumsum(weights) * (size / weights.sum())
        ends[able[-1] :] = size
        counts = np.diff(np.floor(ends + uniform[0]), prepend=0.0).astype(np.int64)
        places = np.repeat(np.arange(len(weights)), counts)
        return places[permutation(len(places), "sample", recipe.seed)]
    if recipe.size is not None and size > len(able):
        raise QueryError(
            f"{size} frames were asked for, {len(able)} have a weight; ask for fewer, or draw with replace=True"
        )
    # The smallest of exponential times with the weights as rates: drawing by weight without putting back.
    times = -np.log(uniform[able]) / weights[able]
    return able[np.argsort(times, kind="stable")[:size]]


# ------------------------------------------------------------------------------------------------- class weights
@dataclass(frozen=True, slots=True)
class Counted:
    """The facts of a frame, with what is needed to tell which of its pixels are of which class.

    Attributes:
        facts: by mask id; None where nothing is stored.
        dataset, version: the ids and names of where it is, for rules that speak of one place.
        legend: the legend of one of its masks, by the mask's facts; None where it has none. Asked only where pixels with
            several labels, or numbers that are given by value, leave no other way.
    """

    facts: Facts | None
    dataset: Sequence[str] = ()
    version: Sequence[str] = ()
    legend: Callable[[MaskFacts], Legend | None] = lambda _mask: None


def counted(chosen: "Chosen", at_once: int = 1024) -> Iterator[Counted]:
    """The frames of a view for `class_weights`; records are read only where they are needed, then many at a time."""
    for start in range(0, len(chosen), at_once):
        places = np.arange(start, min(start + at_once, len(chosen)))
        records = _Records(chosen, places)
        for place, found in zip(places.tolist(), chosen.facts(places), strict=True):
            table = chosen.tables[int(chosen.part[place])]
            names = getattr(table, "names", ((), ()))
            where = (table.dataset, *names[0]), (table.version, *names[1])
            yield Counted(found, *where, partial(records.legend, place - start, table.mask_labels))


class _Records:
    """Some frames, read when the first of them is asked for."""

    def __init__(self, chosen: "Chosen", places: Ints) -> None:
        self._chosen, self._places = chosen, places
        self._found: list[Any] | None = None

    def legend(self, number: int, mask_labels: Any, mask: MaskFacts) -> Legend | None:
        if self._found is None:
            self._found = self._chosen.take(self._places)
        return resolve(self._found[number], mask_labels).plan(mask.mask, mask.source).legend


def class_pixels(
    facts: Iterable[Facts | Counted | None], mapping: LabelMapping
) -> tuple[Counter[Any], Counter[Any], Counter[Any]]:
    """Pixels of each class, the frames it occurs in, and all pixels of those frames; void is left out.

    Classes are numbers where the mapping has any, else labels after mapping. A pixel counts once for a class, however many
    labels of that class its legend entry has.
    """
    pixels: Counter[Any] = Counter()
    frames: Counter[Any] = Counter()
    around: Counter[Any] = Counter()
    for found in facts:
        frame = found if isinstance(found, Counted) else Counted(found)
        mine: Counter[Any] = Counter()
        for mask in (frame.facts or {}).values():
            for classes, count in _class_counts(mask, frame, mapping):
                for each in classes:
                    mine[each] += count
        total = sum(mask.total for mask in (frame.facts or {}).values())
        for each, count in mine.items():
            if count:
                pixels[each] += count
                frames[each] += 1
                around[each] += total
    return pixels, frames, around


def _class_counts(mask: MaskFacts, frame: Counted, mapping: LabelMapping) -> Iterator[tuple[Iterable[Any], int]]:
    """The classes of the entries of a mask's legend, each with its pixels."""
    by_value = any(not isinstance(key, str) for key in mapping.numbers)
    legend = frame.legend(mask) if by_value or sum(mask.pixels.values()) > mask.total - mask.void else None
    if legend is None:
        for label, count in mask.pixels.items():
            yield _classes(mapping.names_of([label], frame.dataset, frame.version), mapping), count
        return
    table = mapping.table(legend, frame.dataset or ("list",), frame.version or ("frames",))
    counts = entry_pixels(mask, [entry.labels for entry in legend.entries])
    for names, number, labels in zip(table.names, table.classes, (e.labels for e in legend.entries), strict=True):
        count = counts.pop(frozenset(labels), 0)  # entries with the same labels are one
        yield ((number,) if mapping.numbers and number != mapping.void else () if mapping.numbers else names), count


def entry_pixels(mask: MaskFacts, entries: Iterable[Iterable[str]]) -> dict[frozenset[str], int]:
    """Pixels by set of labels, from pixels by label: what is stored of a mask counts a pixel for each of its labels.

    Each label is the sum of the entries that have it, and all entries together are what is not void. Where those sums have
    one solution, which is the rule, it is exact; else it is about the one that spreads pixels most evenly.
    """
    sets = [found for found in dict.fromkeys(map(frozenset, entries)) if all(mask.pixels.get(name) for name in found)]
    if not sets:
        return {}
    labels = sorted(set().union(*sets))
    sums = np.array([[name in found for found in sets] for name in labels] + [[True] * len(sets)], np.float64)
    known = np.array([mask.pixels[name] for name in labels] + [mask.total - mask.void], np.float64)
    solved = np.linalg.lstsq(sums, known, rcond=None)[0]
    return {found: max(0, round(float(count))) for found, count in zip(sets, solved, strict=True)}


def _classes(names: tuple[str, ...], mapping: LabelMapping) -> tuple[Any, ...]:
    if not mapping.numbers:
        return names
    number = mapping.number_of(names)
    return () if number == mapping.void else (number,)


def class_weights(
    facts: Iterable[Facts | Counted | None], mapping: LabelMapping, method: str = "inverse", *, beta: float = 0.9999
) -> dict[Any, float]:
    """A weight for each class, for a loss.

    Args:
        facts: per frame.
        mapping: what the classes are.
        method: "inverse": all pixels / (classes x pixels of the class). "median_frequency" (Eigen and Fergus): the
            frequency of a class is its pixels by all pixels of the frames it occurs in; the weight is the median by it.
            "effective_number" (Cui et al.): (1 - beta) / (1 - beta ** frames of the class), scaled to a mean of 1.
            "inverse_log" (ENet): 1 / ln(1.02 + share of the class's pixels).
        beta: for "effective_number".

    Raises:
        QueryError: nothing is stored about any mask, or the method is unknown.
    """
    if method not in METHODS:
        raise QueryError(f"{method!r} is no way to weigh classes; there are: {', '.join(METHODS)}", completions=METHODS)
    pixels, frames, around = class_pixels(facts, mapping)
    if not pixels:
        raise QueryError("nothing is stored about the masks of these frames; count their pixels first")
    total = sum(pixels.values())
    if method == "inverse":
        found = {c: total / (len(pixels) * n) for c, n in pixels.items()}
    elif method == "median_frequency":
        frequency = {c: n / around[c] for c, n in pixels.items()}
        median = float(np.median(list(frequency.values())))
        found = {c: median / f for c, f in frequency.items()}
    elif method == "effective_number":
        raw = {c: (1 - beta) / (1 - beta**n) for c, n in frames.items()}
        scale = len(raw) / math.fsum(raw.values())
        found = {c: weight * scale for c, weight in raw.items()}
    else:
        found = {c: 1 / math.log(1.02 + n / total) for c, n in pixels.items()}
    return dict(sorted(found.items(), key=lambda item: str(item[0]) if isinstance(item[0], str) else item[0]))
