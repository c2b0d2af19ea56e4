"""What a legend looks like to the kernels: lookup arrays, made once for each legend and shared by every mask.

A frame's legend is built again from its ROIs each time it is asked for, so the arrays are found by equality of legends,
not by identity. All arrays are read-only: they are handed to kernels on many threads.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.legend import Legend

__all__ = ["code_table", "color_keys", "grey_table", "palette_table", "plain_colors"]

# A legend with "any" channels may have 65536 keys: 64 such legends are 24 MiB.
_KEPT = 64


@lru_cache(maxsize=_KEPT)
def color_keys(legend: Legend) -> tuple[NDArray[np.uint32], NDArray[Any], int]:
    """As `Legend.color_keys`: (n,) uint32 packed colours, (n,) entry numbers, the entry for every other colour or 0."""
    keys, values, catch_all = legend.color_keys()
    return _locked(keys), _locked(values), catch_all


@lru_cache(maxsize=_KEPT)
def plain_colors(legend: Legend) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """As `Legend.without_wildcards`: (n, 3) uint8 RGB and their (n,) entry numbers."""
    colors, values = legend.without_wildcards()
    return _locked(colors), _locked(values)


@lru_cache(maxsize=_KEPT)
def code_table(legend: Legend, size: int) -> NDArray[Any]:
    """As `Legend.code_table`: (size,) entry numbers by stored value."""
    return _locked(legend.code_table(size))


@lru_cache(maxsize=_KEPT)
def grey_table(legend: Legend, bits: int) -> NDArray[Any]:
    """Entry numbers by grey sample: 256 cells, 65536 for more than 8 bits.

    Grey v means the stored number v where the legend numbers its entries, else the colour (v, v, v) after scaling to
    8 bits.
    """
    cells = 256 if bits <= 8 else 1 << 16
    if legend.has_codes():
        return _locked(legend.code_table(max(1 << min(bits, 16), 256)))
    levels = np.arange(1 << min(bits, 8), dtype=np.uint64)
    top = len(levels) - 1
    scaled = ((levels * 255 + top // 2) // top).astype(np.uint8)
    table = np.zeros(cells, legend.dtype)
    table[: len(levels)] = _gather(legend, np.stack([scaled] * 3, axis=-1))
    return _locked(table)


def palette_table(legend: Legend, palette: NDArray[np.uint8]) -> NDArray[Any]:
    """(n, 3) uint8 RGB palette → (256,) entry numbers by the colour of each index; beyond the palette 0."""
    by_color = _gather(legend, np.ascontiguousarray(palette, np.uint8))
    table = np.zeros(max(256, len(by_color)), legend.dtype)
    table[: len(by_color)] = by_color
    return table


def _gather(legend: Legend, colors: NDArray[np.uint8]) -> NDArray[Any]:
    keys, values, catch_all = color_keys(legend)
    found: NDArray[Any] = kernels.gather_exact(colors[None], keys, values)[0]
    if catch_all:
        found[found == 0] = catch_all
    return found


def _locked(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
