"""What a data view makes of a mask or of ROIs, as rows that pages show. The classes are those of the loader's table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.chosen import names_of
from smalti.legend import Legend
from smalti.mapped import PlaceClasses, RoiClass
from smalti.mapping import ClassTable
from smalti.server.payloads.classes import ClassRow
from smalti.server.payloads.thumbs import ThumbClass
from smalti.server.service import Service
from smalti.store import DatasetVersion
from smalti.viewspec import read_spec

__all__ = ["class_rows", "classes_at", "name_of", "thumb_class", "thumb_classes"]

_VOID_COLOR = (128, 128, 128)


def classes_at(hub: Service, version: DatasetVersion, spec: dict[str, Any]) -> PlaceClasses:
    """The classes that a view's JSON makes of the frames of a version, also of one that the view does not read."""
    return PlaceClasses(read_spec(spec).mapping, *names_of(hub.table(version)))


def name_of(classes: PlaceClasses, names: tuple[str, ...], number: int | None) -> str:
    """What one class is called."""
    return "void" if _is_void(classes, names, number) else next(iter(classes.called(names, number)), "void")


def class_rows(classes: PlaceClasses, table: ClassTable, counts: NDArray[Any], most: int) -> list[ClassRow]:
    """The classes of a table, ascending, void last.

    Args:
        classes: where the table comes from.
        table: the class of every entry.
        counts: (n + 1,) pixels of each entry, those of no entry first.
        most: so many entries are listed; pixels are those of all.
    """
    void = classes.mapping.void
    members: dict[int, list[int]] = {}
    for index, number in enumerate(table.classes, 1):
        members.setdefault(number, []).append(index)
    members[void] = [0, *members.pop(void, [])]
    colors = table.legend.display_colors()
    rows = []
    for number in sorted(members, key=lambda n: (n == void, n)):
        entries = members[number]
        name = "void" if number == void else name_of(classes, table.names[entries[0] - 1], number)
        labels = dict.fromkeys(label for i in entries if i for label in table.legend.entries[i - 1].labels)
        rows.append(
            ClassRow(
                number=number,
                name=name,
                labels=list(labels),
                color=_VOID_COLOR if number == void else _color(name, entries, table.legend, colors),
                entries=[i for i in entries if i <= most],
                pixels=int(np.asarray(counts)[entries].sum()),
            )
        )
    return rows


def thumb_class(classes: PlaceClasses, made: RoiClass) -> ThumbClass:
    """The class of a shape on a thumbnail; the page finds the colour of the same class in the mask."""
    name = name_of(classes, made.names, made.number)
    return ThumbClass(number=made.number, name=name, void=_is_void(classes, made.names, made.number), color=None)


def thumb_classes(classes: PlaceClasses, legend: Legend) -> list[ThumbClass]:
    """The classes of the entries of a legend.

    Raises:
        LegendError: an entry has several.
    """
    table = classes.table(legend)
    rows = class_rows(classes, table, np.zeros(len(legend) + 1, np.int64), len(legend))
    void = classes.mapping.void
    made = {
        row.number: ThumbClass(number=row.number, name=row.name, void=row.number == void, color=row.color)
        for row in rows
    }
    return [made[number] for number in table.classes]


def _is_void(classes: PlaceClasses, names: tuple[str, ...], number: int | None) -> bool:
    return not names if number is None else number == classes.mapping.void


def _color(name: str, entries: list[int], legend: Legend, colors: NDArray[np.uint8]) -> tuple[int, int, int] | None:
    """The colour of the label that the class is called by, else of its first entry.

    Ids are other objects in each frame: a class in the colour of one of them would change its colour from frame to
    frame.
    """
    if legend.kind == "ids":
        return None
    named = (i for i in entries if name in legend.entries[i - 1].labels)
    red, green, blue = colors[next(named, entries[0])].tolist()
    return red, green, blue
