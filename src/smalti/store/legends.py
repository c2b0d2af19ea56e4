"""A version's legends as they are kept: `{mask id or "_all_": [{"value": ..., "labels": [...]}, ...]}`."""

from collections.abc import Iterable, Mapping
from typing import Any

from smalti.binding import ALL_MASKS
from smalti.errors import LegendError
from smalti.legend import Legend

__all__ = ["ALL_MASKS", "Stored", "join", "joined", "read", "stored"]

Row = dict[str, Any]
Stored = dict[str, list[Row]]
_TOLD = 3


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


def join(version: Any, legends: Iterable[tuple[Stored, str]]) -> None:
    """Add the legends of frames to come to a version, or to a version behind a server: all of them or none.

    Args:
        version: a draft, whose legend only changes where these say more.
        legends: each with what to do instead, as for `joined`.

    Raises:
        LegendError: see `joined`.
    """
    found = list(legends)

    def make(kept: Stored) -> Stored:
        for legend, instead in found:
            kept = joined(kept, legend, f"{version.dataset.name}@{version.name}", instead)
        return kept

    if hasattr(version, "require_draft"):
        from smalti.store.relabeling import relabel  # brings Arrow

        relabel(version, make)
        return
    now = version.get_masks_labels()
    wanted = make(now)
    if wanted != now:
        version.set_masks_labels(wanted)


def joined(kept: Stored, more: Stored, where: str, instead: str) -> Stored:
    """The legends of a version that gets frames with legends of their own; neither's masks are read otherwise by it.

    Args:
        kept: the version's legends.
        more: those of the frames to come.
        where: the version, and `instead`: what to do about legends that contradict each other, for the message.

    Raises:
        LegendError: a value of a mask means one thing in the version and another in the frames.
    """
    result = dict(kept)
    for key in dict.fromkeys([*more, *(kept if ALL_MASKS in more else ())]):
        was, rows = kept.get(key) or kept.get(ALL_MASKS) or [], more.get(key) or more.get(ALL_MASKS) or []
        if clashes := _clashes(was, rows):
            told = ", ".join(clashes[:_TOLD]) + (f" and {len(clashes) - _TOLD} more" if len(clashes) > _TOLD else "")
            masks = "masks" if key == ALL_MASKS else f"masks {key!r}"
            raise LegendError(
                f"{where} reads {masks} by another legend than that of the frames to add: {told}; {instead}"
            )
        known = {tuple(row["value"]) for row in was}
        union = [*was, *(row for row in rows if tuple(row["value"]) not in known)]
        if union != was:
            result[key] = union
    return result


def _clashes(was: list[Row], rows: list[Row]) -> list[str]:
    """What two legends disagree about; what only one of them names is no disagreement."""
    if not was or not rows:
        return []
    before, after = ({tuple(row["value"]): row["labels"] for row in side} for side in (was, rows))
    kinds = ["colors" if any(len(value) == 3 for value in side) else "numbers" for side in (before, after)]
    if kinds[0] != kinds[1]:
        return [f"it has {kinds[0]} and the frames have {kinds[1]}"]
    found = [
        f"{_said(value)} means {_names(before[value])} there and {_names(after[value])} here"
        for value in before
        if value in after and set(before[value]) != set(after[value])
    ]
    # A colour with -1 takes other colours as well: what only one side has changes what such a one of the other means.
    one_sided = [
        value
        for value in before.keys() ^ after.keys()
        if -1 in value or any(_covers(wild, value) for wild in (after if value in before else before))
    ]
    return found + [f"only one of them has {_said(value)}" for value in sorted(one_sided)]


def _covers(wild: tuple[int, ...], value: tuple[int, ...]) -> bool:
    is_wild = -1 in wild and len(wild) == len(value)
    return is_wild and all(part in (-1, whole) for part, whole in zip(wild, value, strict=True))


def _said(value: tuple[int, ...]) -> str:
    return f"color {value}" if len(value) == 3 else f"value {value[0]}"


def _names(labels: list[str]) -> str:
    return "/".join(map(repr, labels))
