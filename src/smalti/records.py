"""The frame as it is written down: plain records, no behaviour.

Field names and meanings are those of the hyper-dataset wire format, so that a record and its JSON are the same thing.
Keys that a record does not know are kept in its `extra` and written back by `smalti.wire`. Records are checked when
they are decoded, not when they are constructed: validate at the edges (`wire`, `add_frames`).
"""

from typing import Any

import msgspec

__all__ = ["ENCODINGS", "Frame", "Mask", "Preview", "Roi", "RoiMask", "Source"]

Number = int | float

ENCODINGS = ("rgb", "index", "palette", "instance16", "rgb24id", "alpha", "rle")
"""How the pixel values of a mask are meant. `Mask.encoding` is one of these, an id scheme's name, or None = sniff."""


class _Record(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    extra: dict[str, Any] = msgspec.field(default_factory=dict, name="__smalti_extra__")


class Preview(_Record):
    """A browser-friendly stand-in for a source."""

    uri: str
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    timestamp: Number = 0


class Mask(_Record):
    """A mask file, or one picture of a mask video; `timestamp` is in milliseconds into `uri`.

    `encoding` says how pixel values are read (`ENCODINGS` or the name of an id scheme); None means: look at the file.
    """

    id: str
    uri: str
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    timestamp: Number = 0
    encoding: str | None = None


class Source(_Record):
    """An image, or one picture of a video; `timestamp` is in milliseconds into `uri`, sizes are in pixels."""

    id: str
    uri: str
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    timestamp: Number = 0
    preview: Preview | None = None
    masks: list[Mask] = []
    meta: dict[str, Any] = {}


class RoiMask(_Record):
    """A pixel value in a mask: one number per channel, -1 = any; an empty `id` leaves the mask to the binding rules."""

    value: list[int]
    id: str = ""


class Roi(_Record):
    """An annotation: labels with a geometry, with a pixel value in a mask, or (neither) for the frame as a whole.

    `poly` is flat, in pixels; several rings are separated by the single value -999999999. The kind of geometry is
    `meta["_type"]`: see `smalti.geometry`.
    """

    label: list[str] = []
    id: str | None = None
    poly: list[Number] = []
    mask: RoiMask | None = None
    confidence: Number | None = None
    sources: list[str] = []
    meta: dict[str, Any] = {}


class Frame(_Record):
    """One moment: its sources, their masks, and what is to be seen in them.

    `timestamp` is in milliseconds; None means that of the first source. `context_id` groups frames (a drive, a clip);
    None means the URI of the first source.
    """

    sources: list[Source]
    id: str | None = None
    context_id: str | None = None
    timestamp: Number | None = None
    rois: list[Roi] = []
    meta: dict[str, Any] = {}
    meta_blob: dict[str, Any] = {}
    blob: str | None = None
