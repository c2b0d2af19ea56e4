"""Pillow + NumPy table: asarray, then indexing of a table (palette pictures stay indices)."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data import Task
from rivals.tables import Tables, gather_numpy

label = "Pillow + NumPy table"


def setup(task: Task) -> Tables:
    return Tables(task, "rgb")


def run(tables: Tables, data: bytes) -> NDArray[Any]:
    return gather_numpy(np.asarray(Image.open(io.BytesIO(data))), tables)
