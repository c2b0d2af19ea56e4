"""Another legend for a draft: what was counted of its masks by the former one goes.

Counts of pixels are kept by label, and which label a pixel has is said by the legend, so counts and legend must change
as one. Rows and catalog are two places: the counts are removed first, so that a crash between the two loses counts, which
can be made again, and never leaves counts of labels that the legend does not have any more.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from smalti.store.derive import facts_columns
from smalti.store.engine import Branch
from smalti.store.rows import VersionRow
from smalti.store.schema import DERIVED

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = ["forget_facts", "forget_if_relabeled", "relabel", "without_facts"]

Legends = dict[str, Any]
_FACTS = [name for name in DERIVED.names if name.startswith("px_")]
_AT_ONCE = 65536


def relabel(version: "DatasetVersion", make: Callable[[Legends], Legends], **changes: Any) -> None:
    """Give a draft another legend, and with it whatever else of its row changes.

    Args:
        version: the draft.
        make: from the legends of now to those wanted, both as `legends.stored` makes them. It is asked again under the
            lease, because somebody may have changed them since this version was opened; what it raises changes nothing.
        changes: other fields of the row.

    Raises:
        VersionFrozen: it is not a draft.
        VersionError: somebody writes it in bulk, maybe counting by the legend of now.
    """
    kept = version.require_draft().legend or {}
    if make(kept) == kept:
        if changes:
            version.change_draft(**changes)
        return
    with version.lease("a change of the legend") as renew, version.writing() as branch:
        kept = version.require_draft().legend or {}
        legend = make(kept)
        if legend != kept:
            forget_facts(branch, renew)
            changes["legend"] = legend
        if changes:
            version.change_draft(**changes)


def forget_facts(branch: Branch, renew: Callable[[], None] = lambda: None) -> None:
    """Frames whose masks were counted are to be counted again; `renew` keeps a lease alive meanwhile."""
    for batch in branch.snapshot().scan(["id", "etag"], "px_known", batch_size=_AT_ONCE):
        renew()
        if len(batch):
            branch.annotate(without_facts(pa.Table.from_batches([batch])))
    renew()


def forget_if_relabeled(branch: Branch, before: VersionRow, now: VersionRow) -> None:
    """What a writer does at its end: counts that it made, or took over, by a former legend may have come late."""
    if now.state == "draft" and now.legend != before.legend:
        forget_facts(branch)


def without_facts(rows: pa.Table) -> pa.Table:
    """The rows with the `px_*` columns of rows that were not counted."""
    for name, column in zip(_FACTS, facts_columns([None] * len(rows)), strict=True):
        at = rows.schema.get_field_index(name)
        rows = rows.append_column(name, column) if at < 0 else rows.set_column(at, rows.schema.field(at), column)
    return rows
