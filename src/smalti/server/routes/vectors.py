"""Frames that are like another one, by vectors in their metadata."""

from typing import Any

import msgspec
import numpy as np
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from smalti.errors import FrameError
from smalti.server.asking import AnyRequest, as_json
from smalti.server.auth import needs
from smalti.server.payloads.frames import Search
from smalti.server.payloads.vectors import Nearest, NearestAsked, VectorField
from smalti.server.problems import Refusal
from smalti.server.search import hits_of, run
from smalti.server.service import Service, plain
from smalti.store import DatasetVersion
from smalti.store.promoted import vector_fields

__all__ = ["ROUTES"]

Hub = NamedDependency[Service]
_LOOKED_AT = 200
_LEAST = 4
_DEEPEST = 6


@get("/versions/{version:str}/vector-fields", sync_to_thread=True, guards=[needs("viewer")], tags=["frames"])
def list_vector_fields(hub: Hub, version: FromPath[str]) -> list[VectorField]:
    """The metadata paths that hold vectors: the declared ones, and those that the first frames show."""
    return _fields(hub, hub.version(version))


def _fields(hub: Service, version: DatasetVersion) -> list[VectorField]:
    table = hub.table(version)

    def look() -> list[VectorField]:
        seen: dict[tuple[str, int], int] = {}
        for batch in table.rows.scan(["meta"], limit=_LOOKED_AT):
            for text in batch.column("meta").to_pylist():
                for key in set(_vectors_in(msgspec.json.decode(text) if text else {}, "meta")):
                    seen[key] = seen.get(key, 0) + 1
        for column in vector_fields(table.rows.schema):
            path = column.metadata[b"smalti:path"].decode()
            seen.setdefault((path if path.startswith("meta.") else f"meta.{path}", column.type.list_size), 0)
        ranked = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
        return [VectorField(field=path, dimensions=size, frames=n) for (path, size), n in ranked]

    listed: list[VectorField] = hub.searches.get_or(("vectors", version.id, table.fingerprint), look)
    return listed


def _vectors_in(value: Any, path: str) -> list[tuple[str, int]]:
    """(path, dimensions) of the lists of numbers in some metadata."""
    if isinstance(value, dict):
        inner = value.items() if path.count(".") < _DEEPEST else ()
        return [item for key, part in inner for item in _vectors_in(part, f"{path}.{key}")]
    is_vector = isinstance(value, list) and len(value) >= _LEAST and all(type(item) in (int, float) for item in value)
    return [(path, len(value))] if is_vector else []


@post(
    "/versions/{version:str}/nearest", sync_to_thread=True, status_code=200, guards=[needs("viewer")], tags=["frames"]
)
def find_nearest(
    hub: Hub, request: AnyRequest, version: FromPath[str], data: JSONBody[NearestAsked]
) -> Response[Nearest]:
    """The frames whose vectors are nearest to a vector, or to that of a frame, nearest first, with their scores."""
    hub.statistics.spend(str(request.scope.get("smalti.identity")))
    if (data.frame is None) == (data.vector is None):
        raise Refusal(422, "vector", "say what to be near to: either `frame` or `vector`")
    found = hub.version(version)
    try:
        near = _nearest(hub, found, data)
    except FrameError as error:
        known = [field.field for field in _fields(hub, found)]
        raise Refusal(422, "vector", str(error), known=known) from None
    table = hub.table(found)
    rows = table.rows.find([id_ for id_, _ in near], ["id"], with_row_id=True)
    places = dict(zip(rows.column("id").to_pylist(), rows.column("_rowid").to_pylist(), strict=True))
    kept = [(places[id_], score) for id_, score in near if id_ in places]
    hits = hits_of(hub, found, table, np.array([row for row, _ in kept], np.int64))
    for hit, (_, score) in zip(hits, kept, strict=True):
        hit.score = score
    return as_json(Nearest(hits=hits, total=len(hits), field=data.field, metric=data.metric))


def _nearest(hub: Service, version: DatasetVersion, asked: NearestAsked) -> list[tuple[str, float]]:
    vector: Any = asked.vector if asked.vector is not None else plain(asked.frame or "")
    options: dict[str, Any] = {"metric": asked.metric, "method": asked.method}
    if not asked.filters:
        return version.nearest(vector, asked.k, asked.field, query=asked.query, **options)
    chosen = run(hub, version, Search(query=asked.query, filters=asked.filters, sort="id"))
    allowed = set(chosen.table.column(chosen.rows, "id")) if len(chosen.rows) else set()
    everything = version.nearest(vector, max(1, hub.table(version).rows.count()), asked.field, **options)
    return [(id_, score) for id_, score in everything if id_ in allowed][: asked.k]


ROUTES = [list_vector_fields, find_nearest]
