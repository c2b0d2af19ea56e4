"""Frames: found, read, edited, added, removed."""

from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from smalti import wire
from smalti.binding import resolve
from smalti.errors import FrameError, LegendError, MaskReferenceError, VersionFrozen
from smalti.records import Frame
from smalti.server.asking import AnyRequest, as_json, check_json, must_match, who
from smalti.server.auth import RANKS, Identity, needs
from smalti.server.jsonpatch import apply_patch
from smalti.server.payloads.accounts import Deleted
from smalti.server.payloads.frames import (
    Binding,
    FailedOut,
    FrameCopy,
    FrameOut,
    FramePatch,
    Ids,
    NewFrames,
    Search,
    SearchPage,
    Stored,
)
from smalti.server.problems import Refusal
from smalti.server.search import ids_of, page
from smalti.server.service import Found, Service, plain
from smalti.store import DatasetVersion

__all__ = ["ROUTES", "uris_of"]

Hub = NamedDependency[Service]
_ONE = "/versions/{version:str}/frames/{frame:str}"
MAX_FRAME_BYTES = 4 << 20


@post(
    "/versions/{version:str}/frames/search",
    sync_to_thread=True,
    status_code=200,
    guards=[needs("viewer")],
    tags=["frames"],
)
def search_frames(hub: Hub, version: FromPath[str], data: JSONBody[Search]) -> Response[SearchPage]:
    """The frames that filters and a query let through, page by page."""
    return as_json(page(hub, hub.version(version), data))


@post(
    "/versions/{version:str}/frames/ids",
    sync_to_thread=True,
    status_code=200,
    guards=[needs("viewer")],
    tags=["frames"],
)
def list_ids(hub: Hub, version: FromPath[str], data: JSONBody[Search]) -> Ids:
    """The ids that a search finds, in order: what comes before and after a frame."""
    ids, total, offset = ids_of(hub, hub.version(version), data)
    return Ids(ids=ids, total=total, offset=offset)


@get(_ONE, sync_to_thread=True, guards=[needs("viewer")], tags=["frames"])
def show_frame(hub: Hub, request: AnyRequest, version: FromPath[str], frame: FromPath[str]) -> Response[FrameOut]:
    """A frame as it stands in a version, and which masks its ROIs speak of."""
    found = hub.frame(hub.version(version), frame)
    return _answer(found, who(request), request)


def _answer(
    found: Found, identity: Identity, request: AnyRequest | None = None, status: int = 200
) -> Response[FrameOut]:
    version = found.version
    state = version.state
    bindings: list[Binding] = []
    problems: list[str] = []
    try:
        bindings = [
            Binding(
                roi=b.roi, source=b.source, mask=b.mask, value=list(b.color), labels=list(b.labels), rule=int(b.rule)
            )
            for b in found.resolution()
        ]
    except (MaskReferenceError, LegendError) as error:
        problems.append(str(error))
    shown = FrameOut(
        frame=msgspec.Raw(wire.dump(found.record)),  # type: ignore[arg-type]  # the wire's JSON, unknown keys and all
        etag=found.etag,
        version=version.id,
        dataset=version.dataset.id,
        state=state,
        editable=state == "draft" and RANKS[identity.role] >= RANKS["annotator"],
        bindings=bindings,
        problems=problems,
    )
    return as_json(shown, etag=found.etag, request=request, status=status)


def uris_of(frame: Frame) -> set[str]:
    """Everything that a frame names."""
    uris = {source.uri for source in frame.sources}
    uris |= {source.preview.uri for source in frame.sources if source.preview is not None}
    return uris | {mask.uri for source in frame.sources for mask in source.masks}


def _require_draft(version: DatasetVersion) -> None:
    state = version.state
    if state != "draft":
        raise VersionFrozen(f"version {version.dataset.name}@{version.name} is {state}, and only a draft can change")


def _check(hub: Service, frame: Frame, known: Iterable[str] = ()) -> None:
    """Refuse what nobody should add over HTTP."""
    for uri in sorted(uris_of(frame) - set(known)):
        hub.doors.check_new(uri)
    check_json(frame.meta, "$.meta")
    check_json(wire.to_dict(frame), "$", max_bytes=MAX_FRAME_BYTES)


@patch(_ONE, sync_to_thread=True, guards=[needs("annotator")], tags=["frames"])
def edit_frame(
    hub: Hub, request: AnyRequest, version: FromPath[str], frame: FromPath[str], data: JSONBody[FramePatch]
) -> Response[FrameOut]:
    """Edit a frame of a draft. Needs If-Match; 412 = somebody else was quicker, 409 = the version is published."""
    place = hub.version(version)
    _require_draft(place)
    with hub.editing(f"{place.id} {plain(frame)}"):
        found = hub.frame(place, frame)
        must_match(request, found.etag)
        edited = _edited(found.record, data)
        _check(hub, edited, uris_of(found.record))
        _resolves(place, edited, found.record)
        etag = place.update_frame(edited, if_match=found.etag)
    identity = who(request)
    hub.tell(identity, "edit frame", place, frame=edited.id, before=found.etag, after=etag)
    _tell(hub, "frame.updated", place, identity, frame=edited.id, etag=etag)
    return _answer(Found(place, edited, etag), identity)


def _tell(hub: Service, kind: str, version: DatasetVersion, identity: Identity, **detail: Any) -> None:
    hub.events.publish(kind, dataset=version.dataset.id, version=version.id, who=identity.name, **detail)


@post(f"{_ONE}/copy", sync_to_thread=True, guards=[needs("annotator")], tags=["frames"])
def copy_frame(
    hub: Hub, request: AnyRequest, version: FromPath[str], frame: FromPath[str], data: JSONBody[FrameCopy]
) -> Response[FrameOut]:
    """Store a frame beside the one it was made of: what remains of an edit when somebody else was quicker.

    Nothing is replaced: 409 where `id` is taken.
    """
    place = hub.version(version)
    _require_draft(place)
    with hub.editing(f"{place.id} copies"):
        original = hub.frame(place, frame).record
        name = data.id if data.id is not None else _free(place, plain(frame))
        if name in place:
            raise Refusal(409, "taken", f"the version has a frame {name!r} already; choose another id")
        record = wire.from_dict({**data.frame, "id": name}, where="$.frame")
        _check(hub, record, uris_of(original))
        _resolves(place, record, original)
        failed = place.add_frames([record])
        if failed:
            raise FrameError(failed[0].error, path="$.frame")
    identity = who(request)
    stored = hub.frame(place, name)
    hub.tell(identity, "copy frame", place, frame=name, of=plain(frame))
    _tell(hub, "frames.added", place, identity, stored=1)
    return _answer(stored, identity, status=201)


def _free(version: DatasetVersion, frame_id: str) -> str:
    """An id with "-copy" behind it that nobody has."""
    names = [f"{frame_id}-copy", *(f"{frame_id}-copy-{number}" for number in range(2, 1000))]
    taken = {frame.id for frame in version.get_many(names)}
    return next(name for name in names if name not in taken)


def _edited(record: Frame, data: FramePatch) -> Frame:
    document = wire.to_dict(record)
    if data.patch is not msgspec.UNSET:
        document = apply_patch(document, data.patch)
    if data.rois is not msgspec.UNSET:
        document["rois"] = data.rois
    if data.meta is not msgspec.UNSET:
        document["meta"] = data.meta
    edited = wire.from_dict(document, where=f"frame {record.id!r}")
    if edited.id != record.id:
        raise Refusal(422, "frame", f"$.id is {edited.id!r} after the edit; the id {record.id!r} stays", path="$.id")
    return edited


def _resolves(version: DatasetVersion, edited: Frame, before: Frame) -> None:
    """An edit must not make a frame unreadable; one that was so before may be mended step by step."""
    legends = version.get_masks_labels() or None
    try:
        resolve(edited, legends)
    except (MaskReferenceError, LegendError):
        try:
            resolve(before, legends)
        except (MaskReferenceError, LegendError):
            return
        raise


@delete(_ONE, sync_to_thread=True, status_code=200, guards=[needs("annotator")], tags=["frames"])
def delete_frame(hub: Hub, request: AnyRequest, version: FromPath[str], frame: FromPath[str]) -> Deleted:
    """Remove a frame from a draft. Needs If-Match."""
    place = hub.version(version)
    _require_draft(place)
    with hub.editing(f"{place.id} {plain(frame)}"):
        found = hub.frame(place, frame)
        must_match(request, found.etag)
        place.delete_frames([plain(frame)])
    identity = who(request)
    hub.tell(identity, "delete frame", place, frame=plain(frame))
    _tell(hub, "frame.deleted", place, identity, frame=plain(frame))
    return Deleted(deleted=plain(frame))


@post(
    "/versions/{version:str}/frames", sync_to_thread=True, status_code=200, guards=[needs("annotator")], tags=["frames"]
)
def add_frames(hub: Hub, request: AnyRequest, version: FromPath[str], data: JSONBody[NewFrames]) -> Stored:
    """Store frames in a draft; those with an id that is there already are replaced."""
    place = hub.version(version)
    _require_draft(place)
    records, failed = _read(hub, place, data.frames)
    failed += [FailedOut(id=item.id, error=item.error, kind=item.kind) for item in place.add_frames(records)]
    identity = who(request)
    stored = len(data.frames) - len(failed)
    hub.tell(identity, "add frames", place, stored=stored, failed=len(failed))
    _tell(hub, "frames.added", place, identity, stored=stored)
    return Stored(stored=stored, failed=failed)


def _read(hub: Service, version: DatasetVersion, given: list[dict[str, Any]]) -> tuple[list[Frame], list[FailedOut]]:
    records: list[Frame] = []
    failed: list[FailedOut] = []
    ids = [str(item["id"]) for item in given if isinstance(item.get("id"), str | int)]
    known = {frame.id: uris_of(frame) for frame in version.get_many(ids)} if ids else {}
    for number, item in enumerate(given):
        try:
            record = wire.from_dict(item, where=f"$.frames[{number}]")
            _check(hub, record, known.get(record.id, ()))
        except (FrameError, Refusal, OSError) as error:
            name = item.get("id")
            failed.append(FailedOut(id=None if name is None else str(name), error=str(error), kind="validation"))
            continue
        records.append(record)
    return records, failed


ROUTES = [search_frames, list_ids, show_frame, edit_frame, copy_frame, delete_frame, add_frames]
