"""Annotations: the ROIs of a frame, as objects with the shapes' own names.

An annotation is a thin view on one `Roi` record: what is changed here is changed in the frame.
"""

import copy as copying
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import msgspec

from smalti.errors import FrameError
from smalti.geometry import box_of_points, corners_of_box, flat, join_rings, points_of_ellipse, rings, xywha_of_corners
from smalti.records import Roi, RoiMask

__all__ = [
    "Annotation",
    "BoundingBox2D",
    "BoundingBox3D",
    "ComplexPolygon2D",
    "ComplexPolygon3D",
    "Ellipse2D",
    "ImageAnnotation",
    "KeyPoints2D",
    "KeyPoints3D",
    "MaskAnnotation",
    "Polygon2D",
    "Polygon3D",
    "annotation_of",
]

TYPE_KEY = "_type"


class Annotation:
    """One ROI: `labels`, `confidence` (0..1), `metadata`, `id`, and the `values` of its shape.

    Args:
        values: flat numbers in the order of the shape's code (see `smalti.geometry`).
        id: any string; ROIs that belong together share one.
        labels: one label or several.
        confidence: 0..1.
        metadata: free JSON.
    """

    code: ClassVar[str] = ""
    __slots__ = ("label_enum", "roi")

    def __init__(
        self,
        values: Iterable[Any] | None = None,
        id: str | None = None,
        labels: str | Sequence[str] | None = None,
        confidence: float | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.label_enum: int | None = None
        if metadata is not None and not isinstance(metadata, Mapping):
            raise FrameError(f"metadata is {metadata!r}; allowed: a JSON object {{name: value}}", path="$.meta")
        meta = {key: value for key, value in (metadata or {}).items() if key != TYPE_KEY}
        if self.code:
            meta[TYPE_KEY] = self.code
        names = [labels] if isinstance(labels, str) else list(labels or [])
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise FrameError(f"labels has {wrong[0]!r}; labels are strings", path="$.label")
        if confidence is not None and not 0 <= confidence <= 1:
            raise FrameError(f"confidence is {confidence}; allowed: 0..1", path="$.confidence")
        try:
            poly = self._flatten(values) if values is not None else []
        except ValueError as error:
            raise FrameError(f"{type(self).__name__}: {error}", path="$.poly") from None
        self.roi = Roi(
            label=names, id=None if id is None else str(id), poly=list(poly), confidence=confidence, meta=meta
        )

    @classmethod
    def on(cls, roi: Roi) -> Self:
        """The view on an existing record."""
        view = cls.__new__(cls)
        view.roi = roi
        view.label_enum = None
        return view

    def _flatten(self, values: Iterable[Any]) -> list[float]:
        return flat(values)

    @property
    def id(self) -> str | None:
        return self.roi.id

    @id.setter
    def id(self, value: str | None) -> None:
        self.roi.id = None if value is None else str(value)

    @property
    def labels(self) -> list[str]:
        return self.roi.label

    @labels.setter
    def labels(self, value: str | Sequence[str]) -> None:
        self.roi.label = [value] if isinstance(value, str) else list(value)

    @property
    def confidence(self) -> float | None:
        return self.roi.confidence

    @confidence.setter
    def confidence(self, value: float | None) -> None:
        self.roi.confidence = value

    @property
    def metadata(self) -> dict[str, Any]:
        return self.roi.meta

    @metadata.setter
    def metadata(self, value: dict[str, Any]) -> None:
        self.roi.meta = {**value, **({TYPE_KEY: self.code} if self.code else {})}

    @property
    def values(self) -> list[float]:
        return self.roi.poly

    @values.setter
    def values(self, value: Iterable[Any]) -> None:
        self.roi.poly = self._flatten(value)

    def get_type(self) -> str:
        """The wire's code of the shape."""
        return self.code or str(self.roi.meta.get(TYPE_KEY, ""))

    def to_dict(self) -> dict[str, Any]:
        """The ROI as JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self.roi)
        return found

    def copy(self) -> Self:
        """The same values in a record of its own."""
        return type(self).on(copying.deepcopy(self.roi))

    def __eq__(self, other: object) -> bool:
        return self.roi == other.roi if isinstance(other, Annotation) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shape = f" {self.values}" if self.values else f" {self.roi.mask.value}" if self.roi.mask else ""
        return f"{type(self).__name__}({'/'.join(self.labels) or 'no label'}{shape})"


class MaskAnnotation(Annotation):
    """A colour of a mask, and what it means."""

    code = "mask"
    __slots__ = ()

    def __init__(self, mask_rgb: Sequence[int], mask_id: str | int | None = None, **kwargs: Any) -> None:
        super().__init__(None, **kwargs)
        try:
            value = [int(c) for c in mask_rgb]
        except (TypeError, ValueError):
            raise FrameError(
                f"mask_rgb is {mask_rgb!r}; allowed: three channels 0..255 (-1 = any)", path="$.mask.value"
            ) from None
        if (
            len(value) not in (1, 3)
            or list(mask_rgb) != value
            or not all(-1 <= c <= (255 if len(value) == 3 else 0xFFFFFFFF) for c in value)
        ):
            raise FrameError(
                f"mask_rgb is {list(mask_rgb)!r}; allowed: three channels 0..255 (-1 = any)", path="$.mask.value"
            )
        self.roi.mask = RoiMask(value=value, id="" if mask_id is None else str(mask_id))

    @property
    def mask_rgb(self) -> list[int]:
        return self.roi.mask.value if self.roi.mask else []

    @property
    def mask_id(self) -> str:
        return self.roi.mask.id if self.roi.mask else ""


class Polygon2D(Annotation):
    """A closed polygon x0, y0, x1, y1, …; several rings come nested."""

    code = "p2d"
    __slots__ = ()

    def _flatten(self, values: Iterable[Any]) -> list[float]:
        return _flat_rings(values, 2)

    @property
    def rings(self) -> list[list[float]]:
        return rings(self.values)

    def get_bounding_box(self) -> list[float]:
        """The smallest upright box x, y, w, h in pixels."""
        return list(box_of_points(self.values))


class ComplexPolygon2D(Polygon2D):
    """A polygon of several rings."""

    __slots__ = ()


class Polygon3D(Annotation):
    """A closed polygon x, y, z, …"""

    code = "p3d"
    __slots__ = ()

    def _flatten(self, values: Iterable[Any]) -> list[float]:
        return _flat_rings(values, 3)


class ComplexPolygon3D(Polygon3D):
    """A polygon in 3-d of several rings."""

    __slots__ = ()


class KeyPoints2D(Annotation):
    """Points x0, y0, x1, y1, …"""

    code = "k2d"
    __slots__ = ()

    def get_bounding_box(self) -> list[float]:
        """The smallest upright box x, y, w, h in pixels."""
        return list(box_of_points(self.values))


class KeyPoints3D(Annotation):
    """Points x, y, z, …"""

    code = "k3d"
    __slots__ = ()


class Ellipse2D(Annotation):
    """cx, cy, rx, ry, theta in radians."""

    code = "elp"
    __slots__ = ()

    def _flatten(self, values: Iterable[Any]) -> list[float]:
        numbers = flat(values)
        if len(numbers) != 5:
            raise ValueError(f"an ellipse has 5 numbers cx, cy, rx, ry, theta, not {len(numbers)}")
        return numbers

    @property
    def center(self) -> tuple[float, float]:
        return self.values[0], self.values[1]

    @property
    def radii(self) -> tuple[float, float]:
        return self.values[2], self.values[3]

    @property
    def angle(self) -> float:
        return self.values[4]

    def get_bounding_box(self) -> list[float]:
        """x, y, w, h and the angle: the box turned with the ellipse."""
        cx, cy, rx, ry, theta = self.values
        return [cx - rx, cy - ry, 2 * rx, 2 * ry, theta]

    def get_polygon(self, num_point: int = 4) -> list[float]:
        """Points on the ellipse, flat."""
        return points_of_ellipse(self.values, num_point)


class BoundingBox2D(Annotation):
    """x, y, w, h and maybe an angle in radians; stored as four corners."""

    code = "b2d"
    __slots__ = ()

    def _flatten(self, values: Iterable[Any]) -> list[float]:
        numbers = flat(values)
        return numbers if len(numbers) == 8 else corners_of_box(numbers)

    @property
    def bounding_box_xywha(self) -> list[float]:
        return list(xywha_of_corners(self.values))

    @property
    def bounding_box_xywh(self) -> list[float]:
        return self.bounding_box_xywha[:4]

    @property
    def angle(self) -> float:
        return self.bounding_box_xywha[4]

    def get_bounding_box(self) -> list[float]:
        """The smallest upright box x, y, w, h in pixels."""
        return list(box_of_points(self.values))


class BoundingBox3D(Annotation):
    """x, y, z, w, h of the front face, then of the back face."""

    code = "b3d"
    __slots__ = ()

    def _flatten(self, values: Iterable[Any]) -> list[float]:
        numbers = flat(values)
        if len(numbers) != 10:
            raise ValueError(f"a 3-d box has 10 numbers (x, y, z, w, h of front and back), not {len(numbers)}")
        return numbers


class ImageAnnotation(Annotation):
    """Labels for the frame as a whole."""

    code = "im"
    __slots__ = ()

    def __init__(self, image_classes: str | Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(None, labels=kwargs.pop("labels", image_classes), **kwargs)


_BY_CODE: dict[str, type[Annotation]] = {
    kind.code: kind
    for kind in (
        MaskAnnotation,
        Polygon2D,
        Polygon3D,
        KeyPoints2D,
        KeyPoints3D,
        Ellipse2D,
        BoundingBox2D,
        BoundingBox3D,
        ImageAnnotation,
    )
}

BY_ARGUMENT: dict[str, Callable[..., Annotation]] = {
    "poly2d_xy": Polygon2D,
    "poly3d_xyz": Polygon3D,
    "points2d_xy": KeyPoints2D,
    "points3d_xyz": KeyPoints3D,
    "box2d_xywh": BoundingBox2D,
    "box3d_xyzwhxyzwh": BoundingBox3D,
    "ellipse2d_xyrrt": Ellipse2D,
    "mask_rgb": MaskAnnotation,
    "frame_class": ImageAnnotation,
}
"""The keyword of `add_annotation` → the class that it makes."""


def annotation_of(roi: Roi) -> Annotation:
    """The view that fits a record: by its `_type`, else by what it holds."""
    kind = _BY_CODE.get(str(roi.meta.get(TYPE_KEY, "")))
    if kind is None:
        kind = MaskAnnotation if roi.mask is not None else Polygon2D if roi.poly else ImageAnnotation
    return kind.on(roi)


def _flat_rings(values: Iterable[Any], dimensions: int) -> list[float]:
    listed = list(values)
    nested = [part for part in listed if isinstance(part, (list, tuple))]
    if nested and not all(len(part) == dimensions and not isinstance(part[0], (list, tuple)) for part in nested):
        return join_rings(flat(part) for part in listed)
    numbers = flat(listed)
    if any(len(ring) % dimensions for ring in rings(numbers)):
        raise ValueError(f"a ring has {len(numbers)} numbers, which is no multiple of {dimensions}")
    return numbers
