"""The frames of a view with its label mapping applied: labels are its classes, by the table that the loader uses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from smalti.binding import Resolution, resolve
from smalti.chosen import names_of
from smalti.frames import FrameGroup, SingleFrame, handle_of
from smalti.iterate import Served
from smalti.legend import Entry, Legend
from smalti.mapping import ClassTable, LabelMapping
from smalti.records import Frame, RoiMask

if TYPE_CHECKING:
    from smalti.view import DataView

__all__ = ["PlaceClasses", "RoiClass", "class_legend", "class_names", "is_mapped", "mapped_frames"]


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


@dataclass(frozen=True, slots=True)
class RoiClass:
    """What a ROI counts as.

    Attributes:
        names: its labels after mapping.
        number: its class number, which may be void; None where neither a number nor a mask says one.
    """

    names: tuple[str, ...]
    number: int | None


class PlaceClasses:
    """The classes of the masks and ROIs of one version's frames: by one table for each legend.

    Args:
        mapping: rules and numbers.
        datasets, versions: the ids and names that the place goes by, as `chosen.names_of` has them.
    """

    def __init__(self, mapping: LabelMapping, datasets: Sequence[str], versions: Sequence[str]) -> None:
        self.mapping = mapping
        self.titles = class_names(mapping)
        self._place = (datasets, versions)
        self.table = lru_cache(maxsize=256)(self._table)
        self._entries = lru_cache(maxsize=256)(self._by_value)

    def _table(self, legend: Legend) -> ClassTable:
        return self.mapping.table(legend, *self._place)

    def _by_value(self, legend: Legend) -> dict[tuple[int, ...], RoiClass]:
        table = self.table(legend)
        found: dict[tuple[int, ...], RoiClass] = {}
        for entry, names, number in zip(legend.entries, table.names, table.classes, strict=True):
            for key in (entry.color, None if entry.code is None else (entry.code,)):
                if key is not None:
                    found[key] = RoiClass(names, number)
        return found

    def called(self, names: tuple[str, ...], number: int | None) -> tuple[str, ...]:
        """What a class is called in place of mapped labels; () for void, the labels where there are no numbers."""
        if not self.mapping.numbers:
            return names
        return () if number is None or number == self.mapping.void else (self.titles[number],)

    def of_rois(self, record: Frame, found: Resolution) -> list[RoiClass]:
        """The class of every ROI of a frame: that of its mask's value where it names one, else that of its labels.

        Raises:
            LegendError: labels of one ROI have several classes.
        """
        bound = {each.roi: each for each in found}
        legends = {(plan.source.id, plan.mask.id): plan.legend for plan in found.masks}
        made = []
        for position, roi in enumerate(record.rois):
            binding = bound.get(position)
            legend = None if binding is None else legends.get((binding.source, binding.mask))
            if binding is not None and legend is not None:
                made.append(self._entries(legend).get(binding.color[:3], RoiClass((), self.mapping.void)))
            else:
                names = self.mapping.names_of(roi.label, *self._place)
                made.append(RoiClass(names, self.mapping.number_of(names) if self.mapping.numbers else None))
        return made


class _Mapper:
    def __init__(self, view: "DataView") -> None:
        self.places = {(t.dataset, t.version): PlaceClasses(view.mapping, *names_of(t)) for t in view.tables}

    def apply(self, served: Served) -> SingleFrame | FrameGroup:
        classes = self.places[served.dataset, served.version]
        found = resolve(served.record, served.mask_labels)
        legends = {plan.mask.id: self._legend(classes, plan.legend) for plan in found.masks if plan.legend is not None}
        masks = {each.roi: each.mask for each in found}
        rois = []
        for position, (roi, made) in enumerate(
            zip(served.record.rois, classes.of_rois(served.record, found), strict=True)
        ):
            names = classes.called(made.names, made.number)
            mask = roi.mask
            if mask is not None and position in masks:
                mask = RoiMask(id=masks[position], value=mask.value)
            if names:
                rois.append(msgspec.structs.replace(roi, label=list(names), mask=mask))
        fields = {name: getattr(served.record, name) for name in served.record.__struct_fields__}
        return handle_of(Frame(**{**fields, "rois": rois}), base=served.base, mask_labels=legends)

    def _legend(self, classes: PlaceClasses, legend: Legend) -> Legend:
        table = classes.table(legend)
        entries: list[Entry] = []
        for entry, names, number in zip(legend.entries, table.names, table.classes, strict=True):
            named = classes.called(names, number)
            if named:
                entries.append(Entry(named, entry.color, entry.code))
        return Legend.from_entries(entries, kind=legend.kind, scheme=legend.scheme)
