"""Versioned datasets of frames that lose nothing: Lance for the rows, SQL for the state.

Read first: `store` (what you open), `dataset`, `version` (the gate that keeps published versions as they are), `engine`
(the only code that calls Lance), `schema` (the only code that knows what a row looks like).
"""

from smalti.store.dataset import Dataset
from smalti.store.ingest import Failed
from smalti.store.store import Store, default_store_uri, open_store
from smalti.store.version import DatasetVersion

__all__ = ["Dataset", "DatasetVersion", "Failed", "Store", "default_store_uri", "open_store"]
