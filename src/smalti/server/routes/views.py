"""Data views: saved, changed, looked at, explained."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain, count
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from smalti.chosen import Chosen, Run, choose
from smalti.errors import QueryError, VersionError
from smalti.explain import explain
from smalti.iterate import ViewIterator
from smalti.order import Shard
from smalti.query.rules import EVERY
from smalti.server.asking import AnyRequest, as_json, check_json, must_match, who
from smalti.server.auth import needs
from smalti.server.media import digest
from smalti.server.payloads.accounts import Deleted
from smalti.server.payloads.views import (
    Explained,
    ExplainedRow,
    ExplainedTable,
    NewView,
    ViewChange,
    ViewFrame,
    ViewOut,
    ViewPage,
)
from smalti.server.search import hit_of
from smalti.server.service import Service, plain
from smalti.store.names import check_name
from smalti.store.pinning import pinned
from smalti.store.rows import ViewRow
from smalti.viewspec import ViewSpec, read_spec

__all__ = ["ROUTES", "checked_spec"]

Hub = NamedDependency[Service]
Few = Annotated[int, QueryParameter(ge=1, le=200)]
_ONE = "/dataviews/{view:str}"


def _etag(row: ViewRow) -> str:
    parts = [row.uuid, row.name, row.description, row.tags, row.status, row.spec, row.extra.get("archived")]
    return digest(msgspec.json.encode(parts))[:16]


def _out(row: ViewRow) -> ViewOut:
    return ViewOut(
        id=row.uuid,
        name=row.name,
        project=row.project,
        description=row.description,
        tags=row.tags,
        status=row.status,
        archived=bool(row.extra.get("archived", False)),
        spec=row.spec,
        created=row.created,
        updated=row.updated,
        etag=_etag(row),
    )


def _answer(row: ViewRow, status: int = 200) -> Response[ViewOut]:
    return as_json(_out(row), etag=_etag(row), status=status)


@contextmanager
def _naming(hub: Service, name: str) -> Iterator[None]:
    """A view gets this name inside; nobody else gets it meanwhile.

    Raises:
        VersionError: nobody could write it, or it is taken.
    """
    check_name("view", name, told_by_at=True)
    with hub.editing("names of views"):
        known = hub.store.catalog.find_views(name=name)
        if known:
            state = f"{known[-1].status}, archived" if known[-1].extra.get("archived") else known[-1].status
            raise VersionError(f"there is a view {name!r} already ({state}); choose another name")
        yield


def checked_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """A view's JSON that can be read, with every text in it."""
    check_json(spec, "$.spec")
    try:
        for rule in read_spec(spec).filters:
            rule.tree()
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        if isinstance(error, QueryError):
            raise
        raise QueryError(f"the view's JSON has a part of another shape than a view has ({error})") from None
    return spec


@get("/dataviews", sync_to_thread=True, guards=[needs("viewer")], tags=["dataviews"])
def list_views(hub: Hub, archived: FromQuery[bool] = False, q: FromQuery[str] = "") -> list[ViewOut]:
    """Saved views, newest first."""
    rows = reversed(hub.store.catalog.list_views())
    return [
        _out(row)
        for row in rows
        if bool(row.extra.get("archived", False)) == archived
        and q.casefold() in f"{row.name} {row.description}".casefold()
    ]


@post("/dataviews", sync_to_thread=True, guards=[needs("annotator")], tags=["dataviews"])
def make_view(hub: Hub, request: AnyRequest, data: JSONBody[NewView]) -> Response[ViewOut]:
    """Save a view."""
    row = ViewRow(
        name=data.name, project=data.project, description=data.description, tags=data.tags, spec=checked_spec(data.spec)
    )
    with _naming(hub, row.name):
        saved = hub.store.catalog.save_view(row)
    hub.tell(who(request), "create view", view=saved.uuid, name=data.name)
    hub.events.publish("view.created", view=saved.uuid)
    return _answer(saved, 201)


@get(_ONE, sync_to_thread=True, guards=[needs("viewer")], tags=["dataviews"])
def show_view(hub: Hub, view: FromPath[str]) -> Response[ViewOut]:
    """A view."""
    return _answer(hub.view(view))


@patch(_ONE, sync_to_thread=True, guards=[needs("annotator")], tags=["dataviews"])
def change_view(hub: Hub, request: AnyRequest, view: FromPath[str], data: JSONBody[ViewChange]) -> Response[ViewOut]:
    """Change a view that is not published. Needs If-Match."""
    with hub.editing(f"view {plain(view)}"):
        row = hub.view(view)
        must_match(request, _etag(row))
        changes = {k: v for k, v in msgspec.structs.asdict(data).items() if v is not msgspec.UNSET}
        if "spec" in changes:
            if row.status == "published":
                raise VersionError(f"view {row.name!r} is published and cannot change; clone it")
            checked_spec(changes["spec"])
        changed = msgspec.structs.replace(row, **changes)
        with _naming(hub, changed.name) if changed.name != row.name else nullcontext():
            saved = hub.store.catalog.save_view(changed)
    hub.tell(who(request), "edit view", view=row.uuid, changed=sorted(changes))
    hub.events.publish("view.updated", view=row.uuid)
    return _answer(saved)


@delete(_ONE, sync_to_thread=True, status_code=200, guards=[needs("annotator")], tags=["dataviews"])
def delete_view(hub: Hub, request: AnyRequest, view: FromPath[str]) -> Deleted:
    """Forget a view. Needs If-Match."""
    with hub.editing(f"view {plain(view)}"):
        row = hub.view(view)
        must_match(request, _etag(row))
        hub.store.catalog.delete_view(row.uuid)
    hub.tell(who(request), "delete view", view=row.uuid, name=row.name)
    hub.events.publish("view.deleted", view=row.uuid)
    return Deleted(deleted=row.uuid)


@post(f"{_ONE}/clone", sync_to_thread=True, guards=[needs("annotator")], tags=["dataviews"])
def clone_view(hub: Hub, request: AnyRequest, view: FromPath[str]) -> Response[ViewOut]:
    """A copy that can be changed."""
    row = hub.view(view)
    name = _free_name(hub, row.name)
    made = ViewRow(name=name, project=row.project, description=row.description, tags=row.tags, spec=row.spec)
    with _naming(hub, name):
        saved = hub.store.catalog.save_view(made)
    hub.tell(who(request), "clone view", view=saved.uuid, origin=row.uuid)
    hub.events.publish("view.created", view=saved.uuid)
    return _answer(saved, 201)


def _free_name(hub: Service, origin: str) -> str:
    """What a copy is called. The origin may be older than the rules for names, which hold for the copy."""
    taken = {row.name for row in hub.store.catalog.list_views()}
    base = origin.replace("@", " ").strip()
    endings = chain([" copy"], (f" copy {number}" for number in count(2)))
    return next(name for end in endings if (name := (base[: 256 - len(end)] + end).strip()) not in taken)


@post(f"{_ONE}/publish", sync_to_thread=True, status_code=200, guards=[needs("annotator")], tags=["dataviews"])
def publish_view(hub: Hub, request: AnyRequest, view: FromPath[str]) -> Response[ViewOut]:
    """Freeze it; every version that it reads must be published."""
    with hub.editing(f"view {plain(view)}"):
        row = hub.view(view)
        spec = pinned(row.name, row.spec, hub.store)
        saved = hub.store.catalog.save_view(msgspec.structs.replace(row, status="published", spec=spec))
    hub.tell(who(request), "publish view", view=saved.uuid)
    hub.events.publish("view.updated", view=saved.uuid)
    return _answer(saved)


def _set_archived(hub: Service, request: AnyRequest, view: str, archived: bool) -> Response[ViewOut]:
    row = hub.view(view)
    saved = hub.store.catalog.save_view(msgspec.structs.replace(row, extra={**row.extra, "archived": archived}))
    hub.tell(who(request), "archive view" if archived else "restore view", view=saved.uuid)
    hub.events.publish("view.updated", view=saved.uuid)
    return _answer(saved)


@post(f"{_ONE}/archive", sync_to_thread=True, status_code=200, guards=[needs("annotator")], tags=["dataviews"])
def archive_view(hub: Hub, request: AnyRequest, view: FromPath[str]) -> Response[ViewOut]:
    """Take it out of the list."""
    return _set_archived(hub, request, view, True)


@post(f"{_ONE}/restore", sync_to_thread=True, status_code=200, guards=[needs("annotator")], tags=["dataviews"])
def restore_view(hub: Hub, request: AnyRequest, view: FromPath[str]) -> Response[ViewOut]:
    """Put it back into the list."""
    return _set_archived(hub, request, view, False)


# ------------------------------------------------------------------------------------------------- what they mean
def _chosen(hub: Service, spec: ViewSpec) -> Chosen:
    """The frames of a view. Names of datasets and versions are looked up in this store."""
    places = [(entry.dataset, entry.version) for entry in spec.versions]
    places += [(rule.dataset, rule.version) for rule in spec.filters if EVERY not in (rule.dataset, rule.version)]
    tables = {}
    for dataset, version in places:
        found = hub.version_of(hub.dataset(dataset), version)
        tables[found.id] = hub.table(found)
    if not tables:
        raise QueryError("the view reads no version yet; add one")
    return choose(spec, list(tables.values()))


@post("/dataviews/preview", sync_to_thread=True, status_code=200, guards=[needs("viewer")], tags=["dataviews"])
def preview_spec(hub: Hub, data: JSONBody[dict[str, Any]], limit: Few = 24) -> Response[ViewPage]:
    """The first frames of a view that is not saved, in its order."""
    return as_json(_preview(hub, read_spec(checked_spec(data)), limit))


@post(f"{_ONE}/preview", sync_to_thread=True, status_code=200, guards=[needs("viewer")], tags=["dataviews"])
def preview_view(hub: Hub, view: FromPath[str], limit: Few = 24) -> Response[ViewPage]:
    """The first frames of a view, in its order, and how many each filter lets through."""
    return as_json(_preview(hub, read_spec(hub.view(view).spec), limit))


def _preview(hub: Service, spec: ViewSpec, limit: int) -> ViewPage:
    chosen = _chosen(hub, spec)
    frames: list[ViewFrame] = []
    if len(chosen):
        served = ViewIterator(spec, Run(chosen, spec), shard=Shard(), resume=None, output="records")
        for item in served:
            hit = hit_of(item.record, "")
            frames.append(ViewFrame(dataset=item.dataset, version=item.version, hit=hit))
            if len(frames) >= limit:
                break
    return ViewPage(total=len(chosen), per_filter=[len(member) for member in chosen.members], frames=frames)


@post("/dataviews/explain", sync_to_thread=True, status_code=200, guards=[needs("viewer")], tags=["dataviews"])
def explain_spec(hub: Hub, data: JSONBody[dict[str, Any]], limit: Few = 50) -> Explained:
    """Which value of which mask becomes which class, for a view that is not saved."""
    return _explain(hub, read_spec(checked_spec(data)), limit)


@get(f"{_ONE}/explain", sync_to_thread=True, guards=[needs("viewer")], tags=["dataviews"])
def explain_view(hub: Hub, view: FromPath[str], limit: Few = 50) -> Explained:
    """Which value of which mask becomes which class, by the first `limit` frames of each version."""
    return _explain(hub, read_spec(hub.view(view).spec), limit)


def _explain(hub: Service, spec: ViewSpec, limit: int) -> Explained:
    found = explain(spec, _chosen(hub, spec), limit)
    tables = [
        ExplainedTable(
            dataset=item.dataset,
            version=item.version,
            mask=item.mask,
            frames=item.frames,
            rows=[
                ExplainedRow(
                    value=list(value) if isinstance(value, tuple) else value,
                    labels=list(labels),
                    mapped=list(names),
                    number=number,
                )
                for value, labels, names, number in item.table.rows()
            ],
        )
        for item in found.tables
    ]
    return Explained(text=str(found), void=spec.mapping.void, tables=tables, notes=list(found.notes))


ROUTES = [
    list_views,
    make_view,
    show_view,
    change_view,
    delete_view,
    clone_view,
    publish_view,
    archive_view,
    restore_view,
    preview_spec,
    preview_view,
    explain_spec,
    explain_view,
]
