"""datasets.save_frames and its kin: frames of the wire into a draft."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from smalti import wire
from smalti.errors import AccessDenied, FrameError, SmaltiError
from smalti.records import Frame
from smalti.server.clearml.asked import Asked
from smalti.server.clearml.hub import Caller, Endpoint, Hub, Kept, endpoint
from smalti.server.clearml.versions import require_draft
from smalti.storage import parse_uri
from smalti.store import DatasetVersion
from smalti.store.ingest import FEW, calm
from smalti.store.loading import load_checked
from smalti.store.vectors import vector_at

__all__ = ["ENDPOINTS"]

_frame = msgspec.json.Decoder(Frame).decode
_decode = msgspec.json.Decoder().decode

_READ_ONLY = (
    "dataset",
    "saved",
    "saved_in_version",
    "updated",
    "updated_in_version",
    "labels_size",
    "label_rule_counts",
    "rule_name",
    "new_ver",
    "num_frames",
    "_score",
    "_key",
)
"""What only a server says about a frame; a client that saves what it has read sends it back."""


@endpoint("datasets.save_frames", "annotator", raw="frames")
def save_frames(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"))
    require_draft(version)
    given = asked.items("frames")
    with calm():
        records, failed = _read(hub, version, given)
        failed |= _store(version, records)
    stored = [record for record in records if record.id not in failed]
    if stored:
        hub.service.tell(caller.who, "save frames", version, frames=len(stored))
    return _told(failed, stored, saved=len(stored))


@endpoint("datasets.update_frames", "annotator")
def update_frames(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    """Top-level fields that are sent replace those of the stored frame; what is not sent stays."""
    version = hub.version(asked.needed("version"))
    require_draft(version)
    given = [dict(item) for item in asked.items("frames") if isinstance(item, Mapping)]
    known = {record.id: wire.to_dict(record) for record in version.get_many([str(item.get("id")) for item in given])}
    merged, failed = [], {}
    for item in given:
        frame_id = str(item.get("id"))
        if frame_id in known:
            fields = {key: value for key, value in item.items() if value is not None and key not in _READ_ONLY}
            merged.append({**known[frame_id], **fields})
        else:
            failed[frame_id] = "there is no frame with this id in the version"
    records, refused = _read(hub, version, merged)
    failed |= refused | _store(version, records)
    stored = [record for record in records if record.id not in failed]
    if stored:
        hub.service.tell(caller.who, "update frames", version, frames=len(stored))
    return _told(failed, stored, updated=len(stored), merged=len(stored))


@endpoint("datasets.delete_frames", "annotator")
def delete_frames(hub: Hub, asked: Asked, caller: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"))
    require_draft(version)
    ids = asked.texts("frames") or []
    gone = version.delete_frames(ids)
    if gone:
        hub.service.tell(caller.who, "delete frames", version, frames=gone)
    return {"deleted": gone, "failed": 0, "errors": []}


def _told(failed: Mapping[str, str], stored: Sequence[Frame], **counts: int) -> dict[str, Any]:
    # The client takes what follows the first slash for the frame's id.
    return {
        **counts,
        "failed": len(failed),
        "errors": [{"_id": f"frame/{frame_id}", "error": error} for frame_id, error in failed.items()],
        "ids": [record.id for record in stored],
        "total_rois": sum(len(record.rois) for record in stored),
    }


def _read(hub: Hub, version: DatasetVersion, given: Sequence[Any]) -> tuple[list[Frame], dict[str, str]]:
    """The records of what was sent, and what is wrong with the others, by id."""
    vectors = {
        path: settings["dims"]
        for path, settings in Kept(version.dataset.row.extra).get("field_mappings", {}).items()
        if settings.get("type") == "dense_vector"
    }
    records: dict[str, Frame] = {}
    failed: dict[str, str] = {}
    for position, text in enumerate(given):
        record, item = _plain(text)
        found_id = record.id if record is not None else item.get("id") if isinstance(item, Mapping) else None
        frame_id = f"#{position}" if found_id is None else str(found_id)
        try:
            if record is None:
                record = wire.from_dict(_clean(item))
            else:
                wire.validate(record)
            record.id = record.id or wire.stable_id(record)
            _check_places(hub, record)
            _check_vectors(record, vectors)
        except SmaltiError as error:
            failed[frame_id] = str(error)
        else:
            failed.pop(frame_id, None)
            records[record.id] = record
    return list(records.values()), {key: text for key, text in failed.items() if key not in records}


def _plain(item: Any) -> tuple[Frame | None, Any]:
    """The record in a JSON text that needs no change, as nearly all do; else what the text holds."""
    if not isinstance(item, msgspec.Raw):
        return None, item
    try:
        return _frame(item), None
    except (msgspec.DecodeError, RecursionError):  # another dialect, keys that the records do not know, or no frame
        return None, _decode(item)


def _clean(item: Any) -> Any:
    if not isinstance(item, Mapping):
        raise FrameError(f"a frame is an object, not a {type(item).__name__}")
    found = {key: value for key, value in item.items() if key not in _READ_ONLY}
    rois = found.get("rois")
    if isinstance(rois, list):
        found["rois"] = [
            {key: value for key, value in roi.items() if key != "label_num"} if isinstance(roi, Mapping) else roi
            for roi in rois
        ]
    return found


def _check_places(hub: Hub, record: Frame) -> None:
    """Local files that this server may not read may not be named either; anything else may lie anywhere."""
    doors = hub.service.doors
    if doors.policy.own_files:
        return  # whoever asks owns the files of this machine, and nobody else can log in
    for uri in _uris(record):
        if _is_local(uri):
            try:
                doors.check_new(uri)
            except AccessDenied as error:
                raise FrameError(str(error)) from None


def _is_local(uri: str) -> bool:
    try:
        return parse_uri(uri).is_local
    except SmaltiError:  # a scheme of somebody else's: nothing that this server would open
        return False


def _uris(record: Frame) -> Iterable[str]:
    for source in record.sources:
        yield source.uri
        if source.preview is not None:
            yield source.preview.uri
        for mask in source.masks:
            yield mask.uri


def _check_vectors(record: Frame, vectors: Mapping[str, int]) -> None:
    for path, dims in vectors.items():
        found = vector_at(record.meta, path)
        if found is None:
            continue
        if not isinstance(found, list) or any(isinstance(x, bool) or not isinstance(x, int | float) for x in found):
            raise FrameError(f"frame {record.id!r}: $.{path} is no list of numbers; the dataset maps it as a vector")
        if len(found) != dims:
            raise FrameError(f"frame {record.id!r}: $.{path} has {len(found)} numbers; the dataset maps it with {dims}")


def _store(version: DatasetVersion, records: Sequence[Frame]) -> dict[str, str]:
    """Store records; in portions that need no lease, so that two clients may write at once."""
    failed: dict[str, str] = {}
    for start in range(0, len(records), FEW):
        for item in load_checked(version, records[start : start + FEW]):
            failed[item.id or "?"] = item.error
    return failed


@endpoint("datasets.get_sources", "viewer")
def get_sources(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"))
    return {"sources": sorted({source.uri for record in version.records() for source in record.sources})}


@endpoint("datasets.get_source_ids", "viewer")
def get_source_ids(hub: Hub, asked: Asked, _: Caller) -> dict[str, Any]:
    version = hub.version(asked.needed("version"))
    return {"source_ids": sorted({source.id for record in version.records() for source in record.sources})}


ENDPOINTS: list[Endpoint] = [value for value in list(globals().values()) if isinstance(value, Endpoint)]
