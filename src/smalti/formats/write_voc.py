"""Frames → Pascal VOC segmentation: class and object masks with the VOC palette, 255 = void, and labelmap.txt."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.formats.content import Painted, is_void
from smalti.formats.losses import Ledger
from smalti.formats.output import (
    Names,
    each_painted,
    fresh_folder,
    place_image,
    run,
    safe_name,
    voc_palette,
    write_legend,
    write_png,
)
from smalti.formats.protocol import AnyFrame, Writing, Written
from smalti.frames import SingleFrame

__all__ = ["SAYS", "write"]

SAYS = frozenset({"instances"})
_MOST = 254
_VOID = 255


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write SegmentationClass, SegmentationObject (where there are objects), JPEGImages, ImageSets and labelmap.txt."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    names = Names.of(options.legend, first=1, void=_VOID, most=_MOST)
    lists: dict[str, list[str]] = {}
    with fresh_folder(folder):
        run(_jobs(frames, folder, options, written, (names, lists)), options.workers)
        sets = folder / "ImageSets" / "Segmentation"
        sets.mkdir(parents=True, exist_ok=True)
        for split, stems in lists.items():
            (sets / f"{split}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8")
        write_legend(folder / "labelmap.txt", names)
    return written


def _jobs(
    frames: Iterable[AnyFrame],
    folder: Path,
    options: Writing,
    written: Written,
    made: tuple[Names, dict[str, list[str]]],
) -> Iterator[Callable[[], None]]:
    names, lists = made
    palette = voc_palette()
    for frame, found in each_painted(frames, options, written.losses, prefer="ids"):
        table = names.table(found, written.losses, f"frame {frame.id}").astype(np.uint8)
        stem = safe_name(frame.id)
        lists.setdefault(safe_name(str(frame.metadata.get("split") or options.split)), []).append(stem)
        place_image(frame, folder / "JPEGImages" / stem, options.images, written.losses)
        yield partial(write_png, folder / "SegmentationClass" / f"{stem}.png", table[found.data], palette)
        if any(item.instance for item in found.items):
            objects = _objects(found, frame, written.losses)[found.data]
            yield partial(write_png, folder / "SegmentationObject" / f"{stem}.png", objects, palette)
        written.frames += 1


def _objects(found: Painted, frame: SingleFrame, ledger: Ledger) -> NDArray[np.uint8]:
    """(items + 1,) object numbers: 1.. for objects, 0 for regions, 255 for void."""
    numbers = np.zeros(len(found.items) + 1, np.uint8)
    numbers[0] = _VOID
    used = {item.id for item in found.items if 0 < item.id <= _MOST and item.instance}
    fresh = 1
    kept: set[int] = set()
    for position, item in enumerate(found.items, 1):
        if is_void(item.label):
            numbers[position] = _VOID
        elif item.instance:
            number = item.id if 0 < item.id <= _MOST and item.id not in kept else 0
            while not number:
                if fresh not in used and fresh not in kept:
                    number = fresh
                fresh += 1
            if number > _MOST:
                ledger.add("size", f"frame {frame.id}: more than {_MOST} objects; the rest become one region")
                continue
            if item.id and number != item.id and found.kind == "ids":
                ledger.add("ids", f"frame {frame.id}: {item.id} becomes {number}")
            kept.add(number)
            numbers[position] = number
    return numbers
