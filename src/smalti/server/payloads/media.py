"""Masks, legends and clips."""

from typing import Literal

from smalti.server.payloads.base import Out

__all__ = ["MAX_ENTRIES", "LegendOut", "LegendRow", "MaskOut", "Unmapped", "VideoInfo"]

MAX_ENTRIES = 20_000
"""So many entries of a legend are told of; masks of ids may have more."""


class MaskOut(Out):
    """A mask of a source, without opening it; `kind` is how it is shown."""

    id: str
    kind: Literal["labels", "ids", "alpha"]
    content_type: str | None
    width: int | None
    height: int | None
    timestamp: float
    encoding: str | None
    video: bool
    entries: int
    labels: list[str]


class LegendRow(Out):
    """One entry: `index` is its number in the index map, `value` what the file stores.

    `stored_color` and `code` are what the legend says of it: a colour, where -1 = any, or a stored number, or both.
    """

    index: int
    value: list[int] | int | None
    stored_color: tuple[int, int, int] | None
    code: int | None
    labels: list[str]
    color: tuple[int, int, int]
    rois: list[int]
    roi_ids: list[str]
    pixels: int
    box2d_xywh: tuple[int, int, int, int] | None = None


class Unmapped(Out):
    """A colour that no entry explains; `nearest` is the legend's nearest colour, `apart` the largest difference."""

    value: tuple[int, int, int]
    pixels: int
    nearest: tuple[int, int, int] | None
    apart: int | None


class LegendOut(Out):
    """What the numbers of an index map mean, and how they came about.

    Attributes:
        policy: "exact", "nearest" or "repair"; `settled` says how many pixels each of its steps settled.
        unmapped: the commonest colours of void pixels (index 0).
    """

    mask: str
    source: str
    kind: Literal["colors", "indices", "ids"]
    scheme: str | None
    width: int
    height: int
    dtype: Literal["uint8", "uint16", "uint32"]
    entries: list[LegendRow]
    void: int
    unmapped: list[Unmapped]
    policy: str
    settled: dict[str, int]
    notes: list[str]
    mode: str
    codec: str
    pts_ms: float | None
    etag: str


class VideoInfo(Out):
    """The pictures of a clip; `pts_ms` has the presentation time of each, in milliseconds."""

    width: int
    height: int
    codec: str
    content_type: str
    rotation: int
    lossy: bool
    pictures: int
    first_ms: float
    last_ms: float
    fps: float | None
    pts_ms: list[float]
    key_ms: list[float]
    playable: bool
