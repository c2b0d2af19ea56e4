"""The frames of a view with its label mapping applied: labels are its classes, by the table that the loader uses."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from smalti.binding import resolve
from smalti.chosen import names_of
from smalti.frames import FrameGroup, SingleFrame, handle_of
from smalti.iterate import Served
from smalti.legend import Entry, Legend
from smalti.mapping import ClassTable, LabelMapping
from smalti.records import Frame, Roi, RoiMask

if TYPE_CHECKING:
    from smalti.view import DataView

__all__ = ["class_legend", "class_names", "is_mapped", "mapped_frames"]


def is_mapped(mapping: LabelMapping) -> bool:
    """Whether a mapping changes any label."""
    return bool(mapping.numbers or mapping.rules or mapping.hidden)


def class_names(mapping: LabelMapping) -> dict[int, str]:
    """What each class number is called: the first label that has it, else the number."""
    names: dict[int, str] = {}
    for key, number in mapping.numbers.items():
        if number not in names or (isinstance(key, str) and not names[number]):
            names[number] = key if isinstance(key, str) else ""
    return {number: name or str(number) for number, name in names.items() if number != mapping.void}


def class_legend(mapping: LabelMapping) -> Legend | None:
    """The numbers of a mapping as a legend for writing masks; None where it has none, or one below 1.

    Most layouts write 0 for what no class covers, so a class 0 could not be told from void.
    """
    names = class_names(mapping)
    if not names or min(names) < 1:
        return None
    return Legend.from_entries([Entry((name,), code=number) for number, name in sorted(names.items())], kind="indices")


def mapped_frames(view: "DataView") -> Iterator[SingleFrame | FrameGroup]:
    """The frames of one epoch: ROIs and legends speak of classes, and what is void is gone.

    Raises:
        LegendError: labels of one ROI have several classes.
    """
    mapper = _Mapper(view)
    for served in view.iterate(output="records"):
        yield mapper.apply(served)


class _Mapper:
    def __init__(self, view: "DataView") -> None:
        self.view = view
        self.mapping = view.mapping
        self.names = class_names(view.mapping)
        self.places = {(t.dataset, t.version): t for t in view.tables}
        self.table = lru_cache(maxsize=256)(view.class_table)

    def apply(self, served: Served) -> SingleFrame | FrameGroup:
        found = resolve(served.record, served.mask_labels)
        tables = {
            plan.mask.id: self.table(plan.legend, served.dataset, served.version)
            for plan in found.masks
            if plan.legend is not None
        }
        legends = {mask: self._legend(table) for mask, table in tables.items()}
        bound = {each.roi: each for each in found}
        rois = []
        for position, roi in enumerate(served.record.rois):
            binding = bound.get(position)
            if binding is not None and roi.mask is not None:
                names = self._entries(tables[binding.mask]).get(binding.color, ())
                mask: RoiMask | None = RoiMask(id=binding.mask, value=roi.mask.value)
            else:
                names, mask = self._roi_names(roi, served), roi.mask
            if names:
                rois.append(msgspec.structs.replace(roi, label=list(names), mask=mask))
        fields = {name: getattr(served.record, name) for name in served.record.__struct_fields__}
        return handle_of(Frame(**{**fields, "rois": rois}), base=served.base, mask_labels=legends)

    def _named(self, names: tuple[str, ...], number: int) -> tuple[str, ...]:
        if not self.mapping.numbers:
            return names
        return () if number == self.mapping.void else (self.names[number],)

    def _roi_names(self, roi: Roi, served: Served) -> tuple[str, ...]:
        names = self.mapping.names_of(roi.label, *names_of(self.places[served.dataset, served.version]))
        return self._named(names, self.mapping.number_of(names) if self.mapping.numbers else 0)

    def _entries(self, table: ClassTable) -> dict[tuple[int, ...], tuple[str, ...]]:
        found: dict[tuple[int, ...], tuple[str, ...]] = {}
        for entry, names, number in zip(table.legend.entries, table.names, table.classes, strict=True):
            for key in (entry.color, None if entry.code is None else (entry.code,)):
                if key is not None:
                    found[key] = self._named(names, number)
        return found

    def _legend(self, table: ClassTable) -> Legend:
        entries: list[Entry] = []
        for entry, names, number in zip(table.legend.entries, table.names, table.classes, strict=True):
            named = self._named(names, number)
            if named:
                entries.append(Entry(named, entry.color, entry.code))
        return Legend.from_entries(entries, kind=table.legend.kind, scheme=table.legend.scheme)
