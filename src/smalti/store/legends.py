"""A version's legends as they are kept: `{mask id or "_all_": [{"value": ..., "labels": [...]}, ...]}`."""

from collections.abc import Mapping
from typing import Any

from smalti.binding import ALL_MASKS
from smalti.errors import LegendError
from smalti.legend import Legend

__all__ = ["ALL_MASKS", "read", "stored"]

Stored = dict[str, list[dict[str, Any]]]


def stored(legend: Any) -> Stored:
    """The form to keep of whatever a caller calls a legend.

    Args:
        legend: a Legend; `{(r, g, b) or number: label or labels}`; rows as they are kept; or any of these by mask id.

    Raises:
        LegendError: entries clash, or it is none of these.
    """
    if not legend:
        return {}
    if isinstance(legend, Mapping) and all(isinstance(key, str) for key in legend):
        return {key: _rows(part, key) for key, part in legend.items()}
    return {ALL_MASKS: _rows(legend, ALL_MASKS)}


def _rows(legend: Any, key: str) -> list[dict[str, Any]]:
    if isinstance(legend, Legend):
        return legend.to_mask_labels()
    if isinstance(legend, Mapping):
        return Legend(legend).to_mask_labels()
    if isinstance(legend, list | tuple):
        return Legend.from_mask_labels(legend, where=f"mask_labels[{key!r}]").to_mask_labels()
    raise LegendError(
        f"mask_labels[{key!r}] is a {type(legend).__name__}; give a Legend or a dict of colours to labels"
    )


def read(kept: Stored, mask_id: str) -> Legend | None:
    """The legend for a mask id: its own, else that of all masks, else None."""
    for key in (mask_id, ALL_MASKS):
        if key in kept:
            return Legend.from_mask_labels(kept[key], where=f"mask_labels[{key!r}]")
    return None
