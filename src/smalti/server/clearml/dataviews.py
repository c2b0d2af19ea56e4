"""dataviews.*: views that are stored. Their JSON is kept as it was sent, so what we do not know comes back too."""

from typing import Any

import msgspec

from smalti.errors import QueryError, VersionError
from smalti.server.clearml.asked import Asked
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import Caller, Endpoint, Hub, Kept, endpoint, page_of, project_id, stamp, trimmed
from smalti.server.clearml.views import spec_of
from smalti.store.pinning import pinned
from smalti.store.rows import ViewRow, utc_now
from smalti.viewspec import read_spec

__all__ = ["ENDPOINTS"]

_SPEC = ("versions", "filters", "iteration", "labels_enumeration", "mapping", "output_rois", "augmentation", "smalti")
_TOLD = ("name", "description", "tags", "project", "status", "system_tags")


@endpoint("dataviews.create", "annotator")
def create(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    row = ViewRow(
        name=asked.needed("name"),
        project=hub.project_name(asked.text("project")),
        description=asked.text("description") or "",
        tags=asked.texts("tags") or [],
        spec=_checked({key: asked.body[key] for key in _SPEC if key in asked}),
    )
    kept = Kept({})
    kept |= {"user": caller.who.name, "system_tags": asked.texts("system_tags") or []}
    row.extra = kept.into({})
    return {"id": hub.catalog.save_view(row).uuid}


def _checked(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec that can be read.

    Raises:
        Fault: it cannot.
    """
    try:
        for rule in read_spec(spec_of(spec)).filters:
            rule.tree()
    except (TypeError, ValueError, AttributeError) as error:
        raise Fault(400, error.reason if isinstance(error, QueryError) else f"the dataview: {error}") from None
    return spec


@endpoint("dataviews.update", "annotator")
def update(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    row = _row(hub, asked.needed("dataview"))
    if row.status == "published" and not asked.flag("force"):
        raise Fault(400, f"dataview {row.name!r} is published and cannot change; clone it, or send force")
    spec = {**row.spec, **{key: asked.body[key] for key in _SPEC if key in asked.body}}
    row = msgspec.structs.replace(
        row,
        name=asked.text("name") or row.name,
        description=asked.text("description", row.description) or "",
        tags=asked.texts("tags") if "tags" in asked else row.tags,
        project=hub.project_name(asked.text("project")) if "project" in asked else row.project,
        spec=_checked({key: value for key, value in spec.items() if value is not None}),
        updated=utc_now(),
    )
    if row.status == "published" and any(key in asked for key in _SPEC):
        row.spec = _pinned(hub, row)
    hub.catalog.save_view(row)
    given = [key for key in (*_SPEC, *_TOLD) if key in asked]
    return {"updated": 1, "fields": {key: asked.body[key] for key in given}}


def _row(hub: Hub, uuid: str) -> ViewRow:
    try:
        return hub.catalog.get_view(uuid)
    except VersionError:
        raise Fault(400, f"there is no dataview with id {uuid!r}") from None


@endpoint("dataviews.get_by_id", "viewer")
def get_by_id(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return {"dataview": _dataview(_row(hub, asked.needed("dataview")))}


@endpoint("dataviews.get_all", "viewer")
def get_all(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    ids, project = asked.texts("id"), asked.text("project")
    wanted = None if project is None else hub.projects().get(project, "")
    rows = [
        row
        for row in reversed(hub.catalog.list_views())  # newest first: of two with a name the client takes the first
        if (ids is None or row.uuid in ids)
        and (wanted is None or row.project == wanted)
        and hub.tags_fit(asked.texts("tags"), row.tags)
        and hub.tags_fit(asked.texts("system_tags"), Kept(row.extra).get("system_tags", []))
    ]
    hits = hub.matching(asked.text("name"), [row.name for row in rows])
    found = [row for row, hit in zip(rows, hits, strict=True) if hit]
    page = page_of(found, asked.whole("page"), asked.whole("page_size", high=10_000))
    only = asked.texts("only_fields")
    return {"dataviews": [_trimmed(_dataview(row), only) for row in page]}


def _trimmed(found: dict[str, Any], only: list[str] | None) -> dict[str, Any]:
    return {**trimmed(found, only), "name": found["name"]}  # the client refuses a view without a name


def _dataview(row: ViewRow) -> dict[str, Any]:
    kept = Kept(row.extra)
    spec = {key: value for key, value in row.spec.items() if key != "smalti"}
    filters = [{"dataset": "*", "version": "*", **rule} for rule in spec.get("filters") or ()]
    return {
        "output_rois": "all_in_frame",
        "iteration": {"order": "sequential", "infinite": False},
        "versions": [],
        "labels_enumeration": {},
        "mapping": {"rules": []},
        **spec,
        "filters": filters,
        "id": row.uuid,
        "name": row.name,
        "description": row.description,
        "tags": row.tags,
        "system_tags": kept.get("system_tags", []),
        "project": project_id(row.project) if row.project else None,
        "status": row.status,
        "created": stamp(row.created),
        "user": kept.get("user", ""),
        "company": "",
    }


@endpoint("dataviews.publish", "annotator")
def publish(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return {"published": _publish(hub, asked.needed("dataview")), "updated": 1}


@endpoint("dataviews.publish_many", "annotator")
def publish_many(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _many(asked, lambda uuid: _publish(hub, uuid))


def _publish(hub: Hub, uuid: str) -> bool:
    row = _row(hub, uuid)
    spec = _pinned(hub, row)
    hub.catalog.save_view(msgspec.structs.replace(row, status="published", spec=spec, updated=utc_now()))
    return True


def _pinned(hub: Hub, row: ViewRow) -> dict[str, Any]:
    try:
        return pinned(row.name, row.spec, hub.store)
    except VersionError as error:
        raise Fault(400, str(error)) from None


@endpoint("dataviews.delete", "annotator")
def delete(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return {"deleted": _delete(hub, asked.needed("dataview"), asked.flag("force"))}


@endpoint("dataviews.delete_many", "annotator")
def delete_many(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _many(asked, lambda uuid: _delete(hub, uuid, asked.flag("force")))


def _delete(hub: Hub, uuid: str, force: bool) -> bool:
    row = _row(hub, uuid)
    if row.status == "published" and not force:
        raise Fault(400, f"dataview {row.name!r} is published; deleting it needs force")
    hub.catalog.delete_view(uuid)
    return True


@endpoint("dataviews.move", "annotator")
def move(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    name = asked.text("project_name")
    uuid = hub.make_project(name, "") if name else asked.needed("project")
    target = hub.project_name(uuid)
    ids = asked.texts("ids") or []
    for row in [_row(hub, item) for item in ids]:
        hub.catalog.save_view(msgspec.structs.replace(row, project=target, updated=utc_now()))
    return {"project_id": uuid, "moved": len(ids)}


@endpoint("dataviews.archive_many", "annotator")
def archive_many(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _many(asked, lambda uuid: _archive(hub, uuid, True))


@endpoint("dataviews.unarchive_many", "annotator")
def unarchive_many(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _many(asked, lambda uuid: _archive(hub, uuid, False))


def _archive(hub: Hub, uuid: str, is_archived: bool) -> bool:
    row = _row(hub, uuid)
    kept = Kept(row.extra)
    tags = [tag for tag in kept.get("system_tags", []) if tag != "archived"]
    kept["system_tags"] = [*tags, "archived"] if is_archived else tags
    hub.catalog.save_view(msgspec.structs.replace(row, extra=kept.into(row.extra), updated=utc_now()))
    return True


def _many(asked: Asked, change: Any) -> dict[str, Any]:
    done, failed = [], []
    for uuid in asked.texts("ids") or []:
        try:
            change(uuid)
        except Fault as fault:
            failed.append({"id": uuid, "error": {"codes": [fault.code, 0], "msg": str(fault), "data": {}}})
        else:
            done.append({"id": uuid, "updated": 1})
    return {"succeeded": done, "failed": failed}


ENDPOINTS: list[Endpoint] = [value for value in list(globals().values()) if isinstance(value, Endpoint)]
