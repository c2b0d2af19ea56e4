"""Which frames are nearest to a vector: exact over every vector, or by an index over a column of them.

A path that is declared as vectors (`dataset.declare("meta.embedding", "vector[768]")`) has a column, which is read many
times faster than the metadata, and an index once a version is large enough. Other paths are read from the metadata.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smalti.errors import FrameError, QueryError
from smalti.store.dense import METRICS, Dense, as_vector, scores_of, vector_at
from smalti.store.engine import Branch
from smalti.store.promoted import vector_fields

if TYPE_CHECKING:
    from smalti.chosen import Chosen
    from smalti.store.version import DatasetVersion

__all__ = ["METHODS", "METRICS", "WORTH_INDEXING", "index_vectors", "nearest", "nearest_in", "scores_of", "vector_at"]

Reals = NDArray[np.float64]
Ints = NDArray[np.int64]

METHODS = ("auto", "exact", "index")
WORTH_INDEXING = 10_000
"""Vectors in a version from which on an index is built: fewer are searched exactly in a few milliseconds."""
_WORTH_ASKING = 50_000
"""Vectors from which on `auto` asks the index."""
_LANCE = {"cosine": "cosine", "l2_norm": "l2", "dot_product": "dot"}
_SPARE = 64
"""Candidates beyond those asked for, which are scored again in 64 bits before the best are taken."""
_BLUR = 1e-5
_decode = msgspec.json.Decoder().decode


class _Best(NamedTuple):
    """Rows with their scores, nearest first."""

    rows: Ints
    ids: list[str]
    scores: Reals


def nearest(
    version: "DatasetVersion",
    vector: Sequence[float] | str,
    count: int = 10,
    field: str = "meta.vector",
    *,
    metric: str = "cosine",
    method: str = "auto",
    query: str = "",
) -> list[tuple[str, float]]:
    """The ids of the frames whose vectors are nearest, nearest first, and their scores.

    Frames without the vector are passed over; equal scores come in the order of ids.

    Args:
        version: where to look.
        vector: as many numbers as those of the frames have; or the id of a frame, for those that are like it.
        count: how many.
        field: path of the vectors in the metadata.
        metric: one of `METRICS`; see `scores_of`.
        method: "exact" looks at every vector; "index" at those that an index of this metric leads to, which may miss a
            few; "auto" takes the index where there is one and the version is large.
        query: only frames that match it, all of which are looked at.

    Raises:
        QueryError: the vector, the metric or the method is not as it should be, or there is no such index.
        FrameError: there is no frame with this id, or it has no vector.
    """
    left_out = ""
    if isinstance(vector, str):
        left_out, vector = vector, _vector_of(version, vector, field)
    most = count + bool(left_out)
    if query:
        chosen = version.view(query).chosen()
        places, scores = nearest_in(chosen, vector, most, field, metric, method=method)
        ids = chosen.keep(np.array(places, np.int64)).column("id")
    else:
        found = _search(version.rows(), _checked(vector, metric, method), most, field, metric, method=method)
        ids, scores = found.ids, found.scores.tolist()
    return [(id_, score) for id_, score in zip(ids, scores, strict=True) if id_ != left_out][:count]


def _vector_of(version: "DatasetVersion", frame_id: str, field: str) -> list[float]:
    found = vector_at(version.get_record(frame_id).meta, field)
    if not isinstance(found, list) or as_vector(found, len(found)) is None:
        raise FrameError(f"frame {frame_id!r} has no vector at {field!r}; name a frame that has one, or give numbers")
    return found


def nearest_in(
    chosen: "Chosen",
    vector: Sequence[float],
    count: int,
    field: str,
    metric: str = "cosine",
    *,
    method: str = "exact",
) -> tuple[list[int], list[float]]:
    """The places of the nearest frames among the chosen ones, nearest first, and their scores.

    Frames without the vector, or with one of another length, are passed over. Equal scores come in the order of places.

    Raises:
        QueryError: the vector is no list of finite numbers, or the metric is unknown.
    """
    wanted = _checked(vector, metric, method)
    places: list[Ints] = []
    scores: list[Reals] = []
    for number, table in enumerate(chosen.tables):
        mine = np.flatnonzero(chosen.part == number)
        if hasattr(table, "rows"):
            selected = None if len(mine) == table.rows.count() else np.sort(chosen.row[mine])
            found = _search(table.rows, wanted, count, field, metric, method=method, selected=selected)
            order = np.argsort(chosen.row[mine])
            places.append(mine[order[np.searchsorted(chosen.row[mine][order], found.rows)]])
            scores.append(found.scores)
        else:
            kept, vectors = _stacked([vector_at(frame.meta, field) for frame in chosen.take(mine)], len(wanted))
            places.append(mine[kept])
            scores.append(scores_of(vectors, wanted, metric))
    at, value = np.concatenate([np.zeros(0, np.int64), *places]), np.concatenate([np.zeros(0), *scores])
    best = np.lexsort((at, -value))[:count]
    return at[best].tolist(), value[best].tolist()


def _checked(vector: Sequence[float], metric: str, method: str) -> Reals:
    if metric not in METRICS:
        raise QueryError(f"the metric is {metric!r}; allowed: {', '.join(METRICS)}")
    if method not in METHODS:
        raise QueryError(f"the method is {method!r}; allowed: {', '.join(METHODS)}")
    try:
        wanted = np.asarray(vector, np.float64)
    except (TypeError, ValueError, OverflowError):
        wanted = np.zeros(0)
    if wanted.ndim != 1 or not len(wanted) or not np.isfinite(wanted).all():
        raise QueryError("the vector is no list of finite numbers")
    return wanted


def _search(
    rows: Branch,
    wanted: Reals,
    count: int,
    field: str,
    metric: str,
    *,
    method: str = "exact",
    selected: Ints | None = None,
) -> _Best:
    column = _column_of(rows.schema, field)
    if column is not None and column.type.list_size != len(wanted):
        raise QueryError(
            f"the vector has {len(wanted)} numbers; {field!r} is declared with {column.type.list_size}: give as many"
        )
    index = column is not None and selected is None and _has_index(rows, column, metric)
    if method == "index" and not index:
        raise QueryError(
            f"there is no index of {field!r} for {metric}: a publish and `smalti store maintain` make one for a path that "
            f"is declared as vectors with this metric, from {WORTH_INDEXING} vectors on; search exactly"
        )
    if column is not None and index and (method == "index" or (method == "auto" and rows.count() >= _WORTH_ASKING)):
        return _indexed(rows, column, wanted, count, metric)
    best = _Best(np.zeros(0, np.int64), [], np.zeros(0))
    for row_ids, ids, vectors in _vectors(rows, column, field, len(wanted)):
        if selected is not None:
            inside = np.isin(row_ids, selected, assume_unique=True)
            row_ids, ids, vectors = row_ids[inside], ids.filter(pa.array(inside)), vectors[inside]
        if len(row_ids):
            best = _merged(best, _kept(row_ids, ids, vectors, wanted, count, metric), count)
    return best


def _column_of(schema: pa.Schema, field: str) -> pa.Field | None:
    path = f"meta.{field.removeprefix('meta.')}".encode()
    return next((item for item in vector_fields(schema) if item.metadata[b"smalti:path"] == path), None)


def _vectors(
    rows: Branch, column: pa.Field | None, field: str, dims: int
) -> Iterator[tuple[Ints, pa.Array, NDArray[Any]]]:
    """Batches of row ids, frame ids and (n, dims) vectors; rows without a vector are left out."""
    name = "meta" if column is None else column.name
    for batch in rows.scan(["id", name], with_row_id=True):
        found, row_ids = batch.column(name), batch.column("_rowid").to_numpy().astype(np.int64)
        if column is None:
            kept, vectors = _stacked([vector_at(_decode(t), field) if t else None for t in found.to_pylist()], dims)
        else:
            valid = found.is_valid().to_numpy(zero_copy_only=False)
            kept = np.flatnonzero(valid)
            flat = found.values.slice(found.offset * dims, len(found) * dims).to_numpy(zero_copy_only=False)
            vectors = flat.reshape(-1, dims)
            vectors = vectors if len(kept) == len(valid) else vectors[kept]
        yield row_ids[kept], batch.column("id").take(pa.array(kept)), vectors


def _stacked(found: Sequence[Any], dims: int) -> tuple[Ints, Reals]:
    """The positions of what is a vector, and the vectors as (n, dims)."""
    vectors = [as_vector(item, dims) for item in found]
    kept = [position for position, vector in enumerate(vectors) if vector is not None]
    stack = np.array([vectors[position] for position in kept], np.float64).reshape(-1, dims)
    return np.array(kept, np.int64), stack


def _kept(row_ids: Ints, ids: pa.Array, vectors: NDArray[Any], wanted: Reals, count: int, metric: str) -> _Best:
    """The best of some rows. Narrow numbers choose candidates, and those alone are compared in 64 bits."""
    if len(vectors) > count + _SPARE and vectors.dtype == np.float32:
        coarse, blur = _coarse(vectors, wanted.astype(np.float32), metric)
        candidates = np.argpartition(-coarse, count + _SPARE)[: count + _SPARE]
        # Rows that cannot be told from the last candidate belong to them too: equal vectors are equally near.
        candidates = np.flatnonzero(coarse >= coarse[candidates].min() - blur)
        row_ids, ids, vectors = row_ids[candidates], ids.take(pa.array(candidates)), vectors[candidates]
    scores = scores_of(vectors.astype(np.float64), wanted, metric)
    return _merged(_Best(row_ids, ids.to_pylist(), scores), None, count)


def _coarse(
    vectors: NDArray[np.float32], wanted: NDArray[np.float32], metric: str
) -> tuple[NDArray[np.float32], float]:
    """(n,) what orders vectors as the scores do, in 32 bits, and how far off the rounding may put it."""
    dots: NDArray[np.float32] = vectors @ wanted
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", vectors, vectors)
    own, largest = float(wanted @ wanted), float(squares.max())
    if metric == "dot_product":
        return dots, _BLUR * (own * largest) ** 0.5
    if metric == "cosine":
        return np.divide(dots, np.sqrt(squares), out=np.zeros_like(dots), where=squares > 0), _BLUR * own**0.5
    return 2 * dots - squares, _BLUR * (own + largest)


def _merged(one: _Best, other: _Best | None, count: int) -> _Best:
    rows = one.rows if other is None else np.concatenate([one.rows, other.rows])
    scores = one.scores if other is None else np.concatenate([one.scores, other.scores])
    ids = one.ids if other is None else one.ids + other.ids
    best = sorted(range(len(ids)), key=lambda i: (-scores[i], ids[i]))[:count]
    return _Best(rows[best], [ids[i] for i in best], scores[best])


# ------------------------------------------------------------------------------------------------------------- index
def index_vectors(branch: Branch, *, again: bool = False) -> None:
    """Make the indices of the vector columns of a branch that have enough vectors and no index yet.

    Args:
        branch: the head of a draft, whose lease the caller holds.
        again: make those anew that are there.
    """
    known = branch.indices()
    for column in vector_fields(branch.schema):
        if column.name in known and not again:
            continue
        size = branch.count(f"{column.name} IS NOT NULL")
        if size >= WORTH_INDEXING:
            metric = _LANCE[_metric_of(column)]
            branch.create_index(column.name, "IVF_FLAT", metric=metric, num_partitions=_partitions(size))


def _metric_of(column: pa.Field) -> str:
    dense = Dense.read(column.metadata[b"smalti:type"].decode())
    return dense.metric if dense is not None else ""


def _partitions(size: int) -> int:
    return max(1, round(math.sqrt(size)))


def _has_index(rows: Branch, column: pa.Field, metric: str) -> bool:
    return _metric_of(column) == metric and column.name in rows.indices()


def _indexed(rows: Branch, column: pa.Field, wanted: Reals, count: int, metric: str) -> _Best:
    search = {
        "column": column.name,
        "q": wanted.astype(np.float32),
        "k": count + _SPARE,
        "metric": _LANCE[metric],
        "nprobes": max(20, _partitions(rows.count()) // 5),
    }
    found = rows.table(["id", column.name], nearest=search, with_row_id=True)
    vectors = np.array(found.column(column.name).to_pylist(), np.float64).reshape(-1, len(wanted))
    scores = scores_of(vectors, wanted, metric)
    row_ids = found.column("_rowid").to_numpy().astype(np.int64)
    return _merged(_Best(row_ids, found.column("id").to_pylist(), scores), None, count)
