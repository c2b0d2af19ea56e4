"""mmsegmentation's conversion from colours (as for iSAID), rewritten from its description; not its code.

A mask is loaded by Pillow; for each colour of the palette a picture of truth values says where all channels agree.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data import Task
from rivals import Unfit

label = "mmsegmentation's way (rewritten)"


def setup(task: Task) -> dict[tuple[int, int, int], int]:
    if task.kind != "colors":
        raise Unfit("colours only")
    rows = task.colors.tolist()
    return {(row[0], row[1], row[2]): value for row, value in zip(rows, task.labels.tolist(), strict=True)}


def run(palette: dict[tuple[int, int, int], int], data: bytes) -> NDArray[Any]:
    picture = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    labels = np.zeros(picture.shape[:2], np.uint8 if len(palette) < 256 else np.uint16)
    for color, value in palette.items():
        same = np.all(picture == np.array(color).reshape(1, 1, 3), axis=2)
        labels[same] = value
    return labels
