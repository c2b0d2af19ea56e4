"""Masks as polygons."""

from typing import Annotated

import msgspec

from smalti.server.payloads.base import In, Out

__all__ = ["MAX_POLYGONS", "PolygonOut", "Polygonize", "Polygons"]

MAX_POLYGONS = 5_000


class Polygonize(In):
    """Which labels (or entry numbers) of a mask, and how closely to follow them.

    Attributes:
        labels, index: only these; neither = all that occur.
        tolerance: how far a corner may lie from the true edge, in pixels; 0 = every step of the pixels.
        min_area: smaller regions are left out, in pixels.
        t: milliseconds into a clip.
    """

    labels: Annotated[list[str], msgspec.Meta(max_length=1000)] | None = None
    index: Annotated[list[int], msgspec.Meta(max_length=1000)] | None = None
    tolerance: Annotated[float, msgspec.Meta(ge=0, le=100)] = 1.0
    min_area: Annotated[int, msgspec.Meta(ge=0)] = 16
    t: Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)] | None = None


class PolygonOut(Out):
    """A region: its outer ring and then its holes, flat x, y in pixels; `area` in pixels."""

    index: int
    labels: list[str]
    rings: list[list[float]]
    area: int


class Polygons(Out):
    """The regions of a mask, the largest first."""

    polygons: list[PolygonOut]
    width: int
    height: int
