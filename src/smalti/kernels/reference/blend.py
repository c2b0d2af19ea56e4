"""An image under coloured labels, in integer arithmetic."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.checks import as_labels, as_opacity, as_pixels, label_beyond

__all__ = ["blend"]


def blend(
    image: NDArray[np.uint8], labels: NDArray[Any], colors: NDArray[np.uint8], opacity: NDArray[Any]
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 under (H, W) labels → (H, W, 3) uint8, rounded half up.

    Args:
        image: RGB.
        labels: uint8, uint16 or uint32 indices into `colors`.
        colors: (n, 3) uint8 RGB, one for each label.
        opacity: (n,) from 0 (the image shows) to 1 (the colour covers it); used in steps of 1/256.

    Raises:
        IndexError: a label has no colour.
    """
    image, labels = as_pixels(image, "image"), as_labels(labels)
    if image.shape[:2] != labels.shape:
        raise ValueError(f"image is {image.shape[:2]}, but labels are {labels.shape}; blend pictures of one size")
    colors, share = as_opacity(colors, opacity)
    if labels.size and int(labels.max()) >= len(colors):
        raise label_beyond(int(labels.max()), len(colors))
    cover = share[labels][..., None].astype(np.uint32)
    mixed: NDArray[np.uint32] = image * (256 - cover) + colors[labels] * cover + 128
    return (mixed >> 8).astype(np.uint8)
