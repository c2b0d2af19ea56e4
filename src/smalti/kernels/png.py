"""What the PNG kernels share: their results, and the checks that come before anything is allocated."""

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GREY",
    "PALETTE",
    "RGB",
    "RGB_ALPHA",
    "PngHeader",
    "PngLabels",
    "PngValues",
    "allowed_size",
    "missing_value",
    "sample_table",
]

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}

MAX_PIXELS = 1 << 28
MAX_BYTES = 1 << 30

# Deflate gives at most 1032 bytes for one: a header that claims more lies.
MAX_RATIO = 1032


class PngHeader(NamedTuple):
    """What a PNG says about itself.

    Attributes:
        width: in pixels.
        height: in pixels.
        bits: a sample's, 1 to 16.
        color: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha.
        interlaced: whether it is stored in the seven passes of Adam7.
        transparent: whether a tRNS chunk is there.
        palette: (n, 3) uint8 RGB; no rows where there is none.
    """

    width: int
    height: int
    bits: int
    color: int
    interlaced: bool
    transparent: bool
    palette: NDArray[np.uint8]


class PngLabels(NamedTuple):
    """A PNG as labels.

    Attributes:
        labels: (H, W) of the values' dtype, 0 where no entry fits.
        strangers: pixels whose colour no entry has (for a table: pixels that got 0).
        alpha: (H, W) uint8 where it was asked for.
    """

    labels: NDArray[Any]
    strangers: int
    alpha: NDArray[np.uint8] | None


class PngValues(NamedTuple):
    """A grey or palette PNG through a table.

    Attributes:
        values: (H, W) of the table's dtype.
        zeros: pixels that got 0.
        watched: pixels that got the value that was asked about.
    """

    values: NDArray[Any]
    zeros: int
    watched: int


def allowed_size(data: bytes, max_pixels: int | None, max_bytes: int | None) -> tuple[int, int, int, int] | None:
    """(height, width, bits, colour type) as the header claims them, None where the general reader should look.

    Raises:
        ValueError: more pixels or bytes than allowed, or than so short a file can hold.
    """
    if len(data) < 33 or bytes(data[:8]) != b"\x89PNG\r\n\x1a\n" or bytes(data[12:16]) != b"IHDR":
        raise ValueError("not a PNG: the signature or the header is missing")
    width, height, bits, color, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if color not in CHANNELS or interlaced or not width or not height:
        return None
    most_pixels, most_bytes = max_pixels or MAX_PIXELS, max_bytes or MAX_BYTES
    if width * height > most_pixels:
        raise ValueError(f"the PNG claims {width}×{height} pixels; {most_pixels} are allowed")
    size = height * (1 + (width * CHANNELS[color] * bits + 7) // 8)
    if size > most_bytes:
        raise ValueError(f"the PNG claims {size} bytes of rows; {most_bytes} are allowed")
    if size > MAX_RATIO * len(data):
        raise ValueError(f"the PNG claims {width}×{height} pixels, more than {len(data)} bytes can hold")
    return height, width, bits, color


def missing_value(values: NDArray[Any]) -> int | None:
    """A value that no entry has, for strangers to carry until they are counted; None where all are taken."""
    if not len(values) or values.min() > 0:
        return 0
    free = np.setdiff1d(np.arange(min(len(values) + 1, np.iinfo(values.dtype).max + 1)), values)
    return int(free[0]) if len(free) else None


def sample_table(table: NDArray[Any], bits: int, *, small: bool = False) -> NDArray[Any]:
    """The table of a grey or palette PNG: 256 cells, 65536 where samples have 16 bits; `small` asks for 8 or 16 bits."""
    if small and table.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"table: expected uint8 or uint16, got {table.dtype}")
    cells = 65536 if bits == 16 else 256
    if table.ndim != 1 or len(table) != cells or table.dtype.kind not in "bui":
        raise ValueError(f"table: expected ({cells},) integers for {bits} bits, got {table.shape} {table.dtype}")
    return np.ascontiguousarray(table)
