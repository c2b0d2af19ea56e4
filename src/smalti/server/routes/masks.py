"""Masks: index maps as raw numbers, what the numbers mean, and opacity."""

from functools import partial
from typing import Annotated, Any

import numpy as np
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from numpy.typing import NDArray

from smalti import kernels
from smalti.binding import MaskPlan
from smalti.ids import encoding_kind
from smalti.pixels import is_clip
from smalti.server.asking import AnyRequest, as_json
from smalti.server.auth import needs
from smalti.server.media import Media, conditional, digest
from smalti.server.payloads.media import MAX_ENTRIES, LegendOut, LegendRow, MaskOut, Unmapped
from smalti.server.payloads.polygons import Polygonize, Polygons
from smalti.server.pictures import Mapped
from smalti.server.routes.media import at_of
from smalti.server.routes.places import MASK, OF_MASK, OF_SOURCE, SOURCE, MaskPlace, SourcePlace
from smalti.server.service import Found, Service
from smalti.server.thumbs import fit
from smalti.server.tracing import polygons_of

__all__ = ["ROUTES"]

Hub = NamedDependency[Service]
_get = partial(get, sync_to_thread=True, guards=[needs("viewer")], tags=["masks"], dependencies=OF_MASK)
_post = partial(post, sync_to_thread=True, guards=[needs("viewer")], tags=["masks"], dependencies=OF_MASK)
Place = NamedDependency[MaskPlace]
At = Annotated[float | None, QueryParameter(ge=-1e12, le=1e12)]
Max = Annotated[int | None, QueryParameter(ge=1, le=65536)]
_STRANGERS = 50


@get(f"{SOURCE}/masks", sync_to_thread=True, guards=[needs("viewer")], tags=["masks"], dependencies=OF_SOURCE)
def list_masks(hub: Hub, place: NamedDependency[SourcePlace]) -> list[MaskOut]:
    """The masks of a source, none of them opened."""
    found, chosen = place.find(hub)
    return [_mask_out(plan) for plan in found.resolution().masks if plan.source.id == chosen.id]


def _mask_out(plan: MaskPlan) -> MaskOut:
    mask = plan.mask
    is_ids = plan.scheme is not None or plan.legend is None or plan.legend.kind == "ids"
    return MaskOut(
        id=mask.id,
        kind="alpha" if plan.is_alpha else "ids" if is_ids else "labels",
        content_type=mask.content_type,
        width=mask.width,
        height=mask.height,
        timestamp=float(mask.timestamp),
        encoding=mask.encoding if mask.encoding is None or encoding_kind(mask.encoding) is not None else None,
        video=is_clip(mask.uri, mask.content_type),
        entries=len(plan.legend) if plan.legend is not None else 0,
        labels=plan.legend.labels if plan.legend is not None else [],
    )


@_get(f"{MASK}/index", media_type="application/octet-stream")
def show_index(
    hub: Hub,
    request: AnyRequest,
    place: Place,
    t: At = None,
    max: Max = None,
) -> Response[bytes]:
    """The entry number of every pixel, row by row, little-endian; 0 = unmapped.

    X-Mask-Width, X-Mask-Height and X-Mask-Dtype say how to read it, X-Media-Pts which picture of a clip it is. With
    `max`, the map is reduced by nearest pixels until its longer side is at most that.
    """
    _, plan = place.find(hub)
    found = hub.pictures.labels(plan, at_of(plan.source, plan.mask.timestamp, t))
    data, etag = found.map.data, found.etag
    if max is not None and builtin_max(found.map.size_hw) > max:
        data = found.map.resize(fit(found.map.size_hw, max)).data
        etag = digest(etag.encode(), str(max).encode())
    return conditional(request, _raw(data, etag, found.map.pts_ms), hub.encoded.get_or)


builtin_max = max


def _raw(data: NDArray[Any], etag: str, pts_ms: float | None) -> Media:
    headers = {
        "X-Mask-Width": str(data.shape[1]),
        "X-Mask-Height": str(data.shape[0]),
        "X-Mask-Dtype": data.dtype.name,
    }
    if pts_ms is not None:
        headers["X-Media-Pts"] = f"{pts_ms:.6f}"
    stored = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
    body = stored.reshape(-1).view(np.uint8).data
    return Media(body, "application/octet-stream", etag, compress=True, headers=headers)


@_get(f"{MASK}/alpha", media_type="application/octet-stream")
def show_alpha(
    hub: Hub,
    request: AnyRequest,
    place: Place,
    t: At = None,
) -> Response[bytes]:
    """The mask read as opacity: one byte a pixel, 0..255; headers as for the index map."""
    _, plan = place.find(hub)
    at_ms = at_of(plan.source, plan.mask.timestamp, t)
    data, pts_ms, etag = hub.pictures.alpha(plan.mask.uri, plan.mask.content_type, at_ms)
    return conditional(request, _raw(data, etag, pts_ms), hub.encoded.get_or)


@_get(f"{MASK}/legend")
def show_legend(
    hub: Hub,
    request: AnyRequest,
    place: Place,
    t: At = None,
) -> Response[LegendOut]:
    """What the numbers of the index map mean: values, labels, colours, ROIs and pixels; and what is unmapped."""
    found, plan = place.find(hub)
    at_ms = at_of(plan.source, plan.mask.timestamp, t)
    mapped = hub.pictures.labels(plan, at_ms)
    unmapped = [
        Unmapped(value=color, pixels=count, nearest=near, apart=apart)
        for color, count, near, apart in list(hub.pictures.strangers(plan, at_ms, mapped))[:_STRANGERS]
    ]
    legend = _legend(found, plan, mapped, unmapped)
    return as_json(legend, etag=digest(mapped.etag.encode(), found.etag.encode()), request=request)


def _legend(found: Found, plan: MaskPlan, mapped: Mapped, unmapped: list[Unmapped]) -> LegendOut:
    labels = mapped.map
    legend = labels.legend
    counts, boxes = kernels.count_boxes(labels.data, len(legend) + 1)
    colors = legend.display_colors().tolist()
    rois = _rois_by_color(found, plan)
    rows = []
    for i, entry in enumerate(legend.entries[:MAX_ENTRIES], 1):
        value = entry.code if legend.kind != "colors" and entry.code is not None else entry.color
        mine = rois.get(entry.color, []) if entry.color is not None else rois.get(entry.code, [])
        rows.append(
            LegendRow(
                index=i,
                value=list(value) if isinstance(value, tuple) else value,
                stored_color=entry.color,
                code=entry.code,
                labels=list(entry.labels),
                color=(colors[i][0], colors[i][1], colors[i][2]),
                rois=mine,
                roi_ids=[str(found.record.rois[r].id) for r in mine if found.record.rois[r].id is not None],
                pixels=int(counts[i]),
                box2d_xywh=tuple(int(v) for v in boxes[i]) if counts[i] else None,  # type: ignore[arg-type]
            )
        )
    height, width = labels.size_hw
    return LegendOut(
        mask=plan.mask.id,
        source=plan.source.id,
        kind=legend.kind,
        scheme=legend.scheme,
        width=width,
        height=height,
        dtype=labels.data.dtype.name,  # type: ignore[arg-type]
        entries=rows,
        void=int(counts[0]),
        unmapped=unmapped,
        policy=labels.policy,
        settled={key: int(value) for key, value in labels.settled.items()},
        notes=list(labels.notes),
        mode=labels.mode,
        codec=labels.codec,
        pts_ms=labels.pts_ms,
        etag=mapped.etag,
    )


def _rois_by_color(found: Found, plan: MaskPlan) -> dict[Any, list[int]]:
    """Positions of the ROIs that name a value of this mask, by colour or by stored number."""
    rois: dict[Any, list[int]] = {}
    for binding in found.resolution():
        if (binding.source, binding.mask) == (plan.source.id, plan.mask.id):
            key: Any = binding.color[0] if len(binding.color) == 1 else binding.color[:3]
            rois.setdefault(key, []).append(binding.roi)
    return rois


@_post(f"{MASK}/polygonize", status_code=200)
def polygonize(
    hub: Hub,
    request: AnyRequest,
    place: Place,
    data: JSONBody[Polygonize],
) -> Response[Polygons]:
    """The regions of a mask as polygons with holes; nothing is stored."""
    hub.statistics.spend(str(request.scope.get("smalti.identity")))
    _, plan = place.find(hub)
    found = hub.pictures.labels(plan, at_of(plan.source, plan.mask.timestamp, data.t)).map
    wanted = set(data.index or ())
    names = set(data.labels or ())
    everything = data.index is None and data.labels is None
    entries = enumerate(found.legend.entries, 1)
    wanted |= {i for i, entry in entries if everything or names.intersection(entry.labels)}
    with hub.slots.one():
        traced = polygons_of(found, wanted, data.tolerance, data.min_area)
    height, width = found.size_hw
    return as_json(Polygons(polygons=traced, width=width, height=height))


ROUTES = [list_masks, show_index, show_alpha, show_legend, polygonize]
