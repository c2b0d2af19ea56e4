"""What a grid of frames shows, in one body: small pictures, small index maps, shapes. Pages lay the one over the other."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from smalti.errors import LegendError, MaskReferenceError, SmaltiError
from smalti.geometry import box_of_points, corners_of_box
from smalti.mapped import PlaceClasses, RoiClass
from smalti.parallel import available_cores, ordered_map
from smalti.records import Source
from smalti.server.asking import AnyRequest
from smalti.server.auth import needs
from smalti.server.classes import classes_at, thumb_class, thumb_classes
from smalti.server.media import Sent, encode_body, negotiate
from smalti.server.payloads.thumbs import (
    ThumbBatch,
    ThumbClass,
    Thumbed,
    ThumbEntry,
    ThumbItem,
    ThumbLabels,
    ThumbLegend,
    ThumbPicture,
    ThumbRoi,
    ThumbsAsked,
)
from smalti.server.problems import Refusal
from smalti.server.routes.media import at_of
from smalti.server.routes.views import checked_spec
from smalti.server.service import Found, Service, plain
from smalti.server.thumbs import Small, SmallLegend, SmallMap

__all__ = ["ROUTES"]

Hub = NamedDependency[Service]
_SHAPES = {"b2d": "box", "p2d": "polygon", "elp": "ellipse", "k2d": "point"}
_MAX_NUMBERS = 2_000
_Made = tuple[Thumbed, tuple[str, Small] | None, tuple[str, SmallMap] | None]


@post(
    "/versions/{version:str}/masks/thumbs",
    sync_to_thread=True,
    status_code=200,
    guards=[needs("viewer")],
    tags=["masks"],
    media_type="application/octet-stream",
)
def make_thumbs(hub: Hub, request: AnyRequest, version: FromPath[str], data: JSONBody[ThumbsAsked]) -> Response[bytes]:
    """Small pictures and small index maps of up to 64 frames in one body.

    Four bytes, little-endian: the length of the JSON that follows (`items`, `legends`); then the blobs, whose offsets
    count from the end of that JSON. A map has the size of its picture, so that a page draws one over the other.
    """
    place = hub.version(version)
    frames = hub.frames(place, [plain(item.frame) for item in data.items])
    classes = None if data.spec is None else classes_at(hub, place, checked_spec(data.spec))
    made = ordered_map(
        lambda item: _make(hub, frames.get(plain(item.frame)), item, data, classes),
        data.items,
        workers=available_cores(),
    )
    body = b"".join(_packed(list(made), classes))
    encoding = negotiate(request.headers.get("accept-encoding", ""))
    headers = {"Cache-Control": "private, no-store", "Vary": "Accept-Encoding"}
    if encoding != "identity":
        headers["Content-Encoding"] = encoding
        body = encode_body(body, encoding)
    return Sent(body, status=200, headers=headers, media_type="application/octet-stream")


def _make(
    hub: Service, found: Found | None, item: ThumbItem, asked: ThumbsAsked, classes: PlaceClasses | None
) -> _Made:
    """One item; what is wrong with it stands in it."""
    shown = Thumbed(frame=item.frame)
    picture: tuple[str, Small] | None = None
    labels: tuple[str, SmallMap] | None = None
    if found is None:
        shown.error = f"the version has no frame {item.frame!r}"
        return shown, None, None
    try:
        source = found.source(item.source) if item.source is not None else found.record.sources[0]
        shown.source, shown.width, shown.height = source.id, source.width, source.height
        if asked.shapes:
            shown.rois = list(_shapes(found, source, classes))
        if asked.pictures:
            picture = hub.thumbs.picture(source, at_of(source, source.timestamp, item.t), asked.size)
            shown.height, shown.width = picture[1].full_hw
    except (SmaltiError, OSError, Refusal) as error:
        shown.error = str(error)
    if asked.labels and item.mask is not None and shown.source is not None:
        try:
            plan = found.overlay(found.source(shown.source), item.mask)
            if plan is not None:
                shown.mask = plan.mask.id
                at_ms = at_of(plan.source, plan.mask.timestamp, item.t)
                labels = hub.thumbs.labels(plan, at_ms, asked.size, picture[1].size_hw if picture else None)
        except (SmaltiError, OSError, Refusal) as error:
            shown.error = f"{shown.error}; {error}" if shown.error else str(error)
    return shown, picture, labels


def _shapes(found: Found, source: Source, classes: PlaceClasses | None) -> Iterator[ThumbRoi]:
    made: list[RoiClass] | None = None
    if classes is not None:
        with suppress(LegendError, MaskReferenceError):
            made = classes.of_rois(found.record, found.resolution())
    for number, roi in enumerate(found.record.rois):
        if not roi.poly or (roi.sources and source.id not in roi.sources):
            continue
        shape: Any = _SHAPES.get(str(roi.meta.get("_type", "p2d")))
        if shape is None:
            continue
        points = [float(value) for value in roi.poly]
        if len(points) > _MAX_NUMBERS:
            shape, points = "box", corners_of_box(box_of_points(points))
        confidence = None if roi.confidence is None else float(roi.confidence)
        yield ThumbRoi(
            roi=number,
            shape=shape,
            points=points,
            labels=list(roi.label),
            confidence=confidence,
            class_=None if classes is None or made is None else thumb_class(classes, made[number]),
        )


def _entries(meaning: SmallLegend, classes: PlaceClasses | None) -> list[ThumbEntry]:
    """What the numbers of a map mean; without classes where labels contradict each other, so that something is shown."""
    made: list[ThumbClass] | list[None] = [None] * len(meaning.entries)
    if classes is not None:
        with suppress(LegendError):
            made = thumb_classes(classes, meaning.legend())
    return [
        ThumbEntry(index=e.index, labels=e.labels, color=e.color, class_=c)
        for e, c in zip(meaning.entries, made, strict=True)
    ]


def _packed(made: list[_Made], classes: PlaceClasses | None) -> list[bytes]:
    """Length, JSON, blobs. What several items share is sent once."""
    blobs: list[bytes] = []
    places: dict[str, int] = {}
    legends: dict[str, int] = {}
    told: list[ThumbLegend] = []
    size = 0

    def place(etag: str, data: bytes) -> int:
        nonlocal size
        if etag not in places:
            places[etag] = size
            blobs.append(data)
            size += len(data)
        return places[etag]

    for shown, picture, labels in made:
        if picture is not None:
            etag, small = picture
            height, width = small.size_hw
            shown.picture = ThumbPicture(
                offset=place(etag, small.data),
                length=len(small.data),
                type="image/webp",
                width=width,
                height=height,
                etag=etag,
            )
        if labels is not None:
            etag, found = labels
            if found.legend not in legends:
                legends[found.legend] = len(told)
                told.append(ThumbLegend(kind=found.meaning.kind, entries=_entries(found.meaning, classes)))
            height, width = found.size_hw
            shown.labels = ThumbLabels(
                offset=place(etag, found.data),
                length=len(found.data),
                width=width,
                height=height,
                dtype=found.dtype,  # type: ignore[arg-type]  # NumPy's name of a kept map's dtype
                legend=legends[found.legend],
                etag=etag,
            )
    head = msgspec.json.encode(ThumbBatch(items=[shown for shown, _, _ in made], legends=told))
    return [len(head).to_bytes(4, "little"), head, *blobs]


ROUTES = [make_thumbs]
