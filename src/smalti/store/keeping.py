"""Facts about masks outlive an edit that touches no mask: new rows take over the counts of the rows that they replace.

Counts follow from the mask files and from what the mask ROIs say about their values. A frame of which none of that
changed keeps them; any other is to be counted again.
"""

from typing import Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from smalti.store.engine import Branch, where_in
from smalti.store.schema import DERIVED

__all__ = ["keep_facts"]

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)

_FACTS = [name for name in DERIVED.names if name.startswith("px_")]
_AT_ONCE = 10_000
_encode = msgspec.json.Encoder(order="deterministic").encode


def keep_facts(branch: Branch, rows: Rows) -> Rows:
    """Rows about to replace those of the same ids, with the counts of frames whose masks did not change.

    Args:
        branch: where the rows to be replaced are.
        rows: whole rows; counts that they bring themselves stay.
    """
    ids = rows.column("id").to_pylist()
    wanted = [id_ for id_, known in zip(ids, rows.column("px_known").to_pylist(), strict=True) if not known]
    old: dict[str, dict[str, Any]] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        where = f"px_known AND {where_in('id', wanted[start : start + _AT_ONCE])}"
        found = branch.table(["id", "sources", "rois", *_FACTS], where)
        old |= {row["id"]: row for row in found.to_pylist()}
    places = [place for place, id_ in enumerate(ids) if id_ in old and not rows.column("px_known")[place].as_py()]
    if not places:
        return rows
    new = rows.select(["sources", "rois"]).take(pa.array(places)).to_pylist()
    same = {
        place: old[ids[place]]
        for place, row in zip(places, new, strict=True)
        if _about_masks(row) == _about_masks(old[ids[place]])
    }
    return _filled(rows, same) if same else rows


def _about_masks(row: dict[str, Any]) -> bytes:
    """All that the counts of a frame follow from, as text."""
    masks = [(source["id"], source["masks"]) for source in row["sources"]]
    values = [(roi["label"], roi["mask"], roi["sources"]) for roi in row["rois"] if roi["mask"] is not None]
    return _encode([masks, values])


def _filled(rows: Rows, facts: dict[int, dict[str, Any]]) -> Rows:
    order = np.arange(len(rows))
    order[list(facts)] = len(rows) + np.arange(len(facts))
    for name in _FACTS:
        column = rows.column(name)
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        more = pa.array([row[name] for row in facts.values()], whole.type)
        field = rows.schema.field(name)
        taken = pa.concat_arrays([whole, more]).take(pa.array(order))
        rows = rows.set_column(rows.schema.get_field_index(name), field, taken)
    return rows
