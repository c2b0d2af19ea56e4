"""Write the street to a folder: pictures, masks, clips and the frames that tie them together."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import wire
from smalti.demo.scene import LEGEND, Moment, Street
from smalti.frames import SingleFrame

__all__ = ["write_demo"]

PICTURES = 8
CLIP_PICTURES = 45
CLIP_RATE = 15


def write_demo(folder: Path) -> dict[str, Path]:
    """Write the demo's data; returns what was written by name. URIs in the frames are relative to the folder."""
    street = Street()
    for name in ("images", "masks", "instances", "clips"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    frames = [_still(folder, street, number) for number in range(PICTURES)]
    clip = _clip(folder, street)
    (folder / "frames.jsonl").write_bytes(b"".join(wire.dump_line(frame.record) for frame in frames))
    (folder / "frame.json").write_bytes(wire.dump(frames[0].record, indent=2))
    (folder / "clip.json").write_bytes(wire.dump(clip.record, indent=2))
    return {name: folder / name for name in ("frame.json", "frames.jsonl", "clip.json")}


def _annotate(frame: SingleFrame) -> None:
    for entry in LEGEND:
        frame.add_annotation(mask_rgb=entry.color, mask_id="seg", labels=list(entry.labels))


def _still(folder: Path, street: Street, number: int) -> SingleFrame:
    moment = street.at(number * 0.8)
    stem = f"street_{number:02d}"
    _save(folder / "images" / f"{stem}.jpg", moment.image, quality=90)
    _save(folder / "masks" / f"{stem}.png", moment.colors)
    _save(folder / "instances" / f"{stem}.png", moment.instances)
    frame = SingleFrame(
        f"images/{stem}.jpg",
        id=stem,
        width=street.width,
        height=street.height,
        content_type="image/jpeg",
        masks_source={"seg": f"masks/{stem}.png", "objects": f"instances/{stem}.png"},
        context_id="street",
        metadata={"city": "Ravenna" if number % 2 else "Bremen", "hour": 8 + number},
    )
    frame.record.timestamp = round(number * 800)
    for mask in frame.source_record.masks:
        mask.content_type = "image/png"
    frame.source_record.masks[1].encoding = "plain"
    _annotate(frame)
    for segment_id, box in _boxes(moment):
        label = "car" if segment_id < 10 else "person"
        frame.add_annotation(box2d_xywh=box, labels=[label], confidence=0.9, metadata={"object": segment_id})
    return frame


def _boxes(moment: Moment) -> list[tuple[int, list[int]]]:
    found = []
    for number in np.unique(moment.instances[moment.instances > 0]).tolist():
        rows, columns = np.nonzero(moment.instances == number)
        top, left = int(rows.min()), int(columns.min())
        found.append((number, [left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1]))
    return found


def _clip(folder: Path, street: Street) -> SingleFrame:
    moments = [street.at(number / CLIP_RATE) for number in range(CLIP_PICTURES)]
    _encode(folder / "clips" / "street.mp4", [m.image for m in moments], crf=20)
    _encode(folder / "clips" / "street_seg.mp4", [m.colors for m in moments], crf=18)
    frame = SingleFrame(
        "clips/street.mp4",
        id="clip",
        width=street.width,
        height=street.height,
        content_type="video/mp4",
        timestamp=1000,
        masks_source={"seg": "clips/street_seg.mp4"},
        context_id="clip",
    )
    mask = frame.source_record.masks[0]
    mask.content_type, mask.timestamp = "video/mp4", 1000
    _annotate(frame)
    return frame


def _save(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path, **options)


def _encode(path: Path, pictures: list[NDArray[np.uint8]], *, crf: int) -> None:
    """H.264 4:2:0, as a camera or a careless exporter would write it: this is what lossy masks look like."""
    import av

    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=CLIP_RATE, options={"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, picture in enumerate(pictures):
            video = av.VideoFrame.from_ndarray(picture, format="rgb24")
            video.pts, video.time_base = number, Fraction(1, CLIP_RATE)
            container.mux(stream.encode(video))
        container.mux(stream.encode())
