"""PNG → labels in NumPy and zlib: what the compiled reader must equal. Slower than a general reader; made to be read."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.checks import CELLS, as_table, legend_arrays
from smalti.kernels.png import (
    CHANNELS,
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
from smalti.kernels.reference.count import count_colors
from smalti.kernels.reference.gather import gather_exact, gather_table

__all__ = ["png_discover", "png_gather", "png_header", "png_indices", "png_labels", "png_lookup"]

Bytes = NDArray[np.uint8]

MAX_CHUNKS = 1 << 20


class _UnusualError(Exception):
    """Not wrong, but for another reader."""


@dataclass(slots=True)
class _File:
    header: tuple[int, int, int, int, int] | None = None  # width, height, bits, colour, interlace
    palette: bytes = b""
    transparent: bool = False
    stream: list[bytes] = field(default_factory=list)
    data_ended: bool = False


def png_header(data: bytes) -> PngHeader | None:
    """What a PNG says about itself, its chunks checked; None where it is unusual (an animation, an unknown chunk).

    Raises:
        ValueError: not a PNG, or a damaged one.
    """
    try:
        file = _open(data)
    except _UnusualError:
        return None
    width, height, bits, color, interlace = _header(file)
    colors = np.frombuffer(file.palette, np.uint8).reshape(-1, 3)
    return PngHeader(width, height, bits, color, bool(interlace), file.transparent, colors)


def png_labels(
    data: bytes,
    keys: NDArray[np.uint32],
    values: NDArray[Any],
    *,
    max_pixels: int | None = None,
    max_bytes: int | None = None,
    need_alpha: bool = False,
) -> PngLabels | None:
    """An 8-bit RGB or RGBA PNG → labels by exact colour.

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
    if missing_value(values) is None:
        return None
    pixels = _pixels(data, (max_pixels, max_bytes))
    if pixels is None:
        return None
    labels = gather_exact(pixels[..., :3], keys, values)
    known = gather_exact(pixels[..., :3], keys, np.ones(len(keys), np.uint8))
    return PngLabels(labels, int(known.size - np.count_nonzero(known)), _alpha(pixels) if need_alpha else None)


def png_gather(
    data: bytes,
    table: NDArray[Any],
    *,
    max_pixels: int | None = None,
    max_bytes: int | None = None,
    need_alpha: bool = False,
) -> PngLabels | None:
    """The same through a (2**24,) table of uint8 or uint16, such as nearest_table() makes."""
    table = as_table(table, cells=CELLS, small=True)
    pixels = _pixels(data, (max_pixels, max_bytes))
    if pixels is None:
        return None
    labels = gather_table(pixels[..., :3], table)
    return PngLabels(labels, int(labels.size - np.count_nonzero(labels)), _alpha(pixels) if need_alpha else None)


def png_discover(
    data: bytes, *, limit: int = 65535, max_pixels: int | None = None, max_bytes: int | None = None
) -> tuple[NDArray[np.uint16], NDArray[np.uint32]] | None:
    """An 8-bit RGB or RGBA PNG → (H, W) uint16 labels and the (k,) uint32 sorted colours they stand for.

    Label i + 1 is colour keys[i]. None for other PNGs and for more than `limit` colours.

    Raises:
        ValueError: a damaged file, or more than is allowed.
    """
    pixels = _pixels(data, (max_pixels, max_bytes))
    if pixels is None:
        return None
    keys, _ = count_colors(pixels[..., :3])
    if len(keys) > min(limit, 65535):
        return None
    labels: NDArray[np.uint16] = gather_exact(pixels[..., :3], keys, np.arange(1, len(keys) + 1, dtype=np.uint16))
    return labels, keys


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
    rows = _rows(data)
    if rows is None:
        return None
    samples = _unpack(rows, size[1], size[2])
    return samples if cells is None else cells[samples]


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
    if size is not None and size[3] in (GREY, PALETTE):
        sample_table(table, size[2], small=True)
    values = png_indices(data, table, max_pixels=max_pixels, max_bytes=max_bytes)
    if values is None:
        return None
    return PngValues(values, int((values == 0).sum()), int((values == watch).sum()))


def _pixels(data: bytes, limits: tuple[int | None, int | None]) -> Bytes | None:
    size = allowed_size(data, *limits)
    if size is None or size[2] != 8 or size[3] not in (RGB, RGB_ALPHA):
        return None
    rows = _rows(data)
    return None if rows is None else rows.reshape(size[0], size[1], CHANNELS[size[3]])


def _alpha(pixels: Bytes) -> Bytes:
    return np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else np.full(pixels.shape[:2], 255, np.uint8)


def _rows(data: bytes) -> Bytes | None:
    """(H, bytes of a row) unfiltered."""
    try:
        file = _open(data)
        width, height, bits, color, interlace = _header(file)
        if interlace:
            return None
        row_bytes = (width * CHANNELS[color] * bits + 7) // 8
        raw = _inflate(b"".join(file.stream), height * (row_bytes + 1))
    except _UnusualError:
        return None
    stored = np.frombuffer(raw, np.uint8).reshape(height, row_bytes + 1)
    if stored[:, 0].max() > 4:
        raise ValueError("a PNG row has a filter type that does not exist")
    return _unfilter(stored, max(1, CHANNELS[color] * bits // 8))


def _open(data: bytes) -> _File:
    """Walk the chunks; the checksums of critical ones (and of tRNS) must fit."""
    if bytes(data[:8]) != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG: the signature is missing")
    file, at, chunks, kind = _File(), 8, 0, b""
    while kind != b"IEND":
        if len(data) - at < 12:
            if file.stream:
                raise _UnusualError
            raise ValueError("the PNG is cut off inside a chunk")
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if size > len(data) - at - 12:
            raise ValueError("the PNG is cut off inside a chunk")
        body = bytes(data[at + 8 : at + 8 + size])
        (checksum,) = struct.unpack(">I", data[at + 8 + size : at + 12 + size])
        if (not kind[0] & 32 or kind == b"tRNS") and zlib.crc32(kind + body) != checksum:
            raise ValueError("a PNG chunk does not match its checksum")
        if chunks > MAX_CHUNKS:
            raise _UnusualError
        _read_chunk(file, kind, body, first=chunks == 0)
        at, chunks = at + size + 12, chunks + 1
    width, height, bits, color, interlace = _header(file)
    if not file.stream:
        raise ValueError("the PNG has no image data")
    if color == PALETTE and not file.palette:
        raise ValueError("the PNG palette is missing or damaged")
    claimed = height * (1 + (width * CHANNELS[color] * bits + 7) // 8)
    if claimed // 1032 > sum(map(len, file.stream)) and not interlace:
        raise ValueError("the PNG image data ends before the last row")
    return file


def _header(file: _File) -> tuple[int, int, int, int, int]:
    if file.header is None:
        raise ValueError("the PNG header is damaged")
    return file.header


def _read_chunk(file: _File, kind: bytes, body: bytes, *, first: bool) -> None:
    if first or kind == b"IHDR":
        if not first or kind != b"IHDR" or len(body) != 13:
            raise ValueError("the PNG header is damaged")
        width, height, bits, color, packing, filters, interlace = struct.unpack(">IIBBBBB", body)
        depths = {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8)}.get(color, (8, 16))
        sane = 0 < width < 1 << 31 and 0 < height < 1 << 31 and not packing and not filters and interlace < 2
        if not sane or color not in CHANNELS or bits not in depths:
            raise ValueError("the PNG header is damaged")
        file.header = width, height, bits, color, interlace
        return
    if kind == b"IDAT":
        if file.data_ended:
            raise _UnusualError
        file.stream.append(body)
        return
    file.data_ended = bool(file.stream)
    if kind == b"PLTE":
        if len(body) % 3 or not 0 < len(body) <= 768:
            if _header(file)[3] == PALETTE:
                raise ValueError("the PNG palette is missing or damaged")
            raise _UnusualError
        if file.stream or file.palette:
            raise _UnusualError
        file.palette = body
    elif kind == b"tRNS":
        file.transparent = True
    elif kind == b"acTL" or (not kind[0] & 32 and kind != b"IEND"):
        raise _UnusualError


def _inflate(stream: bytes, size: int) -> bytes:
    """Exactly `size` bytes, and the checksum behind them."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(stream, size + 1)
    except zlib.error as error:
        fault = (
            "does not match its checksum" if "check" in str(error) and "data" in str(error) else "cannot be inflated"
        )
        raise ValueError(f"the PNG image data {fault}") from None
    if len(raw) > size:
        raise _UnusualError
    if not inflater.eof:
        raise ValueError("the PNG image data cannot be inflated")
    if len(raw) < size:
        raise ValueError("the PNG image data ends before the last row")
    return raw


def _unfilter(stored: Bytes, step: int) -> Bytes:
    """Undo the filters of all rows at once, along diagonals: a byte needs its left, upper and upper left neighbours.

    Row y works on its byte t - y at time t, so all three were finished at an earlier time.
    """
    height, width = stored.shape[0], (stored.shape[1] - 1) // step
    filters = stored[:, :1].astype(np.int16)
    deltas = stored[:, 1 : 1 + width * step].reshape(height, width, step).astype(np.int16)
    made = np.zeros((height + 1, width + 1, step), np.int16)  # one row above and one column on the left of zeros
    for time in range(height + width - 1):
        y = np.arange(max(0, time - width + 1), min(height, time + 1))
        x = time - y
        left, above, corner = made[y + 1, x], made[y, x + 1], made[y, x]
        guess = left + above - corner
        by_left, by_above, by_corner = np.abs(guess - left), np.abs(guess - above), np.abs(guess - corner)
        paeth = np.where(by_above <= by_corner, above, corner)
        paeth = np.where((by_left <= by_above) & (by_left <= by_corner), left, paeth)
        kind = filters[y]
        base = np.select([kind == 1, kind == 2, kind == 3, kind == 4], [left, above, (left + above) >> 1, paeth], 0)
        made[y + 1, x + 1] = (base + deltas[y, x]) & 255
    return made[1:, 1:].reshape(height, width * step).astype(np.uint8)


def _unpack(rows: Bytes, width: int, bits: int) -> NDArray[Any]:
    """(H, bytes) → (H, W) samples; the leftmost pixel is in the highest bits."""
    if bits == 8:
        return rows
    if bits == 16:
        return np.ascontiguousarray(rows).view(">u2").astype(np.uint16)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    samples = (rows[:, :, None] >> shifts) & np.uint8((1 << bits) - 1)
    return np.ascontiguousarray(samples.reshape(len(rows), -1)[:, :width])
