"""Frames → COCO instances: polygons stay polygons, everything else becomes run lengths; objects may overlap."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from smalti.annotations import BoundingBox2D
from smalti.codecs.rle import unpack
from smalti.formats.content import Item, Shape, is_void, shapes, single_frames, size_of
from smalti.formats.losses import Ledger
from smalti.formats.output import JsonLists, Names, fresh_folder, place_image, safe_name, wanted_number
from smalti.formats.protocol import AnyFrame, Writing, Written
from smalti.formats.write_panoptic import image_number
from smalti.frames import SingleFrame
from smalti.geometry import box_of_points
from smalti.parallel import ordered_map
from smalti.polygons import runs_of_polygons
from smalti.records import Roi

__all__ = ["SAYS", "write"]

SAYS = frozenset({"instances", "ids", "overlap", "boxes", "confidence", "holes"})


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `annotations/instances_SPLIT.json` and `images/SPLIT`."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    names = Names.of(options.legend)
    used_images: set[int] = set()
    used: set[int] = set()

    def read(frame: SingleFrame) -> tuple[SingleFrame, tuple[int, int], list[tuple[Shape, Any, int, list[float]]]]:
        found = list(shapes(frame, mask_id=options.mask_id))
        return frame, found[0].size_hw if found else size_of(frame), _measured(found)

    with fresh_folder(folder), JsonLists(("images", "annotations")) as lists:
        for frame, size, found in ordered_map(read, single_frames(frames), workers=options.workers):
            written.losses.look(frame)
            number, stem = image_number(frame, used_images), safe_name(frame.id)
            image = place_image(frame, folder / "images" / options.split / stem, options.images, written.losses)
            name = image.name if image is not None else f"{stem}.jpg"
            lists.add("images", {"id": number, "file_name": name, "height": size[0], "width": size[1]})
            unread = len(frame.source_record.masks) - any(row[0].item is not None for row in found)
            if unread > 0:
                written.losses.add("masks", f"frame {frame.id}: {', '.join(frame.masks_source)}", unread)
            for shape, segmentation, area, box in found:
                category = _category(shape, names, frame, written.losses)
                if category is not None:
                    row = {"image_id": number, "category_id": category, "segmentation": segmentation}
                    lists.add(
                        "annotations",
                        {**_facts(shape.roi, shape.item, used, written.losses), **row, "area": area, "bbox": box},
                    )
            for roi in _boxes(frame):
                category = names.take(Item(tuple(roi.label), roi=roi), roi.meta.get("category_id"))
                x, y, w, h = box_of_points(roi.poly)
                row = {
                    "image_id": number,
                    "category_id": category,
                    "segmentation": [],
                    "area": w * h,
                    "bbox": [x, y, w, h],
                }
                lists.add("annotations", {**_facts(roi, None, used, written.losses), **row})
            written.frames += 1
        categories = [
            {"id": number, "name": label, "supercategory": ""}
            for label, number in sorted(names.numbers.items(), key=lambda row: row[1])
        ]
        lists.save(folder / "annotations" / f"instances_{options.split}.json", info={}, categories=categories)
    return written


def _category(shape: Shape, names: Names, frame: SingleFrame, ledger: Ledger) -> int | None:
    if is_void(shape.label):
        return None
    found = names.take(
        shape.item or Item(shape.labels, roi=shape.roi), wanted_number(shape.item or Item(shape.labels, roi=shape.roi))
    )
    if found is None:
        ledger.add("labels", f"frame {frame.id}: {shape.label!r}")
    return found


def _boxes(frame: SingleFrame) -> list[Roi]:
    return [a.roi for a in frame.annotations if isinstance(a, BoundingBox2D) and "rle" not in a.roi.meta]


def _facts(roi: Roi | None, item: Item | None, used: set[int], ledger: Ledger) -> dict[str, Any]:
    told = roi.id if roi is not None and roi.mask is None else None
    number = (
        int(told) if told is not None and told.isdigit() and len(told) < 15 else (item.id if item is not None else 0)
    )
    if not number or number in used:
        # An id that is 0 or taken must not take that of an object that is yet to come.
        number = len(used) + (1 if told is None else 1_000_000_000)
        while number in used:
            number += 1
        if told is not None or (item is not None and item.instance):
            ledger.add("ids", f"{told or (item.id if item is not None else 0)} becomes {number}")
    used.add(number)
    facts: dict[str, Any] = {"id": number, "iscrowd": int(bool(roi is not None and roi.meta.get("iscrowd")))}
    if roi is not None and roi.confidence is not None:
        facts["score"] = roi.confidence
    return facts


def _measured(found: list[Shape]) -> list[tuple[Shape, Any, int, list[float]]]:
    """Each shape with what COCO stores of it: the segmentation, the area in pixels, and the box x, y, w, h."""
    plain = [shape for shape in found if shape.rings and not shape.has_holes]
    runs = runs_of_polygons([shape.rings for shape in plain], plain[0].size_hw) if plain else []
    areas = {id(shape): sum(counts[1::2]) for shape, counts in zip(plain, runs, strict=True)}
    rows: list[tuple[Shape, Any, int, list[float]]] = []
    for shape in found:
        if id(shape) in areas:
            box = box_of_points([number for ring in shape.rings for number in ring])
            rows.append((shape, shape.rings, areas[id(shape)], list(box)))
            continue
        rle = shape.run_lengths()
        counts = unpack(rle["counts"]) if isinstance(rle["counts"], (str, bytes)) else rle["counts"]
        rows.append((shape, rle, sum(counts[1::2]), _box_of_runs(counts, rle["size"][0])))
    return rows


def _box_of_runs(counts: list[int], height: int) -> list[float]:
    """The box x, y, w, h of run lengths, as pycocotools has it: a run over several columns spans the height."""
    ends = np.cumsum(counts)
    begins, lasts = ends[:-1:2], ends[1::2] - 1
    begins = begins[: len(lasts)]
    inside = lasts >= begins
    begins, lasts = begins[inside], lasts[inside]
    if not len(begins):
        return [0.0, 0.0, 0.0, 0.0]
    x0, x1 = int(begins[0] // height), int(lasts[-1] // height)
    if (begins // height != lasts // height).any():
        y0, y1 = 0, height - 1
    else:
        y0, y1 = int((begins % height).min()), int((lasts % height).max())
    return [float(x0), float(y0), float(x1 - x0 + 1), float(y1 - y0 + 1)]
