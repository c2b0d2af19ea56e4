"""smalti: open hyper-datasets with first-class segmentation masks.

The whole public surface stands here; each name is loaded when it is first used, so that `import smalti` costs little.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti import codecs, errors
    from smalti.batch import decode_masks, label_maps
    from smalti.binding import resolve
    from smalti.blend import overlay
    from smalti.decode import decode_mask
    from smalti.frames import FrameGroup, SingleFrame
    from smalti.labelmap import LabelMap
    from smalti.legend import Legend
    from smalti.lint import check
    from smalti.opening import open
    from smalti.reading import read_frame, read_frames
    from smalti.records import Frame, Mask, Roi, Source
    from smalti.store import Dataset, DatasetVersion, Store
    from smalti.view import DataView

__version__ = "0.1.0"

_HOMES = {
    "DataView": "view",
    "Dataset": "store",
    "DatasetVersion": "store",
    "Frame": "records",
    "FrameGroup": "frames",
    "LabelMap": "labelmap",
    "Legend": "legend",
    "Mask": "records",
    "Roi": "records",
    "SingleFrame": "frames",
    "Source": "records",
    "Store": "store",
    "check": "lint",
    "decode_mask": "decode",
    "decode_masks": "batch",
    "label_maps": "batch",
    "open": "opening",
    "overlay": "blend",
    "read_frame": "reading",
    "read_frames": "reading",
    "resolve": "binding",
}

__all__ = [
    "DataView",
    "Dataset",
    "DatasetVersion",
    "Frame",
    "FrameGroup",
    "LabelMap",
    "Legend",
    "Mask",
    "Roi",
    "SingleFrame",
    "Source",
    "Store",
    "__version__",
    "check",
    "codecs",
    "decode_mask",
    "decode_masks",
    "errors",
    "label_maps",
    "open",
    "overlay",
    "read_frame",
    "read_frames",
    "resolve",
]


def __getattr__(name: str) -> Any:
    if name in ("codecs", "errors"):
        return importlib.import_module(f"smalti.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'smalti' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"smalti.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
