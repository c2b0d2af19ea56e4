"""Promoted metadata: declared paths of `meta` as typed columns of their own, for ranges and sorting.

A promoted column is an index, not content: it follows from the row's `meta`, and a value that does not fit the declared
type is null there while the JSON keeps it. A dense vector (`vector[768]`, or `vector[768,l2_norm]` to search by another
measure than the angle) is a list of fixed size of 32 bit numbers.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import msgspec
import pyarrow as pa

from smalti.errors import VersionError
from smalti.query.values import at_path
from smalti.store.dense import Dense, vector_column

__all__ = ["TYPES", "column_name", "conform", "field_of", "promoted_fields", "scalar_fields", "vector_fields"]

TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_PATH = "smalti:path"
_decode = msgspec.json.Decoder().decode


def column_name(path: str) -> str:
    """The column of a path such as `meta.weather.rain`: `m__weather__rain`; odd characters get a check sum."""
    short = _inner(path)
    plain = short.replace(".", "__")
    if re.fullmatch(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*", short.replace(".", "_")) and "_" not in short:
        return f"m__{plain}"
    return f"m__{re.sub(r'[^A-Za-z0-9_]', '_', plain)}_{crc32(short.encode()):08x}"


def _inner(path: str) -> str:
    head, _, rest = path.partition(".")
    if head != "meta" or not rest:
        raise VersionError(f"path {path!r} cannot be promoted; give a path into the metadata, such as 'meta.city'")
    return rest


def field_of(path: str, kind: str) -> pa.Field:
    """The column for a declared path.

    Raises:
        VersionError: the path does not lead into `meta`, or the type is not one of `TYPES`.
    """
    dense = Dense.read(kind)
    if dense is None and kind not in TYPES:
        raise VersionError(f"path {path!r} is declared as {kind!r}; allowed: {', '.join(TYPES)}, vector[NUMBERS]")
    metadata = {_PATH: path, "smalti:type": kind if dense is None else str(dense)}
    return pa.field(column_name(path), TYPES[kind] if dense is None else dense.type, metadata=metadata)


def promoted_fields(schema: pa.Schema) -> list[pa.Field]:
    """The promoted columns of a branch."""
    return [field for field in schema if field.metadata and _PATH.encode() in field.metadata]


def scalar_fields(schema: pa.Schema) -> list[pa.Field]:
    """Those that queries compare and sort by."""
    return [field for field in promoted_fields(schema) if not pa.types.is_fixed_size_list(field.type)]


def vector_fields(schema: pa.Schema) -> list[pa.Field]:
    """Those that hold vectors."""
    return [field for field in promoted_fields(schema) if pa.types.is_fixed_size_list(field.type)]


def values_of(meta: pa.Array, field: pa.Field) -> pa.Array:
    """A promoted column from the JSON texts of `meta`."""
    path = _inner(field.metadata[_PATH.encode()].decode())
    if pa.types.is_fixed_size_list(field.type):
        return vector_column(meta, path, field.type)
    convert = _CONVERT[field.metadata[b"smalti:type"].decode()]
    lists = [list(at_path(_decode(text), path)) if text else [] for text in meta.to_pylist()]
    # One of several values would hide the others from a range, so a list is null and queries look into the JSON.
    found = [values[0] if len(values) == 1 else None for values in lists]
    return pa.array([None if value is None else convert(value) for value in found], field.type)


def conform(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Rows with the columns of a branch, in its order, its promoted columns filled."""
    if rows.schema.names == schema.names:
        return rows
    promoted = {field.name: field for field in promoted_fields(schema)}
    columns = [
        values_of(rows.column("meta"), promoted[field.name])
        if field.name in promoted
        else rows.column(field.name)
        if field.name in rows.schema.names
        else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _whole(value: Any) -> int | None:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if is_whole and not isinstance(value, bool) and abs(value) < 2**63 else None


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


_CONVERT: Mapping[str, Any] = {
    "string": lambda value: value if isinstance(value, str) else None,
    "int": _whole,
    "float": _real,
    "bool": lambda value: value if isinstance(value, bool) else None,
    "timestamp": _moment,
}
