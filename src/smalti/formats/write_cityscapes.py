"""Frames → Cityscapes: labelIds, instanceIds (16 bit), labelTrainIds and the colour picture of every frame."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.formats import published
from smalti.formats.content import Painted
from smalti.formats.losses import Ledger
from smalti.formats.output import Names, each_painted, fresh_folder, place_image, run, safe_name, write_png
from smalti.formats.protocol import AnyFrame, Writing, Written
from smalti.frames import SingleFrame

__all__ = ["SAYS", "write"]

SAYS = frozenset({"instances", "context"})
_COUNTED = frozenset(code for code, _, _, _, counted in published.CITYSCAPES if counted)


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `gtFine` and `leftImg8bit`; labels that Cityscapes does not name become 0, unlabeled, and a loss."""
    options = options or Writing()
    ledger = Ledger(SAYS)
    written = Written(folder, 0, ledger)
    with fresh_folder(folder):
        run(_jobs(frames, folder, options, written), options.workers)
    return written


def _jobs(frames: Iterable[AnyFrame], folder: Path, options: Writing, written: Written) -> Iterator[Callable[[], None]]:
    names = Names.of(published.cityscapes())
    colors = np.zeros((256, 3), np.uint8)
    train = np.full(256, 255, np.uint8)
    for code, train_id, _, color, _ in published.CITYSCAPES:
        colors[code], train[code] = color, train_id
    for frame, found in each_painted(frames, options, written.losses, prefer="ids"):
        table = names.table(found, written.losses, f"frame {frame.id}")
        labels = table.astype(np.uint8)[found.data]
        instances = _instances(found, table, frame, written.losses)[found.data]
        stem, city = safe_name(frame.id), _city(frame)
        split = str(frame.metadata.get("split") or options.split)
        start = folder / "gtFine" / split / city / f"{stem}_gtFine"
        place_image(
            frame, folder / "leftImg8bit" / split / city / f"{stem}_leftImg8bit", options.images, written.losses
        )
        for kind, samples in (
            ("labelIds", labels),
            ("instanceIds", instances),
            ("labelTrainIds", train[labels]),
            ("color", colors[labels]),
        ):
            yield partial(write_png, start.with_name(f"{start.name}_{kind}.png"), samples)
        written.frames += 1


def _city(frame: SingleFrame) -> str:
    return safe_name(frame.record.context_id or frame.id.split("_")[0]).split("_")[-1] or "city"


def _instances(found: Painted, table: NDArray[np.uint32], frame: SingleFrame, ledger: Ledger) -> NDArray[np.uint16]:
    """(items + 1,) class * 1000 + n; ids that are Cityscapes' own stay as they are."""
    numbers = table.astype(np.int64)
    taken = {item.id for item in found.items}
    nexts: dict[int, int] = {}
    for position, item in enumerate(found.items, 1):
        code = int(table[position])
        if not item.instance or code not in _COUNTED:
            continue
        if item.id // 1000 == code:
            numbers[position] = item.id
            continue
        n = nexts.get(code, 0)
        while code * 1000 + n in taken:
            n += 1
        nexts[code] = n + 1
        if n > 999:
            ledger.add(
                "size", f"frame {frame.id}: more than 1000 objects of {item.label!r}; the rest become one region"
            )
            continue
        numbers[position] = code * 1000 + n
        if item.id and found.kind == "ids":
            ledger.add("ids", f"frame {frame.id}: {item.id} becomes {numbers[position]}")
    return numbers.astype(np.uint16)
