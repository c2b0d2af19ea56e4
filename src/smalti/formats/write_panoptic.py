"""Frames → COCO panoptic: one JSON file, and a PNG per frame whose colours are segment ids."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.convert import ids_to_samples
from smalti.formats.content import Painted, is_void
from smalti.formats.losses import Ledger
from smalti.formats.output import (
    JsonLists,
    Names,
    each_painted,
    fresh_folder,
    place_image,
    run,
    safe_name,
    wanted_number,
    write_png,
)
from smalti.formats.protocol import AnyFrame, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import id_color

__all__ = ["SAYS", "image_number", "write"]

SAYS = frozenset({"instances", "ids"})
_MOST = 0xFFFFFF


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `annotations/panoptic_SPLIT.json`, `annotations/panoptic_SPLIT/*.png` and `images/SPLIT`."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    names = Names.of(options.legend)
    with fresh_folder(folder), JsonLists(("images", "annotations")) as lists:
        run(_jobs(frames, folder, options, written, (lists, names)), options.workers)
        categories = [
            {
                "id": number,
                "name": label,
                "isthing": int(label in names.things),
                "color": list(names.colors.get(label, id_color(number))),
                "supercategory": label,
            }
            for label, number in sorted(names.numbers.items(), key=lambda row: row[1])
        ]
        lists.save(folder / "annotations" / f"panoptic_{options.split}.json", info={}, categories=categories)
    return written


def image_number(frame: SingleFrame, used: set[int]) -> int:
    """The number of an image: the frame's id where it is one, else the next that is free."""
    told = int(frame.id) if frame.id.isdigit() and len(frame.id) < 15 else 0
    number = told or len(used) + 1
    while number in used:
        number += 1
    used.add(number)
    return number


def _jobs(
    frames: Iterable[AnyFrame], folder: Path, options: Writing, written: Written, made: tuple[JsonLists, Names]
) -> Iterator[Callable[[], None]]:
    lists, names = made
    used: set[int] = set()
    masks = folder / "annotations" / f"panoptic_{options.split}"
    for frame, found in each_painted(frames, options, written.losses, prefer="ids"):
        number, stem = image_number(frame, used), safe_name(frame.id)
        image = place_image(frame, folder / "images" / options.split / stem, options.images, written.losses)
        height, width = found.size_hw
        name = image.name if image is not None else f"{stem}.jpg"
        lists.add("images", {"id": number, "file_name": name, "height": height, "width": width})
        ids, segments = _segments(found, names, frame, written.losses)
        lists.add("annotations", {"image_id": number, "file_name": f"{stem}.png", "segments_info": segments})
        yield partial(_write_ids, masks / f"{stem}.png", ids, found.data)
        written.frames += 1


def _write_ids(path: Path, ids: NDArray[np.uint32], data: NDArray[Any]) -> None:
    write_png(path, ids_to_samples(ids, "coco").reshape(-1, 3)[data])


def _segments(
    found: Painted, names: Names, frame: SingleFrame, ledger: Ledger
) -> tuple[NDArray[np.uint32], list[dict[str, Any]]]:
    """(items + 1, 1) ids, and the JSON of those that occur; ids stay as they are where they fit 24 bits."""
    counts, boxes = kernels.count_boxes(found.data, len(found.items) + 1)
    ids = np.zeros((len(found.items) + 1, 1), np.uint32)
    taken = {item.id for item in found.items} if found.kind != "classes" else set()
    fresh = 1
    segments = []
    used: set[int] = set()
    for position, item in enumerate(found.items, 1):
        if is_void(item.label):
            continue
        category = names.take(item, wanted_number(item))
        if not counts[position]:
            continue
        if category is None:
            ledger.add("labels", f"frame {frame.id}: {item.label!r}")
            continue
        number = item.id if found.kind != "classes" and 0 < item.id <= _MOST and item.id not in used else 0
        if not number:
            while fresh in taken or fresh in used:
                fresh += 1
            number = fresh
            # Regions have no number of their own to lose.
            is_numbered = found.kind == "ids" or (item.roi is not None and item.roi.id is not None)
            if item.instance and is_numbered:
                ledger.add("ids", f"frame {frame.id}: {item.id} becomes {number}")
        used.add(number)
        ids[position] = number
        crowd = int(bool(item.roi is not None and item.roi.meta.get("iscrowd")))
        segments.append(
            {
                "id": number,
                "category_id": category,
                "area": int(counts[position]),
                "bbox": boxes[position].tolist(),
                "iscrowd": crowd,
            }
        )
    return ids, segments
