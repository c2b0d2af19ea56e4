"""KITTI: `training/image_2`, `training/instance` (class * 256 + n, 16 bit) and `training/semantic`, with Cityscapes' classes."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from smalti.formats import published
from smalti.formats.building import frame_of, mask_of
from smalti.formats.files import first, folders, pictures, png_mode
from smalti.formats.idmasks import numbered
from smalti.formats.losses import Ledger
from smalti.formats.output import Names, each_painted, fresh_folder, place_image, run, safe_name, write_png
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import Legend
from smalti.records import Mask

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "folders training/image_2 and training/instance or training/semantic"
SAYS = frozenset({"instances"})
_PARTS = ("training", "testing")
_MASKS = {"semantic": "index", "instance": "mapillary", "semantic_rgb": "rgb"}


def _root(path: Path) -> Path | None:
    return first(
        folder
        for folder in (folders(path, depth=2) if path.is_dir() else ())
        if any((folder / part / mask).is_dir() for part in _PARTS for mask in _MASKS)
    )


def detect(path: Path) -> Detection | None:
    """By the folder names."""
    root = _root(path)
    if root is None:
        return None
    named = [f"{p}/{m}" for p in _PARTS for m in ("image_2", *_MASKS) if (root / p / m).is_dir()]
    return Detection("kitti", root, 0.95, (f"folders {', '.join(named)}",))


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per mask."""
    options = options or Reading()
    root = _root(path) or path
    legends: dict[str, Legend] = {
        "semantic": published.cityscapes(),
        "instance": Legend.from_entries(published.cityscapes().entries, kind="ids", scheme="mapillary"),
        "semantic_rgb": published.cityscapes("colors"),
    }
    for part in _PARTS:
        if options.split not in (None, part):
            continue
        found = {kind: {p.stem: p for p in pictures(root / part / kind)} for kind in _MASKS}
        images = {p.stem: p for p in pictures(options.images or root / part / "image_2")}
        for stem in sorted({s for masks in found.values() for s in masks}):
            masks: list[Mask] = []
            size = None
            for kind, encoding in _MASKS.items():
                if stem in found[kind]:
                    mode = png_mode(found[kind][stem])
                    size = mode.size_hw if mode else size
                    masks.append(mask_of(found[kind][stem], kind, encoding, size))
            if stem not in images:
                options.skip(f"{stem}: no image {part}/image_2/{stem}.png was found")
            yield frame_of(
                stem,
                images.get(stem),
                masks=masks,
                legends={m.id: legends[m.id] for m in masks},
                size_hw=size,
                meta={"split": part},
            )


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `training/{image_2,semantic,instance}`; labels that Cityscapes does not name become 0 and a loss."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    with fresh_folder(folder):
        run(_jobs(frames, folder, options, written), options.workers)
    return written


def _jobs(frames: Iterable[AnyFrame], folder: Path, options: Writing, written: Written) -> Iterator[Callable[[], None]]:
    names = Names.of(published.cityscapes())
    for frame, found in each_painted(frames, options, written.losses, prefer="ids"):
        classes = names.table(found, written.losses, f"frame {frame.id}")
        numbers = numbered(found, classes, 255, 1, (frame, written.losses))
        told = str(frame.metadata.get("split") or options.split)
        part = folder / ("testing" if told in ("test", "testing") else "training")
        stem = safe_name(frame.id)
        place_image(frame, part / "image_2" / stem, options.images, written.losses)
        yield partial(write_png, part / "semantic" / f"{stem}.png", classes.astype(np.uint8)[found.data])
        ids = (classes.astype(np.int64) * 256 + numbers).astype(np.uint16)
        yield partial(write_png, part / "instance" / f"{stem}.png", ids[found.data])
        written.frames += 1
