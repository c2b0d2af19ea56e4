"""How a kept label map lies on disk: a header, then tiles that can be read one by one.

    8 bytes   "SMLTIKM" and the version of the layout
    4 bytes   length of the header, little-endian
    4 bytes   CRC-32 of the header
    header    MessagePack: see `Header`
    body      the tiles, row by row (see `smalti.kernels.Tiles`)

Tiles hold runs: a map of large regions takes a few per cent of its pixels, and its runs become rows of labels about as
fast as memory is written. Where runs do not pay (noise, very fine structures) each row of tiles is compressed with zstd.
"""

import os
import sys
import zlib
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.kernels import Tiles
from smalti.labelmap import LabelMap
from smalti.legend import Entry, Kind, Legend

__all__ = ["TILE", "VERSION", "DamagedError", "pack", "read"]

VERSION = 1
Box = tuple[int, int, int, int]
Place = Callable[[tuple[int, int]], Box | None]

TILE = 64
"""Pixels: a crop of 512×512 that begins anywhere touches at most 81 of the 512 tiles of 2048×1024."""

_MAGIC = b"SMLTIKM" + bytes([VERSION])
_FIXED = 16
_WHOLE_READ = 1 << 17  # most maps are shorter: one read has all
_HEAD_READ = 1 << 13  # for a box: most headers are shorter
_RUNS_PAY = 4  # runs may take a quarter of the pixels' bytes; what takes more is compressed
_LEVEL = 3


class DamagedError(Exception):
    """The bytes are not what was written."""


class Header(msgspec.Struct, array_like=True, frozen=True):
    """What is known of a map.

    Attributes:
        size_hw, dtype: of the map; byte_order: of the machine that wrote the tiles.
        policy, settled, notes, pts_ms, mode, codec: as in `LabelMap`.
        entries: of a legend that was discovered in the mask, as (labels, color, code); None = the one that was asked with.
        kind, scheme: of that legend.
        offsets, sums: of the tiles, as bytes.
        bands: length of each compressed row of tiles; none where the tiles stand as they are.
    """

    size_hw: tuple[int, int]
    dtype: Literal["uint8", "uint16", "uint32"]
    byte_order: str
    policy: str
    settled: dict[str, int]
    notes: tuple[str, ...]
    pts_ms: float | None
    mode: str
    codec: str
    entries: list[tuple[tuple[str, ...], tuple[int, int, int] | None, int | None]] | None
    kind: Kind
    scheme: str | None
    offsets: bytes
    sums: bytes
    bands: tuple[int, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Header).decode


def pack(found: LabelMap, asked_with: Legend | None) -> bytes:
    """The file of a map. A legend that equals `asked_with` is not written: whoever asks has it."""
    tiles = kernels.tiles_pack(found.data, TILE)
    own = found.legend is not asked_with and found.legend != asked_with
    bands, body = _body(tiles, found.data)
    header = _encode(
        Header(
            found.size_hw,
            found.data.dtype.name,  # type: ignore[arg-type]
            sys.byteorder,
            found.policy,
            dict(found.settled),
            found.notes,
            found.pts_ms,
            found.mode,
            found.codec,
            [(e.labels, e.color, e.code) for e in found.legend] if own else None,
            found.legend.kind,
            found.legend.scheme,
            tiles.offsets.tobytes(),
            tiles.sums.tobytes(),
            bands,
        )
    )
    fixed = _MAGIC + len(header).to_bytes(4, "little") + zlib.crc32(header).to_bytes(4, "little")
    return b"".join((fixed, header, *body))


def _body(tiles: Tiles, labels: NDArray[Any]) -> tuple[tuple[int, ...], list[bytes]]:
    if len(tiles.packed) * _RUNS_PAY <= labels.nbytes:
        return (), [tiles.packed.tobytes()]
    codec, across = _zstd(), -(-labels.shape[1] // TILE)
    edges = [*tiles.offsets[::across].tolist()]
    parts = [codec.compress(tiles.packed[start:end].tobytes(), asbytes=True) for start, end in pairwise(edges)]
    return tuple(len(part) for part in parts), parts


def read(descriptor: int, legend: Legend | None, box2d_xywh: Box | Place | None) -> LabelMap:
    """The map in an open file, or a box of it; only the rows of tiles that the box touches are read.

    Args:
        descriptor: of the file, open for reading.
        legend: what the map was asked with.
        box2d_xywh: in pixels, within the map; None = all. Or a function that is told (height, width) and says which.

    Raises:
        DamagedError: a header or a tile that is needed is not what was written.
        ValueError: the box does not lie in the map.
    """
    head, header = _header(descriptor, _HEAD_READ if box2d_xywh else _WHOLE_READ)
    height, width = header.size_hw
    box = (box2d_xywh(header.size_hw) if callable(box2d_xywh) else box2d_xywh) or (0, 0, width, height)
    if min(box[0], box[1]) < 0 or min(box[2], box[3]) < 1 or box[0] + box[2] > width or box[1] + box[3] > height:
        raise ValueError(f"box2d_xywh is {box}, the map is {width}×{height}; a box of at least 1×1 within it is needed")
    if header.byte_order != sys.byteorder:
        raise DamagedError(f"the map was written on a {header.byte_order}-endian machine")
    tiles, base = _tiles(descriptor, head, header, box)
    data = np.empty((box[3], box[2]), header.dtype)
    try:
        kernels.tiles_unpack(tiles, header.size_hw, TILE, box, data, base=base)
    except ValueError as error:
        raise DamagedError(f"a tile is damaged: {error}") from error
    return _map(header, data, legend)


def _header(descriptor: int, first_read: int) -> tuple[bytes, Header]:
    """What was read so far, and the header in it."""
    head = os.pread(descriptor, first_read, 0)
    length = int.from_bytes(head[8:12], "little")
    if head[:8] != _MAGIC:
        raise DamagedError("the file does not begin as a kept map does")
    if _FIXED + length > len(head):
        if length > os.fstat(descriptor).st_size:
            raise DamagedError("the header is cut off")
        head = os.pread(descriptor, _FIXED + length, 0)
    raw = head[_FIXED : _FIXED + length]
    if zlib.crc32(raw) != int.from_bytes(head[12:16], "little"):
        raise DamagedError("the header does not match its checksum")
    try:
        return head, _decode(raw)
    except msgspec.MsgspecError as error:
        raise DamagedError(f"the header cannot be read: {error}") from error


def _tiles(descriptor: int, head: bytes, header: Header, box2d_xywh: tuple[int, int, int, int]) -> tuple[Tiles, int]:
    """The tiles that a box needs, and the offset at which their bytes begin."""
    offsets, sums = np.frombuffer(header.offsets, np.uint32), np.frombuffer(header.sums, np.uint32)
    across = -(-header.size_hw[1] // TILE)
    first, last = box2d_xywh[1] // TILE, -(-(box2d_xywh[1] + box2d_xywh[3]) // TILE)
    if len(offsets) != len(sums) + 1 or len(offsets) <= last * across:
        raise DamagedError("the header lists too few tiles")
    start, end = (_number(header.offsets, place * across) for place in (first, last))
    body = _FIXED + int.from_bytes(head[8:12], "little")
    if not header.bands:
        at = body + start
        packed = head[at : at + end - start] if at + end - start <= len(head) else os.pread(descriptor, end - start, at)
        return Tiles(np.frombuffer(packed, np.uint8), offsets, sums), start
    edges = np.cumsum([0, *header.bands])
    stored = os.pread(descriptor, int(edges[last] - edges[first]), body + int(edges[first]))
    codec, bands = _zstd(), []
    for row in range(first, last):
        band = stored[int(edges[row] - edges[first]) : int(edges[row + 1] - edges[first])]
        size = _number(header.offsets, (row + 1) * across) - _number(header.offsets, row * across)
        try:
            bands.append(codec.decompress(band, size, asbytes=True))
        except (OSError, ValueError) as error:
            raise DamagedError(f"row {row} of tiles cannot be decompressed: {error}") from error
    return Tiles(np.frombuffer(b"".join(bands), np.uint8), offsets, sums), start


def _number(numbers: bytes, place: int) -> int:
    return int.from_bytes(numbers[4 * place : 4 * place + 4], sys.byteorder)


def _map(header: Header, data: NDArray[Any], legend: Legend | None) -> LabelMap:
    if header.entries is not None:
        entries = [Entry(labels, color, code) for labels, color, code in header.entries]
        legend = Legend.from_entries(entries, kind=header.kind, scheme=header.scheme)
    if legend is None:
        raise DamagedError("the map was kept without its legend, and asked for without one")
    return LabelMap(data, legend, header.policy, header.settled, header.notes, header.pts_ms, header.mode, header.codec)


@cache
def _zstd() -> Any:
    """pyarrow's zstd: imported only where a map needs it, since few do."""
    from pyarrow import Codec

    return Codec("zstd", compression_level=_LEVEL)
