"""Many thumbnails in one body: what is asked, and the JSON that stands before the pixels."""

from typing import Annotated, Any, Literal

import msgspec

from smalti.server.payloads.base import In, Out

__all__ = [
    "MAX_THUMBS",
    "ThumbBatch",
    "ThumbClass",
    "ThumbItem",
    "ThumbLabels",
    "ThumbLegend",
    "ThumbPicture",
    "ThumbRoi",
    "Thumbed",
    "ThumbsAsked",
]

MAX_THUMBS = 64
_Id = Annotated[str, msgspec.Meta(max_length=1024)]


class ThumbItem(In):
    """One frame; without a source its first one, without a mask the first that has labels, `null` = none."""

    frame: _Id
    source: _Id | None = None
    mask: _Id | None = "masks"
    t: Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)] | None = None


class ThumbsAsked(In):
    """What a grid needs of its frames, all at once.

    Attributes:
        spec: a data view's JSON, saved or not: entries and shapes come with the classes that its mapping makes of them.
    """

    items: Annotated[list[ThumbItem], msgspec.Meta(min_length=1, max_length=MAX_THUMBS)]
    size: Annotated[int, msgspec.Meta(ge=16, le=512)] = 256
    pictures: bool = True
    labels: bool = True
    shapes: bool = False
    spec: dict[str, Any] | None = None


class ThumbPicture(Out):
    """Where a WebP stands among the blobs."""

    offset: int
    length: int
    type: str
    width: int
    height: int
    etag: str


class ThumbLabels(Out):
    """Where an index map stands, how to read it, and the position in `legends` of what its numbers mean."""

    offset: int
    length: int
    width: int
    height: int
    dtype: Literal["uint8", "uint16", "uint32"]
    legend: int
    etag: str


class ThumbClass(Out):
    """A class under the view that was asked; without a colour, the name makes one. Void is not drawn."""

    number: int | None
    name: str
    void: bool
    color: tuple[int, int, int] | None


class ThumbRoi(Out):
    """A shape in pixels of the full picture: `points` as the frame has them, rings separated by -999999999."""

    roi: int
    shape: Literal["polygon", "box", "ellipse", "point"]
    points: list[float]
    labels: list[str]
    confidence: float | None
    class_: ThumbClass | None = msgspec.field(name="class", default=None)


class Thumbed(Out):
    """One item; what could not be made is null, and `error` says why."""

    frame: str
    source: str | None = None
    mask: str | None = None
    width: int | None = None
    height: int | None = None
    picture: ThumbPicture | None = None
    labels: ThumbLabels | None = None
    rois: list[ThumbRoi] = msgspec.field(default_factory=list)
    error: str | None = None


class ThumbEntry(Out):
    """What a number means, and the colour to show it in."""

    index: int
    labels: tuple[str, ...]
    color: tuple[int, int, int]
    class_: ThumbClass | None = msgspec.field(name="class", default=None)


class ThumbLegend(Out):
    """What the numbers of a map mean; of ids only those that occur."""

    kind: str
    entries: list[ThumbEntry]


class ThumbBatch(Out):
    """The head of the body: items in the order asked; offsets count from the end of this JSON."""

    items: list[Thumbed]
    legends: list[ThumbLegend]
