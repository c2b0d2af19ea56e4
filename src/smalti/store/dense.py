"""Dense vectors: what a declared path of them is, their column from the metadata, and how near two of them are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smalti.errors import VersionError

__all__ = ["METRICS", "MOST_DIMS", "Dense", "as_vector", "scores_of", "vector_at", "vector_column"]

METRICS = ("cosine", "l2_norm", "dot_product")
MOST_DIMS = 65_536
_KIND = re.compile(r"vector\[\s*(\d{1,6})\s*(?:,\s*(\w+)\s*)?\]")
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_numbers = msgspec.json.Decoder(list[float]).decode


@dataclass(frozen=True, slots=True)
class Dense:
    """The declared type of a path of vectors.

    Attributes:
        dims: how many numbers each has.
        metric: which measure an index serves, one of `METRICS`.
    """

    dims: int
    metric: str = "cosine"

    @classmethod
    def read(cls, kind: str) -> "Dense | None":
        """The type that `vector[768]` or `vector[768,l2_norm]` names; None for the type of something else.

        Raises:
            VersionError: it begins like one, and is none.
        """
        found = _KIND.fullmatch(kind.strip())
        if found is None:
            if kind.startswith("vector"):
                raise VersionError(f"{kind!r} is no type of vectors; write vector[768], or vector[768,l2_norm]")
            return None
        made = cls(int(found[1]), found[2] or "cosine")
        if not 1 <= made.dims <= MOST_DIMS or made.metric not in METRICS:
            raise VersionError(
                f"{kind!r}: a vector has 1 to {MOST_DIMS} numbers, and its metric is one of {', '.join(METRICS)}"
            )
        return made

    def __str__(self) -> str:
        return f"vector[{self.dims}]" if self.metric == "cosine" else f"vector[{self.dims},{self.metric}]"

    @property
    def type(self) -> pa.DataType:
        """The type of the column."""
        return pa.list_(pa.float32(), self.dims)


def vector_at(meta: Mapping[str, Any], path: str) -> Any:
    """What a path such as `meta.a.b` names: the literal key `a.b`, else the nested one; None for nothing."""
    inner = path.removeprefix("meta.")
    if inner in meta:
        return meta[inner]
    at: Any = meta
    for part in inner.split("."):
        at = at.get(part) if isinstance(at, Mapping) else None
    return at


def as_vector(found: Any, dims: int) -> NDArray[np.float64] | None:
    """(dims,) numbers; None for whatever is no list of so many finite numbers."""
    if not isinstance(found, list) or len(found) != dims:
        return None
    if not all(isinstance(item, int | float) and not isinstance(item, bool) for item in found):
        return None
    try:
        vector = np.array(found, np.float64)
    except OverflowError:
        return None
    return vector if np.isfinite(vector).all() else None


def vector_column(meta: pa.Array, path: str, kind: pa.FixedSizeListType) -> pa.Array:
    """The column of a declared path of vectors; null for whatever is no vector of this length.

    Args:
        meta: JSON texts.
        path: below the metadata.
        kind: float32 numbers in lists of fixed size.
    """
    dims = kind.list_size
    found = np.zeros((len(meta), dims), np.float32)
    is_null = np.ones(len(meta), np.bool_)
    read = _reader(path)
    with np.errstate(over="ignore"):  # a number beyond 32 bits becomes infinite, and its vector null
        for row, text in enumerate(meta.to_pylist()):
            vector = read(text, dims) if text else None
            if vector is not None:
                found[row] = vector
                is_null[row] = not np.isfinite(found[row]).all()
    found[is_null] = 0
    return pa.FixedSizeListArray.from_arrays(pa.array(found.reshape(-1)), type=kind, mask=pa.array(is_null))


def _reader(path: str) -> Any:
    """What reads one vector out of a JSON text. A key of the first level is read without the rest of the metadata."""
    shallow = msgspec.defstruct("_Meta", [("found", msgspec.Raw, msgspec.field(name=path, default=msgspec.Raw(b"")))])
    peek = msgspec.json.Decoder(shallow).decode

    def read(text: str, dims: int) -> Any:
        raw = peek(text).found  # type: ignore[attr-defined]  # a struct that is made here
        if not raw:
            return as_vector(vector_at(_decode(text), path), dims) if "." in path else None
        try:
            numbers = _numbers(raw)
        except msgspec.DecodeError:
            return None
        return numbers if len(numbers) == dims else None

    return read


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
