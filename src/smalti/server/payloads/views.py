"""Data views."""

from datetime import datetime
from typing import Any

import msgspec

from smalti.server.payloads.base import In, Name, Out, Tags, Text
from smalti.server.payloads.frames import Hit

__all__ = ["Explained", "ExplainedRow", "ExplainedTable", "NewView", "ViewChange", "ViewFrame", "ViewOut", "ViewPage"]


class ViewOut(Out):
    """A saved data view."""

    id: str
    name: str
    project: str | None
    description: str
    tags: list[str]
    status: str
    archived: bool
    spec: dict[str, Any]
    created: datetime
    updated: datetime
    etag: str = ""


class NewView(In):
    """A data view to save; `spec` is the wire's JSON."""

    name: Name
    project: Name | None = None
    description: Text = ""
    tags: Tags = msgspec.field(default_factory=list)
    spec: dict[str, Any] = msgspec.field(default_factory=dict)


class ViewChange(In):
    """What to change; what is left out stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    spec: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class ViewFrame(Out):
    """A frame of a view, in the view's order."""

    dataset: str
    version: str
    hit: Hit


class ViewPage(Out):
    """The first frames of a view, and how many each filter lets through."""

    total: int
    per_filter: list[int]
    frames: list[ViewFrame]


class ExplainedRow(Out):
    """What a value of a mask becomes."""

    value: list[int] | int | None
    labels: list[str]
    mapped: list[str]
    number: int


class ExplainedTable(Out):
    """The class table of one kind of mask."""

    dataset: str
    version: str
    mask: str
    frames: int
    rows: list[ExplainedRow]


class Explained(Out):
    """What a view makes of colours."""

    text: str
    void: int
    tables: list[ExplainedTable]
    notes: list[str]
