"""pyspng + numba: libspng, then a compiled loop over a table of 2**24 colours."""

from typing import Any

import pyspng
from numpy.typing import NDArray

from data import Task
from rivals.tables import Tables, gather_numba

label = "pyspng + numba"


def setup(task: Task) -> Tables:
    return Tables(task, "rgb")


def run(tables: Tables, data: bytes) -> NDArray[Any]:
    return gather_numba(pyspng.load(data), tables)
