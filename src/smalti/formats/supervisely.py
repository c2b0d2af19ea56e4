"""Supervisely: meta.json with classes, and per data set `ann/<image>.json` (bitmaps, polygons, rectangles) and `img/`.

A bitmap is a PNG, deflated once more, in base64, with the corner where it begins. Polygons may have holes.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from smalti.codecs.limits import DEFAULT_LIMITS
from smalti.codecs.rle import encode_rle
from smalti.convert import png_bytes
from smalti.errors import FrameError
from smalti.formats.building import box_roi, frame_of, polygon_roi, rle_roi
from smalti.formats.content import Shape, shapes, single_frames, size_of
from smalti.formats.files import contains, decode_json, first, folders, walk
from smalti.formats.labelme import mask_from_png
from smalti.formats.losses import Ledger
from smalti.formats.output import fresh_folder, place_image, safe_name
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import voc_color
from smalti.parallel import ordered_map
from smalti.records import Roi

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "meta.json with classes, and folders ann and img"
SAYS = frozenset({"instances", "ids", "overlap", "holes"})


class _Points(msgspec.Struct):
    exterior: list[list[float]] = []
    interior: list[list[list[float]]] = []


class _Bitmap(msgspec.Struct):
    data: str
    origin: list[int]


class _Object(msgspec.Struct):
    classTitle: str
    geometryType: str
    id: int | None = None
    points: _Points | None = None
    bitmap: _Bitmap | None = None


class _Size(msgspec.Struct):
    height: int
    width: int


class _File(msgspec.Struct):
    size: _Size
    objects: list[_Object] = []


def detect(path: Path) -> Detection | None:
    """By meta.json with classes, and a folder ann."""
    if not path.is_dir() or not contains(path / "meta.json", b'"classes"', b'"title"'):
        return None
    found = first(f for f in folders(path, depth=2) if f.name == "ann")
    if found is None:
        return None
    return Detection("supervisely", path, 0.96, (f"meta.json has classes, and there is {found.relative_to(path)}",))


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per annotation file; data sets are parts."""
    options = options or Reading()
    for place in [folder for folder in folders(path, depth=2) if folder.name == "ann"]:
        part = place.parent.name if place.parent != path else None
        if options.split not in (None, part):
            continue
        images = options.images or place.parent / "img"

        def one(file: Path, images: Path = images, part: str | None = part) -> SingleFrame:
            return _frame(file, images, part, options)

        yield from ordered_map(one, walk(place, (".json",)), workers=options.workers)


def _frame(file: Path, images: Path, part: str | None, options: Reading) -> SingleFrame:
    found = decode_json(file, _File)
    size = (found.size.height, found.size.width)
    name = file.name.removesuffix(".json")
    image = images / name
    if not image.is_file():
        options.skip(f"{file.name}: no image {name} was found in {images.name}")
    rois = []
    for one in found.objects:
        roi = _roi(one, size, f"{file.name}: {one.classTitle}")
        if roi is not None:
            rois.append(roi)
        else:
            options.skip(f"{file.name}: a {one.geometryType} of {one.classTitle} is not read")
    meta: dict[str, Any] = {"file_name": name} | ({"split": part} if part else {})
    stem = name.rpartition(".")[0] or name
    return frame_of(stem, image if image.is_file() else name, rois=rois, size_hw=size, meta=meta)


def _roi(found: _Object, size: tuple[int, int], where: str) -> Roi | None:
    facts: dict[str, Any] = {"roi_id": None if found.id is None else str(found.id)}
    if found.bitmap is not None:
        try:
            packed = base64.b64decode(found.bitmap.data, validate=True)
            png = zlib.decompressobj().decompress(packed, DEFAULT_LIMITS.max_bytes)
        except (binascii.Error, zlib.error, ValueError) as error:
            raise FrameError(f"{where}: the bitmap is not a deflated PNG in base64 ({error})") from None
        crop = mask_from_png(base64.b64encode(png).decode(), where=where)
        x, y = found.bitmap.origin
        if x < 0 or y < 0 or x + crop.shape[1] > size[1] or y + crop.shape[0] > size[0]:
            raise FrameError(f"{where}: a bitmap of {crop.shape} at {x}, {y} lies outside the image of {size} (H, W)")
        whole = np.zeros(size, np.uint8)
        whole[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        return rle_roi(encode_rle(whole), (x, y, crop.shape[1], crop.shape[0]), [found.classTitle], **facts)
    if found.points is None:
        return None
    outer = [n for point in found.points.exterior for n in point]
    if found.geometryType == "polygon" and len(outer) >= 6:
        inner = [[n for point in ring for n in point] for ring in found.points.interior]
        meta = {"holes": True} if inner else {}
        return polygon_roi([outer, *inner], [found.classTitle], meta=meta, **facts)
    if found.geometryType == "rectangle" and len(outer) == 4:
        x0, y0, x1, y1 = outer
        return box_roi((x0, y0, x1 - x0, y1 - y0), [found.classTitle], **facts)
    return None


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write meta.json and `SPLIT/ann`, `SPLIT/img`: every object as a bitmap, since its polygons know whole pixels only."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    classes: dict[str, dict[str, Any]] = {}

    def one(frame: SingleFrame) -> tuple[SingleFrame, tuple[int, int], list[Shape], list[dict[str, Any] | None]]:
        found = list(shapes(frame, mask_id=options.mask_id))
        return frame, found[0].size_hw if found else size_of(frame), found, [_bitmap(shape) for shape in found]

    with fresh_folder(folder):
        for frame, size, found, bitmaps in ordered_map(one, single_frames(frames), workers=options.workers):
            written.losses.look(frame)
            if any(shape.rings for shape in found):
                written.losses.add(
                    "pixels", f"frame {frame.id}: {sum(bool(s.rings) for s in found)} polygons become bitmaps"
                )
            part, stem = safe_name(str(frame.metadata.get("split") or options.split)), safe_name(frame.id)
            image = place_image(frame, folder / part / "img" / stem, options.images, written.losses)
            objects = []
            for shape, bitmap in zip(found, bitmaps, strict=True):
                if bitmap is None:
                    continue
                row = classes.setdefault(shape.label, {"title": shape.label, "shape": "bitmap", "id": len(classes) + 1})
                row.setdefault("color", "#" + bytes(voc_color(row["id"])).hex())
                told = shape.roi.id if shape.roi is not None and shape.roi.mask is None else None
                number = (
                    int(told)
                    if told is not None and told.isdigit()
                    else shape.item.id
                    if shape.item is not None
                    else None
                )
                objects.append(
                    {
                        "classTitle": shape.label,
                        "classId": row["id"],
                        "geometryType": "bitmap",
                        "bitmap": bitmap,
                        "tags": [],
                    }
                    | ({"id": number} if number is not None else {})
                )
            name = image.name if image is not None else f"{stem}.jpg"
            text = {"description": "", "tags": [], "size": {"height": size[0], "width": size[1]}, "objects": objects}
            path = folder / part / "ann" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(text))
            written.frames += 1
        (folder / "meta.json").write_bytes(msgspec.json.encode({"classes": list(classes.values()), "tags": []}))
    return written


def _bitmap(shape: Shape) -> dict[str, Any] | None:
    crop, corner = shape.cropped()
    if not crop.size:
        return None
    packed = zlib.compress(png_bytes(crop * np.uint8(255)))
    return {"data": base64.b64encode(packed).decode(), "origin": list(corner)}
