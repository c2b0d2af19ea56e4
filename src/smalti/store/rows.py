"""The rows of the catalog: what a store knows about datasets, versions, leases, views, jobs and people.

The catalog is the authority for *state*; Lance is the authority for *frames*; nothing lives in both. Rows are plain
records: `Catalog` checks them when they are written. Ids are 32 hexadecimal digits; times are aware and in UTC. `extra`
keeps what a later release, or the caller, wants to remember without a new column.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec

__all__ = [
    "KINDS",
    "AuditRow",
    "DatasetRow",
    "JobRow",
    "JobState",
    "KeyRow",
    "Kind",
    "LeaseRow",
    "Role",
    "Row",
    "UserRow",
    "VersionRow",
    "VersionState",
    "ViewRow",
    "ViewStatus",
    "new_uuid",
    "utc_now",
]

VersionState = Literal["draft", "publishing", "published", "deleted"]
ViewStatus = Literal["draft", "published"]
JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Role = Literal["viewer", "annotator", "admin"]


def new_uuid() -> str:
    """A fresh id of 32 hexadecimal digits."""
    return uuid4().hex


def utc_now() -> datetime:
    """The time on this machine, aware, in UTC."""
    return datetime.now(UTC)


class Row(msgspec.Struct, kw_only=True):
    """What every row is: a record with keyword arguments."""


class DatasetRow(Row):
    """A dataset; `uri` is where its frames lie, relative to the store unless it is a URI with a scheme.

    `declared` maps promoted metadata paths to their column types, e.g. `{"meta.city": "string"}`.
    """

    name: str
    uuid: str = msgspec.field(default_factory=new_uuid)
    project: str | None = None
    description: str = ""
    tags: list[str] = []
    system_tags: list[str] = []
    meta: dict[str, Any] = {}
    uri: str = ""
    schema_rev: int = 1
    declared: dict[str, str] = {}
    created: datetime = msgspec.field(default_factory=utc_now)
    updated: datetime = msgspec.field(default_factory=utc_now)
    extra: dict[str, Any] = {}


class VersionRow(Row):
    """A version of a dataset: one Lance branch.

    `parents` are version ids; the branch was made from the first. `base_version` is the Lance version at the branch
    point, `head_version` the pinned one of a published version. `legend` is the version's mask labels as JSON, `report`
    what the checks said at publish.
    """

    dataset: str
    name: str
    branch: str = ""
    uuid: str = msgspec.field(default_factory=new_uuid)
    parents: list[str] = []
    state: VersionState = "draft"
    base_version: int | None = None
    head_version: int | None = None
    description: str = ""
    tags: list[str] = []
    meta: dict[str, Any] = {}
    stats: dict[str, Any] = {}
    legend: Any = None
    report: Any = None
    created: datetime = msgspec.field(default_factory=utc_now)
    updated: datetime = msgspec.field(default_factory=utc_now)
    published: datetime | None = None
    extra: dict[str, Any] = {}


class LeaseRow(Row):
    """The right to write a version in bulk, until `expires`. The holder is whoever has the `token`."""

    version: str
    owner: str
    expires: datetime
    token: str = msgspec.field(default_factory=new_uuid)


class ViewRow(Row):
    """A saved view: `spec` is all of it, as JSON."""

    name: str
    uuid: str = msgspec.field(default_factory=new_uuid)
    project: str | None = None
    description: str = ""
    tags: list[str] = []
    status: ViewStatus = "draft"
    spec: dict[str, Any] = {}
    created: datetime = msgspec.field(default_factory=utc_now)
    updated: datetime = msgspec.field(default_factory=utc_now)
    extra: dict[str, Any] = {}


class JobRow(Row):
    """Something long that runs in the background: `spec` says what, `progress` is a share 0..1."""

    kind: str
    uuid: str = msgspec.field(default_factory=new_uuid)
    state: JobState = "queued"
    owner: str = ""
    spec: dict[str, Any] = {}
    progress: float = 0.0
    message: str = ""
    result: Any = None
    created: datetime = msgspec.field(default_factory=utc_now)
    updated: datetime = msgspec.field(default_factory=utc_now)
    extra: dict[str, Any] = {}


class AuditRow(Row):
    """Who did what, and when. Written once, never changed."""

    who: str
    what: str
    uuid: str = msgspec.field(default_factory=new_uuid)
    when: datetime = msgspec.field(default_factory=utc_now)
    dataset: str | None = None
    version: str | None = None
    detail: dict[str, Any] = {}


class UserRow(Row):
    """Somebody who may log in; the name is the key. `password` is a salted hash, None = no login by password."""

    name: str
    role: Role = "viewer"
    password: str | None = None
    created: datetime = msgspec.field(default_factory=utc_now)
    updated: datetime = msgspec.field(default_factory=utc_now)
    extra: dict[str, Any] = {}


class KeyRow(Row):
    """An API key; `secret` is the hash of the secret half, never the secret."""

    access_key: str
    secret: str
    user: str
    created: datetime = msgspec.field(default_factory=utc_now)
    revoked: datetime | None = None
    extra: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of row is kept.

    Attributes:
        table: its name in SQL and in catalog objects.
        key: the field that identifies a row.
        order: the field by which lists are sorted, then by key.
        fixed: fields that no update may touch.
    """

    table: str
    key: str = "uuid"
    order: str = "created"
    fixed: tuple[str, ...] = ("uuid", "created")


KINDS: dict[type[Row], Kind] = {
    DatasetRow: Kind("dataset"),
    VersionRow: Kind("version", fixed=("uuid", "created", "dataset")),
    LeaseRow: Kind("lease", key="version", order="expires", fixed=("version", "token")),
    ViewRow: Kind("dataview"),
    JobRow: Kind("job"),
    AuditRow: Kind("audit", order="when"),
    UserRow: Kind("account", key="name", fixed=("name", "created")),
    KeyRow: Kind("access_key", key="access_key", fixed=("access_key", "created", "user")),
}
