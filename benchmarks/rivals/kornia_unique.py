"""kornia-rs + np.unique: the fastest reader, colours packed into numbers, and where each distinct number is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import Task
from rivals import kornia_numba

label = "kornia-rs + np.unique"
finds_ids = True


def setup(task: Task) -> tuple[Task, Any]:
    return task, kornia_numba.setup(task)


def run(state: tuple[Task, Any], data: bytes) -> NDArray[Any]:
    task, (_, read, mode) = state
    size_hw = (int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big"))
    picture = np.asarray(read(data, size_hw, mode))
    if mode == "rgb":
        wide = picture.astype(np.uint32)
        packed = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    else:
        packed = picture[..., 0]
    found, inverse = np.unique(packed, return_inverse=True)
    place = np.minimum(np.searchsorted(task.codes, found), len(task.codes) - 1)
    values = np.where(task.codes[place] == found, task.labels[place], 0).astype(task.labels.dtype)
    return values[inverse].reshape(packed.shape)
