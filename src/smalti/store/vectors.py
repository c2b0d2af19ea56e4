"""Which frames are nearest to a vector: exact, over vectors that frames carry in their metadata."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti.errors import QueryError

if TYPE_CHECKING:
    from smalti.chosen import Chosen
    from smalti.store.version import DatasetVersion

__all__ = ["METRICS", "nearest", "nearest_in", "scores_of", "vector_at"]

_decode = msgspec.json.Decoder().decode
METRICS = ("cosine", "l2_norm", "dot_product")


def vector_at(meta: Mapping[str, Any], path: str) -> Any:
    """What a path such as `meta.a.b` names: the literal key `a.b`, else the nested one; None for nothing."""
    inner = path.removeprefix("meta.")
    if inner in meta:
        return meta[inner]
    at: Any = meta
    for part in inner.split("."):
        at = at.get(part) if isinstance(at, Mapping) else None
    return at


def scores_of(vectors: NDArray[np.float64], vector: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    """(n,) similarities, the larger the nearer: cosine as (1 + cos) / 2, dot as (1 + dot) / 2, L2 as 1 / (1 + d²)."""
    if metric == "l2_norm":
        apart: NDArray[np.float64] = ((vectors - vector) ** 2).sum(axis=1)
        return 1 / (1 + apart)
    dots: NDArray[np.float64] = vectors @ vector
    if metric == "cosine":
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector)
        dots = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
    return (1 + dots) / 2


def nearest(
    version: "DatasetVersion",
    vector: Sequence[float],
    count: int = 10,
    field: str = "meta.vector",
    *,
    metric: str = "cosine",
) -> list[tuple[str, float]]:
    """The ids of the frames whose vectors are nearest, nearest first, and their scores; exact.

    Args:
        version: where to look.
        vector: as many numbers as those of the frames have.
        count: how many.
        field: path of the vectors in the metadata.
        metric: one of `METRICS`; see `scores_of`.
    """
    rows = version.rows()
    ids: list[str] = []
    found: list[Any] = []
    for batch in rows.scan(["id", "meta"]):
        ids += batch.column("id").to_pylist()
        found += [vector_at(_decode(text), field) if text else None for text in batch.column("meta").to_pylist()]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    places, scores = _nearest([found[i] for i in order], vector, count, metric)
    return [(ids[order[place]], score) for place, score in zip(places, scores, strict=True)]


def nearest_in(
    chosen: "Chosen", vector: Sequence[float], count: int, field: str, metric: str = "cosine"
) -> tuple[list[int], list[float]]:
    """The places of the nearest frames among the chosen ones, nearest first, and their scores.

    Frames without the vector, or with one of another length, are passed over. Equal scores come in the order of places.

    Raises:
        QueryError: the vector is no list of finite numbers, or the metric is unknown.
    """
    frames = chosen.take(np.arange(len(chosen)))
    return _nearest([vector_at(frame.meta, field) for frame in frames], vector, count, metric)


def _nearest(found: Sequence[Any], vector: Sequence[float], count: int, metric: str) -> tuple[list[int], list[float]]:
    if metric not in METRICS:
        raise QueryError(f"the metric is {metric!r}; allowed: {', '.join(METRICS)}")
    wanted = np.asarray(vector, np.float64)
    if wanted.ndim != 1 or not len(wanted) or not np.isfinite(wanted).all():
        raise QueryError("the vector is no list of finite numbers")
    places, rows = [], []
    for place, item in enumerate(found):
        if isinstance(item, list) and len(item) == len(wanted) and all(map(_is_number, item)):
            places.append(place)
            rows.append(item)
    if not places:
        return [], []
    scores = scores_of(np.asarray(rows, np.float64), wanted, metric)
    best = np.argsort(-scores, kind="stable")[:count]
    return [places[i] for i in best.tolist()], scores[best].tolist()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
