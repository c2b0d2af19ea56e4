"""Annotation classes with the constructors of the legacy module `dataframe`.

`SingleFrame` and `FrameGroup` can be imported from here too.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from smalti import annotations as ours
from smalti.allegroai.naming import UsageError
from smalti.annotations import Annotation as _Annotation
from smalti.geometry import rings
from smalti.records import Roi

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
    "Mask",
    "Polygon2D",
    "Polygon3D",
    "annotation_on",
    "registered",
]

Kind = TypeVar("Kind", bound=type[_Annotation])

_REGISTERED: dict[str, type[_Annotation]] = {}


class Annotation(_Annotation):
    """A shape of a registered type, or one that says its type in its metadata."""

    __slots__ = ()

    @staticmethod
    def register(type_names: str | Sequence[str]) -> Callable[[Kind], Kind]:
        """A class decorator: shapes of these types become objects of the class, also in `add_annotation(name=...)`."""
        names = [type_names] if isinstance(type_names, str) else list(type_names)
        if not names or any(name in ours.BY_ARGUMENT or name in _BY_CODE for name in names):
            raise UsageError(f"the types {names} cannot be registered; give names that no built-in shape has")

        def keep(kind: Kind) -> Kind:
            kind.code = names[0]
            _REGISTERED.update(dict.fromkeys(names, kind))
            return kind

        return keep


class Mask(ours.MaskAnnotation):
    """A colour of a mask, and what it means."""

    __slots__ = ()

    def __init__(
        self,
        mask_rgb: Sequence[int],
        id: str | None = None,
        labels: str | Sequence[str] | None = None,
        confidence: float | None = None,
        metadata: dict[str, Any] | None = None,
        mask_id: str | int | None = None,
    ) -> None:
        super().__init__(mask_rgb, mask_id, id=id, labels=labels, confidence=confidence, metadata=metadata)


class _Shape:
    """The first argument of a shape is its coordinates, under a name of the shape's own."""

    __slots__ = ()
    argument: ClassVar[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        coordinates = (kwargs.pop(self.argument),) if self.argument in kwargs and not args else ()
        if not args and not coordinates:
            raise TypeError(f"{type(self).__name__}() lacks the argument {self.argument!r}")
        super().__init__(*coordinates, *args, **kwargs)


class Polygon2D(_Shape, ours.Polygon2D):
    """A closed polygon x0, y0, x1, y1, …"""

    __slots__ = ()
    argument = "polygon_xy"


class ComplexPolygon2D(_Shape, ours.ComplexPolygon2D):
    """A polygon of several rings."""

    __slots__ = ()
    argument = "polygons_xy"


class Polygon3D(_Shape, ours.Polygon3D):
    """A closed polygon x, y, z, …"""

    __slots__ = ()
    argument = "polygon_xyz"


class ComplexPolygon3D(_Shape, ours.ComplexPolygon3D):
    """A polygon in 3-d of several rings."""

    __slots__ = ()
    argument = "polygons_xyz"


class KeyPoints2D(_Shape, ours.KeyPoints2D):
    """Points x0, y0, x1, y1, …"""

    __slots__ = ()
    argument = "keypoints_xy"


class KeyPoints3D(_Shape, ours.KeyPoints3D):
    """Points x, y, z, …"""

    __slots__ = ()
    argument = "keypoints_xyz"


class Ellipse2D(_Shape, ours.Ellipse2D):
    """cx, cy, rx, ry, theta in radians."""

    __slots__ = ()
    argument = "ellipse2d_xyrrt"


class BoundingBox2D(_Shape, ours.BoundingBox2D):
    """x, y, w, h and maybe an angle in radians."""

    __slots__ = ()
    argument = "bounding_box_xywh"


class BoundingBox3D(_Shape, ours.BoundingBox3D):
    """x, y, z, w, h of the front face, then of the back face."""

    __slots__ = ()
    argument = "bounding_box_3d_xyzwhxyzwh"


class ImageAnnotation(ours.ImageAnnotation):
    """Labels for the frame as a whole."""

    __slots__ = ()

    def __init__(
        self,
        image_classes: str | Sequence[str] | None = None,
        id: str | None = None,
        labels: str | Sequence[str] | None = None,
        confidence: float | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        given = [part for part in (image_classes, labels) if part is not None]
        listed = [name for part in given for name in ([part] if isinstance(part, str) else part)]
        names = list(dict.fromkeys(listed))
        super().__init__(names, id=id, confidence=confidence, metadata=metadata)


_BY_CODE: dict[str, type[_Annotation]] = {
    kind.code: kind
    for kind in (
        Mask,
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
_COMPLEX: dict[type[_Annotation], type[_Annotation]] = {Polygon2D: ComplexPolygon2D, Polygon3D: ComplexPolygon3D}


def registered() -> dict[str, type[_Annotation]]:
    """The custom types by name."""
    return dict(_REGISTERED)


def annotation_on(roi: Roi) -> _Annotation:
    """The view on a record, as an object of this module's classes."""
    plain = ours.annotation_of(roi)
    custom = _REGISTERED.get(str(roi.meta.get(ours.TYPE_KEY, "")))
    kind = custom or _BY_CODE.get(type(plain).code, Annotation)
    if kind in _COMPLEX and len(rings(roi.poly)) > 1:
        kind = _COMPLEX[kind]
    return kind.on(roi)


def __getattr__(name: str) -> Any:
    if name in ("FrameGroup", "SingleFrame"):
        return getattr(importlib.import_module("smalti.allegroai.frames"), name)
    raise AttributeError(f"module 'smalti.allegroai.dataframe' has no attribute {name!r}")
