"""OpenCV + NumPy table: imdecode, then indexing of a table of 2**24 colours."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from data import Task
from rivals.tables import Tables, gather_numpy

cv2.setNumThreads(1)
label = "OpenCV + NumPy table"


def setup(task: Task) -> Tables:
    return Tables(task, "bgr")


def run(tables: Tables, data: bytes) -> NDArray[Any]:
    return gather_numpy(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), tables)
