"""Versioned datasets of frames that lose nothing: Lance for the rows, SQL for the state.

Read first: `store` (what you open), `dataset`, `version` (the gate that keeps published versions as they are), `engine`
(the only code that calls Lance), `schema` (the only code that knows what a row looks like).
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.store.dataset import Dataset
    from smalti.store.ingest import Failed
    from smalti.store.store import Store, default_store_uri, open_store
    from smalti.store.version import DatasetVersion

__all__ = ["Dataset", "DatasetVersion", "Failed", "Store", "default_store_uri", "open_store"]

_HOMES = {
    "Dataset": "dataset",
    "DatasetVersion": "version",
    "Failed": "ingest",
    "Store": "store",
    "default_store_uri": "store",
    "open_store": "store",
}


def __getattr__(name: str) -> Any:
    """Each name is loaded when it is first used: a list of datasets needs neither Arrow nor Lance."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
