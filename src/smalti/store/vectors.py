"""Which frames are nearest to a vector: exact, over vectors that frames carry in their metadata."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import QueryError

if TYPE_CHECKING:
    from smalti.chosen import Chosen

__all__ = ["METRICS", "nearest_in", "scores_of", "vector_at"]

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


def nearest_in(
    chosen: "Chosen", vector: Sequence[float], count: int, field: str, metric: str = "cosine"
) -> tuple[list[int], list[float]]:
    """The places of the nearest frames among the chosen ones, nearest first, and their scores.

    Frames without the vector, or with one of another length, are passed over. Equal scores come in the order of places.

    Raises:
        QueryError: the vector is no list of finite numbers, or the metric is unknown.
    """
    if metric not in METRICS:
        raise QueryError(f"the metric is {metric!r}; allowed: {', '.join(METRICS)}")
    wanted = np.asarray(vector, np.float64)
    if wanted.ndim != 1 or not len(wanted) or not np.isfinite(wanted).all():
        raise QueryError("the vector is no list of finite numbers")
    places, rows = [], []
    for place, found in enumerate(_vectors(chosen, field)):
        if isinstance(found, list) and len(found) == len(wanted):
            places.append(place)
            rows.append(found)
    if not places:
        return [], []
    scores = scores_of(np.asarray(rows, np.float64), wanted, metric)
    best = np.argsort(-scores, kind="stable")[:count]
    return [places[i] for i in best.tolist()], scores[best].tolist()


def _vectors(chosen: "Chosen", field: str) -> list[Any]:
    frames = chosen.take(np.arange(len(chosen)))
    return [vector_at(frame.meta, field) for frame in frames]
