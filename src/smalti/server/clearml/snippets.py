"""frames.get_snippets_for_dataview*: pages of frames, and the search for the nearest vectors."""

from typing import Any

import numpy as np

from smalti.iterate import Served
from smalti.server.clearml.asked import Asked
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import Caller, Endpoint, Hub, endpoint
from smalti.server.clearml.shown import served_json
from smalti.server.clearml.views import spec_of, view_of
from smalti.store.vectors import METRICS, nearest_in
from smalti.view import DataView

__all__ = ["ENDPOINTS"]

_MOST = 10_000


@endpoint("frames.get_snippets_for_dataview2", "viewer")
def snippets2(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _snippets(hub, asked)


@endpoint("frames.get_snippets_for_dataview", "viewer")
def snippets(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _snippets(hub, asked)


@endpoint("datasets.get_snippets", "viewer")
def dataset_snippets(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    """A page of the frames of a dataset's versions; of all of them where none is named."""
    dataset = hub.dataset(asked.needed("dataset"))
    ids = asked.texts("versions") or [version.id for version in dataset.versions()]
    if not ids:
        return {"frames": [], "frames_total": 0, "total_in_versions": 0, "search_after": None}
    spec = {"versions": [{"dataset": dataset.id, "version": uuid} for uuid in ids]}
    size = asked.whole("size", low=0, high=_MOST)
    return _page(view_of(hub, spec_of(spec, unlimited=True)), asked, 50 if size is None else size)


def _snippets(hub: Hub, asked: Asked) -> dict[str, Any]:
    view = view_of(hub, spec_of(asked.object("dataview"), unlimited=True))
    size = asked.whole("size", low=0, high=_MOST)
    search = asked.object("vector_search")
    if search:
        return _nearest(view, Asked(search), size)
    return _page(view, asked, 50 if size is None else size)


def _nearest(view: DataView, search: Asked, size: int | None) -> dict[str, Any]:
    vector = search.items("vector")
    if not vector or any(isinstance(x, bool) or not isinstance(x, int | float) for x in vector):
        raise Fault(400, "vector_search.vector is no list of numbers")
    field = search.needed("field")
    metric = search.text("similarity_func") or "cosine"
    if metric not in METRICS:
        raise Fault(400, f"vector_search.similarity_func is {metric!r}; allowed: {', '.join(METRICS)}")
    count = search.whole("neighbors", low=1, high=_MOST) or size or 10
    wanted = min(count, size) if size else count
    # "fast" may fall back to an exact search: small versions have no index, and filtered ones are searched exactly.
    chosen = view.chosen()
    method = "auto" if search.text("method") == "fast" else "exact"
    places, scores = nearest_in(chosen, vector, wanted, field, metric, method=method)
    frames = []
    for served, score in zip(_served(view, places), scores, strict=True):
        frames.append({**served, "num_frames": 1, "_score": score})
    return {"frames": frames, "frames_total": len(frames), "total_in_versions": _total(view), "search_after": None}


def _page(view: DataView, asked: Asked, size: int) -> dict[str, Any]:
    after = asked.items("search_after")
    if any(not isinstance(item, int) or isinstance(item, bool) or item < 0 for item in after):
        raise Fault(400, "search_after is not what this server gave; leave it out for the first page")
    start = after[0] if after else 0
    by, _, _ = view.run().sequence()
    descending = any(
        isinstance(item, dict) and item.get("field") == "context_id" and item.get("order") == "desc"
        for item in asked.items("order_by")
    )
    places = (by[::-1] if descending else by)[start : start + size]
    frames = [{**frame, "num_frames": 1} for frame in _served(view, places.tolist())]
    stop = start + len(frames)
    return {
        "frames": frames,
        "frames_total": len(by),
        "total_in_versions": _total(view),
        "search_after": [stop] if stop < len(by) else None,
    }


def _total(view: DataView) -> int:
    return sum(table.rows.count() for table in view.tables if hasattr(table, "rows"))


def _served(view: DataView, places: list[int]) -> list[dict[str, Any]]:
    chosen, filters = view.chosen(), view.get_queries()
    found = []
    at = np.array(places, np.int64)
    for place, record in zip(places, chosen.take(at), strict=True):
        table = chosen.tables[int(chosen.part[place])]
        rule = int(chosen.rule[place])
        name = filters[rule].name if filters else None
        served = Served(record, table.dataset, table.version, rule, name or str(rule), None)
        found.append(served_json(served, view.mapping, None))
    return found


ENDPOINTS: list[Endpoint] = [value for value in list(globals().values()) if isinstance(value, Endpoint)]
