"""What happens and happened: live events, the audit trail, settings of one's own."""

from typing import Annotated, Any

from litestar import Response, get, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from smalti.server.asking import AnyRequest, as_json, check_json, must_match, page_of, who
from smalti.server.auth import needs
from smalti.server.media import digest
from smalti.server.payloads.others import AuditOut, AuditPage
from smalti.server.service import Service
from smalti.store.rows import UserRow

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
    hub.watcher.wake()
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


ROUTES = [stream_events, list_audit, show_settings, save_settings]
