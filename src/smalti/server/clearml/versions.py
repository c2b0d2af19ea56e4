"""datasets.* about versions: make, list, describe, commit, publish."""

from datetime import UTC, datetime
from typing import Any

from smalti.server.clearml.asked import Asked
from smalti.server.clearml.datasets import check_keys
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import Caller, Endpoint, Hub, Kept, endpoint, page_of, stamp, trimmed
from smalti.server.clearml.summaries import stats_of_version
from smalti.store import DatasetVersion
from smalti.store.rows import VersionRow

__all__ = ["ENDPOINTS", "require_draft"]


def require_draft(version: DatasetVersion) -> None:
    """Refuse writes to what is published.

    Raises:
        Fault: 400.
    """
    if version.state != "draft":
        raise Fault(
            400, f"version {version.name!r} is {version.state}, and only a draft can change; make a child of it"
        )


@endpoint("datasets.create_version", "annotator")
def create(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    dataset, name = hub.dataset(asked.needed("dataset")), asked.needed("name")
    # The name first: after a snapshot the client asks for a name that is there, with a parent that is a draft.
    if name in dataset:
        raise Fault(400, f"version {name!r} of dataset {dataset.name!r} is there already; choose another name")
    parent = asked.text("parent")
    metadata = asked.object("metadata")
    check_keys(metadata, "the metadata")
    made = dataset.create_version(
        name,
        [hub.version(parent, dataset.id)] if parent else (),
        description=asked.text("comment") or "",
        tags=asked.texts("tags") or (),
        metadata=metadata,
    )
    if "task" in asked:
        _keep(hub, made, task=asked.text("task"))
    hub.service.tell(caller.who, "create version", made)
    return {"id": made.id}


def _keep(hub: Hub, version: DatasetVersion, **values: Any) -> None:
    row = version.row
    kept = Kept(row.extra)
    kept |= values
    hub.catalog.update_version(
        version.id, expect_state=("draft", "publishing", "published"), extra=kept.into(row.extra)
    )


@endpoint("datasets.get_versions", "viewer")
def get_versions(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    dataset = hub.dataset(asked.needed("dataset"))
    ids, only = asked.texts("versions"), asked.texts("only_fields")
    rows = [
        row
        for row in hub.catalog.list_versions(dataset.id)
        if (ids is None or row.uuid in ids)
        and (row.state == "published" or not asked.flag("only_published", True))
        and hub.tags_fit(asked.texts("tags"), row.tags)
    ]
    hits = hub.matching(asked.text("name"), [row.name for row in rows])
    rows = [row for row, hit in zip(rows, hits, strict=True) if hit]
    page = asked.whole("page")
    # Without a page the client wants to find a name among all of them, whatever page size it sends along.
    shown = rows if page is None else page_of(rows, page, asked.whole("page_size", high=10_000))
    return {"versions": [trimmed(_version(hub, row), only) for row in shown]}


def _version(hub: Hub, row: VersionRow) -> dict[str, Any]:
    kept = Kept(row.extra)
    status = {"publishing": "committing", "published": "published"}.get(row.state, "draft")
    if status == "draft" and kept.get("committed"):
        status = "committed"
    meta = dict(row.meta) | ({"mask_labels": row.legend} if row.legend else {})
    return {
        "id": row.uuid,
        "name": row.name,
        "dataset": row.dataset,
        "parent": row.parents[0] if row.parents else None,
        "status": status,
        "comment": row.description,
        "task": kept.get("task"),
        "user": "",
        "company": "",
        "created": stamp(row.created),
        "committed": kept.get("committed"),
        "published": stamp(row.published),
        "last_frames_update": stamp(row.updated),
        "tags": row.tags,
        "system_tags": kept.get("system_tags", []),
        "metadata": meta,
        "stats": kept.get("stats") or {},
    }


@endpoint("datasets.update_version", "annotator")
def update(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"))
    if "metadata" in asked:
        require_draft(version)
        check_keys(asked.object("metadata"), "the metadata")
        version.set_metadata(asked.object("metadata"))
    if "name" in asked and asked.text("name") != version.name:
        version.rename(asked.needed("name"))
    if "comment" in asked or "tags" in asked:
        version.describe(asked.text("comment"), tags=asked.texts("tags"))
    if "system_tags" in asked:
        _keep(hub, version, system_tags=asked.texts("system_tags"))
    fields = [key for key in ("metadata", "name", "comment", "tags", "system_tags") if key in asked]
    if fields:
        hub.service.tell(caller.who, "update version", version, fields=fields)
    return {"updated": int(bool(fields)), "fields": {key: asked.body[key] for key in fields}}


@endpoint("datasets.commit_version", "annotator")
def commit(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"))
    require_draft(version)
    total = len(version)
    changes: dict[str, Any] = {"committed": stamp(datetime.now(UTC))}
    if asked.flag("calculate_stats", True):
        changes["stats"] = asked.object("override_stats") or stats_of_version(version)
    _keep(hub, version, **changes)
    if asked.flag("publish"):
        hub.allow(caller, "admin")
        version.publish()
    hub.service.tell(caller.who, "commit version", version, frames=total)
    row = version.row
    return {
        "version": version.id,
        "dataset": version.dataset.id,
        "parent": row.parents[0] if row.parents else None,
        "total": total,
        "saved_and_updated": total,
        "merged": 0,
        "deleted": 0,
        "failed": 0,
        "errors": [],
    }


@endpoint("datasets.publish_version", "admin")
def publish(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"))
    require_draft(version)
    version.publish()
    hub.service.tell(caller.who, "publish version", version)
    return {}


@endpoint("datasets.publish_and_create_child_version", "admin")
def snapshot(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"), asked.text("dataset"))
    require_draft(version)
    if "publish_metadata" in asked:
        check_keys(asked.object("publish_metadata"), "publish_metadata")
        version.set_metadata(asked.object("publish_metadata"))
    child = version.snapshot(asked.text("publish_name"), child=asked.text("child_name"))
    for each, part in ((version, "publish"), (child, "child")):
        if f"{part}_comment" in asked or f"{part}_tags" in asked:
            each.describe(asked.text(f"{part}_comment"), tags=asked.texts(f"{part}_tags"))
        if f"{part}_system_tags" in asked:
            _keep(hub, each, system_tags=asked.texts(f"{part}_system_tags"))
    if "child_metadata" in asked:
        check_keys(asked.object("child_metadata"), "child_metadata")
        child.set_metadata(asked.object("child_metadata"))
    hub.service.tell(caller.who, "publish version", version)
    return {"id": child.id}


ENDPOINTS: list[Endpoint] = [value for value in list(globals().values()) if isinstance(value, Endpoint)]
