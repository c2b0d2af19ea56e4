"""What frames have in common: counts of labels and content types, and the keys of their metadata with their types."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smalti.server.clearml.asked import Asked
from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.hub import Caller, Endpoint, Hub, Kept, endpoint
from smalti.server.clearml.views import spec_of, view_of
from smalti.store import DatasetVersion
from smalti.store.pushdown import labels_in
from smalti.store.table import VersionTable

__all__ = ["ENDPOINTS", "stats_of_version"]

_COUNTED = ["roi_ls", "sources"]
_PARTS = {"frame": "meta", "roi": "rois", "source": "sources"}
_decode = msgspec.json.Decoder().decode


# --------------------------------------------------------------------------------------------------------- counting
def stats_of_version(version: DatasetVersion) -> dict[str, Any]:
    """The counts of all frames of a version, in the protocol's form."""
    return _stats(version.rows().scan(_COUNTED))


def _stats(batches: Iterable[pa.RecordBatch]) -> dict[str, Any]:
    tokens: Counter[str] = Counter()
    types: Counter[str] = Counter()
    frames = annotated = 0
    for batch in batches:
        rois = batch.column("roi_ls")
        frames += len(batch)
        annotated += pc.sum(pc.greater(pc.list_value_length(rois), 0)).as_py() or 0
        tokens.update(_values(rois.flatten()))
        types.update(_values(pc.drop_null(batch.column("sources").flatten().field("content_type"))))
    labels: Counter[str] = Counter()
    for token, count in tokens.items():
        labels.update(dict.fromkeys(labels_in(token), count))
    return {
        "labels": [{"name": name, "count": count} for name, count in sorted(labels.items())],
        "content_types": [{"name": name, "count": count} for name, count in sorted(types.items())],
        "frames": [{"name": "annotated", "count": annotated}, {"name": "unannotated", "count": frames - annotated}],
    }


def _values(column: pa.Array) -> dict[str, int]:
    found = column.value_counts()
    return dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True))


@endpoint("datasets.get_stats", "viewer")
def get_stats(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    ids = asked.texts("versions") or [asked.needed("version")]
    batches = (batch for uuid in ids for batch in hub.version(uuid).rows().scan(_COUNTED))
    return {"stats": _stats(batches)}


@endpoint("frames.get_stats_for_dataview", "viewer")
def stats_for_dataview(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    return {"stats": _stats(_chosen(hub, asked))}


@endpoint("frames.get_stats", "viewer")
def stats_of_frames(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    """Of a dataview where there is one, else of a version."""
    if "dataview" in asked:
        return {"stats": _stats(_chosen(hub, asked))}
    return {"stats": stats_of_version(hub.version(asked.needed("version"), asked.text("dataset")))}


def _chosen(hub: Hub, asked: Asked) -> Iterator[pa.RecordBatch]:
    """The columns that are counted, of the frames that a dataview lets through."""
    chosen = view_of(hub, spec_of(asked.object("dataview"), unlimited=True)).chosen()
    for number, table in enumerate(chosen.tables):
        rows = np.sort(chosen.row[chosen.part == number])
        if isinstance(table, VersionTable) and len(rows):
            for batch in table.rows.scan(_COUNTED, with_row_id=True):
                yield batch.filter(pc.is_in(batch.column("_rowid").cast(pa.int64()), pa.array(rows)))


# ----------------------------------------------------------------------------------------------------------- schema
@endpoint("datasets.get_schema", "viewer")
def get_schema(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    """The metadata of frames, ROIs or sources as a tree of properties with types."""
    kind = asked.text("schema_type") or "frame"
    if kind not in _PARTS:
        raise Fault(400, f"schema_type is {kind!r}; allowed: {', '.join(_PARTS)}")
    tree: dict[str, Any] = {}
    for path, type_ in _types(hub, _versions(hub, asked), kind).items():
        at = tree
        *parents, last = path
        for name in parents:
            at = at.setdefault(name, {}).setdefault("properties", {})
        at.setdefault(last, {})["type"] = type_
    return {"schema": {"properties": {"meta": {"properties": tree}}}}


@endpoint("datasets.get_schema_keys", "viewer")
def get_schema_keys(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    """The paths of metadata of frames, ROIs and sources; those of vectors only where they are asked for."""
    versions = _versions(hub, asked)
    with_vectors = asked.flag("include_dense_vectors") or asked.flag("include_vector_fields")
    found = {}
    for kind in _PARTS:
        types = _types(hub, versions, kind).items()
        found[f"{kind}_keys"] = [
            "meta." + ".".join(path) for path, type_ in types if with_vectors or type_ != "dense_vector"
        ]
    return found


def _versions(hub: Hub, asked: Asked) -> list[DatasetVersion]:
    ids = []
    for entry in asked.items("versions"):
        uuid = entry.get("version") if isinstance(entry, dict) else entry
        if not isinstance(uuid, str):
            raise Fault(400, "field 'versions' holds something that names no version; give ids")
        ids.append(uuid)
    return [hub.version(uuid) for uuid in ids] or hub.dataset(asked.needed("dataset")).versions()


def _types(hub: Hub, versions: list[DatasetVersion], kind: str) -> dict[tuple[str, ...], str]:
    """Path below the metadata → type, of everything that occurs; two types of one path are the wider one."""
    found: dict[tuple[str, ...], str] = {}
    for version in versions:
        table = hub.service.table(version)
        key = ("schema", kind, table.version, table.fingerprint)
        _join(found, hub.remembered(key, partial(_types_in, table, kind)))
        mapped = Kept(version.dataset.row.extra).get("field_mappings", {})
        for path, settings in mapped.items() if kind == "frame" else ():
            if path.startswith("meta."):
                found[tuple(path.split(".")[1:])] = str(settings.get("type"))
    return dict(sorted(found.items()))


def _types_in(table: VersionTable, kind: str) -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for batch in table.rows.scan([_PARTS[kind]]):
        column = batch.column(_PARTS[kind])
        texts = column if kind == "frame" else column.flatten().field("meta")
        for text in pc.unique(texts).to_pylist():
            if text:
                _join(found, dict(_walk(_decode(text), ())))
    return found


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, (*path, key))
    elif isinstance(value, list):
        types: dict[tuple[str, ...], str] = {}
        for inner in value:
            _join(types, dict(_walk(inner, path)))
        yield from types.items()
    elif value is not None:
        is_date = isinstance(value, str) and _is_date(value)
        yield path, "date" if is_date else _TYPES[type(value)]


_TYPES: dict[type, str] = {str: "keyword", bool: "boolean", int: "long", float: "double"}


def _is_date(text: str) -> bool:
    return len(text) >= 10 and text[:4].isdecimal() and text[4] == "-" and _parses(text)


def _parses(text: str) -> bool:
    from datetime import datetime

    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _join(found: dict[tuple[str, ...], str], more: dict[tuple[str, ...], str]) -> None:
    for path, type_ in more.items():
        known = found.setdefault(path, type_)
        if known != type_:
            found[path] = "double" if {known, type_} == {"long", "double"} else "keyword"


ENDPOINTS: list[Endpoint] = [value for value in list(globals().values()) if isinstance(value, Endpoint)]
