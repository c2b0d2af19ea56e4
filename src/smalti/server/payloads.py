"""What goes over the wire beside frames: the shapes of requests and answers. The OpenAPI is made from these records."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from smalti.query.rules import FilterRule
from smalti.records import Frame, Roi
from smalti.store.rows import Role

__all__ = [
    "Child",
    "DatasetChange",
    "DatasetOut",
    "Deleted",
    "DiffFrame",
    "DiffOut",
    "FrameOut",
    "FramePatch",
    "Group",
    "Hit",
    "JobOut",
    "KeyMade",
    "KeyOut",
    "LegendOut",
    "LegendRow",
    "Login",
    "MaskOut",
    "Me",
    "NewDataset",
    "NewKey",
    "NewVersion",
    "NewView",
    "Operation",
    "Page",
    "ParseQuery",
    "Parsed",
    "Search",
    "SearchPage",
    "SourceHit",
    "Statistics",
    "StatisticsRequest",
    "TokenIn",
    "VersionChange",
    "VersionOut",
    "VideoInfo",
    "ViewChange",
    "ViewOut",
]

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Tags = Annotated[list[Annotated[str, msgspec.Meta(max_length=128)]], msgspec.Meta(max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=100_000)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Query = Annotated[str, msgspec.Meta(max_length=4096)]


class _Out(msgspec.Struct, kw_only=True):
    pass


class _In(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


# ------------------------------------------------------------------------------------------------------------ auth
class Login(_In):
    """A name and a password."""

    name: Annotated[str, msgspec.Meta(max_length=256)]
    password: Annotated[str, msgspec.Meta(max_length=1024)]


class TokenIn(_In):
    """The token of a link."""

    token: Annotated[str, msgspec.Meta(max_length=1024)]


class Me(_Out):
    """Who is logged in, and how; `can` lists what the role allows."""

    name: str
    role: Role
    via: str
    can: list[str]


class NewKey(_In):
    """Whose key; None = one's own. Only administrators make keys for others."""

    user: str | None = None
    note: Annotated[str, msgspec.Meta(max_length=256)] = ""


class KeyOut(_Out):
    """An API key without its secret."""

    access_key: str
    user: str
    note: str
    created: datetime
    revoked: datetime | None


class KeyMade(_Out):
    """A new API key; the secret is shown this once."""

    access_key: str
    secret_key: str
    user: str


class Deleted(_Out):
    """What was deleted."""

    deleted: str


# -------------------------------------------------------------------------------------------- datasets and versions
class DatasetOut(_Out):
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
    top_labels: list[str] = []
    head: str | None = None
    etag: str = ""


class NewDataset(_In):
    """A dataset to make, with its first draft unless `version` is null."""

    name: Name
    project: Name | None = None
    description: Text = ""
    tags: Tags = []
    version: Name | None = None


class DatasetChange(_In):
    """What to change; what is left out stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    project: Name | msgspec.UnsetType | None = msgspec.UNSET
    description: Text | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class VersionOut(_Out):
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


class NewVersion(_In):
    """A draft to make; `parents` are ids or names of published versions."""

    name: Name
    parents: Annotated[list[str], msgspec.Meta(max_length=16)] = []
    description: Text = ""
    tags: Tags = []
    prefer: Literal["error", "ours", "theirs"] = "error"


class Child(_In):
    """The name of a draft that starts as this version is."""

    name: Name
    description: Text = ""


class VersionChange(_In):
    """What to change; what is left out stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET


class Publish(_In):
    """How to publish: whether to check masks first, and to publish in spite of errors."""

    check: bool = False
    force: bool = False


class DiffOut(_Out):
    """Which frames differ; `items` is one page of them."""

    a: str
    b: str
    added: int
    removed: int
    changed: int
    items: list["DiffItem"]
    next: str | None = None


class DiffItem(_Out):
    """A frame that differs."""

    id: str
    kind: Literal["added", "removed", "changed"]


class MaskMove(_Out):
    """Pixels of a mask that went from one label to another; null = void."""

    source: str
    mask: str
    before: str | None
    after: str | None
    pixels: int


class ChangeOut(_Out):
    """One thing that differs in a frame."""

    kind: str
    what: str
    path: str
    before: Any = None
    after: Any = None


class DiffFrame(_Out):
    """What differs in one frame, and which pixels of its masks."""

    id: str
    changes: list[ChangeOut]
    pixels: list[MaskMove]
    failed: list[str] = []


# ---------------------------------------------------------------------------------------------------------- frames
class SourceHit(_Out):
    """A source as a grid needs it."""

    id: str
    width: int | None
    height: int | None
    content_type: str | None
    video: bool
    preview: bool
    timestamp: float
    masks: list[str]


class Hit(_Out):
    """A frame as a grid needs it; `frame` and `facts` only where they were asked for."""

    id: str
    context_id: str
    timestamp: float
    etag: str
    sources: list[SourceHit]
    labels: list[str]
    rois: int
    group: int | None = None
    frame: Frame | None = None
    facts: list[dict[str, Any]] | None = None


class Group(_Out):
    """A value and how many frames have it."""

    value: Any
    frames: int


class Search(_In):
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
        fields: "hits", or "full" = each with its frame.
        facts: each with the stored facts of its masks.
    """

    query: Query = ""
    filters: Annotated[list[FilterRule], msgspec.Meta(max_length=32)] = []
    sort: Annotated[str, msgspec.Meta(max_length=256)] = "context"
    group: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    limit: Limit = 100
    cursor: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    around: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    fields: Literal["hits", "full"] = "hits"
    facts: bool = False


class SearchPage(_Out):
    """A page of frames; `offset` is the position of its first one among `total`."""

    hits: list[Hit]
    total: int
    offset: int
    next: str | None
    state: str


class Ids(_Out):
    """Frame ids in order, for navigation."""

    ids: list[str]
    total: int
    offset: int


class FrameOut(_Out):
    """A frame to look at or to edit. `editable` is false for a published version, and for viewers."""

    frame: Frame
    etag: str
    version: str
    dataset: str
    state: str
    editable: bool
    bindings: list["Binding"] = []
    problems: list[str] = []


class Binding(_Out):
    """Which mask a ROI speaks of: `roi` is its position; by which rule it was told (1, 2 or 3)."""

    roi: int
    source: str
    mask: str
    value: list[int]
    labels: list[str]
    rule: int


class Operation(_In):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: Annotated[str, msgspec.Meta(max_length=4096)]
    value: Any = msgspec.UNSET
    from_: Annotated[str, msgspec.Meta(max_length=4096)] | msgspec.UnsetType = msgspec.field(
        name="from", default=msgspec.UNSET
    )


class FramePatch(_In):
    """An edit: a JSON Patch of the frame, or its whole list of ROIs, or its metadata; several apply in that order."""

    patch: Annotated[list[Operation], msgspec.Meta(max_length=10_000)] | msgspec.UnsetType = msgspec.UNSET
    rois: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=100_000)] | msgspec.UnsetType = msgspec.UNSET
    meta: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class NewFrames(_In):
    """Frames to store in a draft; one whose id is there already is replaced."""

    frames: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=10_000)]


class FailedOut(_Out):
    """A frame that was not stored, and why."""

    id: str | None
    error: str
    kind: str


class Stored(_Out):
    """How many frames were stored, and the others."""

    stored: int
    failed: list[FailedOut]


class ParseQuery(_In):
    """A query to check while it is being typed; `column` is where the caret stands."""

    text: Annotated[str, msgspec.Meta(max_length=10_000)]
    mode: Literal["view", "roi", "frame", "source"] = "view"
    column: int | None = None
    version: str | None = None


class Completion(_Out):
    """What may stand instead of the characters from `start` to `stop`."""

    text: str
    start: int
    stop: int
    kind: Literal["field", "label", "value", "operator"]


class Parsed(_Out):
    """Whether a query can be read; if not, where and why; and how it could go on."""

    ok: bool
    error: str | None = None
    column: int | None = None
    completions: list[Completion] = []


class StatisticsRequest(_In):
    """What to count: ROIs, frames, or pixels of masks; over the frames of a query.

    Attributes:
        scope: "roi", "frame" or "mask".
        property: count by this metadata path (`meta.city`) instead of by label; for scope "frame".
        mask: only masks with this id.
    """

    scope: Literal["roi", "frame", "mask"] = "roi"
    query: Query = ""
    filters: Annotated[list[FilterRule], msgspec.Meta(max_length=32)] = []
    property: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    mask: str | None = None


class StatisticsRow(_Out):
    """One label (or value) and what was counted; shares are of `of`."""

    label: Any
    count: int
    share: float
    frames: int
    pixels: int | None = None
    mean_share: float | None = None


class Statistics(_Out):
    """Counts. `without_facts` frames have masks whose pixels were never counted: they are not in the numbers."""

    scope: str
    frames: int
    rois: int
    masks: int
    of: int
    void: int = 0
    without_facts: int = 0
    rows: list[StatisticsRow] = []


# ----------------------------------------------------------------------------------------------------------- media
class MaskOut(_Out):
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


class LegendRow(_Out):
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


class Unmapped(_Out):
    """A colour that no entry explains; `nearest` is the legend's nearest colour, `apart` the largest difference."""

    value: tuple[int, int, int]
    pixels: int
    nearest: tuple[int, int, int] | None
    apart: int | None


class LegendOut(_Out):
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


class VideoInfo(_Out):
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


# ----------------------------------------------------------------------------------------------------------- views
class ViewOut(_Out):
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


class NewView(_In):
    """A data view to save; `spec` is the wire's JSON."""

    name: Name
    project: Name | None = None
    description: Text = ""
    tags: Tags = []
    spec: dict[str, Any] = {}


class ViewChange(_In):
    """What to change; what is left out stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    spec: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class ViewFrame(_Out):
    """A frame of a view, in the view's order."""

    dataset: str
    version: str
    hit: Hit


class ViewPage(_Out):
    """The first frames of a view, and how many each filter lets through."""

    total: int
    per_filter: list[int]
    frames: list[ViewFrame]


class ExplainedRow(_Out):
    """What a value of a mask becomes."""

    value: list[int] | int | None
    labels: list[str]
    mapped: list[str]
    number: int


class ExplainedTable(_Out):
    """The class table of one kind of mask."""

    dataset: str
    version: str
    mask: str
    frames: int
    rows: list[ExplainedRow]


class Explained(_Out):
    """What a view makes of colours."""

    text: str
    void: int
    tables: list[ExplainedTable]
    notes: list[str]


# ---------------------------------------------------------------------------------------------------------- others
class JobOut(_Out):
    """Something long that runs in the background."""

    id: str
    kind: str
    state: str
    progress: float
    message: str
    result: Any
    created: datetime
    updated: datetime


class AuditOut(_Out):
    """Who did what."""

    who: str
    what: str
    when: datetime
    dataset: str | None
    version: str | None
    detail: dict[str, Any]


class ProjectOut(_Out):
    """A project: datasets that share its name."""

    name: str
    datasets: int


class UserOut(_Out):
    """Somebody who may log in."""

    name: str
    role: Role
    has_password: bool
    created: datetime


class VersionInfo(_Out):
    """What runs here."""

    name: str
    version: str
    api: str
    native_kernels: bool


class Page(_Out):
    """A page of something; `next` is the cursor of the page after it."""

    items: list[Any]
    next: str | None
    total: int


class DatasetPage(_Out):
    """A page of datasets."""

    items: list[DatasetOut]
    next: str | None
    total: int


class AuditPage(_Out):
    """A page of the audit trail, newest first."""

    items: list[AuditOut]
    next: str | None
    total: int


RoiList = list[Roi]
