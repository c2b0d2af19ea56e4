"""kornia-rs + numba: Rust's PNG reader, then a compiled loop over a table of 2**24 colours. Palettes stay indices."""

from typing import Any

import kornia_rs
from numpy.typing import NDArray

from data import Task
from rivals.tables import Tables, gather_numba

label = "kornia-rs + numba"


def setup(task: Task) -> tuple[Tables, Any, str]:
    is_deep = task.data[24] == 16
    read = kornia_rs.io.decode_image_png_u16 if is_deep else kornia_rs.io.decode_image_png_u8
    return Tables(task, "rgb"), read, "rgb" if task.kind == "colors" else "mono"


def run(state: tuple[Tables, Any, str], data: bytes) -> NDArray[Any]:
    tables, read, mode = state
    size_hw = (int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big"))  # it wants to be told
    return gather_numba(read(data, size_hw, mode), tables)
