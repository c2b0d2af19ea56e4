"""The compiled PNG kernels: inflate, unfilter and label in one pass over rows that are still in the cache."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels import _native
from smalti.kernels.checks import CELLS, as_table, legend_arrays
from smalti.kernels.png import (
    GREY,
    PALETTE,
    RGB,
    RGB_ALPHA,
    PngHeader,
    PngLabels,
    PngValues,
    allowed_size,
    missing_value,
    sample_table,
)

__all__ = ["png_discover", "png_gather", "png_header", "png_indices", "png_labels", "png_lookup"]


def png_header(data: bytes) -> PngHeader | None:
    """What a PNG says about itself, its chunks checked; None where it is unusual (an animation, an unknown chunk).

    Raises:
        ValueError: not a PNG, or a damaged one.
    """
    found = _native.png_header(data)
    if found is False:
        return None
    width, height, bits, color, interlaced, transparent, palette = found
    colors = np.frombuffer(palette or b"", np.uint8).reshape(-1, 3)
    return PngHeader(width, height, bits, color, bool(interlaced), bool(transparent), colors)


def png_labels(
    data: bytes,
    keys: NDArray[np.uint32],
    values: NDArray[Any],
    *,
    max_pixels: int | None = None,
    max_bytes: int | None = None,
    need_alpha: bool = False,
) -> PngLabels | None:
    """An 8-bit RGB or RGBA PNG → labels by exact colour; no RGB picture is ever made.

    Args:
        data: the file.
        keys: (n,) uint32 sorted R<<16|G<<8|B.
        values: (n,) uint8 or uint16.
        max_pixels: more are refused.
        max_bytes: more inflated bytes are refused.
        need_alpha: also return the alpha channel, 255 where the file has none.

    Returns:
        None where the general reader has to look: other kinds of PNG, interlaced ones, unusual chunks.

    Raises:
        ValueError: a damaged file, or more than is allowed.
    """
    keys, values = legend_arrays(keys, values)
    missing = missing_value(values)
    if missing is None:
        return None
    return _labels(data, keys, values, missing, (max_pixels, max_bytes), need_alpha)


def png_gather(
    data: bytes,
    table: NDArray[Any],
    *,
    max_pixels: int | None = None,
    max_bytes: int | None = None,
    need_alpha: bool = False,
) -> PngLabels | None:
    """The same through a (2**24,) table of uint8 or uint16, such as nearest_table() makes."""
    return _labels(data, None, as_table(table, cells=CELLS, small=True), 0, (max_pixels, max_bytes), need_alpha)


def _labels(
    data: bytes,
    keys: NDArray[np.uint32] | None,
    values: NDArray[Any],
    missing: int,
    limits: tuple[int | None, int | None],
    need_alpha: bool,
) -> PngLabels | None:
    size = allowed_size(data, *limits)
    if size is None or size[2] != 8 or size[3] not in (RGB, RGB_ALPHA):
        return None
    labels = np.empty(size[:2], values.dtype)
    alpha = np.empty(size[:2], np.uint8) if need_alpha else None
    strangers = _native.png_labels(data, keys, values, missing, labels, alpha)
    return None if strangers is False else PngLabels(labels, strangers, alpha)


def png_discover(
    data: bytes, *, limit: int = 65535, max_pixels: int | None = None, max_bytes: int | None = None
) -> tuple[NDArray[np.uint16], NDArray[np.uint32]] | None:
    """An 8-bit RGB or RGBA PNG → (H, W) uint16 labels and the (k,) uint32 sorted colours they stand for.

    Label i + 1 is colour keys[i]. None for other PNGs and for more than `limit` colours.

    Raises:
        ValueError: a damaged file, or more than is allowed.
    """
    size = allowed_size(data, max_pixels, max_bytes)
    if size is None or size[2] != 8 or size[3] not in (RGB, RGB_ALPHA):
        return None
    met = np.empty(size[:2], np.uint16)
    found = _native.png_discover(data, limit, met)
    if found is False:
        return None
    colors = np.frombuffer(found, np.uint32)
    keys = colors << np.uint32(16) & np.uint32(0xFF0000) | colors & np.uint32(0xFF00) | colors >> np.uint32(16)
    order = np.argsort(keys)
    rank = np.zeros(len(keys) + 1, np.uint16)
    rank[order + 1] = np.arange(1, len(keys) + 1)
    labels = np.empty_like(met)
    _native.lookup(met, rank, labels)
    return labels, keys[order]


def png_indices(
    data: bytes, table: NDArray[Any] | None = None, *, max_pixels: int | None = None, max_bytes: int | None = None
) -> NDArray[Any] | None:
    """A grey or palette PNG of 1 to 16 bits → (H, W) stored samples, or what `table` has for them.

    Args:
        data: the file.
        table: None for the samples themselves (uint8; uint16 for 16 bits), else 256 cells (65536 for 16 bits).
        max_pixels: more are refused.
        max_bytes: more inflated bytes are refused.

    Returns:
        None where the general reader has to look.

    Raises:
        ValueError: a damaged file, or more than is allowed.
    """
    size = allowed_size(data, max_pixels, max_bytes)
    if size is None or size[3] not in (GREY, PALETTE):
        return None
    cells = None if table is None else sample_table(table, size[2])
    stored = np.dtype(np.uint16 if size[2] == 16 else np.uint8)
    out = np.empty(size[:2], stored if cells is None else cells.dtype)
    return out if _native.png_indices(data, cells, out) else None


def png_lookup(
    data: bytes,
    table: NDArray[Any],
    *,
    watch: int = 0,
    max_pixels: int | None = None,
    max_bytes: int | None = None,
) -> PngValues | None:
    """A grey or palette PNG of 1 to 16 bits → what `table` has for its samples, and how many are 0 and `watch`.

    Args:
        data: the file.
        table: 256 cells (65536 for 16 bits) of uint8 or uint16.
        watch: a value to count.
        max_pixels: more are refused.
        max_bytes: more inflated bytes are refused.

    Returns:
        None where the general reader has to look.

    Raises:
        ValueError: a damaged file, or more than is allowed.
    """
    size = allowed_size(data, max_pixels, max_bytes)
    if size is None or size[3] not in (GREY, PALETTE):
        return None
    cells = sample_table(table, size[2], small=True)
    out = np.empty(size[:2], cells.dtype)
    found = _native.png_indices(data, cells, out, watch)
    return PngValues(out, *found) if found else None
