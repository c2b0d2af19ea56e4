"""Promoting a metadata path: a typed column in every version, filled from what is there.

The column is an index: the frames of a published version stay as they are, and so do their content hashes. The version
is pinned anew to the commit that added the column and nothing else.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from smalti.errors import VersionError
from smalti.store.engine import Branch
from smalti.store.promoted import field_of, values_of

if TYPE_CHECKING:
    from smalti.store.dataset import Dataset
    from smalti.store.version import DatasetVersion

__all__ = ["add_declared", "promote"]


def promote(dataset: "Dataset", path: str, kind: str) -> None:
    """See `Dataset.declare`."""
    field = field_of(path, kind)
    kind = field.metadata[b"smalti:type"].decode()
    known = dataset.declared
    if known.get(path, kind) != kind:
        raise VersionError(f"{path} of dataset {dataset.name!r} is declared as {known[path]!r} already, not {kind!r}")
    dataset.catalog.update_dataset(dataset.id, declared=known | {path: kind})
    for version in dataset.versions():
        add_missing(version, field)


def add_declared(branch: Branch, declared: Mapping[str, str]) -> None:
    """Add the promoted columns that a new branch lacks: main has none, and a published parent may lack one."""
    known = set(branch.schema.names) if declared else set()
    for path, kind in declared.items():
        field = field_of(path, kind)
        if field.name not in known:
            _add(branch, field)


def add_missing(version: "DatasetVersion", field: pa.Field) -> None:
    """Add one promoted column to a version that lacks it."""
    row = version.row
    branch = version.dataset.engine.at(row.branch)
    if row.state != "published":
        with version.lease("promoting metadata"), version.writing() as writable:
            if field.name not in writable.schema.names:
                _add(writable, field)
        return
    if field.name in branch.schema.names or branch.version != row.head_version:
        # The newest commit is not the published one: a write that a publish overtook. The column is left out there,
        # and queries look into the JSON instead.
        return
    with version.lease("promoting metadata"):
        pinned = _add(branch, field)
        version.dataset.engine.tag("pub", row.branch, pinned)
        version.dataset.catalog.update_version(version.id, expect_state="published", head_version=pinned)


def _add(branch: Branch, field: pa.Field) -> int:
    schema = pa.schema([field])

    def fill(batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([values_of(batch.column("meta"), field)], schema=schema)

    return branch.add_column(field, fill, ["meta"])
