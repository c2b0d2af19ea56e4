"""Frames of a layout on their way into a version: their legends become the version's before they come themselves."""

import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO

from smalti.formats.building import explained, without_colors
from smalti.frames import SingleFrame
from smalti.legend import Legend
from smalti.store.legends import Stored, stored

__all__ = ["INSTEAD", "Waiting", "waiting"]

INSTEAD = (
    "add them to another version, or let the frames bring their own: smalti import … -o frames.jsonl, then "
    "smalti frames add DATASET@VERSION frames.jsonl"
)

_IN_MEMORY = 64 << 20


@contextmanager
def waiting(frames: Iterable[SingleFrame]) -> "Iterator[Waiting]":
    """Frames with legends by mask id, read from their layout once; they wait on disk where they are many."""
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        yield Waiting(frames, file)


class Waiting:
    """Frames that were read and wait until their legends are known: all must be seen before the first is written.

    A frame whose legend is another than that of an earlier frame explains itself.
    """

    def __init__(self, frames: Iterable[SingleFrame], file: IO[bytes]) -> None:
        self.legends: dict[str, Legend] = {}
        self._count = 0
        self._file = file
        for frame in frames:
            own = frame.mask_labels or {}
            for mask_id, legend in own.items():
                self.legends.setdefault(mask_id, legend)
            if any(self.legends[mask_id] != legend for mask_id, legend in own.items()):
                explained(frame)
            pickle.dump(
                frame.record, file, pickle.HIGHEST_PROTOCOL
            )  # as it is: numbers of any size, whatever is refused later
            self._count += 1

    def legend(self) -> Stored:
        """The legends of the frames as a version keeps them."""
        return stored(without_colors(self.legends))

    def frames(self) -> Iterator[SingleFrame]:
        """The frames, without legends."""
        self._file.seek(0)
        for _ in range(self._count):
            yield SingleFrame.on(pickle.load(self._file))
