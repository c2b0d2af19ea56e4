"""Frames under a data view: the class of every entry of a mask, and of every ROI."""

from functools import partial
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from smalti import kernels
from smalti.chosen import names_of
from smalti.server.asking import AnyRequest, as_json
from smalti.server.auth import needs
from smalti.server.classes import class_rows, classes_at, name_of
from smalti.server.media import digest
from smalti.server.payloads.classes import ClassesOut, EntryClass, RoiClasses, RoiClassOut
from smalti.server.payloads.media import MAX_ENTRIES
from smalti.server.routes.media import at_of
from smalti.server.routes.places import MASK, OF_MASK, MaskPlace
from smalti.server.service import Found, Service
from smalti.store.rows import ViewRow

__all__ = ["ROUTES"]

Hub = NamedDependency[Service]
_get = partial(get, sync_to_thread=True, guards=[needs("viewer")], tags=["dataviews"])
At = Annotated[float | None, QueryParameter(ge=-1e12, le=1e12)]
View = Annotated[str, QueryParameter(min_length=1, max_length=256)]


def _etag(hub: Service, found: Found, view: ViewRow, more: str = "") -> str:
    """Changes with the frame, with the view, and with the names that rules may go by."""
    names = msgspec.json.encode(names_of(hub.table(found.version)))
    return digest(found.etag.encode(), hub.row_etag(view).encode(), names, more.encode())


@_get(f"{MASK}/classes", dependencies=OF_MASK)
def show_classes(
    hub: Hub, request: AnyRequest, place: NamedDependency[MaskPlace], dataview: View, t: At = None
) -> Response[ClassesOut]:
    """What a data view makes of the numbers of an index map: the table by which the loader makes classes of this mask."""
    found, plan = place.find(hub)
    view = hub.view(dataview)
    mapped = hub.pictures.labels(plan, at_of(plan.source, plan.mask.timestamp, t))
    classes = classes_at(hub, found.version, view.spec)
    table = classes.table(mapped.map.legend)
    counts = kernels.count(mapped.map.data, len(table.legend) + 1)
    shown = ClassesOut(
        view=view.uuid,
        name=view.name,
        source=plan.source.id,
        mask=plan.mask.id,
        void=classes.mapping.void,
        numbered=bool(classes.mapping.numbers),
        rows=class_rows(classes, table, counts, MAX_ENTRIES),
        entries=[
            EntryClass(index=index, number=number, mapped=list(names))
            for index, (names, number) in enumerate(
                zip(table.names[:MAX_ENTRIES], table.classes[:MAX_ENTRIES], strict=True), 1
            )
        ],
    )
    return as_json(shown, etag=_etag(hub, found, view, mapped.etag), request=request)


@_get("/versions/{version:str}/frames/{frame:str}/classes")
def show_roi_classes(
    hub: Hub, request: AnyRequest, version: FromPath[str], frame: FromPath[str], dataview: View
) -> Response[RoiClasses]:
    """What a data view makes of the ROIs of a frame, those without a mask included."""
    found = hub.frame(hub.version(version), frame)
    view = hub.view(dataview)
    classes = classes_at(hub, found.version, view.spec)
    resolution = found.resolution()
    shown = RoiClasses(
        view=view.uuid,
        name=view.name,
        void=classes.mapping.void,
        numbered=bool(classes.mapping.numbers),
        rois=[
            RoiClassOut(
                roi=position,
                number=made.number,
                name=name_of(classes, made.names, made.number),
                mapped=list(made.names),
            )
            for position, made in enumerate(classes.of_rois(found.record, resolution))
        ],
    )
    legends = "".join(repr(plan.legend.entries) for plan in resolution.masks if plan.legend is not None)
    return as_json(shown, etag=_etag(hub, found, view, legends), request=request)


ROUTES = [show_classes, show_roi_classes]
