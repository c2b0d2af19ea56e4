"""Datasets and projects."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from smalti.server.asking import AnyRequest, as_json, check_json, must_match, page_of, who
from smalti.server.auth import needs
from smalti.server.media import digest
from smalti.server.payloads.accounts import Deleted
from smalti.server.payloads.datasets import DatasetChange, DatasetOut, Declare, NewDataset
from smalti.server.payloads.others import DatasetPage, ProjectOut
from smalti.server.service import Service
from smalti.store import Dataset
from smalti.store.counting import stats_of
from smalti.store.rows import DatasetRow

__all__ = ["ROUTES", "dataset_etag", "dataset_out"]

Hub = NamedDependency[Service]
PageSize = Annotated[int, QueryParameter(ge=1, le=500)]


def dataset_etag(row: DatasetRow) -> str:
    """Changes with what can be edited."""
    parts = [row.uuid, row.name, row.project, row.description, row.tags, row.meta]
    return digest(msgspec.json.encode(parts))[:16]


def dataset_out(hub: Service, dataset: Dataset) -> DatasetOut:
    """A card: counts are those of the version that changed last."""
    row = dataset.row
    versions = dataset.versions()
    head = max(versions, key=lambda v: v.row.updated, default=None)
    found = DatasetOut(
        id=row.uuid,
        name=row.name,
        project=row.project,
        description=row.description,
        tags=row.tags,
        metadata=row.meta,
        created=row.created,
        updated=max([row.updated, *(v.row.updated for v in versions)]),
        versions=len(versions),
        declared=row.declared,
        etag=dataset_etag(row),
    )
    if head is not None:
        stats = head_stats(hub, head)
        found.frames, found.annotated, found.head = stats["frames"], stats.get("annotated"), head.id
        ranked = sorted(stats.get("frames_per_label", {}).items(), key=lambda item: (-item[1], item[0]))
        found.top_labels = [label for label, _ in ranked[:8]]
    return found


def head_stats(hub: Service, version: Any) -> dict[str, Any]:
    """Counts of a version; of a draft those at its present state, counted once."""
    table = hub.table(version)

    def count() -> dict[str, Any]:
        found = dict(version.stats) or stats_of(table.rows)
        found["annotated"] = table.rows.count("array_length(labels) > 0")
        return found

    known: dict[str, Any] = hub.searches.get_or(("stats", version.id, table.fingerprint), count)
    return known


@get("/datasets", sync_to_thread=True, guards=[needs("viewer")], tags=["datasets"])
def list_datasets(
    hub: Hub,
    q: FromQuery[str] = "",
    project: FromQuery[str | None] = None,
    tag: FromQuery[list[str] | None] = None,
    sort: FromQuery[Literal["recent", "name"]] = "recent",
    cursor: FromQuery[str | None] = None,
    limit: PageSize = 50,
) -> DatasetPage:
    """Datasets, page by page; `q` looks for a part of the name, project or description."""
    wanted = q.casefold()
    rows = [
        row
        for row in hub.store.catalog.list_datasets()
        if (project is None or (row.project or "") == project)
        and all(name in row.tags for name in tag or ())
        and (not wanted or any(wanted in text.casefold() for text in (row.name, row.project or "", row.description)))
    ]
    rows.sort(
        key=lambda row: (row.name.casefold(), row.uuid) if sort == "name" else (-row.updated.timestamp(), row.uuid)
    )
    page, following = page_of(rows, cursor, limit)
    return DatasetPage(
        items=[dataset_out(hub, Dataset(hub.store, row)) for row in page], next=following, total=len(rows)
    )


@post("/datasets", sync_to_thread=True, guards=[needs("annotator")], tags=["datasets"])
def make_dataset(hub: Hub, request: AnyRequest, data: JSONBody[NewDataset]) -> Response[DatasetOut]:
    """A new dataset, with a first draft."""
    check_json(data.metadata, "$.metadata")
    made = hub.store.create_dataset(
        data.name, data.project, description=data.description, tags=data.tags, metadata=data.metadata
    )
    version = made.create_version(data.version) if data.version is not None else None
    hub.tell(who(request), "create dataset", version, dataset=made.id, name=data.name)
    hub.events.publish("dataset.created", dataset=made.id, name=data.name)
    found = dataset_out(hub, made)
    return as_json(found, etag=found.etag, status=201)


@get("/datasets/{dataset:str}", sync_to_thread=True, guards=[needs("viewer")], tags=["datasets"])
def show_dataset(hub: Hub, request: AnyRequest, dataset: FromPath[str]) -> Response[DatasetOut]:
    """A dataset by id or by name."""
    found = dataset_out(hub, hub.dataset(dataset))
    return as_json(found, etag=found.etag)


@patch("/datasets/{dataset:str}", sync_to_thread=True, guards=[needs("annotator")], tags=["datasets"])
def change_dataset(
    hub: Hub, request: AnyRequest, dataset: FromPath[str], data: JSONBody[DatasetChange]
) -> Response[DatasetOut]:
    """Rename it, move it to another project, change what is said about it. Needs If-Match."""
    found = hub.dataset(dataset)
    with hub.editing(found.id):
        must_match(request, dataset_etag(found.row))
        changes = {k: v for k, v in msgspec.structs.asdict(data).items() if v is not msgspec.UNSET}
        if "metadata" in changes:
            check_json(changes["metadata"], "$.metadata")
            changes["meta"] = changes.pop("metadata")
        if changes:
            hub.store.catalog.update_dataset(found.id, **changes)
    hub.tell(who(request), "edit dataset", dataset=found.id, changed=sorted(changes))
    hub.events.publish("dataset.updated", dataset=found.id)
    shown = dataset_out(hub, hub.dataset(found.id))
    return as_json(shown, etag=shown.etag)


@delete("/datasets/{dataset:str}", sync_to_thread=True, status_code=200, guards=[needs("admin")], tags=["datasets"])
def delete_dataset(
    hub: Hub,
    request: AnyRequest,
    dataset: FromPath[str],
    force: FromQuery[bool] = False,
    with_views: FromQuery[bool] = False,
) -> Deleted:
    """Delete it with its versions; published ones need `force`, those of published views `with_views`. Needs If-Match."""
    found = hub.dataset(dataset)
    with hub.editing(found.id):
        must_match(request, dataset_etag(found.row))
        hub.store.delete_dataset(found, force=force, with_views=with_views)
    hub.tell(who(request), "delete dataset over HTTP", name=found.name, id=found.id)
    hub.events.publish("dataset.deleted", dataset=found.id)
    return Deleted(deleted=found.id)


@get("/datasets/{dataset:str}/schema", sync_to_thread=True, guards=[needs("viewer")], tags=["datasets"])
def show_schema(hub: Hub, dataset: FromPath[str]) -> dict[str, Any]:
    """The promoted metadata paths with their types, and the revision of the store's schema."""
    row = hub.dataset(dataset).row
    return {"declared": row.declared, "revision": row.schema_rev}


@get("/datasets/{dataset:str}/label-colors", sync_to_thread=True, guards=[needs("viewer")], tags=["datasets"])
def show_colors(hub: Hub, request: AnyRequest, dataset: FromPath[str]) -> Response[dict[str, str]]:
    """Colours to show labels in, where somebody chose others than the legend's: label → "#rrggbb"."""
    row = hub.dataset(dataset).row
    colors = dict(row.extra.get("label_colors", {}))
    return as_json(colors, etag=hub.row_etag(_Colors(colors)), request=request)


class _Colors(msgspec.Struct):
    colors: dict[str, str]


LabelColors = dict[
    Annotated[str, msgspec.Meta(max_length=256)], Annotated[str, msgspec.Meta(pattern=r"^#[0-9a-fA-F]{6}$")]
]


@put("/datasets/{dataset:str}/label-colors", sync_to_thread=True, guards=[needs("annotator")], tags=["datasets"])
def save_colors(
    hub: Hub, request: AnyRequest, dataset: FromPath[str], data: JSONBody[LabelColors]
) -> Response[dict[str, str]]:
    """Choose colours; the whole table is replaced. Needs If-Match."""
    found = hub.dataset(dataset)
    with hub.editing(found.id):
        row = found.row
        must_match(request, hub.row_etag(_Colors(dict(row.extra.get("label_colors", {})))))
        hub.store.catalog.update_dataset(found.id, extra={**row.extra, "label_colors": data})
    hub.tell(who(request), "set label colors", dataset=found.id)
    hub.events.publish("dataset.updated", dataset=found.id)
    return as_json(data, etag=hub.row_etag(_Colors(dict(data))))


@get("/projects", sync_to_thread=True, guards=[needs("viewer")], tags=["datasets"])
def list_projects(hub: Hub) -> list[ProjectOut]:
    """Projects with the number of their datasets; "" stands for those without one."""
    counts: dict[str, int] = {}
    for row in hub.store.catalog.list_datasets():
        counts[row.project or ""] = counts.get(row.project or "", 0) + 1
    return [ProjectOut(name=name, datasets=n) for name, n in sorted(counts.items())]


@post(
    "/datasets/{dataset:str}/declare", sync_to_thread=True, status_code=200, guards=[needs("admin")], tags=["datasets"]
)
def declare_field(
    hub: Hub, request: AnyRequest, dataset: FromPath[str], data: JSONBody[Declare]
) -> Response[DatasetOut]:
    """Promote a metadata path to a typed column of every version, for ranges, sorting and nearest vectors."""
    found = hub.dataset(dataset)
    with hub.editing(found.id):
        found.declare(data.path, data.kind)
    hub.tell(who(request), "declare field", dataset=found.id, path=data.path, kind=data.kind)
    hub.events.publish("dataset.updated", dataset=found.id)
    shown = dataset_out(hub, hub.dataset(found.id))
    return as_json(shown, etag=shown.etag)


ROUTES = [
    declare_field,
    list_datasets,
    make_dataset,
    show_dataset,
    change_dataset,
    delete_dataset,
    show_schema,
    show_colors,
    save_colors,
    list_projects,
]
