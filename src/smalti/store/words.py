"""What the frames of a version have to be asked about: labels, metadata paths and examples of their values."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from smalti.query.values import at_path, canonical, walk
from smalti.store.table import VersionTable

__all__ = ["VersionWords"]

_LOOKED_AT = 200
_MOST = 500


class VersionWords:
    """The words of one state of a version; paths and values are those of its first frames."""

    def __init__(self, table: VersionTable) -> None:
        self._table = table

    def labels(self) -> Sequence[str]:
        """Every label of a ROI, as written or as meant."""
        return sorted(self._table.written_labels())

    def meta_paths(self) -> Sequence[str]:
        """Paths of metadata, from `meta.` on."""
        return sorted({f"meta.{path}" for meta in self._metas for path, _ in walk(meta)})[:_MOST]

    def values(self, field: str) -> Sequence[str]:
        """Texts and numbers below a metadata path, or context ids."""
        if field == "context_id":
            found = {value for value in self._contexts if value}
        elif field.startswith("meta."):
            path = field.removeprefix("meta.")
            found = {canonical(value) for meta in self._metas for value in at_path(meta, path)}
        else:
            return []
        return sorted(found)[:_LOOKED_AT]

    @cached_property
    def _metas(self) -> list[dict[str, Any]]:
        batches = self._table.rows.scan(["meta"], limit=_LOOKED_AT)
        texts = [text for batch in batches for text in batch.column("meta").to_pylist()]
        return [msgspec.json.decode(text) if text else {} for text in texts]

    @cached_property
    def _contexts(self) -> list[str | None]:
        batches = self._table.rows.scan(["context_id"], limit=_LOOKED_AT)
        return [text for batch in batches for text in batch.column("context_id").to_pylist()]
