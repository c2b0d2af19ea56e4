"""BDD100K: RGBA bitmasks (R = category, G = attribute bits, B and A = number of the object), and grey semantic masks.

Alpha is data here. Which names R stands for follows from the folder: `pan_seg` has 40 categories, instance segmentation
and tracking have 8. Semantic masks (`sem_seg`) store Cityscapes' training ids, 255 = ignored.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.convert import ids_to_samples
from smalti.formats import published
from smalti.formats.building import frame_of, mask_of
from smalti.formats.files import Stems, first, png_mode, walk
from smalti.formats.idmasks import numbered
from smalti.formats.losses import Ledger
from smalti.formats.output import Names, each_painted, fresh_folder, place_image, run, safe_name, write_png
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import Entry, Legend

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "RGBA PNG masks in folders bitmasks, ins_seg, pan_seg or seg_track"
SAYS = frozenset({"instances", "context"})
_HERE = re.compile(r"(bitmask|ins_?seg|pan_?seg|seg_?track|sem_?seg)", re.IGNORECASE)
_PANOPTIC = re.compile(r"pan_?seg", re.IGNORECASE)
_SEMANTIC = re.compile(r"sem_?seg", re.IGNORECASE)


def _masks(path: Path) -> Iterator[Path]:
    """Masks whose folders or names say what they are: RGBA, or grey ones of sem_seg."""
    for file in walk(path, (".png",)):
        told = str(file.relative_to(path.parent))
        if _HERE.search(told):
            mode = png_mode(file)
            is_semantic = _SEMANTIC.search(told) and mode is not None and mode.kind == "grey" and "color" not in told
            if mode is not None and (mode.kind == "rgba" or is_semantic):
                yield file


def detect(path: Path) -> Detection | None:
    """By RGBA masks in folders that BDD100K names."""
    if not path.is_dir():
        return None
    mask = first(m for m in _masks(path) if (mode := png_mode(m)) is not None and mode.kind == "rgba")
    if mask is None:
        return None
    return Detection("bdd100k", path, 0.9, (f"{mask.relative_to(path)} is RGBA in a folder that BDD100K names",))


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per bitmask; tracking masks lie in a folder per video, which is the context."""
    options = options or Reading()
    images = Stems([options.images]) if options.images is not None else _images(path)
    for mask in _masks(options.masks or path):
        told = str(mask.relative_to((options.masks or path).parent))
        mode = png_mode(mask)
        size = mode.size_hw if mode else None
        if mode is not None and mode.kind == "grey":
            legend, encoding = published.cityscapes_train(), "index"
        else:
            legend, encoding = _legend(told, options.legend), "bdd100k"
        video = mask.parent.name if re.search(r"track", told, re.IGNORECASE) else None
        name = mask.relative_to(options.masks or path).with_suffix("").as_posix()
        yield frame_of(
            name,
            images.get(mask.stem),
            masks=[mask_of(mask, "bitmask", encoding, size)],
            legends={"bitmask": legend},
            size_hw=size,
            context=video,
            meta=_split(mask),
        )


def _legend(told: str, given: Legend | None) -> Legend:
    if given is not None:
        return Legend.from_entries(given.entries, kind="ids", scheme="bdd100k")
    return published.bdd100k("panoptic" if _PANOPTIC.search(told) else "instances")


def _split(mask: Path) -> dict[str, str]:
    found = next((p for p in reversed(mask.parts[:-1]) if p in ("train", "val", "test")), None)
    return {"split": found} if found else {}


def _images(path: Path) -> Stems:
    return Stems([p for p in (path / "images", path.parent / "images") if p.is_dir()])


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `labels/pan_seg/bitmasks/PART/*.png` (40 categories), and `images/PART`."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS - {"context"}))
    with fresh_folder(folder):
        run(_jobs(frames, folder, options, written), options.workers)
    return written


def _jobs(frames: Iterable[AnyFrame], folder: Path, options: Writing, written: Written) -> Iterator[Callable[[], None]]:
    rows = [Entry((name,), code=i) for i, name in enumerate(published.BDD100K_PANOPTIC, 1)]
    # Instance segmentation says pedestrian for what panoptic segmentation calls a person.
    names = Names.of(options.legend or Legend.from_entries(rows, kind="indices"))
    if options.legend is None:
        names.numbers["pedestrian"] = names.numbers["person"]
    for frame, found in each_painted(frames, options, written.losses, prefer="ids"):
        if any(item.label == "pedestrian" for item in found.items):
            written.losses.add("labels", f"frame {frame.id}: 'pedestrian' becomes 'person'")
        classes = names.table(found, written.losses, f"frame {frame.id}")
        numbers = numbered(found, classes, 0xFFFF, 1, (frame, written.losses))
        part, stem = safe_name(str(frame.metadata.get("split") or options.split)), safe_name(frame.id)
        place_image(frame, folder / "images" / part / stem, options.images, written.losses)
        flags = np.array(
            [
                0,
                *(
                    (item.id >> 16 & 255 if _is_own(item.id, c) else 0)
                    for item, c in zip(found.items, classes[1:].tolist(), strict=True)
                ),
            ]
        )
        ids = classes.astype(np.uint32) << np.uint32(24) | flags.astype(np.uint32) << np.uint32(16)
        ids |= numbers.astype(np.uint32)
        path = folder / "labels" / "pan_seg" / "bitmasks" / part / f"{stem}.png"
        yield partial(_save, path, ids[:, None], found.data)
        written.frames += 1


def _is_own(raw: int, code: int) -> bool:
    """Whether an id is one of this layout, so that its attribute bits mean something."""
    return code > 0 and raw >> 24 == code


def _save(path: Path, ids: NDArray[np.uint32], data: NDArray[Any]) -> None:
    write_png(path, ids_to_samples(ids, "bdd100k")[:, 0][data])
