"""PyAV to RGB, then the nearest colour from a table of 2**24: how a mask video is read without smalti."""

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from rivals.tables import gather_colors, nearest_table

label = "PyAV to RGB + numba table"


def setup(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    table = np.zeros(1 << 24, np.uint8)
    nearest_table(colors.astype(np.int32), table)
    return table


def run(table: NDArray[np.uint8], uri: str) -> Iterator[NDArray[Any]]:
    with av.open(uri) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            picture = frame.to_ndarray(format="rgb24")
            labels = np.empty(picture.shape[:2], np.uint8)
            gather_colors(picture, table, labels, 0, 2)
            yield labels
