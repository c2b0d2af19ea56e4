"""COCO panoptic: a JSON file with `segments_info` beside a folder of PNG whose colours are ids, R + 256 G + 65536 B.

The masks lie in a folder named like the JSON file, or anywhere beside it by name. Id 0 is void. Each segment becomes a
ROI that names its id: the id, its category, `isthing`, `iscrowd` and the area are kept.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from smalti.formats.building import frame_of, mask_of, mask_roi
from smalti.formats.files import Stems, contains, decode_json, raw_bytes, walk
from smalti.formats.protocol import Detection, Reading
from smalti.formats.write_panoptic import SAYS, write
from smalti.frames import SingleFrame

__all__ = ["LOOKS_LIKE", "MASK_ID", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "a JSON file with segments_info, and PNG masks whose colours are segment ids"
MASK_ID = "panoptic"


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


class _Category(msgspec.Struct):
    id: int
    name: str
    isthing: int | None = None
    color: list[int] | None = None
    supercategory: str | None = None


class _Segment(msgspec.Struct):
    id: int
    category_id: int
    area: float = 0
    iscrowd: int | bool = 0


class _Annotation(msgspec.Struct):
    image_id: int | str
    file_name: str
    segments_info: list[_Segment]


class _Panoptic(msgspec.Struct):
    images: list[_Image]
    annotations: list[msgspec.Raw]
    categories: list[_Category]


def detect(path: Path) -> Detection | None:
    """By the word segments_info in a JSON file with images and categories."""
    for file in annotation_files(path):
        return Detection("coco-panoptic", path, 0.98, (f"{file.name} has images, categories and segments_info",))
    return None


def annotation_files(path: Path) -> Iterator[Path]:
    """The JSON files of this layout at or under a path."""
    candidates = [path] if path.is_file() else walk(path, (".json",))
    for file in candidates:
        if file.suffix.lower() == ".json" and contains(file, b'"segments_info"', b'"images"', b'"categories"'):
            yield file


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per annotation; the masks stay where they are."""
    options = options or Reading()
    root = path if path.is_dir() else path.parent
    images: Stems | None = None
    for file in annotation_files(path):
        split = split_of(file.stem)
        if options.split is not None and split != options.split:
            continue
        if images is None:
            images = Stems([options.images or _image_root(root)])
        yield from _read_file(file, images, options, split)


def split_of(stem: str) -> str | None:
    """The part that a file name speaks of: panoptic_val2017 → val2017."""
    found = re.search(r"_((train|val|test|dev|minival|unlabeled|default)[^_]*)$", stem)
    return found[1] if found is not None else None


def _image_root(root: Path) -> Path:
    # The file may be named alone: annotations/panoptic_val.json, with images beside its folder.
    return root.parent if root.name == "annotations" else root


def _read_file(file: Path, images: Stems, options: Reading, split: str | None) -> Iterator[SingleFrame]:
    found = decode_json(file, _Panoptic, raw_bytes(file))
    by_id = {str(image.id): image for image in found.images}
    categories = {category.id: category for category in found.categories}
    masks = _mask_folders(file, options)
    beside: Stems | None = None
    decoder = msgspec.json.Decoder(_Annotation)
    for raw in found.annotations:
        annotation = decoder.decode(raw)
        image = by_id.get(str(annotation.image_id))
        size = (image.height, image.width) if image is not None and image.height and image.width else None
        mask = next(
            (folder / annotation.file_name for folder in masks if (folder / annotation.file_name).is_file()), None
        )
        if mask is None:
            # Any other picture of that name below the file, but never the image itself.
            beside = beside or Stems([file.parent])
            mask = beside.get(annotation.file_name)
        if mask is None or mask.suffix.lower() != ".png":
            options.skip(f"{file.name}: mask {annotation.file_name} of image {annotation.image_id} was not found")
            continue
        name = image.file_name if image is not None else annotation.file_name
        where = images.get(name)
        if where is not None and where == mask:
            where = None
        yield frame_of(
            str(annotation.image_id),
            where if where is not None else (name if image is not None else None),
            masks=[mask_of(mask, MASK_ID, "coco", size)],
            rois=[_roi(segment, categories, annotation.file_name) for segment in annotation.segments_info],
            size_hw=size,
            meta={"split": split, "file_name": name} if split else {"file_name": name},
        )


def _mask_folders(file: Path, options: Reading) -> list[Path]:
    if options.masks is not None:
        return [options.masks]
    return [file.with_suffix(""), file.parent / "panoptic", file.parent.parent / file.stem, file.parent]


def _roi(segment: _Segment, categories: dict[int, _Category], name: str) -> Any:
    category = categories.get(segment.category_id)
    meta: dict[str, Any] = {"category_id": segment.category_id, "area": int(segment.area)}
    if segment.iscrowd:
        meta["iscrowd"] = 1
    if category is not None:
        meta |= {"isthing": category.isthing} if category.isthing is not None else {}
        meta |= {"color": category.color} if category.color else {}
        meta |= {"supercategory": category.supercategory} if category.supercategory else {}
    label = category.name if category is not None else str(segment.category_id)
    return mask_roi([segment.id], MASK_ID, [label], meta)
