"""The live list of one source's annotations in a frame record."""

from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from typing import Any

from smalti.annotations import BY_ARGUMENT, Annotation, ImageAnnotation, annotation_of
from smalti.errors import FrameError
from smalti.records import Frame, Roi

__all__ = ["AnnotationList", "make_annotations"]


class AnnotationList(MutableSequence[Annotation]):
    """Views on the ROIs that belong to one source; what is added or removed here changes the record."""

    __slots__ = ("_record", "_source_id")

    def __init__(self, record: Frame, source_id: str) -> None:
        self._record = record
        self._source_id = source_id

    def _positions(self) -> list[int]:
        return [i for i, roi in enumerate(self._record.rois) if not roi.sources or self._source_id in roi.sources]

    def _owned(self, annotation: Annotation) -> Roi:
        if not isinstance(annotation, Annotation):
            raise FrameError(f"{annotation!r} is not an annotation; build one, e.g. Polygon2D([...], labels=['car'])")
        if not annotation.roi.sources and len(self._record.sources) > 1:
            annotation.roi.sources = [self._source_id]
        return annotation.roi

    def __getitem__(self, index: Any) -> Any:
        positions = self._positions()
        if isinstance(index, slice):
            return [annotation_of(self._record.rois[i]) for i in positions[index]]
        return annotation_of(self._record.rois[positions[index]])

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            raise FrameError("annotations are replaced one by one, or all at once: frame.annotations = [...]")
        self._record.rois[self._positions()[index]] = self._owned(value)

    def __delitem__(self, index: Any) -> None:
        positions = self._positions()
        doomed = set(positions[index]) if isinstance(index, slice) else {positions[index]}
        self._record.rois[:] = [roi for i, roi in enumerate(self._record.rois) if i not in doomed]

    def __len__(self) -> int:
        return len(self._positions())

    def insert(self, index: int, value: Annotation) -> None:
        """Put an annotation before a position."""
        positions = self._positions()
        place = positions[index] if -len(positions) <= index < len(positions) else len(self._record.rois)
        self._record.rois.insert(place, self._owned(value))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Iterable) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))


def make_annotations(
    live: Sequence[Annotation], labels: str | Sequence[str], id: str | None, given: Mapping[str, Any]
) -> list[Annotation]:
    """One annotation per shape among the arguments of `add_annotation`; they share an id."""
    arguments = dict(given)
    confidence, metadata = arguments.pop("confidence", None), arguments.pop("metadata", None)
    mask_id = arguments.pop("mask_id", None)
    shapes = {key: arguments.pop(key) for key in list(arguments) if key in BY_ARGUMENT}
    if arguments:
        raise FrameError(
            f"add_annotation has no argument {next(iter(arguments))!r}; shapes are {', '.join(BY_ARGUMENT)}"
        )
    shapes = {key: value for key, value in shapes.items() if value is not None}
    names = [labels] if isinstance(labels, str) else list(labels)
    shared = {"id": str(id) if id is not None else _next_id(live), "confidence": confidence, "metadata": metadata}
    if not shapes:
        if not names:
            raise FrameError("add_annotation was given neither a shape nor labels; give one of them")
        return [ImageAnnotation(labels=names, **shared)]
    made: list[Annotation] = []
    for key, value in shapes.items():
        if key == "frame_class":
            classes = [value] if isinstance(value, str) else list(value)
            made.append(ImageAnnotation(labels=list(dict.fromkeys([*classes, *names])), **shared))
        elif key == "mask_rgb":
            made.append(BY_ARGUMENT[key](value, mask_id=mask_id, labels=names, **shared))
        else:
            made.append(BY_ARGUMENT[key](value, labels=names, **shared))
    return made


def _next_id(live: Sequence[Annotation]) -> str:
    used = {annotation.id for annotation in live}
    number = len(used)
    while str(number) in used:
        number += 1
    return str(number)
