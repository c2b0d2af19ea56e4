"""SingleFrame and FrameGroup with the legacy constructors; all they do is done by smalti's own."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smalti import frames as ours
from smalti.allegroai.dataframe import annotation_on, registered
from smalti.allegroai.naming import default_store
from smalti.annotation_list import AnnotationList as OurList
from smalti.annotations import Annotation

__all__ = ["AnnotationList", "FrameGroup", "Numbers", "SingleFrame", "adopt"]

Place = tuple[str, str]
"""Ids of the dataset and the version that a frame was read from."""
Numbers = Callable[[Sequence[str]], int | None]
"""The class number that a view gives to labels; None where they disagree."""


class AnnotationList(OurList):
    """The live list of a source's annotations, as objects of `dataframe`."""

    __slots__ = ("_numbers",)

    def __init__(self, record: Any, source_id: str, numbers: Numbers | None = None) -> None:
        super().__init__(record, source_id)
        self._numbers = numbers

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return [self._shown(each) for each in found] if isinstance(index, slice) else self._shown(found)

    def _shown(self, plain: Annotation) -> Annotation:
        shown = annotation_on(plain.roi)
        shown.label_enum = None if self._numbers is None else self._numbers(shown.labels)
        return shown


class _Placed:
    """What frames of both kinds know about where they were read."""

    __slots__ = ()

    _place: Place | None
    _numbers: Numbers | None

    @property
    def origin(self) -> dict[str, Any]:
        """Ids and names of the dataset and version that the frame was read from; {} for a loose frame."""
        if self._place is None:
            return {}
        dataset = default_store()[self._place[0]]
        version = dataset.version(self._place[1])
        return {
            "dataset_id": dataset.id,
            "dataset_name": dataset.name,
            "version_id": version.id,
            "version_name": version.name,
        }

    @property
    def dataset_version_metadata(self) -> dict[str, Any]:
        """The metadata of that version; {} for a loose frame."""
        return {} if self._place is None else default_store()[self._place[0]].version(self._place[1]).metadata


class SingleFrame(_Placed, ours.SingleFrame):
    """One source with its masks, annotations and metadata: see `smalti.SingleFrame`."""

    __slots__ = ("_numbers", "_place")

    def __init__(
        self,
        id: str | float | None = None,
        source: str | Path | None = None,
        width: int | None = None,
        height: int | None = None,
        timestamp: float | None = None,
        size: int | None = None,
        hash: str | None = None,
        preview_uri: str | None = None,
        preview_uri_timestamp: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        annotations: Iterable[Annotation] | None = None,
        mask_source: str | Path | None = None,
        context_id: str | None = None,
        **more: Any,
    ) -> None:
        self._place, self._numbers = None, None
        super().__init__(
            source,
            id=None if id is None else str(id),
            width=width,
            height=height,
            timestamp=timestamp or 0,
            size=size,
            hash=hash,
            preview_uri=preview_uri,
            preview_uri_timestamp=preview_uri_timestamp or 0,
            metadata=metadata,
            annotations=annotations,
            mask_source=mask_source,
            context_id=context_id,
            **more,
        )

    @property
    def size(self) -> int | None:
        """Bytes of the source, as the record says."""
        found: int | None = self.sourcedata.get("size")
        return found

    @property
    def hash(self) -> Any:
        """What the record says of the source's content."""
        return self.sourcedata.get("hash")

    @property
    def preview_uri_timestamp(self) -> float:
        """Milliseconds into the preview; `preview_source_timestamp` is the same."""
        preview = self.source_record.preview
        return preview.timestamp or 0 if preview else 0

    preview_source_timestamp = preview_uri_timestamp

    @property
    def annotations(self) -> AnnotationList:
        """The live list of this source's annotations."""
        return AnnotationList(self.record, self.source_id, self._numbers)

    @annotations.setter
    def annotations(self, value: Iterable[Annotation]) -> None:
        listed = list(value)
        live = self.annotations
        live.clear()
        live.extend(listed)

    def add_annotation(self, *, labels: str | Sequence[str] = (), id: str | None = None, **kwargs: Any) -> list[int]:
        """One annotation per shape given: see `smalti.SingleFrame.add_annotation`; custom types by their names too."""
        custom = {name: kwargs.pop(name) for name in registered() if name in kwargs}
        plain = {key: value for key, value in kwargs.items() if key not in ("confidence", "metadata")}
        places = super().add_annotation(labels=labels, id=id, **kwargs) if plain or not custom else []
        live = self.annotations
        shared = {key: kwargs.get(key) for key in ("confidence", "metadata")}
        id = live[places[0]].id if places else id if id is not None else str(len(live))
        for name, values in custom.items():
            places.append(len(live))
            live.append(registered()[name](values, id=id, labels=labels, **shared))
        return places

    def get_local_source(  # type: ignore[override]  # the legacy order of arguments
        self, raise_on_error: bool = False, skip_size_check: bool = False, force_download: bool = False
    ) -> str | None:
        """Path of a local copy of the source, or None."""
        return super().get_local_source(raise_on_error, force_download)

    def get_local_preview_source(  # type: ignore[override]  # the legacy order of arguments
        self, raise_on_error: bool = False, skip_size_check: bool = False, force_download: bool = False
    ) -> str | None:
        """Path of a local copy of the preview, or None."""
        return super().get_local_preview_source(raise_on_error, force_download)

    def get_local_mask_source(  # type: ignore[override]  # the legacy order of arguments
        self,
        raise_on_error: bool = False,
        mask_id: str | int | None = None,
        skip_size_check: bool = False,
        force_download: bool = False,
    ) -> str | None:
        """Path of a local copy of one mask: the named one, else the first."""
        if mask_id is None:
            mask_id = next(iter(self.masks_source), None)
        return super().get_local_mask_source(mask_id, raise_on_error, force_download)

    def get_local_masks_source(  # type: ignore[override]  # the legacy order of arguments
        self, raise_on_error: bool = False, skip_size_check: bool = False, force_download: bool = False
    ) -> dict[str, str | None]:
        """{mask id: path of a local copy}."""
        return super().get_local_masks_source(raise_on_error, force_download)

    def get_source_hash(self) -> dict[str, Any]:
        """What `update_source_files_hash` kept: {"source", "mask_source": [...], "preview_source"}."""
        found = self.sourcedata.get("hash")
        return dict(found) if isinstance(found, dict) else {}

    def update_source_files_hash(self, allow_download: bool = False) -> dict[str, Any]:
        """Keep the SHA-256 of the files with the source, and return it; remote ones only with `allow_download`."""
        found: dict[str, Any] = {}
        if digest := self._digest(self.source_record.uri, self.get_local_source, allow_download):
            found["source"] = digest
        masks = [
            self._digest(uri, partial(self.get_local_mask_source, mask_id=key), allow_download)
            for key, uri in self.masks_source.items()
        ]
        if any(masks):
            found["mask_source"] = [digest or "" for digest in masks]
        if digest := self._digest(self.preview_uri or "", self.get_local_preview_source, allow_download):
            found["preview_source"] = digest
        self.sourcedata["hash"] = found
        return dict(found)

    @staticmethod
    def _digest(uri: str, fetch: Callable[[], str | None], allow_download: bool) -> str | None:
        if not uri or ("://" in uri and not uri.startswith("file://") and not allow_download):
            return None
        path = fetch()
        return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()

    def copy(self) -> "SingleFrame":
        """The same data under a new random id."""
        twin: SingleFrame = adopt(super().copy(), self._place, self._numbers)
        return twin

    @staticmethod
    def from_dict(found: Mapping[str, Any]) -> "SingleFrame | FrameGroup":
        """The frame in a JSON object; several sources make a FrameGroup."""
        made: SingleFrame | FrameGroup = adopt(ours.SingleFrame.from_dict(found))
        return made


class FrameGroup(_Placed, ours.FrameGroup):
    """Several sources of one moment, by name: see `smalti.FrameGroup`."""

    __slots__ = ("_numbers", "_place")

    def __init__(
        self, id: str | int | None = None, metadata: Mapping[str, Any] | None = None, *args: Any, **kwargs: Any
    ) -> None:
        self._place, self._numbers = None, None
        super().__init__(id=id, metadata=metadata)
        self.update(*args, **kwargs)

    def __getitem__(self, name: str) -> SingleFrame:
        found: SingleFrame = adopt(super().__getitem__(name), self._place, self._numbers)
        return found

    def get_global_annotations(self) -> list[Annotation]:
        """The annotations that belong to every source."""
        return [annotation_on(plain.roi) for plain in super().get_global_annotations()]

    def copy(self) -> "FrameGroup":
        """The same data under a new random id."""
        twin: FrameGroup = adopt(super().copy(), self._place, self._numbers)
        return twin

    from_dict = staticmethod(SingleFrame.from_dict)


def adopt(handle: Any, place: Place | None = None, numbers: Numbers | None = None) -> Any:
    """A frame of smalti's as one of this module's, on the same record.

    Args:
        handle: a smalti SingleFrame or FrameGroup.
        place: ids of the dataset and version that it was read from.
        numbers: what a view calls labels.
    """
    made: Any
    if isinstance(handle, ours.FrameGroup):
        made = FrameGroup.on(handle.record, base=handle.base, mask_labels=handle.mask_labels)
    else:
        made = SingleFrame.on(handle.record, handle.source_id, base=handle.base, mask_labels=handle.mask_labels)
    made._place, made._numbers = place, numbers
    return made
