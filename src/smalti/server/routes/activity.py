"""What happens and happened: live events, the audit trail, jobs, settings of one's own."""

import threading
from typing import Annotated, Any

from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from smalti.errors import SmaltiError, VersionError
from smalti.server.asking import AnyRequest, as_json, check_json, must_match, page_of, who
from smalti.server.auth import needs
from smalti.server.media import digest
from smalti.server.payloads import AuditOut, AuditPage, JobOut
from smalti.server.problems import Refusal
from smalti.server.service import Service, plain
from smalti.store import DatasetVersion
from smalti.store.rows import JobRow, UserRow

__all__ = ["ROUTES"]

Hub = NamedDependency[Service]
PageSize = Annotated[int, QueryParameter(ge=1, le=500)]


@get("/events", guards=[needs("viewer")], tags=["activity"], media_type="text/event-stream")
async def stream_events(hub: Hub, request: AnyRequest, after: FromQuery[int | None] = None) -> Stream:
    """Live changes as server-sent events: frame.updated, version.published, job.progress, ...

    With Last-Event-ID (or `after`) the stream starts behind that event; `event: reset` = too much was missed, read anew.
    """
    last = request.headers.get("last-event-id", "")
    since = int(last) if last.isdecimal() and len(last) < 16 else after
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Stream(hub.events.stream(since), headers=headers)


@get("/audit", sync_to_thread=True, guards=[needs("admin")], tags=["activity"])
def list_audit(
    hub: Hub,
    dataset: FromQuery[str | None] = None,
    version: FromQuery[str | None] = None,
    who_: Annotated[str | None, QueryParameter(name="who")] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 100,
) -> AuditPage:
    """Who did what, newest first."""
    rows = hub.store.catalog.audit(dataset=dataset, version=version, who=who_, limit=10_000)
    shown, following = page_of(rows, cursor, limit)
    items = [
        AuditOut(who=row.who, what=row.what, when=row.when, dataset=row.dataset, version=row.version, detail=row.detail)
        for row in shown
    ]
    return AuditPage(items=items, next=following, total=len(rows))


def _job(row: JobRow) -> JobOut:
    return JobOut(
        id=row.uuid,
        kind=row.kind,
        state=row.state,
        progress=row.progress,
        message=row.message,
        result=row.result,
        created=row.created,
        updated=row.updated,
    )


@get("/jobs/{job:str}", sync_to_thread=True, guards=[needs("viewer")], tags=["activity"])
def show_job(hub: Hub, job: FromPath[str]) -> JobOut:
    """How far a job is."""
    try:
        return _job(hub.store.catalog.get_job(plain(job)))
    except VersionError as error:
        raise Refusal(404, "job", str(error)) from None


@post(
    "/versions/{version:str}/facts",
    sync_to_thread=True,
    status_code=202,
    guards=[needs("annotator")],
    tags=["versions"],
)
def count_facts(hub: Hub, request: AnyRequest, version: FromPath[str]) -> JobOut:
    """Count the pixels of masks that were not counted yet, in the background; for drafts."""
    found = hub.version(version)
    if not hub.doors.policy.own_files:
        raise Refusal(
            501, "facts", "a shared server does not count pixels; run `smalti frames facts` where the files are"
        )
    if found.state != "draft":
        raise VersionError(f"version {found.name} is {found.state}; pixels are counted while it is a draft")
    row = hub.store.catalog.create_job(
        JobRow(kind="facts", state="running", owner=who(request).name, spec={"version": found.id})
    )
    threading.Thread(target=_count_facts, args=(hub, found, row), name="smalti-facts-job", daemon=True).start()
    return _job(row)


def _count_facts(hub: Service, version: DatasetVersion, row: JobRow) -> None:
    catalog = hub.store.catalog
    try:
        failed = version.compute_facts()
        result = {"failed": [{"frame": item.id, "error": item.error} for item in failed[:100]]}
        catalog.update_job(row.uuid, state="done", progress=1.0, result=result)
    except (SmaltiError, OSError) as error:
        catalog.update_job(row.uuid, state="failed", message=str(error))
    hub.events.publish("job.progress", job=row.uuid, state=catalog.get_job(row.uuid).state, progress=1.0)


def _settings(hub: Service, name: str) -> dict[str, Any]:
    user = hub.store.catalog.get_user(name)
    return dict(user.extra.get("settings", {})) if user is not None else dict(hub.owner_settings)


def _settings_etag(found: dict[str, Any]) -> str:
    return digest(repr(sorted(found.items())).encode())[:16]


@get("/settings/me", sync_to_thread=True, guards=[needs("viewer")], tags=["activity"])
def show_settings(hub: Hub, request: AnyRequest) -> Response[dict[str, Any]]:
    """One's own settings of the viewer: theme, renderer, label colours."""
    found = _settings(hub, who(request).name)
    return as_json(found, etag=_settings_etag(found))


@put("/settings/me", sync_to_thread=True, guards=[needs("viewer")], tags=["activity"])
def save_settings(hub: Hub, request: AnyRequest, data: JSONBody[dict[str, Any]]) -> Response[dict[str, Any]]:
    """Replace them. If-Match is obeyed, and not needed."""
    check_json(data, "$", max_bytes=64 << 10)
    name = who(request).name
    with hub.editing(f"settings {name}"):
        must_match(request, _settings_etag(_settings(hub, name)), required=False)
        catalog = hub.store.catalog
        user: UserRow | None = catalog.get_user(name)
        if user is None:
            hub.owner_settings = dict(data)
        else:
            catalog.update_user(name, extra={**user.extra, "settings": data})
    return as_json(data, etag=_settings_etag(data))


ROUTES = [stream_events, list_audit, show_job, count_facts, show_settings, save_settings]
