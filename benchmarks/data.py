"""What is measured: seeded synthetic scenes and the shared real masks, with what their values mean. Downloads nothing."""

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["SHARED", "Task", "make_scene", "real_tasks", "scene_tasks"]

SHARED = Path(os.environ.get("SMALTI_REALDATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SIZES_HW = ((1024, 2048), (2160, 4096))
LABELS = 30
MOST_FILES = 4


@dataclass(frozen=True)
class Task:
    """One file and what its values mean.

    Attributes:
        group: the set it belongs to.
        data: the file's bytes.
        kind: "colors": an RGB picture; "indices": the stored grey value or palette index is the class.
        codes: (n,) uint32 sorted values that mean something: R<<16|G<<8|B, or the stored value.
        palette: (p, 3) uint8 of a palette picture, else None.
        scheme: how ids are stored, where they have to be found in the mask; the answer is then any numbering of them.

    The answer is position + 1 in `codes`, 0 where a value is not in them, in the smallest unsigned type.
    """

    group: str
    data: bytes
    kind: Literal["colors", "indices"]
    codes: NDArray[np.uint32]
    size_hw: tuple[int, int]
    palette: NDArray[np.uint8] | None = None
    scheme: str | None = None

    @property
    def labels(self) -> NDArray[Any]:
        """(n,) the answer for each code."""
        return np.arange(1, len(self.codes) + 1).astype(np.uint8 if len(self.codes) < 256 else np.uint16)

    @property
    def colors(self) -> NDArray[np.uint8]:
        """(n, 3) uint8 colours of the codes."""
        return np.stack([self.codes >> 16, self.codes >> 8 & 255, self.codes & 255], axis=1).astype(np.uint8)


def make_scene(height: int, width: int, labels: int = LABELS, seed: int = 7) -> NDArray[np.uint8]:
    """(height, width) uint8 labels 0..`labels`: areas, ellipses, and lines as thin as poles and wires."""
    random = np.random.default_rng(seed)
    picture = Image.new("L", (width, height))
    draw = ImageDraw.Draw(picture)
    for _ in range(120):
        value = int(random.integers(1, labels + 1))
        x, y = (int(random.integers(0, size)) for size in (width, height))
        across, down = int(random.integers(5, width // 5)), int(random.integers(5, height // 4))
        if random.random() < 0.5:
            draw.ellipse((x - across, y - down, x + across, y + down), fill=value)
        else:
            corners = np.add(random.integers((-across, -down), (across, down), (7, 2)), (x, y))
            draw.polygon([(int(a), int(b)) for a, b in corners], fill=value)
    for _ in range(60):
        ends = [int(v) for v in random.integers(0, (width, height, width, height))]
        draw.line(ends, fill=int(random.integers(1, labels + 1)), width=int(random.integers(1, 4)))
    return np.asarray(picture)


def scene_palette(labels: int = LABELS, seed: int = 7) -> NDArray[np.uint8]:
    """(labels + 1, 3) uint8 different colours, black first."""
    codes = np.random.default_rng(seed).choice(1 << 24, labels + 1, replace=False)
    codes[0] = 0
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.uint8)


def writers() -> dict[str, Callable[[NDArray[np.uint8]], bytes]]:
    """How a scene is saved; OpenCV's are left out where it is not installed."""

    def pillow(rgb: NDArray[np.uint8], **options: Any) -> bytes:
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, "png", **options)
        return file.getvalue()

    found: dict[str, Callable[[NDArray[np.uint8]], bytes]] = {
        "Pillow": pillow,
        "Pillow optimize": lambda rgb: pillow(rgb, optimize=True),
    }
    try:
        import cv2
    except ImportError:
        return found
    level = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    found["OpenCV"] = lambda rgb: bytes(cv2.imencode(".png", rgb[..., ::-1])[1])
    found["OpenCV level 9"] = lambda rgb: bytes(cv2.imencode(".png", rgb[..., ::-1], level)[1])
    return found


def scene_tasks(sizes_hw: tuple[tuple[int, int], ...] = SIZES_HW) -> Iterator[Task]:
    """The synthetic scenes as RGB PNG, each size by each writer."""
    palette = scene_palette()
    for height, width in sizes_hw:
        rgb = palette[make_scene(height, width)]
        for name, write in writers().items():
            yield _task(f"synthetic {width}×{height}, {name}", write(rgb))


def real_tasks() -> Iterator[Task]:
    """The shared real masks, those that are there."""
    for group, pattern, scheme in (
        ("CamVid, RGB", "camvid_seq/masks/*_L.png", None),
        ("COCO panoptic, RGB, ids told", "coco_panoptic/panoptic_examples/*.png", None),
        ("COCO panoptic, RGB, ids found", "coco_panoptic/panoptic_examples/*.png", "coco"),
        ("ADE20K, RGB, ids told", "ade20k/ADE*_seg.png", None),
        ("ADE20K, RGB, ids found", "ade20k/ADE*_seg.png", "ade20k"),
        ("Cityscapes instances, 16 bit, ids told", "cityscapes/train_inst/*_instanceIds.png", None),
        ("Cityscapes instances, 16 bit, ids found", "cityscapes/train_inst/*_instanceIds.png", "cityscapes"),
        ("Cityscapes labels, grey", "cityscapes/train_label/*.png", None),
        ("Pascal VOC, palette", "voc/voc_aug/*.png", None),
        ("DAVIS 2017, palette", "davis17_palette/rvos*/*.png", None),
        ("VIPSeg 1080p, palette", "vipseg_many_objects/masks/*.png", None),
    ):
        files = sorted(SHARED.glob(pattern))[:MOST_FILES]
        tasks = [_task(group, file.read_bytes(), scheme) for file in files]
        for task in tasks:
            codes = np.unique(np.concatenate([other.codes for other in tasks]))  # a legend belongs to a set
            yield replace(task, codes=codes)


def _task(group: str, data: bytes, scheme: str | None = None) -> Task:
    """The values that a file has, as Pillow reads them."""
    with Image.open(io.BytesIO(data)) as picture:
        size_hw = (picture.height, picture.width)
        raw = picture.getpalette() if picture.mode == "P" else None
        samples = np.asarray(picture)
    palette = None if raw is None else np.array(raw, np.uint8).reshape(-1, 3)
    if samples.ndim == 3:
        wide = samples[..., :3].astype(np.uint32)
        codes = np.unique(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2])
        return Task(group, data, "colors", codes.astype(np.uint32), size_hw, None, scheme)
    return Task(group, data, "indices", np.unique(samples).astype(np.uint32), size_hw, palette, scheme)
