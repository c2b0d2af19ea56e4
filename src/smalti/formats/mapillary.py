"""Mapillary Vistas: `config_v*.json`, and per part `images`, `v*/labels`, `v*/instances` (class * 256 + n), `v*/panoptic`.

Version 1.1 has `labels` and `instances` right below the part. The class is the position in the config's list.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from smalti.errors import FrameError
from smalti.formats.building import frame_of, mask_of
from smalti.formats.files import decode_json, first, folders, pictures, png_mode, walk
from smalti.formats.idmasks import numbered
from smalti.formats.losses import Ledger
from smalti.formats.output import Names, each_painted, fresh_folder, place_image, run, safe_name, write_png
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import Entry, Legend, voc_color
from smalti.records import Mask

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "config_v*.json (or config.json) with labels that have readable names, and folders labels and instances"
SAYS = frozenset({"instances"})
_KINDS = {"labels": "index", "instances": "mapillary", "panoptic": "coco"}


class _Label(msgspec.Struct):
    name: str
    color: list[int]
    readable: str = ""
    instances: bool = False


class _Config(msgspec.Struct):
    labels: list[_Label]


class _Segment(msgspec.Struct):
    id: int
    category_id: int


class _Annotation(msgspec.Struct):
    file_name: str
    segments_info: list[_Segment]


class _Category(msgspec.Struct):
    id: int
    name: str


class _Panoptic(msgspec.Struct):
    annotations: list[_Annotation]
    categories: list[_Category]


def _configs(path: Path) -> dict[str, list[_Label]]:
    """{version, "" for config.json: labels} of the config files below a path."""
    found = {}
    for file in walk(path, (".json",)):
        if file.name.startswith("config") and len(file.relative_to(path).parts) <= 2:
            try:
                found[file.stem.removeprefix("config").removeprefix("_")] = decode_json(file, _Config).labels
            except FrameError:
                continue
    return found


def detect(path: Path) -> Detection | None:
    """By a config file with labels, colours and readable names, and a folder instances or labels."""
    if not path.is_dir():
        return None
    if not any(p.name in ("instances", "labels") for p in folders(path)):
        return None
    configs = _configs(path)
    if not configs or not any(label.readable for rows in configs.values() for label in rows):
        return None
    said = ", ".join(f"config {version or 'file'} with {len(rows)} labels" for version, rows in configs.items())
    return Detection("mapillary", path, 0.99, (said,))


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per image, with the masks of the newest version of the annotation."""
    options = options or Reading()
    configs = _configs(path)
    for part in sorted({p.parent for p in folders(path, depth=2) if p.name == "images"}):
        if options.split not in (None, part.name):
            continue
        version, place = _place(part)
        labels = configs.get(version) or configs.get("") or first(iter(configs.values())) or []
        segments = _segments(place / "panoptic")
        masks = {kind: {p.stem: p for p in pictures(place / kind)} for kind in _KINDS}
        images = {p.stem: p for p in pictures(options.images or part / "images")}
        for stem in sorted({*images, *(s for found in masks.values() for s in found)}):
            yield _frame(stem, images.get(stem), masks, labels, (segments.get(f"{stem}.png"), part.name))


def _place(part: Path) -> tuple[str, Path]:
    versions = sorted(p.name for p in part.iterdir() if p.is_dir() and p.name.startswith("v"))
    return (versions[-1], part / versions[-1]) if versions else ("", part)


def _segments(folder: Path) -> dict[str, Legend]:
    found = {}
    for file in walk(folder, (".json",)) if folder.is_dir() else ():
        try:
            told = decode_json(file, _Panoptic)
        except FrameError:
            continue
        names = {c.id: c.name for c in told.categories}
        for one in told.annotations:
            rows = [Entry((names.get(s.category_id, str(s.category_id)),), code=s.id) for s in one.segments_info]
            found[one.file_name] = Legend.from_entries(rows, kind="ids", scheme="coco", shared="merge")
    return found


def _frame(
    stem: str,
    image: Path | None,
    masks: dict[str, dict[str, Path]],
    labels: list[_Label],
    told: tuple[Legend | None, str],
) -> SingleFrame:
    segments, part = told
    listed: list[Mask] = []
    legends: dict[str, Legend] = {}
    size = None
    for kind, encoding in _KINDS.items():
        mask = masks[kind].get(stem)
        if mask is None:
            continue
        mode = png_mode(mask)
        size = mode.size_hw if mode else size
        listed.append(mask_of(mask, kind, encoding, mode.size_hw if mode else None))
        if kind == "panoptic":
            if segments is not None:
                legends[kind] = segments
        elif labels:
            rows = [Entry((label.name,), _rgb(label.color), i) for i, label in enumerate(labels)]
            is_ids = kind == "instances"
            legends[kind] = Legend.from_entries(
                rows, kind="ids" if is_ids else "indices", scheme="mapillary" if is_ids else None
            )
    return frame_of(stem, image, masks=listed, legends=legends, size_hw=size, meta={"split": part})


def _rgb(color: list[int]) -> tuple[int, int, int] | None:
    return (color[0], color[1], color[2]) if len(color) == 3 else None


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `PART/images`, `PART/v2.0/labels`, `PART/v2.0/instances` and config_v2.0.json; class 0 is void."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    names = Names.of(options.legend, first=1, most=255)
    with fresh_folder(folder):
        run(_jobs(frames, folder, options, written, names), options.workers)
        top = max(names.numbers.values(), default=0)
        rows: list[dict[str, Any]] = [
            {
                "name": f"void--{i}" if i else "void",
                "readable": "void",
                "color": [0, 0, 0],
                "instances": False,
                "evaluate": False,
            }
            for i in range(top + 1)
        ]
        for label, number in names.numbers.items():
            color = list(names.colors.get(label, voc_color(number)))
            is_thing = label in names.things
            rows[number] = {"name": label, "readable": label, "color": color, "instances": is_thing, "evaluate": True}
        text = msgspec.json.encode({"labels": rows, "version": "2.0", "mapping": "", "folder_structure": ""})
        (folder / "config_v2.0.json").write_bytes(msgspec.json.format(text, indent=1))
    return written


def _jobs(
    frames: Iterable[AnyFrame], folder: Path, options: Writing, written: Written, names: Names
) -> Iterator[Callable[[], None]]:
    for frame, found in each_painted(frames, options, written.losses, prefer="ids"):
        classes = names.table(found, written.losses, f"frame {frame.id}")
        numbers = numbered(found, classes, 255, 0 if found.kind == "shapes" else 1, (frame, written.losses))
        part = folder / safe_name(str(frame.metadata.get("split") or options.split))
        stem = safe_name(frame.id)
        place_image(frame, part / "images" / stem, options.images, written.losses)
        (part / "images").mkdir(parents=True, exist_ok=True)
        yield partial(write_png, part / "v2.0" / "labels" / f"{stem}.png", classes.astype(np.uint8)[found.data])
        ids = (classes.astype(np.int64) * 256 + numbers).astype(np.uint16)
        yield partial(write_png, part / "v2.0" / "instances" / f"{stem}.png", ids[found.data])
        written.frames += 1
