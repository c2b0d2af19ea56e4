"""TIFF samples that Pillow cannot keep: 16-bit RGB, which it reduces to 8 bits, and unsigned 32-bit grey.

Strips and tiles, chunky and planar, either byte order; stored plain, deflated, as LZW or as PackBits.
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.limits import Limits
from smalti.errors import DecodeError

__all__ = ["Directory", "keeps_better", "read_directory", "read_samples"]

CONTENT_TYPE = "image/tiff"
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, FORMAT = 317, 322, 323, 324, 325, 339

_TAGS = frozenset(
    (
        WIDTH,
        HEIGHT,
        BITS,
        COMPRESSION,
        PHOTOMETRIC,
        FILL_ORDER,
        STRIP_OFFSETS,
        SAMPLES,
        ROWS_PER_STRIP,
        STRIP_BYTES,
        PLANAR,
        PREDICTOR,
        TILE_WIDTH,
        TILE_HEIGHT,
        TILE_OFFSETS,
        TILE_BYTES,
        FORMAT,
    )
)

PLAIN, LZW, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 5, 8, 32773, 32946
_BLACK_IS_ZERO, _RGB = 1, 2
_UNSIGNED = 1
# Type number → struct letter, for the types that whole numbers come in.
_LETTERS = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True, slots=True)
class Directory:
    """The first directory of a TIFF: byte order "<" or ">", and the whole numbers of each tag, whether pages follow."""

    order: str
    tags: dict[int, tuple[int, ...]]
    more_pages: bool

    def one(self, tag: int, default: int = 0) -> int:
        """The first value of a tag."""
        return self.tags.get(tag, (default,))[0]


def _error(message: str) -> DecodeError:
    return DecodeError(f"{CONTENT_TYPE}: {message}", content_type=CONTENT_TYPE)


def read_directory(data: bytes) -> Directory | None:
    """The first directory of a classic TIFF, or None where it cannot be read; values beyond the file are left out."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    tags: dict[int, tuple[int, ...]] = {}
    try:
        (start,) = struct.unpack_from(order + "I", data, 4)
        (entries,) = struct.unpack_from(order + "H", data, start)
        for entry in range(entries):
            tag, kind, count = struct.unpack_from(order + "HHI", data, start + 2 + entry * 12)
            letter = _LETTERS.get(kind)
            # Only what is needed, and once: many long tags over the same bytes would take for ever.
            if tag not in _TAGS or tag in tags or letter is None or not 0 < count <= len(data):
                continue
            layout = f"{order}{count}{letter}"
            at = start + 2 + entry * 12 + 8
            if struct.calcsize(layout) > 4:
                (at,) = struct.unpack_from(order + "I", data, at)
            if at + struct.calcsize(layout) <= len(data):
                tags[tag] = struct.unpack_from(layout, data, at)
        following = data[start + 2 + entries * 12 :][:4]
    except struct.error:
        return None
    return Directory(order, tags, any(following))


def keeps_better(directory: Directory | None) -> bool:
    """Whether `read_samples` reads this file, and keeps what Pillow would not."""
    if directory is None or directory.one(FILL_ORDER, 1) != 1 or directory.one(PREDICTOR, 1) not in (1, 2):
        return False
    if directory.one(COMPRESSION, 1) not in (PLAIN, LZW, DEFLATE, PACKBITS, OLD_DEFLATE):
        return False
    if any(sample != _UNSIGNED for sample in directory.tags.get(FORMAT, (_UNSIGNED,))):
        return False
    if len(set(directory.tags.get(BITS, (1,)))) != 1:
        return False
    kind = directory.one(PHOTOMETRIC), directory.one(BITS, 1), directory.one(SAMPLES, 1)
    return kind in {(_RGB, 16, 3), (_RGB, 16, 4), (_BLACK_IS_ZERO, 16, 2), (_BLACK_IS_ZERO, 32, 1)}


def read_samples(data: bytes, directory: Directory, limits: Limits) -> NDArray[Any]:
    """(H, W, channels) uint16 or uint32 in native order, of a file that `keeps_better` accepts.

    Raises:
        DecodeError: strips or tiles are missing, cut short or damaged, or the size is beyond the limits.
    """
    width, height, channels = directory.one(WIDTH), directory.one(HEIGHT), directory.one(SAMPLES, 1)
    limits.check_pixels(width, height, content_type=CONTENT_TYPE)
    tiled = TILE_OFFSETS in directory.tags
    if tiled:
        across, down = directory.one(TILE_WIDTH), directory.one(TILE_HEIGHT)
        offsets, sizes = directory.tags[TILE_OFFSETS], directory.tags.get(TILE_BYTES, ())
    else:
        across, down = width, min(directory.one(ROWS_PER_STRIP, height), height)
        offsets, sizes = directory.tags.get(STRIP_OFFSETS, ()), directory.tags.get(STRIP_BYTES, ())
    limits.check_pixels(across, down, content_type=CONTENT_TYPE)
    planes = channels if directory.one(PLANAR, 1) == 2 else 1
    # Counted before they are listed: one-pixel tiles of a large picture would fill the memory with places alone.
    needed = planes * -(-height // down) * -(-width // across)
    if needed > min(len(offsets), len(sizes)):
        raise _error(f"{min(len(offsets), len(sizes))} strips or tiles; {width}×{height} pixels need {needed}")
    places = product(range(planes), range(0, height, down), range(0, width, across))
    stored = np.dtype(f"{directory.order}u{directory.one(BITS) // 8}")
    whole: NDArray[Any] | None = None
    for (plane, top, left), offset, size in zip(places, offsets, sizes, strict=False):
        rows = down if tiled else min(down, height - top)
        shape = rows, across, channels // planes
        body = _expanded(data[offset : offset + size], directory.one(COMPRESSION, 1), shape, stored.itemsize)
        block = np.frombuffer(body, stored).reshape(shape).astype(stored.newbyteorder("="))
        if directory.one(PREDICTOR, 1) == 2:
            block = np.add.accumulate(block, axis=1, dtype=block.dtype)
        if whole is None:  # only now that the first bytes are there is the picture worth its memory
            whole = np.zeros((height, width, channels), block.dtype)
        target = whole[top : top + rows, left : left + across, plane : plane + shape[2]]
        target[...] = block[: target.shape[0], : target.shape[1]]
    if whole is None:
        raise _error("no strips or tiles: the file has no pixels")
    return whole


def _expanded(body: bytes, compression: int, shape: tuple[int, int, int], itemsize: int) -> bytes:
    """The bytes of a strip or tile, exactly as many as its shape needs."""
    wanted = shape[0] * shape[1] * shape[2] * itemsize
    if compression == PLAIN:
        raw = body[:wanted]
    elif compression == LZW:
        raw = _from_lzw(body, wanted)
    elif compression == PACKBITS:
        raw = _from_packbits(body, wanted)
    else:
        try:
            raw = zlib.decompressobj().decompress(body, wanted)
        except zlib.error as error:
            raise _error(f"the compressed samples are damaged ({error})") from error
    if len(raw) < wanted:
        raise _error(f"the file is truncated: a strip or tile has {len(raw)} of {wanted} bytes; fetch it again")
    return raw


def _from_packbits(body: bytes, wanted: int) -> bytes:
    raw = bytearray()
    at = 0
    while at < len(body) and len(raw) < wanted:
        head = body[at]
        if head < 128:
            raw += body[at + 1 : at + 2 + head]
            at += 2 + head
        else:
            if head > 128:
                raw += body[at + 1 : at + 2] * (257 - head)
            at += 2 if head > 128 else 1
    return bytes(raw[:wanted])


_CLEAR, _END = 256, 257


def _from_lzw(body: bytes, wanted: int) -> bytes:
    """TIFF's LZW: most significant bit first, codes one bit longer one code early."""
    first = [bytes([value]) for value in range(256)] + [b"", b""]
    table, previous = first.copy(), b""
    raw = bytearray()
    bits = held = at = 0
    length = 9
    while len(raw) < wanted:
        while held < length and at < len(body):
            bits = (bits << 8 | body[at]) & 0xFFFFFFFF
            held += 8
            at += 1
        if held < length:
            break
        held -= length
        code = bits >> held & ((1 << length) - 1)
        if code == _END:
            break
        if code == _CLEAR:
            table, previous, length = first.copy(), b"", 9
            continue
        if code < len(table):
            entry = table[code]
        elif code == len(table) and previous:
            entry = previous + previous[:1]
        else:
            raise _error(f"LZW code {code} where {len(table)} exist: the compressed samples are damaged")
        raw += entry
        if previous and len(table) < 4096:
            table.append(previous + entry[:1])
        previous = entry
        length = min(12, (len(table) + 1).bit_length())
    return bytes(raw[:wanted])
