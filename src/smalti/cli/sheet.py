"""Overlays of a whole clip: a contact sheet, or an MP4."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.blend import overlay
from smalti.cli.output import progress
from smalti.errors import DecodeError
from smalti.frames import SingleFrame
from smalti.pixels import is_clip, join, open_clip

__all__ = ["write_clip"]

SHEET_WIDTH = 1600
GAP = 6
_MILLISECOND = Fraction(1, 1000)


def write_clip(
    frame: SingleFrame,
    mask_id: str | None,
    options: dict[str, Any],
    style: dict[str, Any],
    output: str,
    sheet: int | None,
) -> dict[str, Any]:
    """Write overlays along the clip of a frame's source; returns what was written."""
    source = frame.source_record
    if not is_clip(source.uri, source.content_type):
        raise DecodeError(f"{source.uri} is not a clip: --sheet and .mp4 need a video source")
    with open_clip(join(source.uri, frame.base), source.content_type) as clip:
        times = [float(t) for t in clip.pts_ms]
    offset = _mask_offset(frame, mask_id)
    chosen = (
        times
        if sheet is None
        else [times[round(i * (len(times) - 1) / max(sheet - 1, 1))] for i in range(min(sheet, len(times)))]
    )
    pictures = _overlays(frame, mask_id, options, style, chosen, offset)
    if sheet is not None:
        _write_sheet(list(pictures), chosen, output)
    else:
        _write_mp4(pictures, times, output)
    return {"pictures": len(chosen), "first_ms": chosen[0], "last_ms": chosen[-1]}


def _mask_offset(frame: SingleFrame, mask_id: str | None) -> float:
    """How far the mask's clock is ahead of the source's in this frame, in milliseconds."""
    masks = frame.source_record.masks
    mask = next((m for m in masks if mask_id in (None, m.id)), None)
    return 0.0 if mask is None else float(mask.timestamp) - float(frame.timestamp)


def _overlays(
    frame: SingleFrame,
    mask_id: str | None,
    options: dict[str, Any],
    style: dict[str, Any],
    times: list[float],
    offset: float,
) -> Any:
    with progress("drawing", len(times)) as advance:
        for done, at_ms in enumerate(times, 1):
            moment = frame.copy()
            moment.timestamp = at_ms
            for mask in moment.source_record.masks:
                mask.timestamp = at_ms + offset
            seg = moment.label_map(mask_id, **{**options, "clamp": True})
            yield overlay(moment.image(), seg, **style)
            advance(done)


def _write_sheet(pictures: list[NDArray[np.uint8]], times: list[float], output: str) -> None:
    from PIL import Image, ImageDraw, ImageFont

    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    height, width = pictures[0].shape[:2]
    cell_w = min(width, SHEET_WIDTH // columns)
    cell_h = max(1, round(height * cell_w / width))
    sheet = Image.new("RGB", (columns * (cell_w + GAP) - GAP, rows * (cell_h + GAP) - GAP), "white")
    for position, picture in enumerate(pictures):
        small = Image.fromarray(picture).resize((cell_w, cell_h))
        said = f"{times[position] / 1000:.3f} s"
        draw, font = ImageDraw.Draw(small), ImageFont.load_default(size=min(14, max(cell_h // 8, 8)))
        draw.text((4, 2), said, font=font, fill="white", stroke_width=1, stroke_fill="black")
        sheet.paste(small, (position % columns * (cell_w + GAP), position // columns * (cell_h + GAP)))
    sheet.save(output)


def _write_mp4(pictures: Any, times: list[float], output: str) -> None:
    import av

    with av.open(output, "w") as container:
        stream = None
        for at_ms, picture in zip(times, pictures, strict=True):
            height, width = (side - side % 2 for side in picture.shape[:2])
            if stream is None:
                stream = container.add_stream("libx264", rate=1000)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.time_base = stream.codec_context.time_base = _MILLISECOND
            video = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
            video.pts, video.time_base = round(at_ms - times[0]), _MILLISECOND
            container.mux(stream.encode(video))
        if stream is not None:
            container.mux(stream.encode())
