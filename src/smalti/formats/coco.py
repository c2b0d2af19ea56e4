"""COCO instances: a JSON file with polygons or run lengths per object. Result files (a list of objects) are read, too.

Polygons become ROIs with the same numbers, several parts as several rings that add up. Run lengths are kept as they
are in `meta["rle"]` of a ROI whose geometry is the box. Nothing is rasterised on the way in.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from smalti.formats.building import box_roi, frame_of, polygon_roi, rle_roi
from smalti.formats.coco_panoptic import split_of
from smalti.formats.files import Stems, contains, decode_json, raw_bytes, walk
from smalti.formats.protocol import Detection, Reading
from smalti.formats.write_coco import SAYS, write
from smalti.frames import SingleFrame
from smalti.records import Roi

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "a JSON file with images, annotations and categories, or a result file: a list of objects with image_id"


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


class _Category(msgspec.Struct):
    id: int
    name: str
    supercategory: str | None = None


class _Key(msgspec.Struct):
    image_id: int | str


class _Rle(msgspec.Struct):
    size: list[int]
    counts: str | list[int]


class _Annotation(msgspec.Struct):
    category_id: int
    id: int | None = None
    segmentation: list[list[float]] | _Rle | None = None
    bbox: list[float] | None = None
    area: float | None = None
    iscrowd: int = 0
    score: float | None = None
    attributes: dict[str, Any] | None = None


class _Instances(msgspec.Struct):
    images: list[_Image]
    annotations: list[msgspec.Raw] = []
    categories: list[_Category] = []


_key = msgspec.json.Decoder(_Key)
_annotation = msgspec.json.Decoder(_Annotation)


def detect(path: Path) -> Detection | None:
    """By the keys of a JSON file."""
    for file in _files(path):
        kind = (
            "a result file: a list of objects with image_id" if _is_results(file) else "images, annotations, categories"
        )
        return Detection("coco", path, 0.9, (f"{file.name} has {kind}",))
    return None


def _files(path: Path) -> Iterator[Path]:
    for file in [path] if path.is_file() else walk(path, (".json",)):
        if file.suffix.lower() != ".json" or contains(file, b'"segments_info"'):
            continue
        if contains(file, b'"images"', b'"annotations"', b'"categories"') or _is_results(file):
            yield file


def _is_results(file: Path) -> bool:
    with file.open("rb") as opened:
        head = opened.read(4096)
    return head.lstrip()[:1] == b"[" and b'"image_id"' in head and b'"category_id"' in head


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per image, images without objects too; the annotations are parsed when their image's turn comes."""
    options = options or Reading()
    root = path if path.is_dir() else path.parent
    images: Stems | None = None
    for file in _files(path):
        split = split_of(file.stem)
        if options.split is not None and split != options.split:
            continue
        if images is None:
            images = Stems([options.images or (root.parent if root.name == "annotations" else root)])
        yield from _read_file(file, images, options, split)


def _read_file(file: Path, images: Stems, options: Reading, split: str | None) -> Iterator[SingleFrame]:
    data = raw_bytes(file)
    if _is_results(file):
        raws = decode_json(file, list[msgspec.Raw], data)
        found = _Instances(images=[], annotations=raws)
    else:
        found = decode_json(file, _Instances, data)
    names = {category.id: category.name for category in found.categories}
    # What waits for its image is a view into the mapped file, not an object: a few bytes an annotation.
    waiting: dict[str, list[msgspec.Raw]] = {}
    for raw in found.annotations:
        waiting.setdefault(str(_key.decode(raw).image_id), []).append(raw)
    for image in found.images:
        rois = _rois(waiting.pop(str(image.id), ()), names)
        size = (image.height, image.width) if image.height and image.width else None
        where = images.get(image.file_name)
        meta: dict[str, Any] = {"file_name": image.file_name}
        if split:
            meta["split"] = split
        yield frame_of(str(image.id), where or image.file_name, rois=rois, size_hw=size, meta=meta)
    for image_id, raws in waiting.items():
        if found.images:
            options.skip(f"{file.name}: {len(raws)} annotations name image {image_id}, which is not in the file")
            continue
        rois = _rois(raws, names)
        rle = next((roi.meta["rle"] for roi in rois if "rle" in roi.meta), None)
        size = (rle["size"][0], rle["size"][1]) if rle is not None else None
        where = images.get(f"{int(image_id):012d}.jpg") if image_id.isdigit() else None
        yield frame_of(image_id, where, rois=rois, size_hw=size, meta={"results": file.name})


def _rois(raws: Any, names: dict[int, str]) -> list[Roi]:
    return [_roi(_annotation.decode(raw), names) for raw in raws]


def _roi(found: _Annotation, names: dict[int, str]) -> Roi:
    meta: dict[str, Any] = {"category_id": found.category_id}
    if found.iscrowd:
        meta["iscrowd"] = found.iscrowd
    if found.attributes:
        meta["attributes"] = found.attributes
    labels = [names.get(found.category_id, str(found.category_id))]
    roi_id = None if found.id is None else str(found.id)
    shape = found.segmentation
    if isinstance(shape, _Rle):
        rle = {"size": shape.size, "counts": shape.counts}
        return rle_roi(rle, found.bbox, labels, roi_id=roi_id, confidence=found.score, meta=meta)
    if shape:
        return polygon_roi(shape, labels, roi_id=roi_id, confidence=found.score, meta=meta)
    return box_roi(found.bbox or (0, 0, 0, 0), labels, roi_id=roi_id, confidence=found.score, meta=meta)
