"""Legends: which pixel value of a mask means which labels. A legend is a lookup table.

Index 0 of every table that a legend builds is *void* (unmapped); entry i of `Legend.entries` has index i + 1. Black is
a colour like any other: it is void only where no entry names it.
"""

import colorsys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from smalti.errors import LegendError

__all__ = ["Entry", "Kind", "Legend", "id_color", "voc_color"]

Kind = Literal["colors", "indices", "ids"]
Value = tuple[int, ...] | int
ANY = -1
_MAX_ENTRIES = 65535


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend.

    Attributes:
        labels: what the value means; several labels = one object with several names.
        color: (R, G, B), each 0..255 or -1 for any; None where the legend speaks of numbers only.
        code: the number that an index or id mask stores; None where the legend speaks of colours only.
    """

    labels: tuple[str, ...]
    color: tuple[int, int, int] | None = None
    code: int | None = None

    @property
    def value(self) -> Value:
        """The colour if there is one, else the code."""
        return self.color if self.color is not None else (self.code if self.code is not None else ())


class Legend:
    """Colours (or indices, or ids) and the labels that they mean. Immutable; equal when the entries are equal.

    Args:
        colors: {(r, g, b): "car"} or {(r, g, b): ["car", "vehicle"]}; integer keys make a legend of indices.
        kind: how pixel values are read. "colors": RGB values; "indices": the stored grey value or palette index;
            "ids": every value is an object of its own and the entries describe categories or single ids. Colours of
            ids are never matched by nearness.
        scheme: for ids, how a stored value splits into category and instance: see `smalti.ids.SCHEMES`.

    Raises:
        LegendError: two entries share a value but not their labels, or a value is not a colour or an index.
    """

    __slots__ = ("_hash", "entries", "kind", "merged", "scheme")

    entries: tuple[Entry, ...]
    kind: Kind
    scheme: str | None
    merged: tuple[str, ...]
    _hash: int

    def __init__(
        self,
        colors: Mapping[Any, str | Sequence[str]] | None = None,
        *,
        kind: Kind | None = None,
        scheme: str | None = None,
    ) -> None:
        if colors is not None and not isinstance(colors, Mapping):
            raise LegendError(
                f"a legend is made of {{(r, g, b): label}}, not of {type(colors).__name__}; "
                "Legend.read(path) reads a file, Legend.from_mask_labels(rows) the version form"
            )
        entries = [_entry(value, labels) for value, labels in (colors or {}).items()]
        built = Legend.from_entries(entries, kind=kind, scheme=scheme)
        self._set(built.entries, built.kind, built.scheme, built.merged)

    def _set(self, entries: tuple[Entry, ...], kind: Kind, scheme: str | None, merged: tuple[str, ...]) -> None:
        for name, value in (("entries", entries), ("kind", kind), ("scheme", scheme), ("merged", merged)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Legend cannot change ({name}); build another one")

    @classmethod
    def from_entries(
        cls,
        entries: Iterable[Entry],
        *,
        kind: Kind | None = None,
        scheme: str | None = None,
        shared: Literal["error", "merge"] = "error",
    ) -> Self:
        """A legend of these entries; `shared="merge"` puts all names of one value on it and reports them in `.merged`."""
        listed = list(entries)
        if kind is None:
            kind = (
                "ids" if scheme else "colors" if any(e.color is not None for e in listed) or not listed else "indices"
            )
        usable = tuple(_unify(listed, kind, shared))
        if len(usable) > _MAX_ENTRIES and kind != "ids":
            raise LegendError(
                f"the legend has {len(usable)} entries, at most {_MAX_ENTRIES} are allowed; is this an id mask?"
            )
        merged = tuple(
            f"{_say(_key(e, kind))} has {len(e.labels)} names: {', '.join(e.labels)}"
            for e in usable
            if shared == "merge" and sum(_key(o, kind) == _key(e, kind) for o in listed) > 1
        )
        legend = cls.__new__(cls)
        legend._set(usable, kind, scheme, merged)
        return legend

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        shared: Literal["error", "merge"] = "error",
        kind: Kind | None = None,
        scheme: str | None = None,
    ) -> Self:
        """The legend in a file that people have: see `smalti.legend_files` for the layouts.

        Raises:
            LegendError: the file is not a legend, or two names share a value (unless `shared="merge"`).
        """
        from smalti.legend_files import read_entries

        if "://" in str(path):
            raise LegendError(f"{path}: a legend is read from a file; smalti.storage.local_path(uri) fetches one")
        entries, found = read_entries(Path(path))
        chosen = kind or ("ids" if scheme else found)
        try:
            return cls.from_entries(entries, kind=chosen, scheme=scheme, shared=shared)
        except LegendError as error:
            raise LegendError(f"{path}: {error}") from None

    @classmethod
    def from_mask_labels(cls, rows: Iterable[Mapping[str, Any]], *, where: str = "mask_labels") -> Self:
        """A legend from the version form `[{"value": [r, g, b], "labels": [...]}]`."""
        entries = []
        if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
            raise LegendError(f"{where} is {rows!r}; allowed: a list of {{'value': [r, g, b], 'labels': [...]}}")
        for position, row in enumerate(rows):
            if not isinstance(row, Mapping) or "value" not in row:
                raise LegendError(f"{where}[{position}] is {row!r}; allowed: {{'value': [r, g, b], 'labels': [...]}}")
            entries.append(_entry(row["value"], row.get("labels", ())))
        return cls.from_entries(entries)

    def to_mask_labels(self) -> list[dict[str, Any]]:
        """The version form `[{"value": [r, g, b], "labels": [...]}]`; indices become one-number values."""
        return [
            {"value": list(v) if isinstance(v := e.value, tuple) else [v], "labels": list(e.labels)}
            for e in self.entries
        ]

    @property
    def labels(self) -> list[str]:
        """Every label once, in the order of the entries."""
        return list(dict.fromkeys(label for entry in self.entries for label in entry.labels))

    @property
    def dtype(self) -> Any:
        """The smallest unsigned dtype that holds every entry number."""
        count = len(self.entries)
        return np.uint8 if count <= 0xFF else np.uint16 if count <= 0xFFFF else np.uint32

    def as_kind(self, kind: Kind) -> "Legend":
        """The same entries, read by colour or by code; entries that lack that value stay, matching nothing."""
        return self if kind == self.kind else Legend.from_entries(self.entries, kind=kind, scheme=self.scheme)

    def has_codes(self) -> bool:
        """Whether any entry says which stored number means it."""
        return any(entry.code is not None for entry in self.entries)

    def indices_of(self, label: str) -> list[int]:
        """The entry numbers (1-based) that mean `label`.

        Raises:
            LegendError: no entry has that label.
        """
        found = [i + 1 for i, entry in enumerate(self.entries) if label in entry.labels]
        if not found:
            known = self.labels
            shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
            raise LegendError(f"no entry has the label {label!r}; the legend has: {shown or 'no labels'}")
        return found

    def without_wildcards(self) -> "tuple[NDArray[np.uint8], NDArray[np.uint8] | NDArray[np.uint16]]":
        """(n, 3) uint8 colours that say every channel, and their (n,) entry numbers: what nearness may use."""
        plain = [(e.color, i + 1) for i, e in enumerate(self.entries) if e.color is not None and ANY not in e.color]
        colors = np.array([c for c, _ in plain], np.uint8).reshape(-1, 3)
        return colors, np.array([i for _, i in plain], self.dtype)

    def color_keys(self) -> "tuple[NDArray[np.uint32], NDArray[np.uint8] | NDArray[np.uint16], int]":
        """Sorted packed colours R<<16|G<<8|B, their entry numbers, and the entry that takes every other colour (or 0).

        A colour with -1 stands for all values of that channel; what says more channels wins, then what comes first.
        """
        table: dict[int, int] = {}
        catch_all = 0
        ranked = sorted(enumerate(self.entries), key=lambda item: (-(item[1].color or ()).count(ANY), -item[0]))
        for position, entry in ranked:
            if entry.color is None:
                continue
            if entry.color.count(ANY) == 3:
                catch_all = position + 1
                continue
            for key in _expand(entry.color):
                table[key] = position + 1
        keys = np.array(sorted(table), np.uint32)
        return keys, np.array([table[int(k)] for k in keys], self.dtype), catch_all

    def code_table(self, size: int) -> "NDArray[np.uint8] | NDArray[np.uint16]":
        """(size,) entry numbers by stored value; 0 where no entry has that code. Negative codes match nothing."""
        table = np.zeros(size, self.dtype)
        for position in range(len(self.entries) - 1, -1, -1):
            code = self.entries[position].code
            if code is not None and 0 <= code < size:
                table[code] = position + 1
        return table

    def display_colors(self) -> NDArray[np.uint8]:
        """(n + 1, 3) uint8 RGB to show entry numbers with; row 0 is void (black). Never depends on what occurs."""
        rows = [(0, 0, 0)]
        for entry in self.entries:
            if entry.color is not None:
                rows.append(tuple(0 if c == ANY else c for c in entry.color))  # type: ignore[arg-type]
            elif self.kind == "ids":
                rows.append(id_color(entry.code or 0))
            else:
                rows.append(voc_color(max(entry.code or 0, 0)))
        return np.array(rows, np.uint8)

    def __or__(self, other: "Legend") -> "Legend":
        """Both legends' entries; where they share a value, the left one's labels hold."""
        if not self.entries:
            return other
        mine = {_key(entry, self.kind) for entry in self.entries}
        extra = [entry for entry in other.entries if _key(entry, self.kind) not in mine]
        return Legend.from_entries([*self.entries, *extra], kind=self.kind, scheme=self.scheme or other.scheme)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Legend):
            return NotImplemented
        return (self.entries, self.kind, self.scheme) == (other.entries, other.kind, other.scheme)

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:  # hashing every entry takes longer than finding a table by the hash: once is enough
            object.__setattr__(self, "_hash", hash((self.entries, self.kind, self.scheme)))
            return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.entries, self.kind, self.scheme, self.merged))

    def __repr__(self) -> str:
        values = [key if (key := _key(e, self.kind)) is not None else e.value for e in self.entries[:4]]
        shown = ", ".join(f"{_say(v)}: {'/'.join(e.labels)}" for v, e in zip(values, self.entries, strict=False))
        more = f", … {len(self.entries) - 4} more" if len(self.entries) > 4 else ""
        return f"Legend({self.kind}, {len(self.entries)} entries: {shown}{more})"


def _rebuild(entries: tuple[Entry, ...], kind: Kind, scheme: str | None, merged: tuple[str, ...]) -> Legend:
    legend = Legend.__new__(Legend)
    legend._set(entries, kind, scheme, merged)
    return legend


def _entry(value: Any, labels: str | Sequence[str]) -> Entry:
    listed: list[Any] = [labels] if not isinstance(labels, (list, tuple, set, frozenset)) else list(labels)
    if not listed or not all(isinstance(name, str) and name for name in listed):
        raise LegendError(f"{_say(value)} has labels {labels!r}; allowed: a string or a list of strings, at least one")
    names: tuple[str, ...] = tuple(dict.fromkeys(listed))
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return Entry(names, code=int(value))
    if isinstance(value, (tuple, list, np.ndarray)):
        channels = [int(c) for c in value if isinstance(c, (int, np.integer)) and not isinstance(c, bool)]
        if len(channels) == len(value) == 1:
            return Entry(names, code=channels[0])
        if len(channels) == len(value) == 3 and all(ANY <= c <= 255 for c in channels):
            return Entry(names, color=(channels[0], channels[1], channels[2]))
    raise LegendError(
        f"the value of {', '.join(names) or 'an entry'} is {value!r}; "
        "allowed: three channels 0..255 (-1 = any), or one number for a mask of indices"
    )


def _key(entry: Entry, kind: Kind) -> Value | None:
    return entry.color if kind == "colors" else entry.code


def _unify(entries: list[Entry], kind: Kind, shared: Literal["error", "merge"]) -> Iterator[Entry]:
    """Entries with one value each, in order of first appearance."""
    first: dict[Any, Entry] = {}
    for position, entry in enumerate(entries):
        key: Any = _key(entry, kind)
        if key is None:
            key = ("unkeyed", position)
        known = first.get(key)
        if known is None:
            first[key] = entry
        elif shared == "merge" or set(known.labels) == set(entry.labels):
            first[key] = replace(known, labels=tuple(dict.fromkeys(known.labels + entry.labels)))
        else:
            raise LegendError(
                f"{_say(key)} means {_names(known)} in one entry and {_names(entry)} in another; "
                'give each its own value, or read the legend with shared="merge"'
            )
    yield from first.values()


def _names(entry: Entry) -> str:
    return "/".join(repr(label) for label in entry.labels) or "nothing"


def _say(value: Any) -> str:
    return f"color {value}" if isinstance(value, tuple) else f"value {value}"


def _expand(color: tuple[int, int, int]) -> Iterable[int]:
    axes = [range(256) if c == ANY else (c,) for c in color]
    return (r << 16 | g << 8 | b for r in axes[0] for g in axes[1] for b in axes[2])


def voc_color(index: int) -> tuple[int, int, int]:
    """The Pascal VOC colour of an index: its bits dealt out to R, G, B from the top (the published colour map)."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]


def id_color(number: int) -> tuple[int, int, int]:
    """A bright colour for an id: golden-ratio hues, so that neighbouring ids differ; the same id always looks the same."""
    hue = number * 0.618033988749895 % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.3 * (number % 3) / 2, 0.95 - 0.2 * (number % 5) / 4)
    return round(red * 255), round(green * 255), round(blue * 255)
