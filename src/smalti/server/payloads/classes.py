"""What a data view makes of masks and ROIs."""

from smalti.server.payloads.base import Out

__all__ = ["ClassRow", "ClassesOut", "EntryClass", "RoiClassOut", "RoiClasses"]

Color = tuple[int, int, int]


class ClassRow(Out):
    """One class of a mask.

    Attributes:
        name: the first label that has the number; "void" for what has no class.
        labels: the stored labels that became it.
        color: to show it in where nobody chose one for its name; null = none of the legend's: make one of the name.
        entries: their numbers in the index map; void has 0 as well, which no entry explains.
    """

    number: int
    name: str
    labels: list[str]
    color: Color | None
    entries: list[int]
    pixels: int


class EntryClass(Out):
    """What one entry of the legend becomes: `mapped` are its labels after the view's rules."""

    index: int
    number: int
    mapped: list[str]


class ClassesOut(Out):
    """The class table of one mask under a data view.

    Attributes:
        view: the view's id, `name` what it is called.
        void: the class number of what has no class.
        numbered: whether the view gives the numbers; where not, labels are numbered as this legend lists them.
    """

    view: str
    name: str
    source: str
    mask: str
    void: int
    numbered: bool
    rows: list[ClassRow]
    entries: list[EntryClass]


class RoiClassOut(Out):
    """The class of a ROI, by its position in the frame; `number` is null where the view has no numbers and no mask tells."""

    roi: int
    number: int | None
    name: str
    mapped: list[str]


class RoiClasses(Out):
    """The classes of all ROIs of a frame under a data view."""

    view: str
    name: str
    void: int
    numbered: bool
    rois: list[RoiClassOut]
