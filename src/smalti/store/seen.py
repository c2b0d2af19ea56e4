"""Which ids a load has met: 8 bytes for each, whatever its length.

A hash stands for an id, so that now and then one may seem known that is not; the load then looks for it in the rows.
"""

from itertools import chain, count

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from smalti.store.rowhash import hash_strings

__all__ = ["SeenIds"]

Hashes = NDArray[np.uint64]

_RUNS_A_LEVEL = 8


class SeenIds:
    """The ids of a version and of what is on the way into it.

    Ids that come in order, each greater than all before it, are new for sure: names of recorded files mostly do. Their
    hashes are kept as they come, and sorted when there is something to look for in them.
    """

    def __init__(self) -> None:
        self._sorted: list[list[Hashes]] = []
        self._unsorted: list[Hashes] = []
        self._greatest = ""

    def learn(self, ids: pa.StringArray) -> None:
        """Remember ids that are in the version."""
        if len(ids):
            self._greatest = max(self._greatest, pc.max(ids).as_py())
            self._unsorted.append(hash_strings(ids))

    def meet(self, ids: pa.StringArray) -> NDArray[np.bool_] | None:
        """Remember ids on the way in.

        Returns:
            (n,) bool: those that were met before or stand here more than once. None: there are none.
        """
        hashes = hash_strings(ids)
        if not len(ids):
            return None
        if self._are_rising(ids):
            self._greatest = ids[-1].as_py()
            self._unsorted.append(hashes)
            return None
        for run in self._unsorted:
            self._remember(np.sort(run))
        self._unsorted = []
        distinct = np.sort(hashes)
        is_repeated = distinct[1:] == distinct[:-1]
        known = self._among(distinct)
        self._remember(distinct)
        self._greatest = max(self._greatest, pc.max(ids).as_py())
        if not known.any() and not is_repeated.any():
            return None
        return np.isin(hashes, np.concatenate([distinct[known], distinct[1:][is_repeated]]))

    def _are_rising(self, ids: pa.StringArray) -> bool:
        return ids[0].as_py() > self._greatest and pc.all(pc.less(ids[:-1], ids[1:])).as_py() is not False

    def _among(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Which hashes are known: a binary search in each of a few sorted runs, quick for sorted hashes."""
        found = np.zeros(len(hashes), np.bool_)
        for run in chain.from_iterable(self._sorted):
            where = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            found |= run[where] == hashes
        return found

    def _remember(self, run: Hashes) -> None:
        """Keep sorted hashes.

        Runs of one level become one of the next when there are several: joined two by two, each hash would be sorted
        anew with every doubling.
        """
        for level in count():
            if level == len(self._sorted):
                self._sorted.append([])
            self._sorted[level].append(run)
            if len(self._sorted[level]) < _RUNS_A_LEVEL:
                return
            run = np.sort(np.concatenate(self._sorted[level]))
            self._sorted[level] = []
