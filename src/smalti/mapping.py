"""From labels to class numbers: mapping rules and enumeration, put together into one table per kind of mask.

All rules look at the labels as they stand in the frames, so nothing is mapped twice: `{6: 9, 9: 7}` maps 6 to 9 and 9
to 7. What no rule and no number names becomes void.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.errors import LegendError
from smalti.legend import Entry, Legend

if TYPE_CHECKING:
    from smalti.labelmap import LabelMap

__all__ = ["ClassTable", "LabelMapping", "LabelSource", "MappingRule"]

Key = str | int | tuple[int, ...]
EVERY = "*"


class LabelSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which ROIs a mapping rule is about: those with all of `labels` ("*" = any ROI), here or everywhere ("*")."""

    labels: tuple[str, ...]
    dataset: str = EVERY
    version: str = EVERY

    def covers(self, labels: frozenset[str], dataset: Iterable[str], version: Iterable[str]) -> bool:
        """Whether a ROI with these labels is meant; datasets and versions go by any of their names."""
        return (
            all(label == EVERY or label in labels for label in self.labels)
            and (self.dataset == EVERY or self.dataset in dataset)
            and (self.version == EVERY or self.version in version)
        )


class MappingRule(msgspec.Struct, frozen=True):
    """What carries all labels of `source` is called `target` instead."""

    source: LabelSource
    target: str


@dataclass(frozen=True, slots=True)
class ClassTable:
    """What every entry of one legend becomes, in one place of a view.

    Attributes:
        where: (dataset, version) ids.
        legend: the legend.
        names: per entry the labels after mapping.
        classes: per entry the class number.
        lut: (n + 1,) class number by entry number; position 0 is void.
    """

    where: tuple[str, str]
    legend: Legend
    names: tuple[tuple[str, ...], ...]
    classes: tuple[int, ...]
    lut: NDArray[Any]

    def apply(self, found: "LabelMap") -> NDArray[Any]:
        """(H, W) class numbers of a label map with this legend."""
        return kernels.lookup(found.data, self.lut)

    def rows(self) -> list[tuple[Any, tuple[str, ...], tuple[str, ...], int]]:
        """(value in the mask, labels, labels after mapping, class number) per entry."""
        entries = self.legend.entries
        return [(e.value, e.labels, n, c) for e, n, c in zip(entries, self.names, self.classes, strict=True)]


@dataclass(frozen=True)
class LabelMapping:
    """Rules, numbers, and what is left over.

    Attributes:
        rules: mapping rules; all look at the original labels.
        numbers: label, stored number or colour → class number; empty = labels are numbered as the legend lists them.
        void: the class number of everything else (255 is what losses ignore by habit; ClearML's enumeration says -1).
        hidden: labels that count as void, whatever their number.
    """

    rules: tuple[MappingRule, ...] = ()
    numbers: Mapping[Key, int] = field(default_factory=dict)
    void: int = 255
    hidden: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for key, number in (*self.numbers.items(), ("void", self.void)):
            if isinstance(number, bool) or not isinstance(number, int):
                raise LegendError(f"the class of {key!r} is {number!r}; allowed: a whole number")
            if not -(2**31) <= number < 2**31:
                raise LegendError(f"the class of {key!r} is {number}; allowed: what fits 32 bits")

    def names_of(
        self, labels: Iterable[str], dataset: Iterable[str] = (), version: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """The labels of a ROI after mapping, without hidden ones: targets of rules, then what no rule has used."""
        written = tuple(dict.fromkeys(labels))
        mine = frozenset(written)
        fitting = [rule for rule in self.rules if rule.source.covers(mine, dataset, version)]
        used = {label for rule in fitting for label in rule.source.labels}
        if EVERY in used:
            used |= mine
        names = dict.fromkeys([rule.target for rule in fitting] + [label for label in written if label not in used])
        return tuple(name for name in names if name not in self.hidden)

    def number_of(self, names: Iterable[str], what: str = "") -> int:
        """The class number of mapped labels; `void` where none has a number.

        Raises:
            LegendError: two of the labels have different numbers.
        """
        found = {name: self.numbers[name] for name in names if name in self.numbers}
        if len(set(found.values())) > 1:
            listed = ", ".join(f"{name} = {number}" for name, number in found.items())
            raise LegendError(f"{what or 'one ROI'} has several classes: {listed}; map its labels to one of them first")
        return next(iter(found.values()), self.void)

    def table(
        self, legend: Legend, dataset: Sequence[str] = ("list",), version: Sequence[str] = ("frames",)
    ) -> ClassTable:
        """The class of every entry of a legend, as one table.

        Raises:
            LegendError: an entry has several classes, or a number is both void and a class.
        """
        names, classes = [], []
        order = {label: i for i, label in enumerate(legend.labels)}
        for entry in legend.entries:
            mapped = self.names_of(entry.labels, dataset, version)
            names.append(mapped)
            classes.append(self._class_of(entry, mapped) if self.numbers else self._listed(mapped, entry, order))
        lut = np.array([self.void, *classes], _dtype([self.void, *classes]))
        return ClassTable((dataset[0], version[0]), legend, tuple(names), tuple(classes), lut)

    def _class_of(self, entry: Entry, names: tuple[str, ...]) -> int:
        what = f"the entry {entry.value} {'/'.join(entry.labels)}"
        if not self.hidden.isdisjoint(entry.labels) and not names:
            return self.void
        by_name = self.number_of(names, what)
        raw = {self.numbers[key] for key in (entry.code, entry.color) if key is not None and key in self.numbers}
        named = {by_name} if any(name in self.numbers for name in names) else set()
        if len(raw | named) > 1:
            listed = ", ".join(map(str, sorted(raw | named)))
            raise LegendError(f"{what} has several classes: {listed}; name it by label or by value, not both")
        return next(iter(raw | named), self.void)

    def _listed(self, names: tuple[str, ...], entry: Entry, order: dict[str, int]) -> int:
        """Without numbers: the position of the first label in the legend, in the order of first appearance."""
        return order.setdefault(names[0], len(order)) if names else self.void


def _dtype(numbers: Sequence[int]) -> type[np.generic]:
    low, high = min(numbers), max(numbers)
    choices = (np.uint8, np.uint16, np.uint32) if low >= 0 else (np.int16, np.int32)
    return next(t for t in choices if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
