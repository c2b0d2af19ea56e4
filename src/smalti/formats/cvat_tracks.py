"""CVAT for video: annotations.xml with a track per object and a shape per picture in which it is seen.

CVAT writes the shapes between key frames out as well, so nothing is interpolated here. The pictures are
`images/frame_000012.png`, or the video that the file names, which is read at the exact time of each picture.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from smalti.codecs import open_clip
from smalti.errors import FrameError
from smalti.formats.building import frame_of
from smalti.formats.cvat_shapes import roi_of
from smalti.formats.files import pictures
from smalti.formats.protocol import Reading
from smalti.frames import SingleFrame
from smalti.records import Roi

__all__ = ["read_tracks"]


def read_tracks(file: Path, images: Path, options: Reading) -> Iterator[SingleFrame]:
    """A frame per picture that has shapes or an image file, in order; `context_id` is the video.

    The annotations of one file are held in memory: a track comes whole, a frame needs all tracks.
    """
    size_hw, video, tracks = _parse(file)
    by_number: dict[int, list[Roi]] = defaultdict(list)
    for track in tracks:
        for number, roi in _shapes(track, size_hw, file, options):
            by_number[number].append(roi)
    stills = _stills(images)
    clip = next((p for base in (images, file.parent) if (p := base / video).is_file()), None) if video else None
    times_ms = _times_ms(clip) if clip is not None and not stills else None
    context = video or file.parent.name
    lacking = 0
    for number in sorted({*by_number, *stills}):
        rois = sorted(by_number[number], key=lambda roi: int(roi.meta.get("z_order", 0)))
        place = stills.get(number) or (clip if times_ms is not None and number < len(times_ms) else None)
        lacking += place is None
        size = size_hw if all(size_hw) else None
        frame = frame_of(
            f"{context}/{number:06d}", place, rois=rois, size_hw=size, context=context, meta={"frame_number": number}
        )
        if place is not None and place == clip and times_ms is not None:
            frame.source_record.timestamp = float(times_ms[number])
        frame.record.timestamp = float(times_ms[number]) if times_ms is not None and number < len(times_ms) else number
        yield frame
    if lacking:
        options.skip(f"{file.name}: {lacking} of its pictures were found neither as images nor in a video {video!r}")


def _parse(file: Path) -> tuple[tuple[int, int], str, list[ElementTree.Element]]:
    """(height, width) of the pictures, the name of the video, and the tracks."""
    size = {"height": 0, "width": 0}
    video = ""
    tracks: list[ElementTree.Element] = []
    parents: list[str] = []
    try:
        for event, element in ElementTree.iterparse(file, ("start", "end")):
            if event == "start":
                parents.append(element.tag)
                continue
            parents.pop()
            if parents and parents[-1] == "original_size" and element.tag in size:
                size[element.tag] = int(element.text or 0)
            elif element.tag == "source" and "meta" in parents:
                video = Path(element.text or "").name
            elif element.tag == "track":
                tracks.append(element)
    except ElementTree.ParseError as error:
        raise FrameError(f"{file}: {error}") from None
    return (size["height"], size["width"]), video, tracks


def _shapes(
    track: ElementTree.Element, size_hw: tuple[int, int], file: Path, options: Reading
) -> Iterator[tuple[int, Roi]]:
    """(number of the picture, annotation) of every picture in which the object is seen."""
    for shape in track:
        if shape.get("outside") == "1":
            continue
        number = int(shape.get("frame", 0))
        roi = roi_of(shape, size_hw, f"{file.name}: picture {number}", options, track.get("label", ""))
        if roi is not None:
            roi.id = track.get("id")
            told: dict[str, Any] = {"keyframe": shape.get("keyframe") == "1"}
            if track.get("group_id", "0") != "0":
                told["group_id"] = int(track.get("group_id", 0))
            roi.meta.update(told)
            yield number, roi


def _stills(images: Path) -> dict[int, Path]:
    found = pictures(images / "images") or pictures(images)
    told = ((path, path.stem.removeprefix("frame_")) for path in found if path.stem.startswith("frame_"))
    return {int(number): path for path, number in told if number.isdigit()}


def _times_ms(clip: Path) -> NDArray[np.float64]:
    with clip.open("rb") as file, open_clip(file) as opened:
        return opened.pts_ms.copy()
