"""Another legend for a draft: what was counted of its masks by the former one goes.

Counts of pixels are kept by label, and which label a pixel has is said by the legend, so counts and legend must change
as one. Rows and catalog are two places: the counts are removed first, so that a crash between the two loses counts, which
can be made again, and never leaves counts of labels that the legend does not have any more.
"""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from smalti.store.derive import facts_columns
from smalti.store.engine import Branch
from smalti.store.schema import DERIVED

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = ["forget_facts", "relabel", "without_facts"]

_FACTS = [name for name in DERIVED.names if name.startswith("px_")]
_AT_ONCE = 65536


def relabel(version: "DatasetVersion", legend: dict[str, Any], **changes: Any) -> None:
    """Give a draft a legend as `legends.stored` makes it, and with it whatever else of its row changes.

    Raises:
        VersionFrozen: it is not a draft.
        VersionError: somebody writes it in bulk, maybe counting by the legend of now.
    """
    if (version.require_draft().legend or {}) == legend:
        if changes:
            version.change_draft(**changes)
        return
    with version.lease("a change of the legend"), version.writing() as branch:
        forget_facts(branch)
        version.change_draft(legend=legend, **changes)


def forget_facts(branch: Branch) -> None:
    """Frames whose masks were counted are to be counted again."""
    for batch in branch.snapshot().scan(["id", "etag"], "px_known", batch_size=_AT_ONCE):
        if len(batch):
            branch.annotate(without_facts(pa.Table.from_batches([batch])))


def without_facts(rows: pa.Table) -> pa.Table:
    """The rows with the `px_*` columns of rows that were not counted."""
    for name, column in zip(_FACTS, facts_columns([None] * len(rows)), strict=True):
        at = rows.schema.get_field_index(name)
        rows = rows.append_column(name, column) if at < 0 else rows.set_column(at, rows.schema.field(at), column)
    return rows
