"""What a frame seen through one source and through all of them have in common."""

import copy as copying
import os
from collections.abc import Mapping
from typing import Any

from smalti import wire
from smalti.records import Frame, Mask, Preview, Source

__all__ = ["Handle"]


class Handle:
    """What a frame seen through one source and through all of them have in common."""

    __slots__ = ("base", "mask_labels", "record")

    record: Frame
    base: str | None
    mask_labels: Any

    @property
    def id(self) -> str:
        """The frame's id; where none was given, a stable hash of source URIs, timestamp and context."""
        return self.record.id or wire.stable_id(self.record)

    @id.setter
    def id(self, value: str | int | None) -> None:
        self.record.id = None if value is None else str(value)

    @property
    def context_id(self) -> str:
        """What groups frames: a drive, a clip. Falls back to the URI of the first source."""
        return self.record.context_id or (self.record.sources[0].uri if self.record.sources else "")

    @context_id.setter
    def context_id(self, value: str | int | None) -> None:
        self.record.context_id = None if value is None else str(value)

    @property
    def metadata(self) -> dict[str, Any]:
        """Free JSON, searchable; `meta` is the same."""
        return self.record.meta

    @metadata.setter
    def metadata(self, value: Mapping[str, Any]) -> None:
        self.record.meta = dict(value)

    meta = metadata

    @property
    def blob(self) -> str | None:
        """Text that is stored and never searched."""
        return self.record.blob

    @blob.setter
    def blob(self, value: str | None) -> None:
        self.record.blob = value

    @property
    def origin(self) -> dict[str, Any]:
        """Where a stored frame came from: ids and names of its dataset and version; {} for a loose frame."""
        return dict(self.record.extra.get("dataset", {}))

    def anchored(self) -> Frame:
        """A copy of the record that means the same wherever it is read: relative paths become absolute, the id is set.

        A path without a base is relative to the working directory, and is left alone where no such file exists.
        """
        record = copying.deepcopy(self.record)
        record.id = self.id
        for source in record.sources:
            listed: list[Source | Mask | Preview] = [
                source,
                *source.masks,
                *([source.preview] if source.preview else []),
            ]
            for media in listed:
                media.uri = self._absolute(media.uri)
        return record

    def _absolute(self, uri: str) -> str:
        if not uri or "://" in uri or uri.startswith("/"):
            return uri
        if self.base is None:
            return os.path.abspath(uri) if os.path.exists(uri) else uri
        joined = f"{self.base.rstrip('/')}/{uri}"
        return joined if "://" in joined else os.path.abspath(joined)

    def to_dict(self) -> dict[str, Any]:
        """The frame as canonical JSON, id and context filled in."""
        return {**wire.to_dict(self.record), "id": self.id}

    def to_json(self, *, indent: int = 2) -> str:
        """The frame as JSON text."""
        return wire.dump(self.record, indent=indent).decode()
