"""Pascal VOC segmentation: `SegmentationClass` and `SegmentationObject`, images in `JPEGImages`.

Class masks are palettes (or the same indices as grey, or painted in RGB with the VOC colours); 255 is the border and
kept as the label "border". Object masks number the objects of a picture. `labelmap.txt` (CVAT and others write it)
replaces the 21 published classes. ImageSets/Segmentation/*.txt say which picture belongs to which part.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smalti.formats import published
from smalti.formats.building import frame_of, mask_of
from smalti.formats.files import Stems, first, folders, pictures, png_mode, read_lines
from smalti.formats.protocol import Detection, Reading
from smalti.formats.write_voc import SAYS, write
from smalti.frames import SingleFrame
from smalti.legend import Entry, Legend, voc_color
from smalti.records import Mask

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "a folder SegmentationClass with masks, and JPEGImages beside it"

CLASS_FOLDERS = ("SegmentationClass", "SegmentationClassAug", "SegmentationClassPNG")
OBJECT_FOLDERS = ("SegmentationObject", "SegmentationObjectPNG")


def _root(path: Path) -> Path | None:
    return first(
        folder
        for folder in (folders(path) if path.is_dir() else ())
        if any((folder / name).is_dir() for name in (*CLASS_FOLDERS, *OBJECT_FOLDERS))
    )


def detect(path: Path) -> Detection | None:
    """By the folder names."""
    root = _root(path)
    if root is None:
        return None
    named = [
        n for n in (*CLASS_FOLDERS, *OBJECT_FOLDERS, "JPEGImages", "ImageSets", "labelmap.txt") if (root / n).exists()
    ]
    return Detection("voc", root, 0.95, (f"{root.name} has {', '.join(named)}",))


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per mask, with the class mask and the object mask."""
    options = options or Reading()
    root = _root(path) or path
    classes = {p.stem: p for name in CLASS_FOLDERS for p in pictures(root / name)}
    if options.masks is not None:
        classes = {p.stem: p for p in pictures(options.masks)}
    objects = {p.stem: p for name in OBJECT_FOLDERS for p in pictures(root / name)}
    images = Stems([options.images or (root / "JPEGImages" if (root / "JPEGImages").is_dir() else root.parent)])
    legend = options.legend or legend_of(root)
    parts = _parts(root)
    for stem in sorted({*classes, *objects}):
        split = parts.get(stem)
        if options.split is not None and split != options.split:
            continue
        image = images.get(f"{stem}.jpg")
        if image is None:
            options.skip(f"{stem}: no image JPEGImages/{stem}.* was found")
        masks: list[Mask] = []
        legends: dict[str, Legend] = {}
        for mask_id, found in (("class", classes.get(stem)), ("object", objects.get(stem))):
            if found is not None:
                masks.append(_mask(found, mask_id))
                legends[mask_id] = _legend(legend, masks[-1], mask_id)
        size = (masks[0].height, masks[0].width)
        meta: dict[str, Any] = {"split": split} if split else {}
        yield frame_of(
            stem,
            image,
            masks=masks,
            legends={key: value for key, value in legends.items() if len(value)},
            size_hw=(size[0], size[1]) if size[0] and size[1] else None,
            meta=meta,
        )


def legend_of(root: Path) -> Legend:
    """labelmap.txt or class_names.txt of the folder, numbered in its order; else the published 21 classes."""
    for name in ("labelmap.txt", "class_names.txt", "labels.txt"):
        if (root / name).is_file():
            found = Legend.read(root / name, shared="merge")
            return _numbered(found)
    return published.voc()


def _numbered(found: Legend) -> Legend:
    """The legend with indices: a VOC colour says its index; without colours the order counts; else colours alone."""
    index_of = {voc_color(i): i for i in range(256)}
    rows = []
    for position, entry in enumerate(found):
        code = entry.code if entry.code is not None else index_of.get(entry.color) if entry.color else position
        rows.append(Entry(entry.labels, entry.color, code))
    if any(row.code is None for row in rows):
        return Legend.from_entries([Entry(row.labels, row.color) for row in rows], kind="colors", shared="merge")
    if all(row.code != 255 for row in rows):
        rows.append(Entry(("border",), voc_color(255), 255))
    return Legend.from_entries(rows, kind="indices", shared="merge")


def _mask(path: Path, mask_id: str) -> Mask:
    mode = png_mode(path)
    painted = mode is not None and mode.kind in ("rgb", "rgba")
    if mask_id == "class":
        encoding = "rgb" if painted else "palette" if mode is not None and mode.kind == "palette" else "index"
    else:
        encoding = "coco" if painted else "plain"
    return mask_of(path, mask_id, encoding, mode.size_hw if mode else None)


def _legend(classes: Legend, mask: Mask, mask_id: str) -> Legend:
    if mask_id == "class":
        if classes.kind == "colors":
            mask.encoding = "rgb"  # the colours of the palette, not its indices
        return classes.as_kind("colors") if mask.encoding == "rgb" else classes
    # Objects are numbered without classes; only the border has a meaning of its own.
    border = 224 | 224 << 8 | 192 << 16 if mask.encoding == "coco" else 255
    return Legend.from_entries([Entry(("border",), code=border)], kind="ids", scheme=mask.encoding)


def _parts(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    lists = root / "ImageSets" / "Segmentation"
    for name in ("train", "val", "test", "trainval", "default"):
        for line in read_lines(lists / f"{name}.txt"):
            found.setdefault(line.split()[0], name)
    return found
