"""projects.* and datasets.* about datasets as a whole."""

from typing import Any

from smalti.server.clearml.asked import Asked
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import Caller, Endpoint, Hub, Kept, endpoint, page_of, project_id, stamp, trimmed
from smalti.store import Dataset, DatasetVersion
from smalti.store.dense import METRICS, MOST_DIMS, Dense
from smalti.store.pinning import require_unread
from smalti.store.rows import DatasetRow, VersionRow

__all__ = ["ENDPOINTS", "check_keys"]


def check_keys(found: dict[str, Any], what: str) -> None:
    """Refuse keys that the protocol cannot address.

    Raises:
        Fault: 400.
    """
    bad = [key for key in found if "." in key or "$" in key]
    if bad:
        raise Fault(400, f"{what} has the key {bad[0]!r}; keys hold no '.' and no '$'")


# ------------------------------------------------------------------------------------------------------- projects
@endpoint("projects.get_all", "viewer")
def projects_all(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    known = hub.projects()
    ids = asked.texts("id")
    rows = [(uuid, name) for uuid, name in known.items() if ids is None or uuid in ids]
    hits = hub.matching(asked.text("name"), [name for _, name in rows])
    found = [row for row, hit in zip(rows, hits, strict=True) if hit]
    page = page_of(found, asked.whole("page"), asked.whole("page_size", high=10_000))
    only = asked.texts("only_fields")
    return {"projects": [trimmed(_project(uuid, name), only) for uuid, name in page]}


def _project(uuid: str, name: str) -> dict[str, Any]:
    return {"id": uuid, "name": name, "basename": name.rpartition("/")[2], "description": "", "tags": []}


@endpoint("projects.create", "annotator")
def projects_create(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return {"id": hub.make_project(asked.needed("name"), asked.text("description") or "")}


@endpoint("projects.get_by_id", "viewer")
def projects_by_id(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    uuid = asked.needed("project")
    name = hub.project_name(uuid)
    return {"project": _project(uuid, name or "")}


# ------------------------------------------------------------------------------------------------------- datasets
@endpoint("datasets.create", "annotator")
def create(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    name, project = asked.needed("name"), hub.project_name(asked.text("project"))
    mappings = _mappings(asked)
    metadata = asked.object("metadata")
    check_keys(metadata, "the metadata")
    same = [row for row in hub.catalog.find_datasets(name=name) if row.project == project]
    if same:
        if mappings and Kept(same[0].extra).get("field_mappings") == mappings:
            return {"id": same[0].uuid}  # the same script run again
        raise Fault(400, f"dataset {name!r} is there already in this project; choose another name, or open that one")
    made = hub.store.create_dataset(
        name, project, description=asked.text("comment") or "", tags=asked.texts("tags") or (), metadata=metadata
    )
    kept = Kept({})
    if mappings:
        kept["field_mappings"] = mappings
    kept |= {key: asked.body[key] for key in ("public", "terms_of_use") if key in asked}
    hub.catalog.update_dataset(
        made.id, system_tags=asked.texts("system_tags") or [], extra=kept.into(made.row.extra) if kept else {}
    )
    for path, settings in mappings.items():
        kind = _dense(path, settings)
        if kind is not None:
            made.declare(path, kind)
    hub.service.tell(caller.who, "create dataset", dataset=made.id, name=name)
    return {"id": made.id}


def _dense(path: str, settings: dict[str, Any]) -> str | None:
    """The type that we declare for a mapped path, so that its vectors have a column; None for what has none here."""
    if settings["type"] != "dense_vector" or settings.get("element_type", "float") not in ("float", "byte"):
        return None
    metric = settings.get("similarity")
    dense = Dense(settings["dims"], metric if metric in METRICS else "cosine")
    return str(dense) if path.startswith("meta.") and path != "meta." else None


def _mappings(asked: Asked) -> dict[str, Any]:
    found = asked.object("field_mappings")
    for path, settings in found.items():
        if not isinstance(settings, dict) or not isinstance(settings.get("type"), str):
            raise Fault(400, f"field_mappings[{path!r}] has no type; give an object such as {{'type': 'keyword'}}")
        if settings["type"] == "dense_vector":
            dims = settings.get("dims")
            if isinstance(dims, bool) or not isinstance(dims, int) or not 1 <= dims <= MOST_DIMS:
                raise Fault(400, f"field_mappings[{path!r}].dims is {dims!r}; allowed: 1 to {MOST_DIMS}")
    return found


@endpoint("datasets.get_all", "viewer")
def get_all(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    ids, project = asked.texts("id"), asked.text("project")
    wanted = None if project is None else hub.projects().get(project, "")
    if wanted == "":
        return {"datasets": []}  # a project that does not exist holds nothing
    rows = [
        row
        for row in hub.catalog.list_datasets()
        if (ids is None or row.uuid in ids)
        and (wanted is None or row.project == wanted)
        and hub.tags_fit(asked.texts("tags"), row.tags)
        and hub.tags_fit(asked.texts("system_tags"), row.system_tags)
    ]
    hits = hub.matching(asked.text("name"), [row.name for row in rows])
    found = [row for row, hit in zip(rows, hits, strict=True) if hit]
    size = asked.whole("size", high=10_000)
    page = page_of(found, asked.whole("page"), asked.whole("page_size", high=10_000))[:size]
    only = asked.texts("only_fields")
    return {"datasets": [trimmed(_dataset(hub, row, only, asked.flag("resolve_head")), only) for row in page]}


@endpoint("datasets.get_by_id", "viewer")
def get_by_id(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    row = hub.dataset(asked.needed("dataset")).row
    return {"dataset": _dataset(hub, row, None, asked.flag("resolve_head", True))}


@endpoint("datasets.get_by_name", "viewer")
def get_by_name(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    name = asked.needed("dataset_name") if "dataset_name" in asked else asked.needed("name")
    rows = hub.catalog.find_datasets(name=name, project=hub.project_name(asked.text("project")))
    if not rows:
        raise Fault(400, f"there is no dataset {name!r}")
    return {"dataset": _dataset(hub, rows[0], None, True)}


def _dataset(hub: Hub, row: DatasetRow, only: list[str] | None, resolve: bool) -> dict[str, Any]:
    found = {
        "id": row.uuid,
        "name": row.name,
        "project": project_id(row.project) if row.project else None,
        "comment": row.description,
        "tags": row.tags,
        "system_tags": row.system_tags,
        "metadata": row.meta,
        "created": stamp(row.created),
        "last_update": stamp(row.updated),
        "user": "",
        "company": "",
        **Kept(row.extra),
    }
    if only and not {"version_count", "paradigm", "head_version"}.intersection(only):
        return found
    versions = hub.catalog.list_versions(row.uuid)
    parents = [version.parents[0] for version in versions if version.parents]
    roots = len(versions) - len(parents)
    found["version_count"] = len(versions)
    found["paradigm"] = "single_version" if roots <= 1 and len(set(parents)) == len(parents) else "general"
    if resolve:
        head = _head(versions)
        found["head_version"] = None if head is None else {"id": head.uuid, "name": head.name}
    return found


def _head(versions: list[VersionRow]) -> VersionRow | None:
    """The draft with the longest way to its root, the newest of several; where there is no draft, the same of all."""
    known = {version.uuid: version for version in versions}

    def depth(version: VersionRow) -> int:
        steps = 0
        while version.parents and version.parents[0] in known:
            version, steps = known[version.parents[0]], steps + 1
        return steps

    drafts = [version for version in versions if version.state != "published"] or versions
    return max(drafts, key=lambda version: (depth(version), version.created), default=None)


@endpoint("datasets.update", "annotator")
def update(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    dataset = hub.dataset(asked.needed("dataset"))
    changes: dict[str, Any] = {}
    for key, column in (("name", "name"), ("comment", "description")):
        if key in asked:
            changes[column] = asked.text(key)
    for key in ("tags", "system_tags"):
        if key in asked:
            changes[key] = asked.texts(key)
    if "metadata" in asked:
        check_keys(asked.object("metadata"), "the metadata")
        changes["meta"] = asked.object("metadata")
    if "project" in asked:
        changes["project"] = hub.project_name(asked.text("project"))
    if "terms_of_use" in asked:
        kept = Kept(dataset.row.extra)
        kept["terms_of_use"] = asked.body["terms_of_use"]
        changes["extra"] = kept.into(dataset.row.extra)
    if not changes:
        return {"updated": 0, "fields": {}}
    hub.catalog.update_dataset(dataset.id, **changes)
    hub.service.tell(caller.who, "update dataset", dataset=dataset.id, fields=sorted(changes))
    told = {"description": "comment", "meta": "metadata"}
    return {"updated": 1, "fields": {told.get(k, k): asked.body.get(told.get(k, k)) for k in changes if k != "extra"}}


@endpoint("datasets.move", "annotator")
def move(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    name = asked.text("project_name")
    uuid = hub.make_project(name, "") if name else asked.needed("project")
    target = hub.project_name(uuid)
    ids = asked.texts("ids") or [asked.needed("dataset")]
    for dataset in [hub.dataset(item) for item in ids]:
        hub.catalog.update_dataset(dataset.id, project=target)
    hub.service.tell(caller.who, "move datasets", ids=ids, project=target)
    return {"project_id": uuid, "moved": len(ids)}


@endpoint("datasets.delete", "admin")
def delete(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    dataset = hub.dataset(asked.needed("dataset"))
    versions = dataset.versions()
    if versions and not asked.flag("delete_all_versions"):
        raise Fault(400, f"dataset {dataset.name!r} has {len(versions)} versions; send delete_all_versions to go on")
    require_unread(versions, may_choose=False)
    hub.store.delete_dataset(dataset, force=asked.flag("force"))
    hub.service.tell(caller.who, "delete dataset", dataset=dataset.id, name=dataset.name)
    return {"deleted": True, "deleted_versions": [version.id for version in versions]}


@endpoint("datasets.delete_version", "admin")
def delete_version(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"))
    force = asked.flag("force")
    doomed = _family(version) if asked.flag("delete_children") else [version]
    frozen = [each.name for each in doomed if each.is_published]
    if frozen and not force:
        raise Fault(400, f"version {frozen[0]!r} is published; deleting it needs force, and cannot be undone")
    require_unread(doomed, may_choose=False)  # all of them before the first goes
    for each in reversed(doomed):
        each.dataset.delete_version(each, force=force)
        hub.service.tell(caller.who, "delete version", each)
    return {"deleted": True}


def _family(version: DatasetVersion) -> list[DatasetVersion]:
    """A version and all that were made from it, parents first."""
    found, ids = [version], {version.id}
    for each in version.dataset.versions():
        if ids.intersection(each.row.parents):
            found.append(each)
            ids.add(each.id)
    return found


@endpoint("datasets.get_tags", "viewer")
def get_tags(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    rows = hub.catalog.list_datasets()
    found = {"tags": sorted({tag for row in rows for tag in row.tags})}
    if asked.flag("include_system"):
        found["system_tags"] = sorted({tag for row in rows for tag in row.system_tags})
    return found


@endpoint("datasets.get_vector_fields", "viewer")
def vector_fields(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    ids = asked.texts("datasets") or [
        str(entry.get("dataset")) for entry in asked.items("versions") if isinstance(entry, dict)
    ]
    ids = ids or ([asked.needed("dataset")] if "dataset" in asked else [])
    found = []
    for dataset in [Dataset(hub.store, hub.catalog.get_dataset(uuid)) for uuid in dict.fromkeys(ids)]:
        for key, settings in {**_declared(dataset), **Kept(dataset.row.extra).get("field_mappings", {})}.items():
            if settings.get("type") == "dense_vector":
                found.append({"key": key, "properties": {**settings, "supported_functions": list(METRICS)}})
    return {"fields": found}


def _declared(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Vectors that were declared in our own way, as the mappings that the client would have sent."""
    dense = {path: Dense.read(kind) for path, kind in dataset.declared.items()}
    return {
        path: {"type": "dense_vector", "element_type": "float", "dims": each.dims, "similarity": each.metric}
        for path, each in dense.items()
        if each is not None
    }


ENDPOINTS: list[Endpoint] = [value for value in list(globals().values()) if isinstance(value, Endpoint)]
