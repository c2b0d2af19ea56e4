"""Pillow + np.unique: colours packed into numbers, each distinct number looked up once."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data import Task

label = "Pillow + np.unique"
finds_ids = True


def setup(task: Task) -> Task:
    return task


def run(task: Task, data: bytes) -> NDArray[Any]:
    picture = np.asarray(Image.open(io.BytesIO(data)))
    if picture.ndim == 3:
        wide = picture.astype(np.uint32)
        picture = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    found, inverse = np.unique(picture, return_inverse=True)
    place = np.minimum(np.searchsorted(task.codes, found), len(task.codes) - 1)
    values = np.where(task.codes[place] == found, task.labels[place], 0).astype(task.labels.dtype)
    return values[inverse].reshape(picture.shape)
