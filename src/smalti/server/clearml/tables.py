"""A version as the protocol reads it: its frames say when they were saved, and into which version."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smalti.records import Frame
from smalti.server.clearml.shown import frame_json
from smalti.store.catalog import Catalog
from smalti.store.diff import BORN, UPDATED
from smalti.store.schema import TRUTH, from_rows
from smalti.store.table import VersionTable

__all__ = ["WireTable"]

_AT_ONCE = 2048


class WireTable(VersionTable):
    """A table whose frames carry `saved`, `updated` (epoch ms) and the versions of both beside their dataset.

    Args:
        table: what it reads.
        catalog: says what the version was made from.
        newer: a version whose frames go along as `new_ver`, where they are not the same.
    """

    def __init__(self, table: VersionTable, catalog: Catalog, newer: VersionTable | None = None) -> None:
        self.__dict__.update(table.__dict__)
        self._newer = newer
        self._since: list[tuple[int, str]] = []
        row = catalog.get_version(table.version)
        while True:
            self._since.append((row.base_version or 0, row.uuid))
            if not row.parents:
                break
            row = catalog.get_version(row.parents[0])

    def take(self, rows: NDArray[np.int64]) -> list[Frame]:
        """The frames of these rows, in the order asked."""
        found: list[Frame] = []
        for start in range(0, len(rows), _AT_ONCE):
            table = self._aligned(rows[start : start + _AT_ONCE], [*TRUTH.names, "etag", "updated_ms", BORN, UPDATED])
            frames = from_rows(table)
            news = {} if self._newer is None else _changed(self._newer, table)
            columns = (table.column(name).to_pylist() for name in ("updated_ms", BORN, UPDATED))
            for frame, at_ms, created, updated in zip(frames, *columns, strict=True):
                frame.extra = {
                    **frame.extra,
                    "dataset": {"id": self.dataset, "version": self.version},
                    "saved": at_ms,
                    "saved_in_version": self._version_of(created),
                    "updated": at_ms,
                    "updated_in_version": self._version_of(updated),
                }
                if frame.id in news:
                    frame.extra["new_ver"] = news[frame.id]
            found += frames
        return found

    def find(self, ids: Sequence[str]) -> list[Frame]:
        """The frames with these ids, in that order; ids that are not there are left out."""
        found = self.rows.find(list(dict.fromkeys(ids)), ["id"], with_row_id=True)
        at = dict(zip(found.column("id").to_pylist(), found.column("_rowid").to_pylist(), strict=True))
        return self.take(np.array([at[id_] for id_ in ids if id_ in at], np.int64))

    def _version_of(self, number: int | None) -> str:
        """The version of ours into which a commit of this number went: numbers go on from parent to child."""
        return next((uuid for base, uuid in self._since if number is not None and number > base), self._since[-1][1])


def _changed(newer: VersionTable, table: pa.Table) -> dict[str | None, dict[str, Any]]:
    """The frames of a version that are others than those of some rows, by id."""
    etags = dict(zip(table.column("id").to_pylist(), table.column("etag").to_pylist(), strict=True))
    found = newer.rows.find(list(etags), [*TRUTH.names, "etag"])
    frames = zip(from_rows(found), found.column("etag").to_pylist(), strict=True)
    return {
        frame.id: frame_json(frame, newer.dataset, newer.version)
        for frame, etag in frames
        if etags[frame.id or ""] != etag
    }
