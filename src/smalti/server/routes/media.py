"""Pictures and clips, addressed by frame and source and never by URI."""

import io
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from smalti.codecs.sniff import HEAD_BYTES, sniff
from smalti.records import Source
from smalti.server.asking import AnyRequest, as_json
from smalti.server.auth import needs
from smalti.server.media import Media, conditional, digest, serve_file
from smalti.server.payloads.media import VideoInfo
from smalti.server.pictures import encode
from smalti.server.problems import Refusal
from smalti.server.routes.places import OF_SOURCE, SOURCE, SourcePlace
from smalti.server.service import Service

__all__ = ["ROUTES", "at_of"]

Hub = NamedDependency[Service]
_get = partial(get, sync_to_thread=True, guards=[needs("viewer")], tags=["media"], dependencies=OF_SOURCE)
Place = NamedDependency[SourcePlace]
Size = Annotated[int | None, QueryParameter(ge=16, le=16384)]
ThumbSize = Annotated[int, QueryParameter(ge=16, le=1024)]
At = Annotated[float | None, QueryParameter(ge=-1e12, le=1e12)]
_PLAYABLE = frozenset({"video/mp4", "video/webm", "video/quicktime", "video/ogg", "video/x-matroska"})
_TYPES = {"jpeg": "image/jpeg", "webp": "image/webp", "png": "image/png"}
MAX_PTS = 200_000


def at_of(source: Source, recorded: float, t: float | None) -> float:
    """Milliseconds into a file: what is recorded, moved by as much as `t` lies from the source's own time."""
    return float(recorded) if t is None else float(recorded) + (t - float(source.timestamp))


def _pts(pts_ms: float | None) -> dict[str, str]:
    return {} if pts_ms is None else {"X-Media-Pts": f"{pts_ms:.6f}"}


@_get(f"{SOURCE}/image", media_type="image/*")
def show_image(
    hub: Hub,
    request: AnyRequest,
    place: Place,
    t: At = None,
    size: Size = None,
    fmt: FromQuery[Literal["auto", "exact", "jpeg", "webp", "png"]] = "auto",
) -> Response[bytes]:
    """The picture of a source, as stored in orientation; for a clip the one at `t` milliseconds (X-Media-Pts says which).

    `fmt`: "auto" sends what a browser shows well, "exact" what decodes to the very same samples.
    """
    _, chosen = place.find(hub)
    return conditional(request, _image(hub, chosen, t, size, fmt))


def _image(hub: Service, source: Source, t: float | None, size: int | None, fmt: str) -> Media:
    uri, kind, at_ms = source.uri, source.content_type, at_of(source, source.timestamp, t)
    if fmt in ("auto", "exact") and size is None:
        stored = hub.pictures.as_stored(uri, kind)
        if stored is not None:
            data, found, name = stored
            return Media(data, found, name)
    if size is not None:
        rgb, _, name = hub.pictures.small(uri, kind, at_ms, size)
        pts_ms = None
    else:
        rgb, pts_ms, name = hub.pictures.image(uri, kind, at_ms)
    chosen = {"auto": "jpeg", "exact": "png"}.get(fmt, fmt)
    with hub.slots.one():
        data = encode(rgb, chosen)
    etag = digest(name.encode(), f"{at_ms:.6f} {size} {chosen}".encode())
    return Media(data, _TYPES[chosen], etag, headers=_pts(pts_ms))


@_get(f"{SOURCE}/preview", media_type="image/*")
def show_preview(hub: Hub, request: AnyRequest, place: Place) -> Response[bytes]:
    """The stand-in that the frame names for a source; where there is none, the source itself."""
    _, chosen = place.find(hub)
    preview = chosen.preview
    if preview is not None:
        chosen = Source(id=chosen.id, uri=preview.uri, content_type=preview.content_type, timestamp=preview.timestamp)
    return conditional(request, _image(hub, chosen, None, None, "auto"))


@_get(f"{SOURCE}/thumb", media_type="image/webp")
def show_thumb(
    hub: Hub,
    request: AnyRequest,
    place: Place,
    size: ThumbSize = 256,
    overlay: FromQuery[str | None] = None,
    t: At = None,
) -> Response[bytes]:
    """A WebP that fits into size × size; `overlay` = the id of a mask, or "masks" = the first that has labels."""
    found, chosen = place.find(hub)
    at_ms = at_of(chosen, chosen.timestamp, t)
    plan = found.overlay(chosen, overlay) if overlay else None
    mask_ms = 0.0 if plan is None else at_of(chosen, plan.mask.timestamp, t)
    etag, small = hub.thumbs.overlaid(chosen, at_ms, size, plan, mask_ms)
    return conditional(request, Media(small.data, "image/webp", etag))


@_get(f"{SOURCE}/video", media_type="video/*")
def show_video(hub: Hub, request: AnyRequest, place: Place) -> Response[Any] | Stream:
    """The clip itself for playback, in ranges. Only what the bytes show to be a video is sent."""
    _, chosen = place.find(hub)
    name, _ = hub.pictures.content(chosen.uri, chosen.content_type)
    file = hub.doors.open(chosen.uri)
    kind = sniff(file.read(HEAD_BYTES)) or ""
    if kind not in _PLAYABLE:
        file.close()
        raise Refusal(
            415, "content-type", f"source {chosen.id!r} is {kind or 'of no known format'}, not a clip to play"
        )
    size = file.seek(0, io.SEEK_END)
    return serve_file(request, file, size, kind, name)


@_get(f"{SOURCE}/video/info")
def show_video_info(hub: Hub, request: AnyRequest, place: Place) -> Response[VideoInfo]:
    """The pictures of a clip: size, codec and the presentation time of each."""
    _, chosen = place.find(hub)
    name, _ = hub.pictures.content(chosen.uri, chosen.content_type)
    with hub.slots.one(), hub.pictures.clip(chosen.uri, chosen.content_type, name) as clip:
        if len(clip) > MAX_PTS:
            raise Refusal(422, "decode", f"the clip has {len(clip)} pictures; at most {MAX_PTS} are listed")
        pts = clip.pts_ms.tolist()
        span = clip.last_ms - clip.first_ms
        info = VideoInfo(
            width=clip.size_hw[1],
            height=clip.size_hw[0],
            codec=clip.codec,
            content_type=clip.content_type,
            rotation=clip.rotation,
            lossy=clip.lossy,
            pictures=len(pts),
            first_ms=clip.first_ms,
            last_ms=clip.last_ms,
            fps=round((len(pts) - 1) * 1000 / span, 6) if span > 0 else None,
            pts_ms=pts,
            key_ms=clip.key_ms.tolist(),
            playable=clip.content_type in _PLAYABLE,
        )
    return as_json(info, etag=name, request=request)


ROUTES = [show_image, show_preview, show_thumb, show_video, show_video_info]
