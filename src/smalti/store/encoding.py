"""How the columns of new datasets are written to files: hints to the engine, where its own choice costs time or space.

A hint changes bytes on the disk and nothing else: files written with and without read the same, so a dataset that was
made before its columns had hints stays as it is.
"""

from collections.abc import Mapping

import pyarrow as pa

__all__ = ["hinted"]

_LZ4 = {"lance-encoding:compression": "lz4"}
"""Texts that are mostly different: the engine's own codec learns a table for every page, which takes longer and saves no
more.
"""
_NO_DICTIONARY = {"lance-encoding:dict-divisor": str(10**9)}
"""Numbers that hardly repeat: counting the different ones is most of the work, and says each time that there are many."""

_HINTS: Mapping[str, Mapping[str, str]] = {
    "id": _LZ4,
    "sources.uri": _LZ4,
    "sources.masks.uri": _LZ4,
    "rois.id": _LZ4,
    "rois.poly": {**_LZ4, **_NO_DICTIONARY},  # coordinates are most of a file without a codec
    "rois.mask.value": _NO_DICTIONARY,
    "rois.confidence": _NO_DICTIONARY,
    "meta": _LZ4,
    "roi_conf": _NO_DICTIONARY,
    "etag": _NO_DICTIONARY,
}


def hinted(schema: pa.Schema) -> pa.Schema:
    """The schema with the hints in the metadata of its innermost fields, where the engine looks for them."""
    return pa.schema([_field(field, field.name) for field in schema], schema.metadata)


def _field(field: pa.Field, path: str) -> pa.Field:
    kind = _type(field.type, path)
    hints = {} if pa.types.is_nested(kind) else _HINTS.get(path, {})
    return pa.field(field.name, kind, field.nullable, metadata={**(field.metadata or {}), **hints})


def _type(kind: pa.DataType, path: str) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_field(kind.value_field, path))
    if pa.types.is_struct(kind):
        return pa.struct([_field(field, f"{path}.{field.name}") for field in kind])
    return kind
