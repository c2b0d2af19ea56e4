"""ClearML's names and signatures on smalti's datasets, views and frames: change `allegroai` to `smalti.allegroai`.

Scripts that must stay as they are run under `python -m smalti.allegroai script.py`. Everything happens in the default
store: `$SMALTI_STORE`, else the user's data folder. `Task`, `Logger` and the models are ClearML's own, where it is
installed.
"""

import importlib
from typing import TYPE_CHECKING, Any

from smalti.errors import MissingExtra

if TYPE_CHECKING:
    from smalti.allegroai.dataset import Dataset
    from smalti.allegroai.dataset_version import DatasetVersion
    from smalti.allegroai.dataview import DataPipe, DataView, IterationOrder
    from smalti.allegroai.frames import FrameGroup, SingleFrame

__all__ = [
    "DataPipe",
    "DataView",
    "Dataset",
    "DatasetVersion",
    "FrameGroup",
    "InputModel",
    "IterationOrder",
    "Logger",
    "OutputModel",
    "SingleFrame",
    "Task",
]

_HOMES = {
    "DataPipe": "dataview",
    "DataView": "dataview",
    "Dataset": "dataset",
    "DatasetVersion": "dataset_version",
    "FrameGroup": "frames",
    "IterationOrder": "dataview",
    "SingleFrame": "frames",
}
_THEIRS = ("InputModel", "Logger", "OutputModel", "Task")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        found = getattr(importlib.import_module(f"smalti.allegroai.{_HOMES[name]}"), name)
    elif name in _THEIRS:
        try:
            found = getattr(importlib.import_module("clearml"), name)
        except ModuleNotFoundError as error:
            if error.name != "clearml":
                raise
            raise MissingExtra(f"smalti.allegroai.{name} is ClearML's own, and", "clearml") from None
    else:
        raise AttributeError(f"module 'smalti.allegroai' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
