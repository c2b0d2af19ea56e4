"""frames.*: counts, iteration, frames by id.

A scroll is its id: the id says which states of which drafts are read and how far the scroll has come. So a restart of
the server loses no scroll, a request that is sent again is answered again, and no state of clients is kept; pages are
remembered only to be quick.
"""

import base64
import binascii
from secrets import token_hex
from typing import Any

import msgspec

from smalti.errors import VersionError
from smalti.order import Position
from smalti.server.clearml.asked import Asked
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import Caller, Endpoint, Hub, endpoint
from smalti.server.clearml.shown import frame_json
from smalti.server.clearml.tables import WireTable
from smalti.server.clearml.views import Pins, pins_of, spec_of, view_of
from smalti.viewspec import DEFAULT_SEED

__all__ = ["ENDPOINTS"]

MOST_FRAMES = 10_000
"""Of one answer: what a client asks for when it runs as a remote task."""


class Scroll(msgspec.Struct, array_like=True):
    """Where an iteration stands.

    Attributes:
        pins: the states that it reads.
        position: a token of `smalti.order.Position`, "" at the start.
        seed: that the first request named.
        number: tells apart two scrolls through one view.
    """

    pins: Pins
    position: str = ""
    seed: int | None = None
    number: str = ""

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()


def _scroll(text: str | None, seed: int | None) -> Scroll | None:
    """The scroll that an id stands for.

    Raises:
        Fault: it is no id of a scroll.
    """
    if not text:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = msgspec.json.decode(raw, type=Scroll)
        if found.position and Position.read(found.position).ahead:
            raise ValueError("not one of ours")
    except (binascii.Error, ValueError, RecursionError):  # msgspec's errors and ours are ValueErrors too
        raise Fault(400, f"{text[:80]!r} is no scroll_id of this server; start the iteration again") from None
    return found


# --------------------------------------------------------------------------------------------------------- counting
def _count(hub: Hub, dataview: Any) -> dict[str, Any]:
    view = view_of(hub, spec_of(dataview, unlimited=True))
    total, each = view.get_count()
    filters = view.get_queries()
    rules = [
        {"rule_index": i, "name": rule.name or str(i), "count": count, "accurate": True}
        for i, (rule, count) in enumerate(zip(filters, each, strict=False))
    ]
    return {"total": total, "rules": rules}


@endpoint("frames.get_count_for_dataview", "viewer")
def count_for_dataview(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _count(hub, asked.object("dataview"))


@endpoint("frames.get_count_for_dataview_id", "viewer")
def count_for_stored(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _count(hub, _stored(hub, asked.needed("dataview")))


@endpoint("frames.get_count", "viewer")
def count_in_version(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"), asked.text("dataset"))
    return {"total": len(version), "rules": []}


def _stored(hub: Hub, uuid: str) -> dict[str, Any]:
    try:
        return hub.catalog.get_view(uuid).spec
    except VersionError:
        raise Fault(400, f"there is no dataview with id {uuid!r}") from None


# -------------------------------------------------------------------------------------------------------- iterating
@endpoint("frames.get_next_for_dataview", "viewer")
def next_for_dataview(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _next(hub, asked, asked.object("dataview"))


@endpoint("frames.get_next_for_dataview_id", "viewer")
def next_for_stored(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _next(hub, asked, _stored(hub, asked.needed("dataview")))


@endpoint("frames.get_next", "viewer")
def next_in_version(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"), asked.text("dataset"))
    return _next(hub, asked, {"versions": [{"dataset": version.dataset.id, "version": version.id}]})


@endpoint("frames.get_next_for_dataview_and_context_id", "viewer")
def next_in_context(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    """Frames of one context; every filter is narrowed to it."""
    dataview, context = asked.object("dataview"), asked.needed("context_id")
    quoted = '"' + context.replace("\\", "\\\\").replace('"', '\\"') + '"'
    narrowed = []
    for rule in dataview.get("filters") or [{"dataset": "*", "version": "*"}]:
        query = rule.get("frame_query")
        narrowed.append({**rule, "frame_query": f"context_id:{quoted}" + (f" AND ({query})" if query else "")})
    return _next(hub, asked, {**dataview, "filters": narrowed})


def _next(hub: Hub, asked: Asked, dataview: Any) -> dict[str, Any]:
    seed = asked.whole("random_seed", high=2**63)
    given = _scroll(asked.text("scroll_id"), seed)
    if given is not None and seed is None:
        seed = given.seed
    spec = spec_of(dataview, seed=seed)
    size = asked.whole("batch_size", low=1, high=MOST_FRAMES) or 500
    view = view_of(hub, spec, given.pins if given else None)
    reset = asked.flag("reset_scroll") and asked.flag("force_scroll_id", True)
    position = "" if given is None or reset else given.position
    number = given.number if given else token_hex(8)
    page = hub.pages.get(view, position, size, asked.texts("projection") or None)
    return {
        "frames": page.frames,
        "frames_returned": len(page.frames),
        "scroll_id": str(Scroll(given.pins if given else pins_of(view), page.state, seed, number)),
        "eof": page.eof,
        "roi_stats": {},
        "scroll_state": {},
        "random_seed": DEFAULT_SEED if view.iteration.random_seed is None else view.iteration.random_seed,
    }


@endpoint("frames.clear_get_next_state", "viewer")
def clear_state(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    _scroll(asked.text("scroll_id"), None)
    return {}


# -------------------------------------------------------------------------------------------------------------- by id
@endpoint("frames.get_by_id", "viewer")
def by_id(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"), asked.text("dataset"))
    found = WireTable(hub.service.table(version), hub.catalog).find([asked.needed("frame")])
    if not found:
        raise Fault(400, f"version {version.name!r} has no frame {asked.text('frame')!r}")
    return {"frame": frame_json(found[0], version.dataset.id, version.id)}


@endpoint("frames.get_by_ids", "viewer")
def by_ids(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"), asked.text("dataset"))
    found = WireTable(hub.service.table(version), hub.catalog).find(asked.texts("frame_ids") or [])
    return {"frames": [frame_json(record, version.dataset.id, version.id) for record in found]}


@endpoint("frames.get_source_ids_for_dataview", "viewer")
def source_ids(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    view = view_of(hub, spec_of(asked.object("dataview"), unlimited=True))
    ids = {source.id for served in view.iterate(output="records") for source in served.record.sources}
    return {"source_ids": sorted(ids)}


ENDPOINTS: list[Endpoint] = [value for value in list(globals().values()) if isinstance(value, Endpoint)]
