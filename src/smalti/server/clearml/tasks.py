"""tasks.*, events.*, users.*: enough for a script that calls `Task.init`. A task is a job of the catalog.

What a task says about itself is stored as it was sent, because remote runs rebuild their views from it. Console lines and
scalars are counted and not kept: this is no experiment tracker.
"""

from datetime import UTC, datetime
from typing import Any

from smalti.errors import VersionError
from smalti.server.clearml.asked import Asked
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import TASK, Caller, Endpoint, Hub, endpoint, page_of, stamp, trimmed
from smalti.store.rows import JobRow

__all__ = ["ENDPOINTS"]

_ENDS = {
    "completed": ("completed", "done"),
    "stopped": ("stopped", "cancelled"),
    "failed": ("failed", "failed"),
    "close": ("closed", "done"),
    "publish": ("published", "done"),
}
_NEVER = ("id", "task", "method", "force", "created", "status")


@endpoint("users.get_vaults", "viewer")
def vaults(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return {"vaults": []}


@endpoint("users.get_current_user", "viewer")
def current_user(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    who = caller.who
    return {"user": {"id": who.name, "name": who.name, "role": who.role, "company": {"id": "smalti", "name": "smalti"}}}


@endpoint("tasks.create", "annotator")
def create(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    hub.project_name(asked.text("project"))
    spec = {key: value for key, value in asked.body.items() if key not in _NEVER}
    spec |= {"name": asked.needed("name"), "user": caller.who.name, "status": "created"}
    return {"id": hub.catalog.create_job(JobRow(kind=TASK, state="running", owner=caller.who.name, spec=spec)).uuid}


def _row(hub: Hub, uuid: str) -> JobRow:
    try:
        row = hub.catalog.get_job(uuid)
    except VersionError:
        row = None
    if row is None or row.kind != TASK:
        raise Fault(400, f"there is no task with id {uuid!r}")
    return row


def _task(row: JobRow) -> dict[str, Any]:
    spec = dict(row.spec)
    spec.setdefault("type", "training")
    spec.setdefault("status_message", "")
    return {
        "execution": {},
        "hyperparams": {},
        "runtime": {},
        "tags": [],
        "system_tags": [],
        **spec,
        "id": row.uuid,
        "company": "",
        "created": stamp(row.created),
        "last_update": stamp(row.updated),
    }


@endpoint("tasks.get_by_id", "viewer")
def get_by_id(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return {"task": _task(_row(hub, asked.needed("task")))}


@endpoint("tasks.get_all", "viewer")
def get_all(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    ids, project, status = asked.texts("id"), asked.texts("project"), asked.texts("status")
    if ids is not None and len(ids) <= 16:
        rows = [row for row in (_found(hub, uuid) for uuid in ids) if row is not None]
    else:
        rows = [row for row in hub.catalog.list_jobs(kind=TASK) if ids is None or row.uuid in ids]
    rows = [
        row
        for row in rows
        if (not project or row.spec.get("project") in project)
        and (not status or row.spec.get("status") in status)
        and hub.tags_fit(asked.texts("tags"), row.spec.get("tags") or [])
        and hub.tags_fit(asked.texts("system_tags"), row.spec.get("system_tags") or [])
    ]
    hits = hub.matching(asked.text("name"), [str(row.spec.get("name", "")) for row in rows])
    found = [row for row, hit in zip(rows, hits, strict=True) if hit]
    page = page_of(found, asked.whole("page"), asked.whole("page_size", high=10_000))
    only = asked.texts("only_fields")
    return {"tasks": [trimmed(_task(row), only) for row in page]}


def _found(hub: Hub, uuid: str) -> JobRow | None:
    try:
        return _row(hub, uuid)
    except Fault:
        return None


def _change(hub: Hub, uuid: str, fields: dict[str, Any], **columns: Any) -> dict[str, Any]:
    row = _row(hub, uuid)
    hub.catalog.update_job(uuid, spec={**row.spec, **fields}, **columns)
    return {"updated": 1, "fields": fields}


def _said(asked: Asked) -> dict[str, Any]:
    return {key: value for key, value in asked.body.items() if key not in _NEVER and value is not None}


@endpoint("tasks.edit", "annotator")
def edit(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _change(hub, asked.needed("task"), _said(asked))


@endpoint("tasks.update", "annotator")
def update(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return _change(hub, asked.needed("task"), _said(asked))


@endpoint("tasks.set_requirements", "annotator")
def set_requirements(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    row = _row(hub, asked.needed("task"))
    script = row.spec.get("script")
    merged = {**(script if isinstance(script, dict) else {}), "requirements": asked.object("requirements")}
    return _change(hub, row.uuid, {"script": merged})


@endpoint("tasks.started", "annotator")
def started(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    changed = _change(hub, asked.needed("task"), {"status": "in_progress", "started": stamp(datetime.now(UTC))})
    return {**changed, "started": 1}


@endpoint("tasks.reset", "annotator")
def reset(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return {**_change(hub, asked.needed("task"), {"status": "created"}, state="running"), "reset": 1}


def _ending(action: str) -> Endpoint:
    status, state = _ENDS[action]

    def end(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
        said = {key: asked.body[key] for key in ("status_message", "status_reason") if key in asked}
        fields = {"status": status, "completed": stamp(datetime.now(UTC)), **said}
        return {**_change(hub, asked.needed("task"), fields, state=state), action: 1}

    return Endpoint(f"tasks.{action}", "annotator", end)


@endpoint("tasks.edit_hyper_params", "annotator")
def edit_hyper_params(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    row = _row(hub, asked.needed("task"))
    known = row.spec.get("hyperparams")
    merged: dict[str, Any] = {**known} if isinstance(known, dict) else {}
    for item in asked.items("hyperparams"):
        if isinstance(item, dict) and isinstance(item.get("section"), str) and isinstance(item.get("name"), str):
            merged[item["section"]] = {**merged.get(item["section"], {}), item["name"]: item}
    return _change(hub, row.uuid, {"hyperparams": merged})


@endpoint("tasks.get_hyper_params", "viewer")
def get_hyper_params(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    found = []
    for uuid in asked.texts("tasks") or []:
        params = _row(hub, uuid).spec.get("hyperparams") or {}
        flat = [item for section in params.values() if isinstance(section, dict) for item in section.values()]
        found.append({"task": uuid, "hyperparams": flat})
    return {"params": found}


@endpoint("events.add_batch", "annotator")
def add_batch(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return {"added": len(asked.items("lines")), "errors": 0, "errors_info": {}}


def _accepted(name: str, data: dict[str, Any]) -> Endpoint:
    """An endpoint whose news are taken and not kept."""
    return Endpoint(name, "annotator", lambda hub, asked, caller: dict(data))


ENDPOINTS: list[Endpoint] = [
    *(value for value in list(globals().values()) if isinstance(value, Endpoint)),
    *map(_ending, _ENDS),
    _accepted("tasks.ping", {}),
    _accepted("tasks.add_or_update_artifacts", {"updated": 1, "added": 0}),
    _accepted("tasks.edit_configuration", {"updated": 1}),
    _accepted("workers.status_report", {}),
    _accepted("workers.register", {}),
    _accepted("events.add", {}),
]
