"""LabelMe: a JSON file per image with shapes (the tool), or XML with polygons and mask files (the web tool).

Polygons stay polygons. A shape of type "mask" (a PNG in base64 and its box) and the mask files of the XML become run
lengths. Objects of one `group_id` share it in their metadata.
"""

import base64
import binascii
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti.codecs.rle import encode_rle
from smalti.convert import png_bytes
from smalti.errors import FrameError
from smalti.formats.building import box_roi, frame_of, polygon_roi, rle_roi
from smalti.formats.content import Shape, shapes, single_frames, size_of
from smalti.formats.files import contains, decode_json, first, walk
from smalti.formats.losses import Ledger
from smalti.formats.output import fresh_folder, place_image, safe_name
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.parallel import ordered_map
from smalti.records import Roi

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "mask_from_png", "read", "write"]

LOOKS_LIKE = "JSON files with shapes and imagePath, or XML files with object and polygon"
SAYS = frozenset({"instances", "overlap", "holes", "boxes"})


class _Shape(msgspec.Struct):
    label: str
    points: list[list[float]] = []
    shape_type: str = "polygon"
    group_id: int | None = None
    mask: str | None = None
    description: str | None = None


class _File(msgspec.Struct):
    shapes: list[_Shape]
    imagePath: str = ""
    imageHeight: int | None = None
    imageWidth: int | None = None


def _is_json(file: Path) -> bool:
    return contains(file, b'"shapes"', b'"imagePath"')


def _is_xml(file: Path) -> bool:
    return contains(file, b"<annotation>", b"<object>") and (contains(file, b"<polygon>") or contains(file, b"<segm>"))


def detect(path: Path) -> Detection | None:
    """By the keys of the first JSON files, or the elements of the first XML files."""
    if path.is_file():
        fits = (path.suffix == ".json" and _is_json(path)) or (path.suffix == ".xml" and _is_xml(path))
        return Detection("labelme", path, 0.9, (f"{path.name} has shapes",)) if fits else None
    found = first(p for p in walk(path, (".json",)) if _is_json(p)) or first(
        p for p in walk(path, (".xml",)) if _is_xml(p)
    )
    if found is None:
        return None
    return Detection("labelme", path, 0.85, (f"{found.relative_to(path)} has shapes of objects",))


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per annotation file."""
    options = options or Reading()
    root = path if path.is_dir() else path.parent
    files = [path] if path.is_file() else (p for p in walk(path, (".json", ".xml")))

    def one(file: Path) -> SingleFrame | None:
        if file.suffix == ".json":
            return _from_json(file, root, options) if _is_json(file) else None
        return _from_xml(file, root, options) if _is_xml(file) else None

    for frame in ordered_map(one, files, workers=options.workers):
        if frame is not None:
            yield frame


def _from_json(file: Path, root: Path, options: Reading) -> SingleFrame:
    found = decode_json(file, _File)
    size = (found.imageHeight, found.imageWidth) if found.imageHeight and found.imageWidth else None
    image = _image((options.images or file.parent) / found.imagePath.replace("\\", "/"), file, options)
    rois = [roi for shape in found.shapes if (roi := _roi(shape, size, file, options)) is not None]
    name = file.relative_to(root).with_suffix("").as_posix()
    return frame_of(name, image, rois=rois, size_hw=size)


def _image(named: Path, file: Path, options: Reading) -> Path | None:
    candidates = [
        named,
        (options.images or file.parent) / named.name,
        *(file.with_suffix(e) for e in (".jpg", ".png", ".jpeg")),
    ]
    found = next((p.resolve() if p == named else p for p in candidates if p.is_file()), None)
    if found is None:
        options.skip(f"{file.name}: no image {named.name} was found")
    return found


def _roi(shape: _Shape, size: tuple[int, int] | None, file: Path, options: Reading) -> Roi | None:
    meta: dict[str, Any] = {"group_id": shape.group_id} if shape.group_id is not None else {}
    flat = [number for point in shape.points for number in point]
    if shape.shape_type == "polygon" and len(shape.points) >= 3:
        return polygon_roi([flat], [shape.label], meta=meta)
    if shape.shape_type == "mask" and shape.mask and size is not None and len(shape.points) == 2:
        crop = mask_from_png(shape.mask, where=f"{file.name}: {shape.label}")
        return _placed(crop, (round(flat[0]), round(flat[1])), size, shape.label, meta)
    if shape.shape_type == "rectangle" and len(shape.points) == 2:
        x0, x1 = sorted((flat[0], flat[2]))
        y0, y1 = sorted((flat[1], flat[3]))
        return box_roi((x0, y0, x1 - x0, y1 - y0), [shape.label], meta=meta)
    if shape.shape_type == "circle" and len(shape.points) == 2:
        radius = float(np.hypot(flat[2] - flat[0], flat[3] - flat[1]))
        return Roi(label=[shape.label], poly=[flat[0], flat[1], radius, radius, 0], meta={**meta, "_type": "elp"})
    if shape.shape_type in ("point", "points", "line", "linestrip"):
        return Roi(label=[shape.label], poly=list(flat), meta={**meta, "_type": "k2d", "shape_type": shape.shape_type})
    options.skip(
        f"{file.name}: {shape.label} is a {shape.shape_type} of {len(shape.points)} points, which has no pixels"
    )
    return None


def mask_from_png(text: str, *, where: str) -> NDArray[np.uint8]:
    """(h, w) of 0 and 1 from a PNG in base64: its alpha, else its first channel, anything but 0.

    Raises:
        FrameError: it is not base64, or not a picture.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as picture:
            samples = np.asarray(picture)
    except (binascii.Error, OSError, ValueError) as error:
        raise FrameError(f"{where}: the mask is not a PNG in base64 ({error})") from None
    if samples.ndim == 3:
        samples = samples[..., 3] if samples.shape[2] == 4 else samples[..., 0]
    inside: NDArray[np.uint8] = (samples != 0).astype(np.uint8)
    return inside


def _placed(
    crop: NDArray[np.uint8], corner_xy: tuple[int, int], size: tuple[int, int], label: str, meta: dict[str, Any]
) -> Roi:
    x, y = corner_xy
    whole = np.zeros(size, np.uint8)
    part = whole[max(y, 0) : y + crop.shape[0], max(x, 0) : x + crop.shape[1]]
    part[:] = crop[max(-y, 0) : max(-y, 0) + part.shape[0], max(-x, 0) : max(-x, 0) + part.shape[1]]
    return rle_roi(encode_rle(whole), (x, y, crop.shape[1], crop.shape[0]), [label], meta=meta)


def _from_xml(file: Path, root: Path, options: Reading) -> SingleFrame:
    try:
        tree = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise FrameError(f"{file}: {error}") from None
    name, folder = tree.findtext("filename", "").strip(), tree.findtext("folder", "").strip()
    rows, columns = tree.findtext("imagesize/nrows"), tree.findtext("imagesize/ncols")
    size = (
        (int(rows), int(columns)) if rows and columns and rows.strip().isdigit() and columns.strip().isdigit() else None
    )
    base = _base(file, folder)
    image = _image((options.images or base / "Images" / folder) / name, file, options)
    rois = []
    for found in tree.findall("object"):
        if found.findtext("deleted", "0").strip() == "1":
            continue
        roi = _xml_roi(found, base / "Masks" / folder, size, file, options)
        if roi is not None:
            rois.append(roi)
    return frame_of(file.relative_to(root).with_suffix("").as_posix(), image, rois=rois, size_hw=size)


def _base(file: Path, folder: str) -> Path:
    above = file.parent
    for _ in Path(folder).parts:
        above = above.parent
    return above.parent if above.name == "Annotations" else above


def _xml_roi(
    found: ElementTree.Element, masks: Path, size: tuple[int, int] | None, file: Path, options: Reading
) -> Roi | None:
    label, number = found.findtext("name", "").strip(), found.findtext("id")
    meta: dict[str, Any] = {}
    if attributes := (found.findtext("attributes") or "").strip():
        meta["attributes"] = attributes
    points = [
        float(value.text or 0)
        for point in found.findall("polygon/pt")
        for value in (point.find("x"), point.find("y"))
        if value is not None
    ]
    if len(points) >= 6:
        if (found.findtext("type") or "").strip() == "bounding_box":
            xs, ys = points[0::2], points[1::2]
            box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
            return box_roi(box, [label], roi_id=number, meta=meta)
        return polygon_roi([points], [label], roi_id=number, meta=meta)
    name = found.findtext("segm/mask")
    if name and (masks / name).is_file():
        from PIL import Image

        with Image.open(masks / name) as picture:
            samples = np.asarray(picture)
        inside: NDArray[np.uint8] = np.asarray(samples.any(axis=2) if samples.ndim == 3 else samples != 0, np.uint8)
        edges = [float(found.findtext(f"segm/box/{k}") or 0) for k in ("xmin", "ymin", "xmax", "ymax")]
        return rle_roi(
            encode_rle(inside),
            (edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1]),
            [label],
            roi_id=number,
            meta=meta,
        )
    options.skip(f"{file.name}: object {label!r} has neither a polygon nor a mask file")
    return None


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `<stem>.json` and the image side by side: polygons as they are, everything else as "mask" shapes."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))

    def one(frame: SingleFrame) -> tuple[SingleFrame, tuple[int, int], list[dict[str, Any]]]:
        found = list(shapes(frame, mask_id=options.mask_id))
        rows = [row for shape in found for row in _shape_rows(shape)]
        return frame, found[0].size_hw if found else size_of(frame), rows

    with fresh_folder(folder):
        for frame, size, rows in ordered_map(one, single_frames(frames), workers=options.workers):
            written.losses.look(frame)
            if any(a.roi.id is not None for a in frame.annotations) or frame.source_record.masks:
                written.losses.add("ids", f"frame {frame.id}")
            stem = safe_name(frame.id)
            image = place_image(frame, folder / stem, options.images, written.losses)
            boxes = [_box_row(a.roi) for a in frame.annotations if a.get_type() == "b2d" and "rle" not in a.roi.meta]
            text: dict[str, Any] = {
                "version": "5.5.0",
                "flags": {},
                "shapes": rows + boxes,
                "imagePath": image.name if image is not None else frame.source_record.uri or f"{stem}.jpg",
                "imageData": None,
                "imageHeight": size[0],
                "imageWidth": size[1],
            }
            (folder / f"{stem}.json").write_bytes(msgspec.json.format(msgspec.json.encode(text), indent=1))
            written.frames += 1
    return written


def _box_row(roi: Roi) -> dict[str, Any]:
    corners = [[roi.poly[0], roi.poly[1]], [roi.poly[4], roi.poly[5]]]
    return {
        "label": (roi.label or [""])[0],
        "points": corners,
        "shape_type": "rectangle",
        "group_id": None,
        "flags": {},
    }


def _shape_rows(shape: Shape) -> Iterator[dict[str, Any]]:
    group = shape.roi.meta.get("group_id") if shape.roi is not None else None
    common: dict[str, Any] = {"label": shape.label, "group_id": group, "description": "", "flags": {}}
    if len(shape.rings) == 1:
        points = [list(pair) for pair in zip(shape.rings[0][0::2], shape.rings[0][1::2], strict=True)]
        yield {**common, "points": points, "shape_type": "polygon", "mask": None}
        return
    crop, (x, y) = shape.cropped()
    if crop.size:
        text = base64.b64encode(png_bytes(crop * np.uint8(255))).decode()
        corners = [[x, y], [x + crop.shape[1] - 1, y + crop.shape[0] - 1]]
        yield {**common, "points": corners, "shape_type": "mask", "mask": text}
