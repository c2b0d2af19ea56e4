"""Where a training window is cut: at random, or on a pixel of a chosen label. The same box for the image and the mask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DecodeError, FrameError
from smalti.hints import Known, nearest
from smalti.labelmap import LabelMap

__all__ = ["Box", "Crop", "Window", "fill"]

Box = tuple[int, int, int, int]
Peek = Callable[[Box | None], LabelMap]
"""box2d_xywh, or None for everything → the labels in it."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A window of a fixed size.

    Attributes:
        size_hw: in pixels; what lies outside a smaller picture is filled up.
        labels: a part of the windows is centred on a pixel of one of these, where any of them occurs.
        share: which part.
    """

    size_hw: tuple[int, int]
    labels: tuple[str, ...] = ()
    share: float = 0.5

    @classmethod
    def of(cls, crop: Sequence[int] | int | None, on: str | Sequence[str] | None, share: float) -> "Crop | None":
        """What options say; None without a crop.

        Raises:
            FrameError: a size or a share makes no sense.
        """
        if crop is None:
            if on is not None:
                raise FrameError("crop_on says where to cut, but not how much: give crop=(height, width) too")
            return None
        size = (crop, crop) if isinstance(crop, SupportsIndex) else tuple(crop)
        if len(size) != 2 or min(size) < 1:
            raise FrameError(f"crop is {crop}; give (height, width) in pixels, or one number for a square")
        if not 0 <= share <= 1:
            raise FrameError(f"crop_share is {share}; allowed: 0..1")
        labels = (on,) if isinstance(on, str) else tuple(on or ())
        return cls((int(size[0]), int(size[1])), labels, share)

    def check_labels(self, known: Known) -> None:
        """Refuse labels that nothing has: no window would be centred on them. Bare numbers may be in masks alone.

        Raises:
            FrameError: it names labels that are near.
        """
        for label in self.labels:
            if label in known.rois or label in known.legends or label.isdigit() or not known.every:
                continue
            if label not in known.every:
                near = nearest(label, known.every) or sorted(known.every)[:20]
                raise FrameError(
                    f"crop_on is {label!r}, which nothing in {known.where} is labelled; there are {', '.join(near)}"
                )

    def place(self, full_hw: tuple[int, int], random: np.random.Generator, peek: Peek) -> Box:
        """box2d_xywh of a window, within the picture.

        Args:
            full_hw: (height, width) of the picture.
            random: decides.
            peek: reads labels; called only where a pixel of `labels` is wanted.
        """
        height, width = (min(part, full) for part, full in zip(self.size_hw, full_hw, strict=True))
        top, left = int(random.integers(full_hw[0] - height + 1)), int(random.integers(full_hw[1] - width + 1))
        if self.labels and random.random() < self.share:
            pixel = self._pixel(peek(None), random)
            if pixel is not None:
                top = min(max(pixel[0] - self.size_hw[0] // 2, 0), full_hw[0] - height)
                left = min(max(pixel[1] - self.size_hw[1] // 2, 0), full_hw[1] - width)
        return left, top, width, height

    def _pixel(self, seg: LabelMap, random: np.random.Generator) -> tuple[int, int] | None:
        """Any pixel of one of the labels: the label first, so that a small one is met as often as a large one."""
        places = [places for label in self.labels if len(places := _pixels(seg, label))]
        if not places:
            return None
        mine = places[int(random.integers(len(places)))]
        row, column = divmod(int(mine[int(random.integers(len(mine)))]), seg.size_hw[1])
        return row, column


class Window:
    """The window of one sample: chosen when the first mask says how large it is, and the same for all of its pictures.

    Attributes:
        full_hw: (height, width) of the masks.
        box: box2d_xywh in them.
    """

    def __init__(self, crop: Crop | None, random: np.random.Generator) -> None:
        self._crop, self._random = crop, random
        self.full_hw = (0, 0)
        self.box: Box = (0, 0, 0, 0)

    def place(self, full_hw: tuple[int, int], peek: Peek) -> Box:
        """The box in a mask of this size.

        Raises:
            DecodeError: a mask before had another size.
        """
        if self.full_hw == full_hw:
            return self.box
        if self.full_hw != (0, 0):
            raise DecodeError(
                f"the masks of a clip are {self.full_hw} and {full_hw} (H, W); all pictures of a clip need one size"
            )
        self.full_hw = full_hw
        whole = (0, 0, full_hw[1], full_hw[0])
        self.box = whole if self._crop is None else self._crop.place(full_hw, self._random, peek)
        return self.box


def _pixels(seg: LabelMap, label: str) -> NDArray[np.intp]:
    """Flat places of a label's pixels, row by row."""
    return np.flatnonzero(seg[label]) if label in seg else np.zeros(0, np.intp)


def fill(pixels: NDArray[Any], size_hw: tuple[int, int], value: int) -> NDArray[Any]:
    """(h, w, …) grown to (height, width, …) at the right and the bottom."""
    short = [max(want - have, 0) for want, have in zip(size_hw, pixels.shape[:2], strict=True)]
    if not any(short):
        return pixels
    return np.pad(
        pixels, ((0, short[0]), (0, short[1]), *((0, 0),) * (pixels.ndim - 2)), constant_values=pixels.dtype.type(value)
    )
