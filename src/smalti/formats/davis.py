"""Video objects: `Annotations/<video>/<number>.png` with `JPEGImages/<video>` (DAVIS, YouTube-VOS), and VIPSeg's folders.

Masks are palettes (or grey) whose index is the number of an object; ids mean the same object along a video (in VIPSeg
only within one picture). meta.json (YouTube-VOS) and JSON beside a mask (VIPSeg) name categories.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from smalti.errors import FrameError
from smalti.formats.building import frame_of, mask_of
from smalti.formats.content import Painted
from smalti.formats.files import decode_json, folders, pictures, png_mode
from smalti.formats.folder import find_legend
from smalti.formats.folder_names import MASK_FOLDERS
from smalti.formats.losses import Ledger
from smalti.formats.output import each_painted, fresh_folder, place_image, run, safe_name, voc_palette, write_png
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import Entry, Legend

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "folders of numbered masks, one per video: Annotations/<video>/00000.png"
SAYS = frozenset({"instances", "ids", "context", "timestamp"})

RATE = 24.0
_MASK_FOLDERS = ("annotations", "panomasks", "panomasksrgb")
_IMAGE_FOLDERS = ("jpegimages", "imgs", "images", "frames")
_NUMBER = re.compile(r"^(?:.*\D)?(\d+)$")


class _Object(msgspec.Struct):
    id: int
    category_id: int | None = None
    isthing: bool | None = None


class _Named(msgspec.Struct):
    category: str = ""


class _Video(msgspec.Struct):
    objects: dict[str, _Named] = {}


class _Meta(msgspec.Struct):
    videos: dict[str, _Video] = {}


def _videos(path: Path) -> list[Path]:
    """Folders of numbered palette (or grey) masks, at or below a path."""
    found = []
    for folder in folders(path, depth=4):
        masks = [p for p in pictures(folder) if p.suffix.lower() == ".png"]
        if not _is_annotated(folder):
            masks = _numbered(masks)
        if len(masks) < 1 or folder.parent.name.lower() in _IMAGE_FOLDERS:
            continue
        mode = png_mode(masks[0])
        if mode is not None and mode.kind in ("palette", "grey") and _is_named(folder, path, mode.kind, len(masks)):
            found.append(folder)
    return found


def _numbered(masks: list[Path]) -> list[Path]:
    """The masks whose names are a number after the same words: `2007_1` and `2008_1` are pictures of no one video."""
    told = [(path, _NUMBER.match(path.stem)) for path in masks]
    words = {path.stem[: match.start(1)] for path, match in told if match is not None}
    return [path for path, match in told if match is not None] if len(words) == 1 else []


def _is_named(folder: Path, root: Path, kind: str, count: int) -> bool:
    """A folder under Annotations is one; another is only if its masks are palettes, or images of the same video exist."""
    if _is_annotated(folder):
        return True
    # A plain folder of class masks may be numbered too; its name and its legend tell.
    is_plain = folder.name.lower() in MASK_FOLDERS and (
        folder.name.lower().startswith("segmentation") or find_legend(folder.parent) is not None
    )
    return kind == "palette" and count > 1 and folder != root and not is_plain


def _is_annotated(folder: Path) -> bool:
    above = {part.lower() for part in (folder.name, folder.parent.name, folder.parent.parent.name)}
    return bool(above & set(_MASK_FOLDERS))


def detect(path: Path) -> Detection | None:
    """By folders of numbered masks that are palettes or lie under Annotations."""
    if not path.is_dir():
        return None
    videos = _videos(path)
    if not videos:
        return None
    named = any(part.lower() == "annotations" for v in videos for part in v.parts)
    sure = 0.9 if named else 0.7
    said = f"{len(videos)} video(s) of numbered masks, the first is {videos[0].name}"
    return Detection("davis", path, sure, (said,))


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """The frames of each video in order; `context_id` is the video, `timestamp` the number of the picture at 24 Hz."""
    options = options or Reading()
    categories = _categories(path)
    for video in _videos(options.masks or path):
        images = _images_of(video, path, options)
        if not images:
            options.skip(f"video {video.name} has no images beside it")
        for position, mask in enumerate(pictures(video)):
            told = _NUMBER.match(mask.stem)
            if mask.suffix.lower() == ".png":
                number = int(told[1]) if told is not None else position
                yield _frame(video.name, mask, images.get(mask.stem), number, categories.get(video.name))


def _images_of(video: Path, root: Path, options: Reading) -> dict[str, Path]:
    if options.images is not None:
        places = [options.images / video.name, options.images]
    else:
        below = video.relative_to(root) if video.is_relative_to(root) else Path(video.name)
        places = []
        for base in (root, root.parent):
            for folder in folders(base, depth=1):
                if folder.name.lower() in _IMAGE_FOLDERS:
                    # Annotations/480p/bear goes with JPEGImages/480p/bear.
                    places += [folder.joinpath(*below.parts[i:]) for i in range(len(below.parts))] + [folder]
    for place in places:
        found = {p.stem: p for p in pictures(place)}
        if found and place != video:
            return found
    return {}


def _frame(video: str, mask: Path, image: Path | None, number: int, names: dict[int, str] | None) -> SingleFrame:
    mode = png_mode(mask)
    rows = dict(names or {})
    meta: dict[str, Any] = {"frame_number": number}
    beside = mask.with_suffix(".json")
    if beside.is_file():
        rows |= _beside(beside)
    legend = Legend.from_entries([Entry((n,), code=i) for i, n in rows.items()], kind="ids", scheme="plain")
    size = mode.size_hw if mode is not None else None
    frame = frame_of(
        f"{video}/{mask.stem}",
        image,
        masks=[mask_of(mask, "objects", "plain", size)],
        legends={"objects": legend} if rows else None,
        size_hw=size,
        context=video,
        meta=meta,
    )
    frame.record.timestamp = round(number * 1000 / RATE, 3)
    return frame


def _beside(path: Path) -> dict[int, str]:
    """{id: category} of the JSON that VIPSeg's tools put beside a mask."""
    try:
        rows = decode_json(path, list[_Object])
    except FrameError:
        return {}
    return {row.id: f"category {row.category_id}" for row in rows if row.category_id is not None}


def _categories(path: Path) -> dict[str, dict[int, str]]:
    """{video: {object: category}} of YouTube-VOS' meta.json."""
    for place in (path / "meta.json", path.parent / "meta.json"):
        if place.is_file():
            try:
                found = decode_json(place, _Meta)
            except FrameError:
                return {}
            return {
                name: {int(k): o.category for k, o in video.objects.items() if k.isdigit() and o.category}
                for name, video in found.videos.items()
            }
    return {}


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `Annotations/<video>/<number>.png` as palettes, `JPEGImages`, and meta.json with the categories."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    videos: dict[str, dict[str, Any]] = {}
    with fresh_folder(folder):
        run(_jobs(frames, folder, options, written, videos), options.workers)
        (folder / "meta.json").write_bytes(msgspec.json.format(msgspec.json.encode({"videos": videos}), indent=1))
    return written


def _jobs(
    frames: Iterable[AnyFrame], folder: Path, options: Writing, written: Written, videos: dict[str, dict[str, Any]]
) -> Iterator[Callable[[], None]]:
    palette = voc_palette()
    for frame, found in each_painted(frames, options, written.losses, prefer="ids"):
        video = safe_name(frame.record.context_id or "video")
        start = f"{frame.record.context_id}/"
        stem = safe_name(frame.id.removeprefix(start) if frame.record.context_id else frame.id)
        objects = videos.setdefault(video, {"objects": {}})["objects"]
        table = _numbers(found, frame, objects, written.losses)
        place_image(frame, folder / "JPEGImages" / video / stem, options.images, written.losses)
        yield partial(write_png, folder / "Annotations" / video / f"{stem}.png", table[found.data], palette)
        written.frames += 1


def _numbers(found: Painted, frame: SingleFrame, objects: dict[str, Any], ledger: Ledger) -> Any:
    """(items + 1,) uint8: the numbers of objects, 1..255; one number means one label along the video."""
    numbers = np.zeros(len(found.items) + 1, np.uint8)
    used: set[int] = set()
    for position, item in enumerate(found.items, 1):
        wanted = item.id if 0 < item.id < 256 else 0
        known = objects.get(str(wanted), {}).get("category")
        if not wanted or wanted in used or known not in (None, item.label):
            free = (
                n
                for n in range(1, 256)
                if n not in used and objects.get(str(n), {}).get("category", item.label) == item.label
            )
            wanted = next(free, 0)
            ledger.add("ids" if wanted else "size", f"frame {frame.id}: {item.id} becomes {wanted or 'void'}")
        if wanted:
            used.add(wanted)
            numbers[position] = wanted
            objects.setdefault(str(wanted), {"category": item.label, "frames": []})
    return numbers
