"""Datasets, versions and their differences."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from smalti.server.payloads.base import In, Name, Out, Tags, Text

__all__ = [
    "ChangeOut",
    "Child",
    "DatasetChange",
    "DatasetOut",
    "Declare",
    "DiffFrame",
    "DiffItem",
    "DiffOut",
    "MaskMove",
    "Merge",
    "NewDataset",
    "NewVersion",
    "Publish",
    "VersionChange",
    "VersionOut",
]


class DatasetOut(Out):
    """A dataset, as a card shows it; frames and labels are those of the version that changed last."""

    id: str
    name: str
    project: str | None
    description: str
    tags: list[str]
    metadata: dict[str, Any]
    created: datetime
    updated: datetime
    versions: int
    frames: int | None = None
    annotated: int | None = None
    top_labels: list[str] = msgspec.field(default_factory=list)
    head: str | None = None
    declared: dict[str, str] = msgspec.field(default_factory=dict)
    etag: str = ""


class NewDataset(In):
    """A dataset to make, with its first draft unless `version` is null."""

    name: Name
    project: Name | None = None
    description: Text = ""
    tags: Tags = msgspec.field(default_factory=list)
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    version: Name | None = None


class DatasetChange(In):
    """What to change; what is left out stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    project: Name | msgspec.UnsetType | None = msgspec.UNSET
    description: Text | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class VersionOut(Out):
    """A version; `depth` is its depth in the tree."""

    id: str
    dataset: str
    dataset_name: str
    name: str
    state: str
    parents: list[str]
    description: str
    tags: list[str]
    created: datetime
    updated: datetime
    published: datetime | None
    frames: int | None = None
    depth: int = 0
    etag: str = ""


class NewVersion(In):
    """A draft to make; `parents` are ids or names of published versions."""

    name: Name
    parents: Annotated[list[str], msgspec.Meta(max_length=16)] = msgspec.field(default_factory=list)
    description: Text = ""
    tags: Tags = msgspec.field(default_factory=list)
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    prefer: Literal["error", "ours", "theirs"] = "error"


class Merge(In):
    """Which versions to merge, by id or name; see `Dataset.merge`."""

    ours: Name
    theirs: Name
    base: Name | None = None
    rule: Literal["error", "ours", "theirs"] = "error"
    name: Name | None = None


class Declare(In):
    """A metadata path to promote to a typed column; see `Dataset.declare`."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Child(In):
    """The name of a draft that starts as this version is."""

    name: Name
    description: Text = ""


class VersionChange(In):
    """What to change; what is left out stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET


class Publish(In):
    """How to publish: whether to check masks first, to publish in spite of errors, to count pixels before."""

    check: bool = False
    force: bool = False
    facts: bool = False


class DiffOut(Out):
    """Which frames differ; `items` is one page of them."""

    a: str
    b: str
    added: int
    removed: int
    changed: int
    items: list["DiffItem"]
    next: str | None = None


class DiffItem(Out):
    """A frame that differs."""

    id: str
    kind: Literal["added", "removed", "changed"]


class MaskMove(Out):
    """Pixels of a mask that went from one label to another; null = void."""

    source: str
    mask: str
    before: str | None
    after: str | None
    pixels: int


class ChangeOut(Out):
    """One thing that differs in a frame."""

    kind: str
    what: str
    path: str
    before: Any = None
    after: Any = None


class DiffFrame(Out):
    """What differs in one frame, and which pixels of its masks."""

    id: str
    changes: list[ChangeOut]
    pixels: list[MaskMove]
    failed: list[str] = msgspec.field(default_factory=list)
