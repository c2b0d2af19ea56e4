"""In which order frames come: permutations by seed, mixing by weight, and positions that survive a change of workers.

An order is a pure function of (view, seed, epoch), so a position in it is one number: how many frames were delivered.
The order is dealt to ranks and workers like cards (position modulo their number), and what each was dealt follows from
that number alone. `Position` also says which frames beyond that number were delivered already: where ranks or workers
had not come equally far, those are few, and `Position.merge` joins what each of them knows.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti.errors import QueryError

__all__ = ["Draw", "Position", "Shard", "clip_starts", "digest", "mix", "mix_all", "permutation", "windows"]

Ints = NDArray[np.int64]
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def digest(*parts: Any) -> bytes:
    """16 bytes that stand for these JSON values, the same in every process and on every machine."""
    return hashlib.blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=16).digest()


def permutation(size: int, *key: Any) -> Ints:
    """(size,) int64: 0..size-1 in an order that depends on `key` alone.

    Sorts the raw output of a Philox generator: unlike `Generator.permutation`, its stream never changes with NumPy.
    """
    raw = np.random.Philox(key=int.from_bytes(digest(*key), "big")).random_raw(size)
    return np.argsort(raw, kind="stable").astype(np.int64)


def windows(context: Ints, timestamp: NDArray[np.float64], length_ms: float, gap_ms: float | None = None) -> Ints:
    """Where clips start in frames sorted by (context, timestamp): (n,) positions, ascending, the first is 0.

    A clip begins with every context, where `length_ms` have passed since it began, and after a pause over `gap_ms`.
    """
    if not len(context):
        return np.zeros(0, np.int64)
    cut = np.ones(len(context), np.bool_)
    cut[1:] = context[1:] != context[:-1]
    if gap_ms is not None:
        cut[1:] |= np.diff(timestamp) > gap_ms
    starts = np.flatnonzero(cut)
    found = []
    for first, last in zip(starts, [*starts[1:], len(context)], strict=True):
        while first < last:
            found.append(first)
            first = first + max(
                1, int(np.searchsorted(timestamp[first:last], timestamp[first] + length_ms, side="left"))
            )
    return np.array(found, np.int64)


def clip_starts(context: Ints, frames: int, step: int) -> Ints:
    """Where windows of so many frames start in frames sorted by context; none crosses a context."""
    edges = windows(context, np.zeros(len(context)), math.inf)
    ends = np.append(edges[1:], len(context))
    found = [np.arange(a, b - frames + 1, step) for a, b in zip(edges, ends, strict=True)]
    return np.concatenate([*found, np.zeros(0, np.int64)]).astype(np.int64)


# ------------------------------------------------------------------------------------------------------- weights
@dataclass(frozen=True, slots=True)
class Draw:
    """Positions of a mixed order: which filter serves each (`of`), and which of its frames, 0, 1, … (`turn`)."""

    of: Ints
    turn: Ints


def _phases(weights: Sequence[float], key: tuple[Any, ...]) -> NDArray[np.float64]:
    raw = np.random.Philox(key=int.from_bytes(digest("phase", *key), "big")).random_raw(len(weights))
    return (raw >> np.uint64(11)).astype(np.float64) / 2.0**53


def mix(weights: Sequence[float], start: int, stop: int, *key: Any) -> Draw:
    """Which filter serves each position from `start` up to `stop` when all go on for ever.

    Filter f serves at the times (i + phase) / weight, and the positions are these times in order. So after any number
    of positions each filter has had its share of them, give or take one frame for each filter, and with the phases
    drawn evenly every single position falls to filter f with probability weight / sum of weights.
    """
    rates = np.asarray(weights, np.float64) / float(sum(weights))
    phase = _phases(weights, key)
    begin = _turns(rates, phase, max(0.0, start - len(rates) - 1.0))
    end = _turns(rates, phase, stop + len(rates) + 1.0)
    draw = _merge([np.arange(a, b) for a, b in zip(begin, end, strict=True)], rates, phase)
    skip = start - int(begin.sum())
    return Draw(draw.of[skip : skip + stop - start], draw.turn[skip : skip + stop - start])


def mix_all(weights: Sequence[float], sizes: Sequence[int], *key: Any) -> Draw:
    """Every frame of every filter once, mixed by weight for as long as the filters last."""
    rates = np.asarray(weights, np.float64) / float(sum(weights))
    return _merge([np.arange(size) for size in sizes], rates, _phases(weights, key))


def _turns(rates: NDArray[np.float64], phase: NDArray[np.float64], time: float) -> Ints:
    """How often each filter has served strictly before `time`, by the very same arithmetic as `_merge`."""
    turns = np.maximum(0, np.floor(time * rates - phase)).astype(np.int64)
    while (late := (turns + phase) / rates < time).any():
        turns += late
    while (early := (turns > 0) & ((turns - 1 + phase) / rates >= time)).any():
        turns -= early
    return turns


def _merge(turns: Sequence[Ints], rates: NDArray[np.float64], phase: NDArray[np.float64]) -> Draw:
    of = np.repeat(np.arange(len(turns)), [len(t) for t in turns])
    turn = np.concatenate([*turns, np.zeros(0, np.int64)]).astype(np.int64)
    order = np.argsort((turn + phase[of]) / rates[of], kind="stable")
    return Draw(of[order], turn[order])


# ----------------------------------------------------------------------------------------------------- positions
@dataclass(frozen=True, slots=True)
class Shard:
    """The share of one worker of one rank.

    Attributes:
        rank, world_size: which process of a training job, of how many.
        worker, workers: which loader worker of that process, of how many.
        batch: a worker takes so many frames of its rank in a row. With the batch size here, batches that are collected
            from the workers in turn arrive in the order of the view, however many workers there are.
    """

    rank: int = 0
    world_size: int = 1
    worker: int = 0
    workers: int = 1
    batch: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.world_size and 0 <= self.worker < self.workers and self.batch >= 1):
            raise ValueError(f"{self} is no share; ranks and workers count from 0, batch from 1")

    def dealt(self, start: int, count: int) -> Ints:
        """The places (0, 1, … among what is left) of this worker's deliveries number `start` to `start + count - 1`."""
        mine = np.arange(start, start + count)
        local = (mine // self.batch * self.workers + self.worker) * self.batch + mine % self.batch
        return local * self.world_size + self.rank


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the order of a view: everything before `done` was delivered, and the runs in `ahead` beyond it.

    Attributes:
        view: hash of what decides the order; a token is refused by a view with another one.
        epoch: the number of the pass.
        done: positions 0..done-1 were delivered.
        ahead: (first position, count) of what was delivered beyond `done`, ascending, with gaps between.
    """

    view: str
    epoch: int = 0
    done: int = 0
    ahead: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        parts, at = [self.view, _base36(self.epoch), _base36(self.done)], self.done
        for first, count in self.ahead:
            parts.append(f"{_base36(first - at)}+{_base36(count)}")
            at = first + count
        return ".".join(parts)

    @classmethod
    def read(cls, token: str) -> Self:
        """The position that a token says.

        Raises:
            QueryError: it is no token.
        """
        try:
            view, epoch, done, *runs = token.split(".")
            at, ahead = int(done, 36), []
            for run in runs:
                skip, count = (int(part, 36) for part in run.split("+"))
                ahead.append((at + skip, count))
                at += skip + count
            return cls(view, int(epoch, 36), int(done, 36), tuple(ahead))
        except ValueError:
            raise QueryError("this is not the token of a position in a view", text=token) from None

    def __len__(self) -> int:
        """How many frames were delivered."""
        return self.done + sum(count for _, count in self.ahead)

    def left(self, places: Ints) -> Ints:
        """Places among what is left (0 = the next) → positions in the order."""
        positions = places + self.done
        for first, count in self.ahead:
            positions = positions + count * (positions >= first)
        return positions

    def add(self, positions: Iterable[int] | Ints) -> "Position":
        """The position after these were delivered too, in any order."""
        fresh = np.asarray(positions if isinstance(positions, np.ndarray) else list(positions), np.int64)
        known = [np.arange(first, first + count) for first, count in self.ahead]
        every = np.unique(np.concatenate([fresh, *known]))
        every = every[every >= self.done]
        breaks = np.flatnonzero(np.diff(every) != 1) + 1
        runs = [(int(run[0]), len(run)) for run in np.split(every, breaks) if len(run)]
        if runs and runs[0][0] == self.done:
            return Position(self.view, self.epoch, self.done + runs[0][1], tuple(runs[1:]))
        return Position(self.view, self.epoch, self.done, tuple(runs))

    @classmethod
    def merge(cls, tokens: Sequence["str | Position"]) -> "Position":
        """What all of these together have delivered: one token for each rank, or for each worker.

        Raises:
            QueryError: the tokens belong to different views or epochs.
        """
        found = [cls.read(token) if isinstance(token, str) else token for token in tokens]
        if not found:
            raise QueryError("there are no tokens to merge")
        if len({(p.view, p.epoch) for p in found}) > 1:
            raise QueryError("these tokens belong to different views or epochs", text=" ".join(map(str, found)))
        base = max(found, key=lambda p: p.done)
        others = [np.arange(first, first + count) for p in found for first, count in p.ahead]
        return base.add(np.concatenate([*others, np.zeros(0, np.int64)]))

    def in_step(self, shard: Shard, delivered: int, total: int | None = None) -> "Position":
        """The position when every worker of every rank has come as far as this one: it has delivered so many.

        Args:
            shard: the share of the one who counts (with `workers=1`: of a whole rank).
            delivered: how many frames it has delivered since this position.
            total: the length of the order, None if it never ends.
        """
        everywhere = delivered * shard.world_size * shard.workers
        if total is not None:
            everywhere = min(everywhere, total - len(self))
        return (
            self.add(self.left(np.arange(everywhere)))
            if self.ahead
            else Position(self.view, self.epoch, self.done + everywhere)
        )


def _base36(number: int) -> str:
    digits = ""
    while number >= 36:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return _DIGITS[number] + digits


def chunks(start: int, stop: int | None, size: int) -> Iterator[tuple[int, int]]:
    """(first, count) of pieces of at most `size`, small ones first so that the first frame comes soon."""
    at, step = start, 1
    while stop is None or at < stop:
        count = step if stop is None else min(step, stop - at)
        yield at, count
        at += count
        step = min(size, step * 4)
