"""When the pictures of a clip are shown and from which key frame each is reached. Times only: no decoder here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from smalti.errors import TimestampError

__all__ = ["ClipIndex", "Coded"]

Ticks = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Coded:
    """One coded picture in the order of the file, times in ticks of the stream.

    Attributes:
        pts: when it is shown; None where the container does not say.
        dts: when it is decoded; None likewise.
        offset: byte offset in the file, None where unknown.
        duration: how long it is shown; 0 where unknown.
        is_key: decoding can start here.
        is_shown: False for pictures that an edit list cuts away and for references that are never shown.
    """

    pts: int | None
    dts: int | None
    offset: int | None
    duration: int
    is_key: bool
    is_shown: bool


@dataclass(frozen=True, slots=True, eq=False)
class ClipIndex:
    """The pictures of a clip in the order of their presentation times.

    Attributes:
        tick: seconds of one tick.
        ticks: (n,) presentation times in ticks, ascending, each once.
        packets: (n,) the position of each picture among the coded pictures of the file.
        coded: every coded picture in the order of the file.
        keys: (k,) positions of the coded pictures at which decoding can start, ascending.
        counted: the container has no presentation times: pictures are counted from the start instead of sought.
        origin: the tick that is 0 ms.
    """

    tick: Fraction
    ticks: Ticks
    packets: NDArray[np.intp]
    coded: Sequence[Coded]
    keys: NDArray[np.intp]
    counted: bool
    origin: int = 0

    @classmethod
    def build(cls, coded: Sequence[Coded], tick: Fraction, *, has_clock: bool = True) -> "ClipIndex":
        """The index of what a container lists. At least one picture must be shown.

        Args:
            coded: in the order of the file.
            tick: seconds of one tick.
            has_clock: False where the container only counts pictures (AVI): the first one is then shown at 0 ms, not
                as much later as FFmpeg allows for the reordering of its pictures.
        """
        shown = [position for position, item in enumerate(coded) if item.is_shown]
        counted = any(coded[position].pts is None for position in shown)
        if counted:  # AVI has decoding times only: in order of display, picture n is shown at the n-th of them
            clock = [item.dts if item.dts is not None else position for position, item in enumerate(coded)]
        else:
            clock = [item.pts if item.pts is not None else 0 for item in coded]
        times = np.array([clock[position] for position in shown], np.int64)
        ticks, first = np.unique(times, return_index=True)
        keys = np.array([position for position, item in enumerate(coded) if item.is_key] or [0], np.intp)
        origin = 0 if has_clock else int(ticks[0]) - (coded[0].dts or 0)
        return cls(tick, ticks, np.array(shown, np.intp)[first], coded, keys, counted, origin)

    @property
    def pts_ms(self) -> NDArray[np.float64]:
        """(n,) presentation times in milliseconds."""
        return np.array([self.to_ms(tick) for tick in self.ticks.tolist()], np.float64)

    @property
    def key_ms(self) -> NDArray[np.float64]:
        """(k,) presentation times of the key frames that are shown, in milliseconds."""
        shown = self.ticks[np.isin(self.packets, self.keys)]
        return np.array([self.to_ms(tick) for tick in shown.tolist()], np.float64)

    def to_ms(self, tick: int) -> float:
        """Milliseconds; the division of whole numbers rounds once."""
        return (tick - self.origin) * 1000 * self.tick.numerator / self.tick.denominator

    def key_before(self, number: int) -> int:
        """The position of the key frame from which picture `number` is reached: the last that is shown no later.

        A picture that follows a key frame in the file but is shown before it may need the pictures before that frame.
        """
        if self.counted:
            return 0
        position, shown = int(self.packets[number]), int(self.ticks[number])
        for at in range(int(np.searchsorted(self.keys, position, "right")) - 1, -1, -1):
            key = int(self.keys[at])
            pts = self.coded[key].pts
            if pts is not None and pts <= shown:
                return key
        return 0

    def nearest(self, at_ms: float, name: str, *, clamp: bool = False) -> int:
        """The number of the picture whose time lies nearest to `at_ms`; a tie goes to the earlier one.

        The comparison is exact, so that a tie is a tie at any frame rate.

        Raises:
            TimestampError: `at_ms` lies further outside than half the duration of the first or last picture, and
                `clamp` is not set.
        """
        at = float(at_ms)
        first, last = int(self.ticks[0]), int(self.ticks[-1])
        if math.isnan(at) or (math.isinf(at) and not clamp):
            raise self._outside(at, name)
        if math.isinf(at):
            return 0 if at < 0 else len(self.ticks) - 1
        # The moment is over / under ticks: whole numbers, since a tie must be a tie.
        numerator, denominator = at.as_integer_ratio()
        under = denominator * 1000 * self.tick.numerator
        over = numerator * self.tick.denominator + self.origin * under
        before, after = self._edge_durations()
        if not clamp and (2 * (first * under - over) > before * under or 2 * (over - last * under) > after * under):
            raise self._outside(at, name)
        if over <= first * under:
            return 0
        if over >= last * under:
            return len(self.ticks) - 1
        later = int(np.searchsorted(self.ticks, over // under, "right"))
        to_earlier = over - int(self.ticks[later - 1]) * under
        to_later = int(self.ticks[later]) * under - over
        return later - 1 if to_earlier <= to_later else later

    def _edge_durations(self) -> tuple[int, int]:
        """How long the first and the last picture are shown, in ticks."""
        declared = [self.coded[int(self.packets[end])].duration for end in (0, -1)]
        if len(self.ticks) == 1:
            return declared[0], declared[0]
        return int(self.ticks[1] - self.ticks[0]), declared[1] or int(self.ticks[-1] - self.ticks[-2])

    def _outside(self, at_ms: float, name: str) -> TimestampError:
        first, last = self.to_ms(int(self.ticks[0])), self.to_ms(int(self.ticks[-1]))
        return TimestampError(
            f"{name}: no picture at {at_ms:g} ms, {len(self.ticks)} pictures run from {first:.3f} to {last:.3f} ms; "
            "ask for a time in that range, or take the nearest picture with clamp=True (--clamp on the command line)",
            at_ms=at_ms,
            first_ms=first,
            last_ms=last,
        )
