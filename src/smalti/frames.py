"""SingleFrame and FrameGroup: the handles that you hold. Each is a thin view on one Frame record.

A FrameGroup is the same record seen through several SingleFrames, one per source: an edit through one is seen by all.
"""

import copy as copying
import html
import uuid
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import pixels, wire
from smalti.annotation_list import AnnotationList, make_annotations
from smalti.annotations import Annotation, annotation_of
from smalti.binding import MaskPlan, resolve
from smalti.decode import Lossy
from smalti.errors import FrameError
from smalti.handle import Handle
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.local_files import LocalFiles
from smalti.records import Frame, Mask, Preview, Source

__all__ = ["FrameGroup", "SingleFrame"]

DEFAULT_SOURCE = "default"


class SingleFrame(LocalFiles, Handle):
    """One source with its masks, annotations and metadata.

    Args:
        source: URI or path of the image or video.
        id: default: a stable hash of source URI, timestamp and context.
        width, height: of the source, in pixels.
        timestamp: milliseconds into the source, for a video.
        preview_uri: a browser-friendly stand-in.
        metadata: free JSON.
        annotations: Annotation objects.
        mask_source: URI of the only mask (its id is "00").
        masks_source: {id: uri}, or a list of URIs (ids "00", "01", …).
        context_id: what groups frames.
        content_type: of the source.
        source_id: what the source is called in the record.
        preview_uri_timestamp, size, hash: kept with the source.
    """

    __slots__ = ("_source_id",)

    def __init__(
        self,
        source: str | Path | None = None,
        *,
        id: str | int | None = None,
        width: int | None = None,
        height: int | None = None,
        timestamp: float = 0,
        size: int | None = None,
        hash: str | None = None,
        preview_uri: str | None = None,
        preview_uri_timestamp: float = 0,
        metadata: Mapping[str, Any] | None = None,
        annotations: Iterable[Annotation] | None = None,
        mask_source: str | Path | None = None,
        masks_source: Mapping[Any, str | Path] | Sequence[str | Path] | None = None,
        context_id: str | None = None,
        content_type: str | None = None,
        source_id: str = DEFAULT_SOURCE,
    ) -> None:
        if mask_source is not None and masks_source is not None:
            raise FrameError("mask_source and masks_source were both given; name the masks once")
        facts = {key: value for key, value in (("size", size), ("hash", hash)) if value is not None}
        preview = Preview(uri=str(preview_uri), timestamp=preview_uri_timestamp) if preview_uri is not None else None
        first = Source(
            id=source_id,
            uri="" if source is None else str(source),
            content_type=content_type,
            width=width,
            height=height,
            timestamp=timestamp,
            preview=preview,
            meta=facts,
        )
        self.record = Frame(
            sources=[first], id=None if id is None else str(id), context_id=context_id, meta=dict(metadata or {})
        )
        self.base = None
        self.mask_labels = None
        self._source_id = source_id
        if id is None and source is None:
            self.record.id = uuid.uuid4().hex
        if mask_source is not None or masks_source is not None:
            self.masks_source = [mask_source] if mask_source is not None else masks_source
        if annotations is not None:
            self.annotations = annotations

    @classmethod
    def on(
        cls, record: Frame, source_id: str | None = None, *, base: str | None = None, mask_labels: Any = None
    ) -> "SingleFrame":
        """The view on an existing record through one of its sources (the first by default)."""
        view = cls.__new__(cls)
        view.record, view.base, view.mask_labels = record, base, mask_labels
        view._source_id = source_id if source_id is not None else record.sources[0].id
        return view

    @property
    def source_record(self) -> Source:
        """The record of the source that this handle looks through."""
        for source in self.record.sources:
            if source.id == self._source_id:
                return source
        raise FrameError(
            f"the frame has no source {self._source_id!r} any more; it has {[s.id for s in self.record.sources]}"
        )

    @property
    def source_id(self) -> str:
        """What the source is called in the record."""
        return self._source_id

    @property
    def source(self) -> str:
        """URI or path of the source."""
        return self.source_record.uri.removeprefix("file://")

    @source.setter
    def source(self, value: str | Path) -> None:
        self.source_record.uri = str(value)

    @property
    def width(self) -> int | None:
        """Pixels, as the record says."""
        return self.source_record.width

    @width.setter
    def width(self, value: int | None) -> None:
        self.source_record.width = value

    @property
    def height(self) -> int | None:
        """Pixels, as the record says."""
        return self.source_record.height

    @height.setter
    def height(self, value: int | None) -> None:
        self.source_record.height = value

    @property
    def timestamp(self) -> float:
        """Milliseconds into the source; 0 for stills."""
        return self.source_record.timestamp

    @timestamp.setter
    def timestamp(self, value: float) -> None:
        self.source_record.timestamp = value

    @property
    def sourcedata(self) -> dict[str, Any]:
        """Free JSON stored with the source."""
        return self.source_record.meta

    @property
    def preview_uri(self) -> str | None:
        """URI of the browser-friendly stand-in; `preview_source` is the same."""
        preview = self.source_record.preview
        return preview.uri if preview else None

    @preview_uri.setter
    def preview_uri(self, value: str | None) -> None:
        self.source_record.preview = None if value is None else Preview(uri=str(value))

    preview_source = preview_uri

    @property
    def masks_source(self) -> dict[str, str]:
        """{mask id: uri}. Set it with a dict (own ids) or a list (ids "00", "01", …)."""
        return {mask.id: mask.uri for mask in self.source_record.masks}

    @masks_source.setter
    def masks_source(self, value: Mapping[Any, Any] | Sequence[Any] | None) -> None:
        if isinstance(value, (str, bytes, Path)):
            raise FrameError(
                f"masks_source is {str(value)!r}; give a list of URIs or a dict id -> uri, or set mask_source"
            )
        given = value if isinstance(value, Mapping) else {f"{i:02d}": uri for i, uri in enumerate(value or ())}
        known = {mask.id: mask for mask in self.source_record.masks}
        masks = []
        for key, uri in given.items():
            mask = known.get(str(key))
            masks.append(mask if mask is not None and mask.uri == str(uri) else Mask(id=str(key), uri=str(uri)))
        self.source_record.masks = masks

    @property
    def mask_source(self) -> str | None:
        """URI of the first mask."""
        masks = self.source_record.masks
        return masks[0].uri if masks else None

    @mask_source.setter
    def mask_source(self, value: str | Path | None) -> None:
        self.masks_source = [] if value is None else [value]

    @property
    def annotations(self) -> AnnotationList:
        """The live list of this source's annotations."""
        return AnnotationList(self.record, self._source_id)

    @annotations.setter
    def annotations(self, value: Iterable[Annotation]) -> None:
        listed = list(value)
        live = self.annotations
        live.clear()
        live.extend(listed)

    def add_annotation(self, *, labels: str | Sequence[str] = (), id: str | None = None, **kwargs: Any) -> list[int]:
        """Add one annotation per shape given; those of one call share an id.

        Args:
            labels: what the shape shows; alone, labels of the whole frame.
            id: None = the next free one.
            **kwargs: shapes (poly2d_xy, points2d_xy, box2d_xywh, ellipse2d_xyrrt, poly3d_xyz, points3d_xyz,
                box3d_xyzwhxyzwh, mask_rgb, frame_class), in pixels and radians; mask_id; confidence 0..1; metadata.

        Returns:
            The positions of the new annotations in `annotations`.

        Raises:
            FrameError: an argument is unknown, or a shape has the wrong numbers.
        """
        live = self.annotations
        first = len(live)
        live.extend(make_annotations(live, labels, id, kwargs))
        return list(range(first, len(live)))

    def get_annotations(self, id: str | None = None, index: int | None = None) -> list[Annotation]:
        """The annotations with this id, or at this position, or all."""
        if index is not None:
            return [self.annotations[index]]
        return [a for a in self.annotations if id is None or a.id == str(id)]

    def remove_annotation(self, index: int | None = None, **kwargs: Any) -> Annotation | None:
        """Remove the annotation at a position (or `id=`); returns it, or None where there is none."""
        live = self.annotations
        if index is None:
            index = next((i for i, a in enumerate(live) if "id" in kwargs and a.id == str(kwargs["id"])), None)
        return live.pop(index) if index is not None and -len(live) <= index < len(live) else None

    def remove_annotations(
        self, id: str | None = None, label: str | None = None, labels: Sequence[str] | None = None
    ) -> list[Annotation]:
        """Remove by id, by any of the labels, or by exactly these labels; no argument removes all. Returns what went."""
        gone = [
            a
            for a in self.annotations
            if (id is None or a.id == str(id))
            and (label is None or label in a.labels)
            and (labels is None or sorted(a.labels) == sorted(labels))
        ]
        for annotation in gone:
            self.annotations.remove(annotation)
        return gone

    def image(self, *, upright: bool = False) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB: the picture of the source, for a video the one at its timestamp.

        Args:
            upright: turn it as its EXIF orientation or its container asks; by default it is as stored, as masks are.
        """
        return pixels.image(self.source_record, self.base, upright=upright)

    def label_map(
        self,
        mask_id: str | int | None = None,
        *,
        legend: Legend | Mapping[str, Any] | None = None,
        lossy: Lossy = "auto",
        tolerance: int | None = None,
        strict: bool = False,
        clamp: bool = False,
    ) -> LabelMap:
        """The decoded mask.

        Args:
            mask_id: None = the only mask that is used.
            legend: a Legend (or {(r, g, b): label}) to read the mask with instead of the frame's own; the version form `{"_all_": [...]}` only
                fills in what the frame does not say.
            lossy, tolerance, strict: as in `smalti.decode_mask`.
            clamp: a timestamp outside the mask's clip takes the nearest picture, and is noted.

        Raises:
            MaskReferenceError: no mask or several fit.
            DecodeError, TimestampError, FileNotFoundError, StorageError: as the mask's bytes deserve.
        """
        if isinstance(legend, Mapping) and any(not isinstance(key, str) for key in legend):
            legend = Legend(legend)
        plan = self._plan(mask_id, None if isinstance(legend, Legend) else legend)
        return pixels.label_map(
            plan, self.base, legend if isinstance(legend, Legend) else None, (lossy, tolerance, strict, clamp)
        )

    def alpha(self, mask_id: str | int | None = None) -> NDArray[np.uint8]:
        """(H, W) uint8: the mask read as opacity: its alpha channel, else its grey value, else its luma."""
        return pixels.alpha(self._plan(mask_id, None), self.base)

    def _plan(self, mask_id: str | int | None, legend: Any) -> MaskPlan:
        found = resolve(self.record, legend if legend is not None else self.mask_labels)
        return found.plan(None if mask_id is None else str(mask_id), self._source_id)

    def copy(self) -> "SingleFrame":
        """The same data under a new random id."""
        twin = SingleFrame.on(
            copying.deepcopy(self.record), self._source_id, base=self.base, mask_labels=self.mask_labels
        )
        twin.record.id = uuid.uuid4().hex
        return twin

    @staticmethod
    def from_dict(found: Mapping[str, Any]) -> "SingleFrame | FrameGroup":
        """The frame in a JSON object; several sources make a FrameGroup."""
        return handle_of(wire.from_dict(found))

    def __repr__(self) -> str:
        size = f" {self.height}×{self.width}" if self.width and self.height else ""
        parts = [
            f"{len(self.masks_source)} mask(s)" if self.masks_source else "",
            f"{len(self.annotations)} annotation(s)",
        ]
        return f"SingleFrame {self.source or 'without source'}{size}: {', '.join(p for p in parts if p)}"

    def _repr_html_(self) -> str:
        """A table of what the frame says, for notebooks; no pixel is read."""
        rows = {"id": self.id, "source": self.source, "context": self.context_id, "timestamp": f"{self.timestamp} ms"}
        rows |= {f"mask {key}": uri for key, uri in self.masks_source.items()}
        rows |= {"annotations": "; ".join(repr(a) for a in list(self.annotations)[:20])}
        cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows.items())
        return f"<table>{cells}</table>"


class FrameGroup(Handle, MutableMapping[str, SingleFrame]):
    """Several sources of one moment: a map name → SingleFrame on one record."""

    __slots__ = ()

    def __init__(
        self,
        frames: Mapping[str, SingleFrame] | None = None,
        *,
        id: str | int | None = None,
        metadata: Mapping[str, Any] | None = None,
        **named: SingleFrame,
    ) -> None:
        self.record = Frame(sources=[], id=None if id is None else str(id), meta=dict(metadata or {}))
        self.base = None
        self.mask_labels = None
        self.update(frames or {}, **named)

    @classmethod
    def on(cls, record: Frame, *, base: str | None = None, mask_labels: Any = None) -> "FrameGroup":
        """The view on an existing record."""
        view = cls.__new__(cls)
        view.record, view.base, view.mask_labels = record, base, mask_labels
        return view

    def __getitem__(self, name: str) -> SingleFrame:
        if all(source.id != name for source in self.record.sources):
            raise KeyError(name)
        return SingleFrame.on(self.record, name, base=self.base, mask_labels=self.mask_labels)

    def __setitem__(self, name: str, frame: SingleFrame) -> None:
        if name in self:
            del self[name]
        taken = frame.record
        source = copying.copy(frame.source_record)
        source.id = name
        rois = [a.roi for a in frame.annotations]
        for roi in rois:
            roi.sources = [name]
        if not self.record.sources:
            self.record.context_id = self.record.context_id or taken.context_id
            self.base = self.base or frame.base
        self.record.sources.append(source)
        self.record.rois.extend(rois)
        if taken.meta and taken is not self.record:
            self.record.meta.setdefault(name, dict(taken.meta))
        # From here on the handle that was put in looks at the group's record.
        frame.record, frame._source_id = self.record, name

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self.record.sources = [s for s in self.record.sources if s.id != name]
        for roi in self.record.rois:
            roi.sources = [s for s in roi.sources if s != name] if roi.sources != [name] else ["\0gone"]
        self.record.rois = [roi for roi in self.record.rois if roi.sources != ["\0gone"]]

    def __iter__(self) -> Iterator[str]:
        return iter([source.id for source in self.record.sources])

    def __len__(self) -> int:
        return len(self.record.sources)

    def __contains__(self, name: object) -> bool:
        return any(source.id == name for source in self.record.sources)

    def get_global_annotations(self) -> list[Annotation]:
        """The annotations that belong to every source."""
        return [annotation_of(roi) for roi in self.record.rois if not roi.sources or set(roi.sources) >= set(self)]

    def add_global_annotation(self, annotation: Annotation) -> None:
        """One annotation for all sources, those that come later too."""
        roi = copying.deepcopy(annotation.roi)
        roi.sources = []
        self.record.rois.append(roi)

    def remove_global_annotation(self, annotation: Annotation) -> bool:
        """Remove an equal global annotation; whether there was one."""
        for roi in self.record.rois:
            bare = copying.copy(annotation.roi)
            bare.sources = roi.sources
            if roi == bare and (not roi.sources or set(roi.sources) >= set(self)):
                self.record.rois.remove(roi)
                return True
        return False

    def image(self, source: str | None = None, *, upright: bool = False) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of one source; `source` may be left out where there is one."""
        return self._one(source).image(upright=upright)

    def label_map(self, mask_id: str | int | None = None, *, source: str | None = None, **options: Any) -> LabelMap:
        """The decoded mask of one source; options as in `SingleFrame.label_map`.

        Raises:
            MaskReferenceError: several masks fit; the message lists them.
        """
        return self[self._source_of(mask_id, source, options.get("legend"))].label_map(mask_id, **options)

    def alpha(self, mask_id: str | int | None = None, *, source: str | None = None) -> NDArray[np.uint8]:
        """(H, W) uint8 opacity of one source's mask."""
        return self[self._source_of(mask_id, source)].alpha(mask_id)

    def _source_of(self, mask_id: str | int | None, source: str | None, legend: Any = None) -> str:
        version = legend if isinstance(legend, Mapping) and all(isinstance(key, str) for key in legend) else None
        found = resolve(self.record, version or self.mask_labels)
        return found.plan(None if mask_id is None else str(mask_id), source).source.id

    def _one(self, source: str | None) -> SingleFrame:
        if source is None and len(self) == 1:
            source = next(iter(self))
        if source is None or source not in self:
            raise FrameError(
                f"source {source!r} was asked for; the group has {list(self)}; name one of them", path="$.sources"
            )
        return self[source]

    def copy(self) -> "FrameGroup":
        """The same data under a new random id."""
        twin = FrameGroup.on(copying.deepcopy(self.record), base=self.base, mask_labels=self.mask_labels)
        twin.record.id = uuid.uuid4().hex
        return twin

    from_dict = staticmethod(SingleFrame.from_dict)

    def __eq__(self, other: object) -> bool:
        return self.record == other.record if isinstance(other, FrameGroup) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"FrameGroup {', '.join(self) or 'empty'}: {len(self.record.rois)} annotation(s)"


def handle_of(record: Frame, *, base: str | None = None, mask_labels: Any = None) -> SingleFrame | FrameGroup:
    """The handle that fits a record: several sources make a group."""
    if len(record.sources) > 1:
        return FrameGroup.on(record, base=base, mask_labels=mask_labels)
    return SingleFrame.on(record, base=base, mask_labels=mask_labels)
