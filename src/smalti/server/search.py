"""Which frames a search means, in which order; kept for as long as the version stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti import wire
from smalti.errors import QueryError
from smalti.pixels import is_clip
from smalti.query.nodes import All, Node, Or, conjunction
from smalti.query.parse import parse
from smalti.query.rules import FilterRule
from smalti.records import Frame
from smalti.server.asking import cursor_of, read_cursor
from smalti.server.media import digest
from smalti.server.payloads.frames import Hit, Search, SearchPage, SourceHit
from smalti.server.problems import Refusal
from smalti.server.service import Service
from smalti.store import DatasetVersion
from smalti.store.table import VersionTable

__all__ = ["Result", "hits_of", "ids_of", "page", "run", "tree_of"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Result:
    """The rows that a search found.

    Attributes:
        table: the state of the version.
        rows: (n,) row ids in order.
        groups: (n,) how many frames each row stands for, or None.
        state: changes when the result may.
    """

    table: VersionTable
    rows: Ints
    groups: Ints | None
    state: str

    @property
    def nbytes(self) -> int:
        """What it weighs in memory."""
        return int(self.rows.nbytes * 2) + 4096


def tree_of(filters: Sequence[FilterRule], query: str) -> Node:
    """What a query and filters mean together: the query, and any of the filters.

    Raises:
        QueryError: one of the texts cannot be read.
    """
    trees = [rule.tree() for rule in filters]
    either: list[Node] = [Or(tuple(trees)) if len(trees) > 1 else trees[0]] if trees else []
    return conjunction([*either, *([parse(query)] if query.strip() else [])]) if either or query.strip() else All()


def run(hub: Service, version: DatasetVersion, asked: Search) -> Result:
    """The rows that a search means, all of them."""
    table = hub.table(version)
    parts = [version.id, table.fingerprint, asked.filters, asked.query, asked.sort, asked.group, asked.ids]
    state = digest(msgspec.json.encode(parts))
    found: Result = hub.searches.get_or(("search", state), lambda: _run(table, asked, state))
    return found


def _run(table: VersionTable, asked: Search, state: str) -> Result:
    rows = table.select(tree_of(asked.filters, asked.query))
    if asked.ids is not None:
        named = table.rows.find(asked.ids, ["id"], with_row_id=True).column("_rowid").to_numpy().astype(np.int64)
        rows = rows[np.isin(rows, named)]
    rows = _sorted(table, rows, asked.sort)
    groups: Ints | None = None
    if asked.group is not None and len(rows):
        rows, groups = _grouped(table, rows, asked.group)
    return Result(table, rows, groups, state)


def _sorted(table: VersionTable, rows: Ints, sort: str) -> Ints:
    field, turned = sort.removeprefix("-"), sort.startswith("-")
    if not len(rows):
        return rows
    if field == "context":
        found: Ints = rows[table.order(rows).by]
        return found[::-1] if turned else found
    values = table.column(rows, _field(field, ("id", "timestamp", "context_id")))
    missing = [i for i, value in enumerate(values) if value is None]
    there = sorted((i for i, value in enumerate(values) if value is not None), key=lambda i: _rank(values[i]))
    order = [*(reversed(there) if turned else there), *missing]  # what has no value comes last either way
    return rows[np.array(order, np.int64)]


def _rank(value: Any) -> tuple[int, Any]:
    """Numbers before texts before the rest: metadata may hold anything."""
    if isinstance(value, bool | int | float):
        return 0, float(value)
    return (1, value) if isinstance(value, str) else (2, str(value))


def _field(field: str, known: tuple[str, ...]) -> str:
    if field in known or field.startswith("meta."):
        return field
    raise QueryError(f"the field is {field!r}; allowed: {', '.join(known)}, meta.<path>", text=field)


def _grouped(table: VersionTable, rows: Ints, group: str) -> tuple[Ints, Ints]:
    """The first row of each value, in order, and how many rows have that value."""
    if group == "uri":
        values: list[Any] = [
            frame.sources[0].uri
            for start in range(0, len(rows), 2048)
            for frame in table.take(rows[start : start + 2048])
        ]
    else:
        values = table.column(rows, _field(group, ("context_id", "timestamp")))
    counts: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        counts.setdefault(repr(value), [place, 0])[1] += 1
    places = np.array([place for place, _ in counts.values()], np.int64)
    return rows[places], np.array([n for _, n in counts.values()], np.int64)


# ------------------------------------------------------------------------------------------------------------ pages
def _start(result: Result, asked: Search) -> int:
    if asked.around is not None:
        place = _place(result, asked.around)
        if place is None:
            raise Refusal(404, "frame", f"frame {asked.around!r} is not among the {len(result.rows)} that were found")
        return max(0, place - asked.limit // 2)
    cursor = read_cursor(asked.cursor)
    if not cursor:
        return asked.offset
    start, last, state = cursor.get("o"), cursor.get("a"), cursor.get("s")
    if not isinstance(start, int) or not isinstance(last, str) or start < 0:
        raise Refusal(400, "cursor", "the cursor is not one of this server; start without one")
    if state != result.state:
        # Frames were added or removed in between: go on behind the last one that was seen, where it still is.
        place = _place(result, last)
        start = start if place is None else place + 1
    return start


def _place(result: Result, frame_id: str) -> int | None:
    found = result.table.rows.find([frame_id], ["id"], with_row_id=True)
    if not len(found):
        return None
    places = np.flatnonzero(result.rows == found.column("_rowid")[0].as_py())
    return int(places[0]) if len(places) else None


def page(hub: Service, version: DatasetVersion, asked: Search) -> bytes:
    """One page of a search, as JSON; kept for as long as the version stays as it is, for many look at the same pages."""
    result = run(hub, version, asked)
    key = ("page", result.state, digest(msgspec.json.encode(asked)))
    found: bytes = hub.searches.get_or(key, lambda: msgspec.json.encode(_page(hub, version, asked, result)))
    return found


def _page(hub: Service, version: DatasetVersion, asked: Search, result: Result) -> SearchPage:
    start = _start(result, asked)
    stop = start + asked.limit
    rows = result.rows[start:stop]
    hits = hits_of(hub, version, result.table, rows, full=asked.fields == "full", facts=asked.facts)
    if result.groups is not None:
        for hit, count in zip(hits, result.groups[start:stop].tolist(), strict=True):
            hit.group = count
    following = None
    if stop < len(result.rows) and hits:
        following = cursor_of(o=stop, a=hits[-1].id, s=result.state)
    return SearchPage(hits=hits, total=len(result.rows), offset=start, next=following, state=result.state)


def ids_of(hub: Service, version: DatasetVersion, asked: Search) -> tuple[list[str], int, int]:
    """The ids of one page, how many there are, and where the page starts."""
    result = run(hub, version, asked)
    start = _start(result, asked)
    rows = result.rows[start : start + asked.limit]
    return (result.table.column(rows, "id") if len(rows) else []), len(result.rows), start


def hits_of(
    hub: Service, version: DatasetVersion, table: VersionTable, rows: Ints, *, full: bool = False, facts: bool = False
) -> list[Hit]:
    """Rows as a grid shows them; their frames are kept, for their thumbnails come next."""
    if not len(rows):
        return []
    frames = table.take(rows)
    found = table.rows.take(rows.tolist(), ["id", "etag"])
    etags = dict(zip(found.column("id").to_pylist(), found.column("etag").to_pylist(), strict=True))
    hits = [hit_of(frame, f"{etags[frame.id]:016x}", full=full) for frame in frames]
    for frame, hit in zip(frames, hits, strict=True):
        hub.remember(version, table, frame, hit.etag)
    if facts:
        for hit, known in zip(hits, table.facts(rows), strict=True):
            hit.facts = None if known is None else [msgspec.to_builtins(item) for item in known.values()]
    return hits


def hit_of(frame: Frame, etag: str, *, full: bool = False) -> Hit:
    """A frame as a grid shows it."""
    frame.extra = {key: value for key, value in frame.extra.items() if key != "dataset"}
    labels = dict.fromkeys(label for roi in frame.rois for label in roi.label)
    return Hit(
        id=frame.id or "",
        context_id=frame.context_id or "",
        timestamp=float(frame.timestamp or 0),
        etag=etag,
        sources=[
            SourceHit(
                id=source.id,
                width=source.width,
                height=source.height,
                content_type=source.content_type,
                video=is_clip(source.uri, source.content_type),
                preview=source.preview is not None,
                timestamp=float(source.timestamp),
                masks=[mask.id for mask in source.masks],
            )
            for source in frame.sources
        ],
        labels=list(labels),
        rois=len(frame.rois),
        frame=msgspec.Raw(wire.dump(frame)) if full else None,  # type: ignore[arg-type]  # the same JSON, written once
    )
