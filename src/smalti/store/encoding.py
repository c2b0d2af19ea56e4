"""How the columns of new datasets are written to files: hints to the engine, where its own choice costs time or space.

A hint changes bytes on the disk and nothing else: files written with and without read the same, so a dataset that was
made before its columns had hints stays as it is. Lists that have an index get none: a filter's list of words has no
hints, so the engine takes it for another type and reads the column instead of its index.
"""

from collections.abc import Mapping

import pyarrow as pa

__all__ = ["hinted"]

_LZ4 = {"lance-encoding:compression": "lz4"}
"""Texts that are mostly different: the engine's own codec learns a table for every page, which takes longer and saves no
more.
"""
_PLAIN = {"lance-encoding:compression": "none"}
"""Short names and drawn numbers: hardly smaller with a codec."""
_NO_DICTIONARY = {"lance-encoding:dict-divisor": str(10**9)}
"""Values that hardly repeat: counting the different ones is most of the work, and says each time that there are many."""
_NO_RUNS = {"lance-encoding:rle-threshold": "0"}
"""Values that follow one another in no order: looking for runs of equal ones finds none."""
_MIXED = {**_NO_DICTIONARY, **_NO_RUNS}

_HINTS: Mapping[str, Mapping[str, str]] = {
    "id": {**_LZ4, **_NO_DICTIONARY},
    "sources.uri": {**_LZ4, **_NO_DICTIONARY},
    "sources.masks.uri": {**_LZ4, **_NO_DICTIONARY},
    "rois.label": _NO_RUNS,
    "rois.id": {**_PLAIN, **_NO_DICTIONARY},
    "rois.poly": {**_LZ4, **_MIXED},  # coordinates are most of a file without a codec
    "rois.mask.value": _MIXED,
    "rois.confidence": {**_PLAIN, **_MIXED},
    "rois.meta": _NO_RUNS,
    "meta": _LZ4,
    "roi_ls": _NO_RUNS,
    "roi_conf": {**_PLAIN, **_MIXED},
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
