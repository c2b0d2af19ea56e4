"""Vectors: which metadata holds some, and which frames are near."""

from typing import Annotated, Literal

import msgspec

from smalti.query.rules import FilterRule
from smalti.server.payloads.base import In, Limit, Out, Query
from smalti.server.payloads.frames import Hit

__all__ = ["Nearest", "NearestAsked", "VectorField"]


class VectorField(Out):
    """A metadata path that holds vectors; `frames` of those that were looked at have one."""

    field: str
    dimensions: int
    frames: int


class NearestAsked(In):
    """Near to what: a frame, which is left out of the answer, or a vector; among the frames of a query and filters."""

    frame: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    vector: Annotated[list[float], msgspec.Meta(min_length=1, max_length=8192)] | None = None
    field: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "meta.vector"
    k: Limit = 50
    metric: Literal["cosine", "l2_norm", "dot_product"] = "cosine"
    method: Literal["auto", "exact", "index"] = "auto"
    query: Query = ""
    filters: Annotated[list[FilterRule], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)


class Nearest(Out):
    """Frames with their scores, nearest first."""

    hits: list[Hit]
    total: int
    field: str
    metric: str
