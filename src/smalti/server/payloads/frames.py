"""Frames: searches, edits, queries, counts."""

from typing import Annotated, Any, Literal

import msgspec

from smalti.query.rules import FilterRule
from smalti.records import Frame
from smalti.server.payloads.base import In, Limit, Out, Query

__all__ = [
    "Binding",
    "Completion",
    "ExportAsked",
    "FailedOut",
    "FrameCopy",
    "FrameOut",
    "FramePatch",
    "Group",
    "Hit",
    "Ids",
    "NewFrames",
    "Operation",
    "ParseQuery",
    "Parsed",
    "Search",
    "SearchPage",
    "SourceHit",
    "Statistics",
    "StatisticsRequest",
    "StatisticsRow",
    "Stored",
]


class SourceHit(Out):
    """A source as a grid needs it."""

    id: str
    width: int | None
    height: int | None
    content_type: str | None
    video: bool
    preview: bool
    timestamp: float
    masks: list[str]


class Hit(Out):
    """A frame as a grid needs it; `frame` and `facts` only where they were asked for."""

    id: str
    context_id: str
    timestamp: float
    etag: str
    sources: list[SourceHit]
    labels: list[str]
    rois: int
    group: int | None = None
    score: float | None = None
    frame: Frame | None = None
    facts: list[dict[str, Any]] | None = None


class Group(Out):
    """A value and how many frames have it."""

    value: Any
    frames: int


class Search(In):
    """Which frames, in which order, which part of them.

    Attributes:
        query: the Lucene bar; ANDed with the filters.
        filters: any of them lets a frame through.
        sort: "context" (by context, timestamp and id), "id", "timestamp" or "meta.<path>"; a leading "-" turns it round.
        group: None, "context_id", "uri" or "meta.<path>": only the first frame of each, with how many there are.
        limit: of one page.
        cursor: `next` of the page before.
        offset: where to start, instead of a cursor.
        around: start so that this frame is on the page.
        ids: only these frames; None = any.
        fields: "hits", or "full" = each with its frame.
        facts: each with the stored facts of its masks.
    """

    query: Query = ""
    filters: Annotated[list[FilterRule], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)
    sort: Annotated[str, msgspec.Meta(max_length=256)] = "context"
    group: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    limit: Limit = 100
    cursor: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    around: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    ids: Annotated[list[Annotated[str, msgspec.Meta(max_length=1024)]], msgspec.Meta(max_length=1000)] | None = None
    fields: Literal["hits", "full"] = "hits"
    facts: bool = False


class ExportAsked(In):
    """Which frames to write to a file, and how."""

    fmt: Literal["jsonl", "csv"] = "jsonl"
    query: Query = ""
    filters: Annotated[list[FilterRule], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)
    sort: Annotated[str, msgspec.Meta(max_length=256)] = "context"


class SearchPage(Out):
    """A page of frames; `offset` is the position of its first one among `total`."""

    hits: list[Hit]
    total: int
    offset: int
    next: str | None
    state: str


class Ids(Out):
    """Frame ids in order, for navigation."""

    ids: list[str]
    total: int
    offset: int


class FrameOut(Out):
    """A frame to look at or to edit. `editable` is false for a published version, and for viewers."""

    frame: Frame
    etag: str
    version: str
    dataset: str
    state: str
    editable: bool
    bindings: list["Binding"] = msgspec.field(default_factory=list)
    problems: list[str] = msgspec.field(default_factory=list)


class Binding(Out):
    """Which mask a ROI speaks of: `roi` is its position; by which rule it was told (1, 2 or 3)."""

    roi: int
    source: str
    mask: str
    value: list[int]
    labels: list[str]
    rule: int


class Operation(In):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: Annotated[str, msgspec.Meta(max_length=4096)]
    value: Any = msgspec.UNSET
    from_: Annotated[str, msgspec.Meta(max_length=4096)] | msgspec.UnsetType = msgspec.field(
        name="from", default=msgspec.UNSET
    )


class FramePatch(In):
    """An edit: a JSON Patch of the frame, or its whole list of ROIs, or its metadata; several apply in that order."""

    patch: Annotated[list[Operation], msgspec.Meta(max_length=10_000)] | msgspec.UnsetType = msgspec.UNSET
    rois: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=100_000)] | msgspec.UnsetType = msgspec.UNSET
    meta: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class FrameCopy(In):
    """A frame to store under an id that is free: `id`, else that of the frame it is made of with "-copy" behind it."""

    frame: dict[str, Any]
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] | None = None


class NewFrames(In):
    """Frames to store in a draft; one whose id is there already is replaced."""

    frames: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=10_000)]


class FailedOut(Out):
    """A frame that was not stored, and why."""

    id: str | None
    error: str
    kind: str


class Stored(Out):
    """How many frames were stored, and the others."""

    stored: int
    failed: list[FailedOut]


class ParseQuery(In):
    """A query to check while it is being typed; `column` is where the caret stands."""

    text: Annotated[str, msgspec.Meta(max_length=10_000)]
    mode: Literal["view", "roi", "frame", "source"] = "view"
    column: int | None = None
    version: str | None = None


class Completion(Out):
    """What may stand instead of the characters from `start` to `stop`."""

    text: str
    start: int
    stop: int
    kind: Literal["field", "label", "value", "operator"]


class Parsed(Out):
    """Whether a query can be read; if not, where and why; and how it could go on."""

    ok: bool
    error: str | None = None
    column: int | None = None
    completions: list[Completion] = msgspec.field(default_factory=list)


class StatisticsRequest(In):
    """What to count: ROIs, frames, or pixels of masks; over the frames of a query.

    Attributes:
        scope: "roi", "frame" or "mask".
        property: count by this metadata path (`meta.city`) instead of by label; for scope "frame".
        mask: only masks with this id.
    """

    scope: Literal["roi", "frame", "mask"] = "roi"
    query: Query = ""
    filters: Annotated[list[FilterRule], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)
    property: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    mask: str | None = None


class StatisticsRow(Out):
    """One label (or value) and what was counted; shares are of `of`."""

    label: Any
    count: int
    share: float
    frames: int
    pixels: int | None = None
    mean_share: float | None = None


class Statistics(Out):
    """Counts. `without_facts` frames have masks whose pixels were never counted: they are not in the numbers."""

    scope: str
    frames: int
    rois: int
    masks: int
    of: int
    void: int = 0
    without_facts: int = 0
    rows: list[StatisticsRow] = msgspec.field(default_factory=list)
