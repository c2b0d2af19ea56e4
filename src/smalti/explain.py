"""What a view makes of colours: which value of which mask of which version becomes which class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smalti.binding import resolve
from smalti.chosen import Chosen, Run, names_of
from smalti.errors import LegendError, MaskReferenceError
from smalti.mapping import ClassTable, LabelMapping
from smalti.viewspec import ViewSpec

__all__ = ["Explanation", "MaskTable", "explain"]


@dataclass(frozen=True, slots=True)
class MaskTable:
    """The one table of one kind of mask: the masks of that id, in that version, with that legend."""

    dataset: str
    version: str
    mask: str
    frames: int
    table: ClassTable


class Explanation(str):
    """The text, with the tables that it is about in `tables` and remarks worth a look in `notes`."""

    tables: tuple[MaskTable, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Explanation of {len(self.tables)} mask table(s), {len(self.notes)} note(s)"


def explain(spec: ViewSpec, chosen: Chosen, limit: int | None = None) -> Explanation:
    """The tables of the first `limit` frames of each version (None = of all), as text.

    Raises:
        LegendError: labels of one ROI have several classes.
    """
    tables, faults = mask_tables(spec.mapping, chosen, limit)
    notes = [*faults, *_notes(spec, chosen, tables)]
    lines = [_order_line(spec, chosen)]
    for found in tables:
        kind = found.table.legend.kind
        frames = f"{found.frames} frame{'s' if found.frames != 1 else ''}"
        lines.append(f"{found.dataset}@{found.version} · mask {found.mask} ({kind}, {frames})")
        width = max((len(str(row[0])) for row in found.table.rows()), default=4)
        for value, labels, names, number in found.table.rows():
            through = "" if names == labels else f" → {'/'.join(names) or 'nothing'}"
            shown = f"{number} (void)" if number == spec.mapping.void else str(number)
            lines.append(f"  {value!s:<{width}}  {'/'.join(labels)}{through} → {shown}")
        lines.append(f"  {'other':<{width}}  → {spec.mapping.void} (void)")
    lines += [f"note: {note}" for note in notes]
    text = Explanation("\n".join(lines) + "\n")
    text.tables, text.notes = tuple(tables), tuple(notes)
    return text


def mask_tables(mapping: LabelMapping, chosen: Chosen, limit: int | None = None) -> tuple[list[MaskTable], list[str]]:
    """One table per version, mask id and legend that occurs, and what cannot be understood."""
    counts: dict[tuple[int, str, Any], int] = {}
    faults: dict[str, None] = {}
    for number, mask, legend in _legends(chosen, limit, faults):
        counts[(number, mask, legend)] = counts.get((number, mask, legend), 0) + 1
    found = []
    for (number, mask, legend), frames in counts.items():
        datasets, versions = names_of(chosen.tables[number])
        found.append(MaskTable(datasets[-1], versions[-1], mask, frames, mapping.table(legend, datasets, versions)))
    return found, list(faults)


def _legends(chosen: Chosen, limit: int | None, faults: dict[str, None]) -> Iterator[tuple[int, str, Any]]:
    for number, table in enumerate(chosen.tables):
        rows = np.unique(chosen.row[chosen.part == number])[:limit]
        for record in table.take(rows):
            try:
                plans = resolve(record, table.mask_labels).masks
            except (MaskReferenceError, LegendError) as error:
                faults[f"frame {record.id}: {error}"] = None
                continue
            yield from ((number, plan.mask.id, plan.legend) for plan in plans if plan.legend is not None)


def _order_line(spec: ViewSpec, chosen: Chosen) -> str:
    iteration = spec.iteration
    order = f"{iteration.order} order" + (f", seed {iteration.seed}" if iteration.order == "random" else "")
    ends = "without end" if iteration.infinite else "once"
    limit = "" if iteration.limit is None else f", at most {iteration.limit}"
    lines = f"{len(chosen)} frames in {len(chosen.tables)} version(s), {order}, {ends}{limit}"
    if len(spec.filters) > 1 and iteration.infinite:
        shares = Run(chosen, spec).shares()
        parts = [f"filter {f}: {share:.1%} of {len(chosen.members[f])} frames" for f, share in shares.items()]
        lines += "\n" + "; ".join(parts)
    return lines


def _notes(spec: ViewSpec, chosen: Chosen, tables: Sequence[MaskTable]) -> Iterator[str]:
    mapping = spec.mapping
    if chosen.lacking:
        yield f"{chosen.lacking} frames have masks without stored facts; mask conditions never hold for those"
    if mapping.numbers:
        classes = sorted({number for number in mapping.numbers.values() if number != mapping.void})
        gaps = sorted(set(range(classes[0], classes[-1])) - set(classes)) if classes else []
        if gaps and len(gaps) <= 1000:
            yield f"no label has class {', '.join(map(str, gaps[:10]))}{', …' if len(gaps) > 10 else ''}"
        known = {label for found in tables for names in found.table.names for label in names}
        values = {
            key for found in tables for e in found.table.legend.entries for key in (e.code, e.color) if key is not None
        }
        missing = [str(key) for key in mapping.numbers if key not in known and key not in values]
        if missing and tables:
            yield f"no mask legend has {', '.join(missing[:10])}{', …' if len(missing) > 10 else ''}"
    elif mapping.rules and tables:
        yield "labels have no numbers; classes are counted as each legend lists them"
