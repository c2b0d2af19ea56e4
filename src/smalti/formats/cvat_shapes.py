"""Shape elements of CVAT's XML: polygons, masks (run lengths of their box, row by row), boxes, points, ellipses, tags."""

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.rle import encode_rle
from smalti.errors import FrameError
from smalti.formats.building import box_roi, polygon_roi, rle_roi
from smalti.formats.protocol import Reading
from smalti.records import Roi

__all__ = ["roi_of"]


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.replace(";", ",").split(",") if number.strip()]


def roi_of(
    shape: ElementTree.Element, size_hw: tuple[int, int], name: str, options: Reading, label: str | None = None
) -> Roi | None:
    """The annotation of a shape element; None, and a word in `options`, for one that is not read.

    Args:
        shape: box, polygon, mask, ellipse, points, polyline or tag.
        size_hw: of the picture, in pixels.
        name: of the picture, for messages.
        label: of a shape in a track; None = its own.
    """
    names = [label if label is not None else shape.get("label", "")]
    meta: dict[str, Any] = {
        key: int(shape.get(key, 0)) for key in ("z_order", "group_id", "occluded") if shape.get(key, "0") != "0"
    }
    if attributes := {a.get("name", ""): a.text or "" for a in shape.findall("attribute")}:
        meta["attributes"] = attributes
    if shape.tag == "polygon":
        return polygon_roi([_numbers(shape.get("points", ""))], names, meta=meta)
    if shape.tag == "mask":
        left, top, width, height = (int(float(shape.get(key, 0))) for key in ("left", "top", "width", "height"))
        if left < 0 or top < 0 or left + width > size_hw[1] or top + height > size_hw[0]:
            raise FrameError(
                f"{name}: the box of a mask ends at {left + width}, {top + height}, the picture is {size_hw[1]}×{size_hw[0]}"
            )
        crop = _unroll([int(n) for n in _numbers(shape.get("rle", ""))], width, height, name)
        whole = np.zeros(size_hw, np.uint8)
        whole[top : top + height, left : left + width] = crop
        return rle_roi(encode_rle(whole), (left, top, width, height), names, meta=meta)
    if shape.tag == "box":
        x0, y0, x1, y1 = (float(shape.get(key, 0)) for key in ("xtl", "ytl", "xbr", "ybr"))
        return box_roi((x0, y0, x1 - x0, y1 - y0), names, meta=meta)
    if shape.tag == "ellipse":
        cx, cy, rx, ry = (float(shape.get(key, 0)) for key in ("cx", "cy", "rx", "ry"))
        angle = float(np.deg2rad(float(shape.get("rotation", 0))))
        return Roi(label=names, poly=[cx, cy, rx, ry, angle], meta={**meta, "_type": "elp"})
    if shape.tag in ("points", "polyline"):
        return Roi(label=names, poly=list(_numbers(shape.get("points", ""))), meta={**meta, "_type": "k2d"})
    if shape.tag == "tag":
        return Roi(label=names, meta={**meta, "_type": "im"})
    options.skip(f"{name}: a {shape.tag} is not read")
    return None


def _unroll(runs: Sequence[int], width: int, height: int, name: str) -> NDArray[np.uint8]:
    """Run lengths of outside, inside, … row by row → (height, width) of 0 and 1."""
    if min(runs, default=0) < 0 or sum(runs) != width * height:
        raise FrameError(
            f"{name}: the runs of a mask cover {sum(runs)} pixels, its box {width}×{height} has {width * height}"
        )
    values = np.arange(len(runs), dtype=np.uint8) & np.uint8(1)
    return np.repeat(values, np.asarray(runs)).reshape(height, width)
