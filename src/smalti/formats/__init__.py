"""Other people's layouts ⇄ frames: one file each, named here and imported when it is used.

A format is a module with `detect`, `read` and, where the layout can be written, `write`: see `smalti.formats.protocol`.
"""

import importlib
from pathlib import Path
from typing import cast

from smalti.errors import FrameError
from smalti.formats.protocol import Detection, Format

__all__ = ["FORMATS", "Detection", "choose", "detect", "load", "writable"]

# name → module. The order decides between layouts that are equally sure of themselves: the special before the general.
FORMATS: dict[str, str] = {
    "cityscapes": "smalti.formats.cityscapes",
    "coco-panoptic": "smalti.formats.coco_panoptic",
    "coco": "smalti.formats.coco",
    "mapillary": "smalti.formats.mapillary",
    "ade20k": "smalti.formats.ade20k",
    "bdd100k": "smalti.formats.bdd100k",
    "kitti": "smalti.formats.kitti",
    "voc": "smalti.formats.voc",
    "camvid": "smalti.formats.camvid",
    "davis": "smalti.formats.davis",
    "labelme": "smalti.formats.labelme",
    "cvat": "smalti.formats.cvat",
    "label-studio": "smalti.formats.label_studio",
    "supervisely": "smalti.formats.supervisely",
    "datumaro": "smalti.formats.datumaro",
    "yolo": "smalti.formats.yolo",
    "hf": "smalti.formats.hf_folder",
    "folder": "smalti.formats.plain_folder",
}


def load(name: str) -> Format:
    """The format of this name.

    Raises:
        FrameError: there is none; the message lists them.
    """
    if name not in FORMATS:
        raise FrameError(f"there is no format {name!r}; formats are {', '.join(FORMATS)}")
    # A module is the protocol: what it lacks shows where it is called.
    return cast(Format, importlib.import_module(FORMATS[name]))


def detect(path: Path) -> list[Detection]:
    """What a file or folder may be, the surest first; nothing is decoded, annotations are only looked into.

    Raises:
        FileNotFoundError: there is nothing at the path.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    found = [seen for name in FORMATS if (seen := load(name).detect(path)) is not None]
    return sorted(found, key=lambda seen: -seen.sureness)


def choose(path: Path, name: str | None = None) -> Detection:
    """The layout at `path`: the named one, or the surest.

    Raises:
        FrameError: nothing fits, or the named layout does not; the message says what was looked for.
    """
    if name is not None:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
        seen = load(name).detect(path)
        if seen is None:
            others = [f"{o.format} ({o.reasons[0]})" for o in detect(path)]
            raise FrameError(
                f"{path} does not look like {name}: {load(name).LOOKS_LIKE}; it looks like {', '.join(others) or 'nothing known'}"
            )
        return seen
    found = detect(path)
    if not found:
        raise FrameError(
            f"{path} looks like none of {', '.join(FORMATS)}; "
            "name the masks and the legend of a plain folder: --format folder --masks … --legend …"
        )
    return found[0]


def writable() -> list[str]:
    """The formats that can be written."""
    return [name for name in FORMATS if hasattr(load(name), "write")]
