"""Statistics of a view: by stored facts where there are any, by its masks where there are none, after label mapping."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.binding import resolve
from smalti.breakdown import Breakdown
from smalti.chosen import Chosen, Run, names_of
from smalti.facts import MaskFacts
from smalti.frames import FrameGroup, SingleFrame
from smalti.iterate import serve
from smalti.mapped import is_mapped
from smalti.mapping import ClassTable, LabelMapping
from smalti.parallel import ordered_map
from smalti.stats import frame_facts, read_plan

if TYPE_CHECKING:
    from smalti.view import DataView

__all__ = ["survey"]

Ints = NDArray[np.int64]
_AT_ONCE = 2048
Found = tuple[list[MaskFacts], list[frozenset[str]], str | None, bool]


def survey(
    view: "DataView",
    *,
    mask_id: str | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Breakdown:
    """Pixels, frames, sizes and what occurs together, over the distinct frames of a view, in sequence.

    Where the view maps labels, what is counted are its classes, by the same table that the loader uses.

    Args:
        view: the view; its order, limit and weights make no difference.
        mask_id: count only masks with this id.
        workers: threads for masks that have to be opened; default: one per core.
        progress: called with the number of frames counted so far.
    """
    chosen, mapping = view.chosen(), view.mapping
    reader = _Reader(chosen, mapping, mask_id, workers)
    found = Breakdown()
    by = Run(chosen, view.spec).sequence()[0]
    for start in range(0, len(by), _AT_ONCE):
        for frame_id, (facts, labels, error, is_opened) in reader.read(by[start : start + _AT_ONCE]):
            if error is not None:
                found.totals.failed.append((frame_id, error))
                continue
            found.add(facts, labels)
            found.opened += is_opened
        if progress is not None:
            progress(found.totals.frames)
    return found


class _Reader:
    def __init__(self, chosen: Chosen, mapping: LabelMapping, mask_id: str | None, workers: int | None) -> None:
        self.chosen, self.mapping, self.mask_id, self.workers = chosen, mapping, mask_id, workers
        self.is_mapped = is_mapped(mapping)
        self.titles = _titles(mapping)
        self.table = lru_cache(maxsize=256)(self._table)

    def _table(self, number: int, legend: Any) -> ClassTable:
        datasets, versions = names_of(self.chosen.tables[number])
        return self.mapping.table(legend, datasets, versions)

    def read(self, places: Ints) -> Iterator[tuple[str, Found]]:
        """Per frame its id and what was found, in the order asked."""
        known = self.chosen.facts(places)
        labels = self.chosen.roi_labels(places)
        needed = [i for i, facts in enumerate(known) if facts is None or self.is_mapped]
        frames = dict(zip(needed, (each.handle for each in serve(self.chosen, places[needed])), strict=True))
        jobs = (
            (frames.get(i), facts, place) for i, (facts, place) in enumerate(zip(known, places.tolist(), strict=True))
        )
        results: Iterable[Any]
        if needed:
            results = ordered_map(lambda job: self._one(*job), jobs, workers=self.workers)
        else:
            results = (self._one(*job) for job in jobs)
        parts = self.chosen.part[places].tolist()
        for names, part, (frame_id, facts, error, is_opened) in zip(labels, parts, results, strict=True):
            yield frame_id, (facts, self._roi_names(names, part), error, is_opened)

    def _one(
        self, frame: SingleFrame | FrameGroup | None, known: Mapping[str, MaskFacts] | None, place: int
    ) -> tuple[str, list[MaskFacts], str | None, bool]:
        if frame is None:
            return "", self._picked((known or {}).values()), None, False
        legend = self.chosen.tables[int(self.chosen.part[place])].mask_labels
        is_opened = False
        try:
            if known is None:
                facts = self._picked(frame_facts(frame, legend))
                is_opened = bool(facts)
            else:
                facts = self._picked(known.values())
            if self.is_mapped:
                facts, again = self._mapped(frame, legend, facts, int(self.chosen.part[place]))
                is_opened = is_opened or again
        except (ValueError, OSError) as error:
            return str(frame.id), [], str(error), is_opened
        return str(frame.id), facts, None, is_opened

    def _picked(self, facts: Iterable[MaskFacts]) -> list[MaskFacts]:
        return [each for each in facts if self.mask_id in (None, each.mask)]

    # ------------------------------------------------------------------------------------------------------ mapping
    def _roi_names(self, rois: Iterable[frozenset[str]], number: int) -> list[frozenset[str]]:
        if not self.is_mapped:
            return list(rois)
        places = names_of(self.chosen.tables[number])
        return [self._titled(self.mapping.names_of(sorted(labels), *places)) for labels in rois]

    def _titled(self, names: tuple[str, ...]) -> frozenset[str]:
        if not self.mapping.numbers:
            return frozenset(names)
        number = self.mapping.number_of(names)
        return frozenset() if number == self.mapping.void else frozenset({self.titles[number]})

    def _mapped(
        self, frame: SingleFrame | FrameGroup, legend: Any, facts: list[MaskFacts], number: int
    ) -> tuple[list[MaskFacts], bool]:
        """The facts by class; True where facts by label do not tell the entries apart, so that a mask was opened."""
        found, is_opened = [], False
        plans = {(plan.source.id, plan.mask.id): plan for plan in resolve(frame, legend).masks}
        for each in facts:
            plan = plans.get((each.source, each.mask))
            if plan is None or plan.legend is None:
                found.append(each)
                continue
            table = self.table(number, plan.legend)
            by_entry = _by_entry(each, table)
            if by_entry is None:
                seg = read_plan(plan, frame.base)
                table, is_opened = self.table(number, seg.legend), True
                by_entry = seg.entry_counts()[1:].tolist()
            pixels: dict[str, int] = {}
            void = each.total
            for titles, count in zip(self._titles_of(table), by_entry, strict=True):
                void -= count if titles else 0
                for title in titles:
                    pixels[title] = pixels.get(title, 0) + count
            found.append(MaskFacts(source=each.source, mask=each.mask, size_hw=each.size_hw, pixels=pixels, void=void))
        return found, is_opened

    def _titles_of(self, table: ClassTable) -> list[tuple[str, ...]]:
        """Per entry what it is counted as; nothing for void."""
        if not self.mapping.numbers:
            return list(table.names)
        return [() if number == self.mapping.void else (self.titles[number],) for number in table.classes]


def _titles(mapping: LabelMapping) -> dict[int, str]:
    """What each class is called: everything that has its number."""
    names: dict[int, list[str]] = {}
    for key, number in mapping.numbers.items():
        names.setdefault(number, []).append(str(key))
    return {number: f"{'/'.join(listed)} ({number})" for number, listed in names.items()}


def _by_entry(facts: MaskFacts, table: ClassTable) -> list[int] | None:
    """Pixels per entry of a legend; None where an entry has no label of its own, so that its pixels are not known."""
    entries = table.legend.entries
    often: dict[str, int] = {}
    for entry in entries:
        for label in set(entry.labels):
            often[label] = often.get(label, 0) + 1
    found = []
    for entry in entries:
        own = next((label for label in entry.labels if often[label] == 1), None)
        if own is None:
            return None
        found.append(facts.pixels.get(own, 0))
    return found
