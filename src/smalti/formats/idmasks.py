"""Writing 16-bit and RGBA id masks: class and number of an object in one value, as several layouts have it."""

import numpy as np
from numpy.typing import NDArray

from smalti.formats.content import Painted
from smalti.formats.losses import Ledger
from smalti.frames import SingleFrame

__all__ = ["numbered"]


def numbered(
    found: Painted, classes: NDArray[np.uint32], most: int, first: int, where: tuple[SingleFrame, Ledger]
) -> NDArray[np.int64]:
    """(items + 1,) numbers of objects within their class, 0 for regions; numbers that fit and are free stay.

    Args:
        found: the picture.
        classes: (items + 1,) class numbers; 0 = not written.
        most: the largest number that the layout stores.
        first: the first number to give out.
        where: the frame and the ledger, for numbers that change.
    """
    frame, ledger = where
    numbers = np.zeros(len(found.items) + 1, np.int64)
    used: set[tuple[int, int]] = set()
    wanted = {(int(classes[i]), item.instance) for i, item in enumerate(found.items, 1) if item.instance}
    fresh: dict[int, int] = {}
    for position, item in enumerate(found.items, 1):
        code = int(classes[position])
        if not code or not item.instance:
            continue
        number = item.instance if found.kind == "ids" and item.instance <= most else 0
        if not number or (code, number) in used:
            number = fresh.get(code, first)
            while (code, number) in used or (found.kind == "ids" and (code, number) in wanted):
                number += 1
            fresh[code] = number + 1
            if number > most:
                ledger.add(
                    "size", f"frame {frame.id}: more than {most} objects of {item.label!r}; the rest are a region"
                )
                continue
            if item.id:
                ledger.add("ids", f"frame {frame.id}: {item.id} becomes number {number} of {item.label!r}")
        used.add((code, number))
        numbers[position] = number
    return numbers
