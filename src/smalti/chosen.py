"""Which frames a view consists of, and which of them comes at which position."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti.errors import QueryError
from smalti.order import clip_starts, digest, mix, mix_all, permutation, windows
from smalti.query.match import asks_facts, lacks_facts, roi_labels
from smalti.query.nodes import All, Or
from smalti.query.rules import EVERY, FilterRule
from smalti.split import keep_parts, pick_sample
from smalti.tables import ListTable, Table
from smalti.viewspec import Narrowed, SampleRecipe, ViewSpec, checked_count

__all__ = [
    "Chosen",
    "ClipRun",
    "Counts",
    "Run",
    "choose",
    "count_frames",
    "count_lacking",
    "covers",
    "names_of",
    "warn_of_lacking",
]

Ints = NDArray[np.int64]


class Counts(NamedTuple):
    """All distinct frames of a view, those of each filter, and how many of its tables' frames lack facts."""

    frames: int
    members: list[int]
    lacking: int


@dataclass(frozen=True)
class Chosen:
    """The distinct frames of a view.

    Attributes:
        tables: where they are.
        part: (n,) which table each frame is in.
        row: (n,) its row there.
        rule: (n,) the first filter that lets it through (0 where the view has no filters).
        members: per filter the positions (in these arrays) of the frames that it lets through, ascending.
        lacking: how many frames of the tables have masks without facts; counted only where a filter asks for facts.
    """

    tables: tuple[Table, ...]
    part: Ints
    row: Ints
    rule: Ints
    members: tuple[Ints, ...]
    lacking: int = 0

    def __len__(self) -> int:
        return len(self.row)

    def column(self, field: str) -> list[Any]:
        """One value per frame: see `Table.column`."""
        return self._gather(np.arange(len(self)), lambda table, rows: table.column(rows, field))

    def facts(self, places: Ints | None = None) -> list[Any]:
        """What is stored about the masks of each frame, or of those at some places."""
        asked = np.arange(len(self)) if places is None else places
        return self._gather(asked, lambda table, rows: table.facts(rows))

    def roi_labels(self, places: Ints) -> list[list[frozenset[str]]]:
        """The labels of each ROI of these frames, as written and as meant."""

        def read(table: Table, rows: Ints) -> list[list[frozenset[str]]]:
            known = getattr(table, "roi_labels", None)
            return [roi_labels(frame) for frame in table.take(rows)] if known is None else known(rows)

        return self._gather(places, read)

    def take(self, places: Ints) -> list[Any]:
        """The records at these places, in the order asked."""
        return self._gather(places, lambda table, rows: table.take(rows))

    def bases(self, places: Ints) -> list[str | None]:
        """The folders that relative URIs of these frames are meant from; stored frames have none."""

        def read(table: Table, rows: Ints) -> list[str | None]:
            known = getattr(table, "bases", None)
            return [None] * len(rows) if known is None else list(known(rows))

        return self._gather(places, read)

    def _gather(self, places: Ints, read: Any) -> list[Any]:
        part, row = self.part[places], self.row[places]
        found: list[Any] = [None] * len(places)
        for number, table in enumerate(self.tables):
            mine = np.flatnonzero(part == number)
            for place, value in zip(mine.tolist(), read(table, row[mine]) if len(mine) else (), strict=True):
                found[place] = value
        return found

    def keep(self, places: Ints) -> "Chosen":
        """These frames alone, in this order; a place may occur more than once."""
        members = tuple(np.flatnonzero(np.isin(places, member)) for member in self.members)
        return Chosen(self.tables, self.part[places], self.row[places], self.rule[places], members, self.lacking)


def reduced(chosen: Chosen, places: Ints) -> Chosen:
    """These frames alone, in this order, with no more of a list of frames than they need: small enough to be sent."""
    tables: list[Table] = []
    part, row = chosen.part[places], chosen.row[places].copy()
    for number, table in enumerate(chosen.tables):
        mine = np.flatnonzero(part == number)
        if isinstance(table, ListTable):
            rows, row[mine] = np.unique(row[mine], return_inverse=True)
            table = table.only(rows)
        tables.append(table)
    return Chosen(tuple(tables), part, row, chosen.rule[places], (np.arange(len(places)),))


class Fixed:
    """A part of an order that was settled before: these positions, in this order, and no others.

    Args:
        run: the whole order.
        positions: which; frames are sent along with it, the rest of the view is not.
    """

    def __init__(self, run: "Run | ClipRun", positions: Ints) -> None:
        order = np.argsort(positions, kind="stable")
        self._positions = positions[order]
        if isinstance(run, ClipRun):
            places, self._rules = run.at(self._positions), np.zeros(len(positions), np.int64)
        else:
            flat, self._rules = run.at(self._positions)
            places = flat[:, None]
        used, inside = np.unique(places, return_inverse=True)
        self._places = inside.reshape(places.shape)
        self.chosen, self.epoch, self.key, self.total = reduced(run.chosen, used), run.epoch, run.key, run.total

    def at(self, positions: Ints) -> tuple[Ints, Ints]:
        """(n, frames) places in `chosen`, and (n,) the filters that serve them."""
        mine = np.searchsorted(self._positions, positions)
        return self._places[mine], self._rules[mine]


def names_of(table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids and names that the dataset and the version of a table go by."""
    extra = getattr(table, "names", ((), ()))
    return (table.dataset, *extra[0]), (table.version, *extra[1])


def covers(rule: FilterRule, table: Table) -> bool:
    """Whether a filter speaks of this table."""
    datasets, versions = names_of(table)
    return rule.dataset in (EVERY, *datasets) and rule.version in (EVERY, *versions)


def choose(spec: ViewSpec, tables: Sequence[Table]) -> Chosen:
    """The distinct frames of a view, table by table, each in the table's own order.

    Raises:
        QueryError: a filter cannot be read, or names a version that the view does not have.
    """
    filters = _filters(spec, tables)
    trees = [rule.tree() for rule in filters]
    lacking = sum(count_lacking(table) for table in tables) if any(asks_facts(tree) for tree in trees) else 0
    parts, rows, rules = [], [], []
    members: list[list[Ints]] = [[] for _ in filters]
    at = 0
    for number, table in enumerate(tables):
        found = [
            table.select(tree, spec.labels) if covers(rule, table) else np.zeros(0, np.int64)
            for rule, tree in zip(filters, trees, strict=True)
        ]
        every = found[0] if len(found) == 1 else np.unique(np.concatenate(found))
        first = np.zeros(len(every), np.int64)
        for position in range(len(filters) - 1, -1, -1):
            if len(found[position]) == len(every):
                places, first[:] = np.arange(at, at + len(every)), position
            else:
                inside = np.searchsorted(every, found[position])
                first[inside] = position
                places = inside + at
            members[position].append(places)
        parts.append(np.full(len(every), number, np.int64))
        rows.append(every)
        rules.append(first)
        at += len(every)
    chosen = Chosen(tuple(tables), _join(parts), _join(rows), _join(rules), tuple(_join(m) for m in members), lacking)
    for split in spec.splits:
        if split.of is not None:
            chosen = _narrowed(chosen, split.of)
        chosen = chosen.keep(keep_parts(chosen, split))
    return _drawn(chosen, spec.sample) if spec.sample else chosen


def _drawn(chosen: Chosen, recipe: SampleRecipe) -> Chosen:
    if recipe.of is not None:
        chosen = _narrowed(chosen, recipe.of)
    return chosen.keep(pick_sample(chosen, recipe))


def _narrowed(chosen: Chosen, to: Narrowed) -> Chosen:
    if to.sample is not None:
        chosen = _drawn(chosen, to.sample)
    return chosen if to.limit is None else chosen.keep(np.sort(sequence(chosen)[0][: to.limit]))


def _filters(spec: ViewSpec, tables: Sequence[Table]) -> tuple[FilterRule, ...]:
    for rule in spec.filters:
        if not tables:
            raise QueryError("this view reads nothing yet; name a dataset and a version in one of its queries")
        if not any(covers(rule, table) for table in tables):
            raise QueryError(
                f"a filter asks for {rule.dataset}@{rule.version}, which this view does not read; add it first"
            )
    return spec.filters or (FilterRule(),)


def count_frames(spec: ViewSpec, tables: Sequence[Table], *, each: bool = False) -> Counts:
    """How many frames `choose` would find. No list of them is made where the tables can count.

    Args:
        spec, tables: the view.
        each: also count those of each filter.

    Raises:
        QueryError: as `choose` does.
    """
    if spec.splits or spec.sample:
        chosen = choose(spec, tables)
        return Counts(len(chosen), [len(member) for member in chosen.members], chosen.lacking)
    filters = _filters(spec, tables)
    trees = [rule.tree() for rule in filters]
    lacking = sum(count_lacking(table) for table in tables) if any(asks_facts(tree) for tree in trees) else 0
    total, members = 0, [0] * len(filters)
    for table in tables:
        mine = [number for number, rule in enumerate(filters) if covers(rule, table)]
        if not mine:
            continue
        whole = trees[mine[0]] if len(mine) == 1 else Or(tuple(trees[number] for number in mine))
        found = table.count(whole, spec.labels)
        total += found
        for number in mine if each else ():
            members[number] += found if len(mine) == 1 else table.count(trees[number], spec.labels)
    return Counts(total, members, lacking)


def warn_of_lacking(lacking: int) -> None:
    """Say that a query about masks says nothing about so many frames."""
    if lacking:
        warnings.warn(
            f"{lacking} frames have masks without stored facts; mask conditions never hold for those: count their "
            "pixels first",
            stacklevel=5,
        )


def _join(parts: Sequence[Ints]) -> Ints:
    return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.zeros(0, np.int64)])


def count_lacking(table: Table) -> int:
    """How many frames of a table have masks without stored facts."""
    count = getattr(table, "lacking_facts", None)
    if count is not None:
        return int(count())
    rows = table.select(All())
    return sum(map(lacks_facts, table.take(rows), table.facts(rows)))


class Run:
    """One epoch of a view: which frame comes at which position.

    Args:
        chosen: the frames.
        spec: the view.
        epoch: the number of the pass; each has its own permutation.
    """

    def __init__(self, chosen: Chosen, spec: ViewSpec, epoch: int = 0) -> None:
        self.chosen = chosen
        self.key = run_key(chosen, spec)
        self.epoch = checked_count("epoch", epoch) or 0
        self.iteration = self._iteration = spec.iteration
        self._weights = [rule.weight for rule in spec.filters] or [1.0]
        # A filter that finds nothing, or weighs nothing, takes no part in the mix.
        self._active = [f for f, m in enumerate(chosen.members) if len(m) and self._weights[f] > 0]
        self._sequence: tuple[Ints, Ints, NDArray[np.float64]] | None = None
        self._pass = lru_cache(maxsize=2 * max(1, len(self._active)))(self._order_of)
        self._finite = None if self._iteration.infinite else self._all_once()

    @property
    def total(self) -> int | None:
        """How many positions there are; None = they never end."""
        limit = self._iteration.limit
        if self._finite is None:
            return 0 if not self._active else limit
        return len(self._finite[0]) if limit is None else min(limit, len(self._finite[0]))

    def at(self, positions: Ints) -> tuple[Ints, Ints]:
        """The frames (places in `chosen`) at these positions, and the filters that serve them."""
        if not len(positions):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if self._finite is not None:
            return self._finite[0][positions], self._finite[1][positions]
        low, high = int(positions.min()), int(positions.max()) + 1
        draw = mix([self._weights[f] for f in self._active], low, high, *self._seed("mix", self.epoch))
        of, turn = draw.of[positions - low], draw.turn[positions - low]
        places = np.zeros(len(positions), np.int64)
        for number, rule in enumerate(self._active):
            size = len(self.chosen.members[rule])
            mine = np.flatnonzero(of == number)
            lap, step = np.divmod(turn[mine], size)
            for each in np.unique(lap).tolist():
                now = mine[lap == each]
                places[now] = self._pass(rule, each)[step[lap == each]]
        return places, np.asarray(self._active, np.int64)[of]

    def shares(self) -> dict[int, float]:
        """The share of all positions that each filter has in an endless mix; filters without frames have none."""
        total = sum(self._weights[f] for f in self._active)
        return {f: self._weights[f] / total if f in self._active else 0.0 for f in range(len(self._weights))}

    def shuffled(self, size: int, lap: int = 0) -> Ints:
        """0..size-1 in the random order of this epoch; another one for each lap of an endless view."""
        return permutation(size, *self._seed("shuffled", self.epoch, *([lap] if lap else [])))

    def _seed(self, *what: Any) -> tuple[Any, ...]:
        return (self.key, self._iteration.seed, *what)

    def _order_of(self, rule: int, lap: int) -> Ints:
        return self._arranged(self.chosen.members[rule], "pass", self.epoch, rule, lap)

    def _all_once(self) -> tuple[Ints, Ints]:
        rule = self.chosen.rule
        is_mixed = len(set(self._weights)) > 1
        own = [np.flatnonzero(rule == f) for f in range(len(self._weights))] if is_mixed else []
        weights = [w for w, mine in zip(self._weights, own, strict=True) if len(mine)] if is_mixed else []
        if self._iteration.order == "sequential" or len(set(weights)) < 2 or min(weights) <= 0:
            places = self._arranged(np.arange(len(self.chosen)), "pass", self.epoch)
            return places, rule[places] if len(self._weights) > 1 else rule
        orders = [self._arranged(m, "pass", self.epoch, f) for f, m in enumerate(own) if len(m)]
        draw = mix_all(weights, [len(order) for order in orders], *self._seed("mix", self.epoch))
        starts = np.cumsum([0, *(len(order) for order in orders)])[:-1]
        places = np.concatenate(orders)[starts[draw.of] + draw.turn]
        return places, rule[places]

    def _arranged(self, members: Ints, *what: Any) -> Ints:
        """Some frames in sequence, or shuffled: one by one, or clip by clip."""
        iteration = self._iteration
        if iteration.order == "random" and not iteration.min_sequence:
            return members[permutation(len(members), *self._seed(*what))]
        by, context, timestamp = self.sequence()
        if len(members) < len(self.chosen):
            inside = np.isin(by, members)
            by, context, timestamp = by[inside], context[inside], timestamp[inside]
        if iteration.order == "sequential":
            return by
        gap = iteration.jump.time if iteration.jump else None
        starts = windows(context, timestamp, float(iteration.min_sequence or 0), gap)
        return shuffle_clips(by, starts, self._seed("clips", *what))

    def sequence(self) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """All frames by (context, timestamp, id): places in `chosen`, a number for each context, milliseconds."""
        if self._sequence is None:
            self._sequence = sequence(self.chosen)
        return self._sequence


class ClipRun:
    """One epoch of windows of consecutive frames of one context: which frames come at which position.

    Args:
        run: the order of the frames.
        frames: length of a window; what is left of a context that is too short for one is passed over.
        step: from the start of one window to the next. A limit of the view counts windows.
    """

    def __init__(self, run: Run, frames: int, step: int) -> None:
        if frames < 1 or step < 1:
            raise ValueError(f"clips of {frames} frames at steps of {step}; allowed: from 1")
        self.chosen, self.epoch = run.chosen, run.epoch
        self.key = digest(run.key, "clips", frames, step).hex()[:12]
        self.frames = frames
        self._by, context, _ = run.sequence()
        self._starts = clip_starts(context, frames, step)
        self._run, self._iteration = run, run.iteration
        self._pass = lru_cache(maxsize=2)(self._order)

    @property
    def total(self) -> int | None:
        """How many windows there are; None = they never end."""
        limit, once = self._iteration.limit, len(self._starts)
        if self._iteration.infinite and once:
            return limit
        return once if limit is None else min(limit, once)

    def at(self, positions: Ints) -> Ints:
        """(n, frames) the frames (places in `chosen`) of the windows at these positions."""
        lap, step = np.divmod(positions, max(len(self._starts), 1))
        starts = np.zeros(len(positions), np.int64)
        for each in np.unique(lap).tolist():
            now = lap == each
            starts[now] = self._pass(each)[step[now]]
        found: Ints = self._by[starts[:, None] + np.arange(self.frames)]
        return found

    def _order(self, lap: int) -> Ints:
        if self._iteration.order == "sequential":
            return self._starts
        return self._starts[self._run.shuffled(len(self._starts), lap)]


def shuffle_clips(by: Ints, starts: Ints, key: Sequence[Any]) -> Ints:
    """`by` cut at `starts`, the pieces in an order that depends on `key`, each piece as it was."""
    ends = np.append(starts[1:], len(by)).astype(np.int64)
    order = permutation(len(starts), *key)
    lengths = (ends - starts)[order]
    offsets = (
        np.repeat(starts[order] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) if len(starts) else starts
    )
    found: Ints = by[np.arange(len(by)) + offsets]
    return found


def sequence(chosen: Chosen) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """See `Run.sequence`. Frames of one context and time in two tables come in the order of the tables."""
    places, codes, stamps = [], [], []
    names: list[str] = []
    for number, table in enumerate(chosen.tables):
        mine = np.flatnonzero(chosen.part == number)
        ordering = table.order(chosen.row[mine])
        places.append(mine[ordering.by])
        codes.append(ordering.context + len(names))
        stamps.append(ordering.timestamp)
        names += list(ordering.contexts)
    rank = {name: i for i, name in enumerate(sorted(set(names)))}
    ranks = np.array([rank[name] for name in names] or [0], np.int64)
    by, timestamp = _join(places), np.concatenate([*stamps, np.zeros(0)])
    context = ranks[_join(codes)]
    if len(chosen.tables) > 1:
        order = np.lexsort((timestamp, context))
        by, context, timestamp = by[order], context[order], timestamp[order]
    return by, context, timestamp


def run_key(chosen: Chosen, spec: ViewSpec) -> str:
    """A hash of everything that decides which frame comes where."""
    tables = [[table.dataset, table.version, table.fingerprint] for table in chosen.tables]
    return digest(tables, spec.order_key()).hex()[:12]
