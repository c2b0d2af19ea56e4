"""Jobs, the audit trail, projects, what runs here."""

from datetime import datetime
from typing import Any, Literal

from smalti.server.payloads.base import Out
from smalti.server.payloads.datasets import DatasetOut
from smalti.store.rows import Role

__all__ = ["AuditOut", "AuditPage", "DatasetPage", "JobOut", "ProjectOut", "UserOut", "VersionInfo"]


class JobOut(Out):
    """Something long that runs in the background."""

    id: str
    kind: str
    version: str | None
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float
    message: str
    result: Any
    created: datetime
    updated: datetime


class AuditOut(Out):
    """Who did what."""

    who: str
    what: str
    when: datetime
    dataset: str | None
    version: str | None
    detail: dict[str, Any]


class ProjectOut(Out):
    """A project: datasets that share its name."""

    name: str
    datasets: int


class UserOut(Out):
    """Somebody who may log in."""

    name: str
    role: Role
    has_password: bool
    created: datetime


class VersionInfo(Out):
    """What runs here."""

    name: str
    version: str
    api: str
    native_kernels: bool


class DatasetPage(Out):
    """A page of datasets."""

    items: list[DatasetOut]
    next: str | None
    total: int


class AuditPage(Out):
    """A page of the audit trail, newest first."""

    items: list[AuditOut]
    next: str | None
    total: int
