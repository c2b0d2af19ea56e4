"""Folder of images + folder of masks + legend file, of any shape, as a format: see `smalti.formats.folder`."""

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from smalti.errors import FrameError, LegendError
from smalti.formats.folder import Unpaired, read_folder
from smalti.formats.losses import Ledger
from smalti.formats.output import Names, each_painted, fresh_folder, place_image, run, safe_name, write_png
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import voc_color

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "a folder of masks (masks, labels, annotations, gt, …), of images, and maybe a legend file"
SAYS: frozenset[str] = frozenset()


def detect(path: Path) -> Detection | None:
    """By folder names and by endings of names; the surer, the more of masks, images and legend there is."""
    if not path.is_dir():
        return None
    try:
        found = read_folder(path)
    except (FrameError, LegendError):
        return None
    sureness = 0.2 + 0.2 * (found.legend is not None) + 0.1 * any(image is not None for image, _ in found.pairs)
    return Detection("folder", path, sureness, found.why)


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per mask; without images where none has the mask's stem."""
    options = options or Reading()
    loose: list[Unpaired] = []
    found = read_folder(
        path,
        images=options.images,
        masks=options.masks,
        legend=options.legend,
        encoding=options.encoding,
        unpaired=loose,
    )
    for one in loose:
        options.skip(one.reason)
    for frame in found.frames:
        if found.legend is not None:
            frame.mask_labels = {"seg": found.legend}
        yield frame


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `images/`, `masks/` (indices, 8 or 16 bits) and legend.csv with name, r, g, b and id; 0 is void."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    names = Names.of(options.legend, first=1)
    with fresh_folder(folder):
        run(_jobs(frames, folder, options, written, names), options.workers)
        if not names.numbers:
            return written
        with (folder / "legend.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("name", "r", "g", "b", "id"))
            for label, number in sorted(names.numbers.items(), key=lambda row: row[1]):
                rows.writerow((label, *_color(number), number))
    return written


def _color(number: int) -> tuple[int, int, int]:
    """A colour of its own for every number up to 16 bits."""
    return voc_color(number) if number < 256 else (number & 255, number >> 8, 1)


def _jobs(
    frames: Iterable[AnyFrame], folder: Path, options: Writing, written: Written, names: Names
) -> Iterator[Callable[[], None]]:
    for frame, found in each_painted(frames, options, written.losses):
        table = names.table(found, written.losses, f"frame {frame.id}")
        dtype = np.uint8 if int(table.max(initial=0)) < 256 else np.uint16
        stem = safe_name(frame.id)
        place_image(frame, folder / "images" / stem, options.images, written.losses)
        yield partial(write_png, folder / "masks" / f"{stem}.png", table.astype(dtype)[found.data])
        written.frames += 1
