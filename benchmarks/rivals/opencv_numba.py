"""OpenCV + numba: imdecode, then a compiled loop over a table of 2**24 colours."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from data import Task
from rivals.tables import Tables, gather_numba

cv2.setNumThreads(1)
label = "OpenCV + numba"


def setup(task: Task) -> Tables:
    return Tables(task, "bgr")


def run(tables: Tables, data: bytes) -> NDArray[Any]:
    return gather_numba(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), tables)
