"""Showing: a label map over an image."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.errors import DecodeError, LegendError
from smalti.labelmap import LabelMap

__all__ = ["overlay"]


def overlay(
    image: NDArray[np.uint8],
    seg: LabelMap,
    opacity: float = 0.5,
    *,
    colors: Mapping[str, Any] | None = None,
    labels: Iterable[str] | None = None,
    outline: bool = False,
) -> NDArray[np.uint8]:
    """The image with each label in its colour; void stays as it is.

    Args:
        image: (H, W, 3) uint8 RGB, or (H, W) grey.
        seg: a label map of the same size: nothing is resized.
        opacity: 0 shows the image, 1 the labels.
        colors: {label: (r, g, b)} instead of the legend's colours.
        labels: show only these.
        outline: draw the borders between labels at full opacity.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DecodeError: the sizes differ.
        LegendError: a label is not in the legend.
    """
    if not isinstance(seg, LabelMap):
        raise DecodeError(f"overlay takes a LabelMap, not a {type(seg).__name__}; LabelMap(array, legend) makes one")
    picture = np.asarray(image)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype != np.uint8:
        raise DecodeError(f"the image is {picture.shape} {picture.dtype}; overlay takes (H, W, 3) uint8")
    if picture.shape[:2] != seg.size_hw:
        raise DecodeError(
            f"the image is {picture.shape[:2]} and the label map {seg.size_hw} (H, W); resize one of them first: seg.resize(...)"
        )
    if not isinstance(opacity, (int, float, np.number)) or not 0 <= opacity <= 1:
        raise LegendError(f"opacity is {opacity}; allowed: 0..1")
    palette = seg.legend.display_colors()
    for label, color in (colors or {}).items():
        palette[seg.legend.indices_of(label)] = color
    strength = np.zeros(len(palette))
    shown = range(1, len(palette)) if labels is None else [i for label in labels for i in seg.legend.indices_of(label)]
    strength[list(shown)] = opacity
    out = kernels.blend(np.ascontiguousarray(picture[..., :3]), seg.data, palette, strength)
    if outline:
        border = kernels.contour(seg.data) & (strength > 0)[seg.data]
        out[border] = palette[seg.data[border]]
    return out
