"""Versions: the tree, and what can be done to one."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from smalti.server.asking import AnyRequest, as_json, check_json, must_match, who
from smalti.server.auth import needs
from smalti.server.checking import check_masks, count_pixels
from smalti.server.media import digest
from smalti.server.payloads.accounts import Deleted
from smalti.server.payloads.datasets import Child, Merge, NewVersion, Publish, VersionChange, VersionOut
from smalti.server.routes.datasets import head_stats
from smalti.server.routes.jobs import job_out
from smalti.server.service import Service
from smalti.store import DatasetVersion
from smalti.store.rows import VersionRow

__all__ = ["ROUTES", "version_etag", "version_out"]

Hub = NamedDependency[Service]


def version_etag(row: VersionRow) -> str:
    """Changes with what can be edited: name, state, texts, metadata, legends."""
    parts = [row.uuid, row.name, row.state, row.description, row.tags, row.meta, row.legend]
    return digest(msgspec.json.encode(parts))[:16]


def version_out(hub: Service, version: DatasetVersion, depth: int = 0, *, count: bool = True) -> VersionOut:
    """A version as a tree shows it."""
    row = version.row
    frames = row.stats.get("frames")
    if frames is None and count:
        frames = hub.table(version).rows.count()
    return VersionOut(
        id=row.uuid,
        dataset=row.dataset,
        dataset_name=version.dataset.name,
        name=row.name,
        state=row.state,
        parents=row.parents,
        description=row.description,
        tags=row.tags,
        created=row.created,
        updated=row.updated,
        published=row.published,
        frames=frames,
        depth=depth,
        etag=version_etag(row),
    )


def _answer(hub: Service, version: DatasetVersion, status: int = 200) -> Response[VersionOut]:
    found = version_out(hub, version)
    return as_json(found, etag=found.etag, status=status)


@get("/datasets/{dataset:str}/versions", sync_to_thread=True, guards=[needs("viewer")], tags=["versions"])
def list_versions(hub: Hub, dataset: FromPath[str]) -> list[VersionOut]:
    """The tree of versions, parents before children, with depths."""
    return [version_out(hub, version, depth) for depth, version in hub.dataset(dataset).tree()]


@get("/datasets/{dataset:str}/versions/{version:str}", sync_to_thread=True, guards=[needs("viewer")], tags=["versions"])
def find_version(hub: Hub, dataset: FromPath[str], version: FromPath[str]) -> Response[VersionOut]:
    """A version of a dataset, both by id or by name."""
    found = hub.dataset(dataset)
    return _answer(hub, hub.version_of(found, version))


@post("/datasets/{dataset:str}/versions", sync_to_thread=True, guards=[needs("annotator")], tags=["versions"])
def make_version(
    hub: Hub, request: AnyRequest, dataset: FromPath[str], data: JSONBody[NewVersion]
) -> Response[VersionOut]:
    """A new draft, empty or from published parents."""
    found = hub.dataset(dataset)
    parents = [hub.version_of(found, parent) for parent in data.parents]
    check_json(data.metadata, "$.metadata")
    made = found.create_version(
        data.name,
        parents,
        description=data.description,
        tags=data.tags,
        metadata=data.metadata,
        prefer=data.prefer,
    )
    hub.tell(who(request), "create version", made, name=data.name)
    hub.events.publish("version.created", dataset=found.id, version=made.id, name=data.name)
    return _answer(hub, made, 201)


@post("/datasets/{dataset:str}/merge", sync_to_thread=True, guards=[needs("annotator")], tags=["versions"])
def merge_versions(
    hub: Hub, request: AnyRequest, dataset: FromPath[str], data: JSONBody[Merge]
) -> Response[VersionOut]:
    """Take the changes of one version into another: a draft in place, or a new child of a published one.

    412 where both changed the same thing and the rule is "error"; nothing has changed then.
    """
    found = hub.dataset(dataset)
    ours, theirs = hub.version_of(found, data.ours), hub.version_of(found, data.theirs)
    base = None if data.base is None else hub.version_of(found, data.base)
    with hub.editing(ours.id):
        made = found.merge(ours, theirs, base=base, rule=data.rule, name=data.name)
    hub.tell(who(request), "merge", made, theirs=theirs.id)
    kind = "frames.changed" if made.id == ours.id else "version.created"
    hub.events.publish(kind, dataset=found.id, version=made.id, name=made.name)
    return _answer(hub, made, 201)


@get("/versions/{version:str}", sync_to_thread=True, guards=[needs("viewer")], tags=["versions"])
def show_version(hub: Hub, version: FromPath[str]) -> Response[VersionOut]:
    """A version by id, or as dataset@version."""
    return _answer(hub, hub.version(version))


@patch("/versions/{version:str}", sync_to_thread=True, guards=[needs("annotator")], tags=["versions"])
def change_version(
    hub: Hub, request: AnyRequest, version: FromPath[str], data: JSONBody[VersionChange]
) -> Response[VersionOut]:
    """Rename it, change what is said about it. Needs If-Match."""
    found = hub.version(version)
    with hub.editing(found.id):
        must_match(request, version_etag(found.row))
        if data.name is not msgspec.UNSET:
            found.rename(data.name)
        texts: dict[str, Any] = {}
        if data.description is not msgspec.UNSET:
            texts["description"] = data.description
        if data.tags is not msgspec.UNSET:
            texts["tags"] = data.tags
        if texts:
            found.describe(**texts)
    hub.tell(who(request), "edit version", found)
    hub.events.publish("version.updated", dataset=found.dataset.id, version=found.id)
    return _answer(hub, found)


@delete("/versions/{version:str}", sync_to_thread=True, status_code=200, guards=[needs("admin")], tags=["versions"])
def delete_version(
    hub: Hub,
    request: AnyRequest,
    version: FromPath[str],
    force: FromQuery[bool] = False,
    with_views: FromQuery[bool] = False,
) -> Deleted:
    """Delete it; it must have no children, a published one needs `force`, one of published views `with_views`. Needs If-Match."""
    found = hub.version(version)
    with hub.editing(found.id):
        must_match(request, version_etag(found.row))
        found.delete(force=force, with_views=with_views)
    hub.tell(who(request), "delete version over HTTP", found, name=found.name)
    hub.events.publish("version.deleted", dataset=found.dataset.id, version=found.id)
    return Deleted(deleted=found.id)


@post(
    "/versions/{version:str}/publish", sync_to_thread=True, status_code=200, guards=[needs("admin")], tags=["versions"]
)
def publish_version(
    hub: Hub, request: AnyRequest, version: FromPath[str], data: JSONBody[Publish], job: FromQuery[bool] = False
) -> Response[VersionOut]:
    """Freeze it. With `check`, masks with errors refuse it unless `force`. Needs If-Match.

    With `job`, this answers 202 at once and a job (of kind "publish") does it; a refused publish is a failed job whose
    result has the report.
    """
    found = hub.version(version)
    must_match(request, version_etag(found.row))
    identity = who(request)

    def freeze(told: Callable[[float, str], None] | None = None) -> None:
        if data.facts:
            count_pixels(hub, found, told)
        found.publish(check_masks(hub, told) if data.check else None, force=data.force)
        hub.tell(identity, "publish over HTTP", found, force=data.force)
        hub.events.publish("version.published", dataset=found.dataset.id, version=found.id)

    if job:
        return as_json(job_out(hub.jobs.start("publish", identity.name, freeze, version=found.id)), status=202)
    with hub.editing(found.id):
        must_match(request, version_etag(found.row))
        freeze()
    return _answer(hub, found)


@post("/versions/{version:str}/child", sync_to_thread=True, guards=[needs("annotator")], tags=["versions"])
def make_child(hub: Hub, request: AnyRequest, version: FromPath[str], data: JSONBody[Child]) -> Response[VersionOut]:
    """A draft that starts as this published version is."""
    found = hub.version(version)
    made = found.child(data.name, description=data.description)
    hub.tell(who(request), "create version", made, name=data.name, parent=found.id)
    hub.events.publish("version.created", dataset=found.dataset.id, version=made.id, name=data.name)
    return _answer(hub, made, 201)


@get("/versions/{version:str}/metadata", sync_to_thread=True, guards=[needs("viewer")], tags=["versions"])
def show_metadata(hub: Hub, request: AnyRequest, version: FromPath[str]) -> Response[dict[str, Any]]:
    """Free JSON about the version, with the legends of its masks under "mask_labels"."""
    found = hub.version(version)
    row = found.row
    return as_json(found.metadata, etag=version_etag(row), request=request)


@put("/versions/{version:str}/metadata", sync_to_thread=True, guards=[needs("annotator")], tags=["versions"])
def save_metadata(
    hub: Hub, request: AnyRequest, version: FromPath[str], data: JSONBody[dict[str, Any]]
) -> Response[dict[str, Any]]:
    """Replace it; "mask_labels" in it replaces the legends. Needs If-Match."""
    check_json(data, "$")
    found = hub.version(version)
    with hub.editing(found.id):
        must_match(request, version_etag(found.row))
        found.set_metadata(data)
    hub.tell(who(request), "edit metadata", found)
    hub.events.publish("version.updated", dataset=found.dataset.id, version=found.id)
    return as_json(found.metadata, etag=version_etag(found.row))


@get("/versions/{version:str}/stats", sync_to_thread=True, guards=[needs("viewer")], tags=["versions"])
def show_stats(hub: Hub, version: FromPath[str]) -> Response[dict[str, Any]]:
    """Frames, ROIs, ROIs and frames per label, and frames whose masks were counted."""
    return as_json(head_stats(hub, hub.version(version)))


@get("/versions/{version:str}/report", sync_to_thread=True, guards=[needs("viewer")], tags=["versions"])
def show_report(hub: Hub, version: FromPath[str]) -> Response[Any]:
    """What the mask checks said at the publish; null where there were none."""
    return as_json(hub.version(version).report)


ROUTES = [
    list_versions,
    find_version,
    make_version,
    show_version,
    change_version,
    delete_version,
    publish_version,
    make_child,
    show_metadata,
    save_metadata,
    show_report,
    show_stats,
    merge_versions,
]
