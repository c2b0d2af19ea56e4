"""Frames without files, and frames with pictures and masks whose every pixel is known."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smalti.frames import SingleFrame
from smalti.legend import Legend
from smalti.records import Frame, Mask, Roi, RoiMask, Source

__all__ = ["Scene", "frame", "frames", "write_scene"]

_COLORS = {(210, 210, 120): "car", (128, 64, 128): "road", (70, 130, 180): "sky"}


def frame(number: int, **fields: Any) -> Frame:
    """Frame `f0007` of context `c0`, with a mask, two ROIs and some metadata; its files do not exist.

    Args:
        number: all that is said follows from it; frames of different numbers differ.
        fields: of the record, in place of what it would have.
    """
    mask = Mask(id="seg", uri=f"m{number}.png")
    source = Source(id="front", uri=f"s3://b/{number}.png", width=8, height=4, masks=[mask])
    rois = [
        Roi(label=["car" if number % 2 else "tram"], id="r0", poly=[0, 0, number % 5, 1], confidence=0.5),
        Roi(label=["sky"], mask=RoiMask(id="seg", value=[1, 2, number % 256]), sources=["front"]),
    ]
    given: dict[str, Any] = {
        "id": f"f{number:04d}",
        "context_id": f"c{number // 100}",
        "timestamp": number % 100,
        "sources": [source],
        "rois": rois,
        "meta": {"city": ("bremen", "ulm")[number % 2], "n": number},
    }
    return Frame(**(given | fields))


def frames(count: int, start: int = 0) -> list[Frame]:
    """Some of these frames, in the order in which a version iterates over them."""
    return [frame(number) for number in range(start, start + count)]


@dataclass(frozen=True)
class Scene:
    """Frames with files, and what their masks say.

    Attributes:
        frames: their masks explain themselves; ids `scene_0`, `scene_1`, …
        legend: what the colours mean.
        labels: one (H, W) uint8 map a frame, numbered as `legend` numbers its entries, from 1; nothing is void.
    """

    frames: list[SingleFrame]
    legend: Legend
    labels: list[NDArray[np.uint8]]


def write_scene(
    folder: str | os.PathLike[str], count: int = 3, *, size_hw: tuple[int, int] = (24, 40), seed: int = 0
) -> Scene:
    """Write pictures of noise and RGB masks of a few boxes before a sky, as PNG.

    Args:
        folder: where to; it is made.
        count: of frames.
        size_hw: of the pictures, in pixels.
        seed: the same seed, the same files.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    legend = Legend(_COLORS)
    table = np.array([(0, 0, 0), *_COLORS], np.uint8)
    made, maps = [], []
    for number in range(count):
        labels = np.full(size_hw, len(table) - 1, np.uint8)
        for entry in range(1, len(table) - 1):
            top, left = (int(draw.integers(0, max(1, size // 2))) for size in size_hw)
            height, width = (int(draw.integers(1, max(2, size // 2 + 1))) for size in size_hw)
            labels[top : top + height, left : left + width] = entry
        image, mask = place / f"scene_{number}.png", place / f"scene_{number}_mask.png"
        Image.fromarray(draw.integers(0, 256, (*size_hw, 3), np.uint8)).save(image)
        Image.fromarray(table[labels]).save(mask)
        single = SingleFrame(
            str(image), id=f"scene_{number}", width=size_hw[1], height=size_hw[0], mask_source=str(mask)
        )
        for color, label in _COLORS.items():
            single.add_annotation(mask_rgb=color, labels=[label])
        made.append(single)
        maps.append(labels)
    return Scene(made, legend, maps)
