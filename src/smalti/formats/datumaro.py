"""Datumaro's own JSON: `annotations/<subset>.json` with categories and items, images in `images/<subset>`."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from smalti.formats.building import box_roi, frame_of, polygon_roi, rle_roi
from smalti.formats.content import Item, Shape, shapes, single_frames, size_of
from smalti.formats.files import Stems, contains, decode_json, first, raw_bytes, walk
from smalti.formats.losses import Ledger
from smalti.formats.output import JsonLists, Names, fresh_folder, place_image, safe_name
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.parallel import ordered_map
from smalti.records import Roi

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "a JSON file with categories.label.labels and items"
SAYS = frozenset({"instances", "ids", "overlap", "boxes", "holes"})


class _Label(msgspec.Struct):
    name: str


class _Labels(msgspec.Struct):
    labels: list[_Label] = []


class _Categories(msgspec.Struct):
    label: _Labels = msgspec.field(default_factory=_Labels)


class _Picture(msgspec.Struct):
    path: str = ""
    size: list[int] | None = None


class _Annotation(msgspec.Struct):
    type: str
    id: int = 0
    label_id: int | None = None
    points: list[float] = []
    bbox: list[float] = []
    rle: dict[str, Any] | None = None
    attributes: dict[str, Any] = {}
    group: int = 0
    z_order: int = 0


class _Item(msgspec.Struct):
    id: str
    annotations: list[_Annotation] = []
    image: _Picture | None = None
    media: _Picture | None = None


class _File(msgspec.Struct):
    categories: _Categories = msgspec.field(default_factory=_Categories)
    items: list[msgspec.Raw] = []


def _files(path: Path) -> Iterator[Path]:
    for file in [path] if path.is_file() else walk(path, (".json",)):
        if file.suffix == ".json" and contains(file, b'"items"', b'"categories"', b'"labels"'):
            yield file


def detect(path: Path) -> Detection | None:
    """By the keys of a JSON file."""
    file = first(_files(path))
    return (
        None if file is None else Detection("datumaro", path, 0.94, (f"{file.name} has categories, labels and items",))
    )


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per item; items are parsed one by one."""
    options = options or Reading()
    root = path if path.is_dir() else path.parent.parent if path.parent.name == "annotations" else path.parent
    images: Stems | None = None
    decoder = msgspec.json.Decoder(_Item)
    for file in _files(path):
        if options.split not in (None, file.stem):
            continue
        found = decode_json(file, _File, raw_bytes(file))
        names = [label.name for label in found.categories.label.labels]
        images = images or Stems([options.images or root])
        for raw in found.items:
            item = decoder.decode(raw)
            yield _frame(item, names, images, (root, file.stem), options)


def _frame(item: _Item, names: list[str], images: Stems, where: tuple[Path, str], options: Reading) -> SingleFrame:
    root, subset = where
    picture = item.media or item.image or _Picture()
    size = (picture.size[0], picture.size[1]) if picture.size is not None and len(picture.size) >= 2 else None
    name = picture.path or f"{item.id}.jpg"
    at = first(p for p in (root / "images" / subset / name, root / "images" / name) if p.is_file()) or images.get(name)
    rois = []
    for one in sorted(item.annotations, key=lambda a: a.z_order):
        roi = _roi(one, names)
        if roi is None:
            options.skip(f"{subset}: item {item.id}: an annotation of type {one.type} is not read")
        else:
            rois.append(roi)
    return frame_of(item.id, at or name, rois=rois, size_hw=size, meta={"split": subset, "file_name": name})


def _roi(found: _Annotation, names: list[str]) -> Roi | None:
    label = [names[found.label_id]] if found.label_id is not None and 0 <= found.label_id < len(names) else []
    meta: dict[str, Any] = {}
    if found.attributes:
        meta["attributes"] = found.attributes
    if found.group:
        meta["group_id"] = found.group
    if found.z_order:
        meta["z_order"] = found.z_order
    roi_id = str(found.id) if found.id else None
    if found.type == "mask" and found.rle is not None:
        rle = {"size": list(found.rle["size"]), "counts": found.rle["counts"]}
        return rle_roi(rle, None, label, roi_id=roi_id, meta=meta)
    if found.type == "polygon" and len(found.points) >= 6:
        return polygon_roi([found.points], label, roi_id=roi_id, meta=meta)
    if found.type == "bbox" and len(found.bbox) == 4:
        return box_roi(found.bbox, label, roi_id=roi_id, meta=meta)
    if found.type in ("polyline", "points"):
        return Roi(label=label, id=roi_id, poly=list(found.points), meta={**meta, "_type": "k2d"})
    if found.type == "label":
        return Roi(label=label, id=roi_id, meta={**meta, "_type": "im"})
    return None


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `annotations/SPLIT.json` and `images/SPLIT`: polygons of one ring as they are, everything else as masks."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    lists: dict[str, JsonLists] = {}
    names = Names.of(options.legend, first=0, void=-1)

    def one(frame: SingleFrame) -> tuple[SingleFrame, tuple[int, int], list[tuple[Shape, dict[str, Any]]]]:
        found = list(shapes(frame, mask_id=options.mask_id))
        return frame, found[0].size_hw if found else size_of(frame), [(s, _geometry(s)) for s in found]

    with fresh_folder(folder), ExitStack() as opened:
        for frame, size, found in ordered_map(one, single_frames(frames), workers=options.workers):
            written.losses.look(frame)
            part, stem = safe_name(str(frame.metadata.get("split") or options.split)), safe_name(frame.id)
            image = place_image(frame, folder / "images" / part / stem, options.images, written.losses)
            rows = [
                {**_facts(s.roi, s.item, i), "label_id": names.take(s.item or Item(s.labels, roi=s.roi)), **geometry}
                for i, (s, geometry) in enumerate(found)
            ]
            for annotation in frame.annotations:
                roi = annotation.roi
                if annotation.get_type() == "b2d" and "rle" not in roi.meta:
                    box = [roi.poly[0], roi.poly[1], roi.poly[4] - roi.poly[0], roi.poly[5] - roi.poly[1]]
                    label = names.take(Item(tuple(roi.label), roi=roi))
                    rows.append({**_facts(roi, None, len(rows)), "label_id": label, "type": "bbox", "bbox": box})
            name = image.name if image is not None else f"{stem}.jpg"
            item = {"id": stem, "annotations": rows, "image": {"path": name, "size": list(size)}}
            if part not in lists:
                lists[part] = opened.enter_context(JsonLists(("items",)))
            lists[part].add("items", item)
            written.frames += 1
        ordered = [
            {"name": label, "parent": "", "attributes": []}
            for label, _ in sorted(names.numbers.items(), key=lambda r: r[1])
        ]
        for part, items in lists.items():
            text = {"label": {"labels": ordered, "attributes": []}}
            items.save(folder / "annotations" / f"{part}.json", info={}, categories=text)
    return written


def _facts(roi: Roi | None, item: Item | None, position: int) -> dict[str, Any]:
    told = roi.id if roi is not None and roi.mask is None else None
    number = int(told) if told is not None and told.isdigit() else item.id if item is not None else 0
    return {"id": number, "group": 0, "z_order": position, "attributes": {}}


def _geometry(shape: Shape) -> dict[str, Any]:
    if len(shape.rings) == 1:
        return {"type": "polygon", "points": shape.rings[0]}
    return {"type": "mask", "rle": shape.run_lengths()}
