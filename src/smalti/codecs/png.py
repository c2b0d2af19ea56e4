"""PNG, kept as stored: every colour type and depth, palettes and 16-bit samples unreduced, alpha apart.

`read_chunks` checks the container and allocates nothing that the file does not hold; `decode_png` is the general
reader built on it. Colour chunks (gAMA, cHRM, iCCP, sRGB, cICP, sBIT, bKGD) never change a value: they are not read.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.exif import orientation_of
from smalti.codecs.limits import DEFAULT_LIMITS, Limits
from smalti.codecs.png_rows import unfilter, unpack
from smalti.codecs.raster import Raster
from smalti.errors import DecodeError

__all__ = ["GREY", "GREY_ALPHA", "PALETTE", "RGB", "RGB_ALPHA", "PngChunks", "decode_png", "inflate", "read_chunks"]

CONTENT_TYPE = "image/png"
SIGNATURE = b"\x89PNG\r\n\x1a\n"

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
_DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
# x start, y start, x step, y step of the seven passes.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

# Encoders that split finely write chunks of 1 byte (PngSuite has such); more than this is an attack on the reader.
_MAX_CHUNKS = 1 << 20


@dataclass(frozen=True, slots=True)
class PngChunks:
    """A PNG taken apart, checked, and not yet inflated.

    Attributes:
        width, height: in pixels, at least 1 and within the limits.
        bit_depth: bits a sample: 1, 2, 4, 8 or 16.
        color_type: GREY, RGB, PALETTE, GREY_ALPHA or RGB_ALPHA.
        interlace: whether the seven passes of Adam7 are stored.
        palette: (n, 3) uint8 RGB, 1..2**bit_depth entries, for PALETTE only.
        trns: the tRNS body where it is valid for the colour type, else None.
        idat: the compressed stream, in the file's own pieces.
        exif: the eXIf body, or None.
        notes: sentences on what was ignored.
    """

    width: int
    height: int
    bit_depth: int
    color_type: int
    interlace: bool
    palette: NDArray[np.uint8] | None
    trns: bytes | None
    idat: list[memoryview]
    exif: bytes | None = None
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Samples a pixel, alpha included."""
        return _CHANNELS[self.color_type]

    @property
    def filter_bytes(self) -> int:
        """The distance in bytes between a byte and the one that filters call "left"."""
        return max(1, self.channels * self.bit_depth // 8)

    def row_bytes(self, width: int) -> int:
        """Bytes of a row of `width` pixels, without its filter byte."""
        return (width * self.channels * self.bit_depth + 7) // 8

    def passes(self) -> list[tuple[int, int, int, int, int, int]]:
        """(width, height, x start, y start, x step, y step) of every stored pass that has pixels."""
        if not self.interlace:
            return [(self.width, self.height, 0, 0, 1, 1)]
        sized = [
            ((self.width - x + dx - 1) // dx, (self.height - y + dy - 1) // dy, x, y, dx, dy) for x, y, dx, dy in _ADAM7
        ]
        return [one for one in sized if one[0] > 0 and one[1] > 0]

    @property
    def raw_bytes(self) -> int:
        """Exact size of the inflated stream: rows with their filter bytes, all passes."""
        return sum(height * (1 + self.row_bytes(width)) for width, height, *_ in self.passes())


def _error(message: str) -> DecodeError:
    return DecodeError(f"PNG: {message}", content_type=CONTENT_TYPE)


def _walk(view: memoryview, notes: list[str]) -> Iterator[tuple[bytes, memoryview]]:
    """Every chunk up to IEND as (type, body), its length and CRC checked; a damaged ancillary chunk is skipped."""
    if bytes(view[:8]) != SIGNATURE:
        raise _error(f"the file begins with {bytes(view[:8])!r}, not with the PNG signature; it is another format")
    offset = 8
    for _ in range(_MAX_CHUNKS):
        if offset + 12 > len(view):
            raise _error(f"the file is truncated: it ends at byte {len(view)} without an IEND chunk; fetch it again")
        length = int.from_bytes(view[offset : offset + 4], "big")
        kind = bytes(view[offset + 4 : offset + 8])
        if not kind.isalpha():
            raise _error(f"at byte {offset} a chunk is named {kind!r}; four letters are allowed: the file is damaged")
        end = offset + 12 + length
        if end > len(view):
            raise _error(
                f"the file is truncated: chunk {kind.decode()} at byte {offset} announces {length} bytes, "
                f"{len(view) - offset - 8} are left; fetch it again"
            )
        body = view[offset + 8 : end - 4]
        if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(view[end - 4 : end], "big"):
            # A lower-case first letter marks a chunk that pixels do not depend on; libpng skips such a one, too.
            if kind[0] & 0x20 == 0:
                raise _error(f"chunk {kind.decode()} at byte {offset} has a wrong CRC: the file is damaged")
            notes.append(f"PNG chunk {kind.decode()} has a wrong CRC and was ignored")
        else:
            yield kind, body
        offset = end
        if kind == b"IEND":
            if offset < len(view):
                notes.append(f"{len(view) - offset} bytes follow the end of the PNG and were ignored")
            return
    raise _error(f"more than {_MAX_CHUNKS} chunks; no picture needs that many")


def _header(body: memoryview, limits: Limits) -> tuple[int, int, int, int, bool]:
    """(width, height, bit depth, colour type, interlaced) of a checked IHDR."""
    if len(body) != 13:
        raise _error(f"the IHDR chunk has {len(body)} bytes; 13 are allowed")
    width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
    bit_depth, color_type, compression, filtering, interlace = body[8:13]
    if color_type not in _CHANNELS:
        raise _error(f"colour type {color_type}; {sorted(_CHANNELS)} exist")
    if bit_depth not in _DEPTHS[color_type]:
        raise _error(f"colour type {color_type} with {bit_depth} bits; {_DEPTHS[color_type]} are allowed")
    if compression or filtering or interlace > 1:
        raise _error(
            f"compression {compression}, filter {filtering}, interlace {interlace}; 0, 0 and 0 or 1 are allowed"
        )
    if max(width, height) > 0x7FFFFFFF:
        raise _error(f"the header announces {width}×{height} pixels; a side has at most 2147483647")
    limits.check_pixels(width, height, content_type=CONTENT_TYPE)
    return width, height, bit_depth, color_type, bool(interlace)


def _palette(body: memoryview, bit_depth: int, notes: list[str]) -> NDArray[np.uint8]:
    """(n, 3) uint8 of a PLTE chunk; entries that no sample can name are cut off."""
    if len(body) == 0 or len(body) % 3 or len(body) > 768:
        raise _error(f"the PLTE chunk has {len(body)} bytes; 3 for each of 1 to 256 colours are allowed")
    palette = np.frombuffer(body, np.uint8).reshape(-1, 3).copy()
    if len(palette) > 1 << bit_depth:
        notes.append(f"the palette has {len(palette)} colours, {bit_depth}-bit samples reach {1 << bit_depth} of them")
        palette = palette[: 1 << bit_depth]
    return palette


def _transparency(body: bytes | None, color_type: int, palette_size: int, notes: list[str]) -> bytes | None:
    """The tRNS body if it fits the colour type."""
    if body is None:
        return None
    allowed = {GREY: (2, 2), RGB: (6, 6), PALETTE: (1, palette_size)}.get(color_type)
    if allowed is None or not allowed[0] <= len(body) <= allowed[1]:
        notes.append(f"PNG chunk tRNS of {len(body)} bytes does not fit colour type {color_type} and was ignored")
        return None
    return body


def read_chunks(data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> PngChunks:
    """Take a PNG apart and check it; nothing is inflated or copied but palette, tRNS and eXIf.

    Raises:
        DecodeError: not a PNG, truncated, a critical chunk damaged, missing, unknown or out of order, or too large.
    """
    notes: list[str] = []
    header: tuple[int, int, int, int, bool] | None = None
    idat: list[memoryview] = []
    plte: memoryview | None = None
    small: dict[bytes, bytes] = {}
    idat_over = False
    for kind, body in _walk(memoryview(data), notes):
        if header is None:
            if kind != b"IHDR":
                raise _error(f"the first chunk is {kind.decode()}; IHDR must come first")
            header = _header(body, limits)
        elif kind == b"IDAT":
            if idat_over:
                raise _error("IDAT chunks are not consecutive: the file was put together wrongly")
            idat.append(body)
        elif kind == b"PLTE":
            if plte is not None or idat:
                raise _error("a second PLTE chunk, or one after the pixels; one before them is allowed")
            plte = body
        elif kind in (b"tRNS", b"eXIf"):
            if kind in small or (kind == b"tRNS" and idat):
                notes.append(f"PNG chunk {kind.decode()} comes twice or too late and was ignored")
            else:
                small[kind] = bytes(body)
        elif kind != b"IEND" and kind[0] & 0x20 == 0:
            raise _error(f"chunk {kind.decode()} is marked as critical and unknown: this is not a plain PNG")
        idat_over = bool(idat) and kind != b"IDAT"
    if header is None or not idat:
        raise _error("no IDAT chunk: the file has no pixels")
    width, height, bit_depth, color_type, interlace = header
    if color_type == PALETTE and plte is None:
        raise _error("colour type 3 without a PLTE chunk: the indices have no colours")
    palette = _palette(plte, bit_depth, notes) if color_type == PALETTE and plte is not None else None
    trns = _transparency(small.get(b"tRNS"), color_type, 0 if palette is None else len(palette), notes)
    return PngChunks(
        width, height, bit_depth, color_type, interlace, palette, trns, idat, small.get(b"eXIf"), tuple(notes)
    )


def inflate(chunks: PngChunks) -> tuple[memoryview, list[str]]:
    """The filtered rows, exactly `chunks.raw_bytes` long, and notes; never more is inflated than one byte beyond."""
    wanted = chunks.raw_bytes
    stream = chunks.idat[0] if len(chunks.idat) == 1 else b"".join(chunks.idat)
    inflater = zlib.decompressobj()
    try:
        # One byte more than is wanted: it makes zlib reach the end of the stream and check its Adler-32.
        raw = inflater.decompress(stream, wanted + 1)
    except zlib.error as error:
        raise _error(f"the compressed pixels are damaged ({error})") from error
    if len(raw) < wanted:
        raise _error(f"the pixels are truncated: {len(raw)} of {wanted} bytes are there; fetch the file again")
    notes = []
    if len(raw) > wanted:
        notes.append("the PNG holds more compressed data than its size needs; the rest was ignored")
    elif not inflater.eof:
        notes.append("the compressed pixels lack their checksum, which could not be verified")
    elif inflater.unused_data:
        notes.append(f"{len(inflater.unused_data)} bytes follow the compressed pixels and were ignored")
    return memoryview(raw)[:wanted], notes


def _samples(chunks: PngChunks, raw: memoryview) -> NDArray[Any]:
    """(H, W, channels) samples as stored, uint8 or uint16."""
    dtype = np.uint16 if chunks.bit_depth == 16 else np.uint8
    whole: NDArray[Any] | None = None
    offset = 0
    for width, height, x, y, dx, dy in chunks.passes():
        stride = 1 + chunks.row_bytes(width)
        rows = np.frombuffer(raw, np.uint8, height * stride, offset).reshape(height, stride)
        offset += height * stride
        worst = int(rows[:, 0].max())
        if worst > 4:
            row = int(np.argmax(rows[:, 0] > 4))
            raise _error(f"row {row} has filter {int(rows[row, 0])}; 0 to 4 exist: the pixels are damaged")
        part = unpack(unfilter(rows, chunks.filter_bytes), width, chunks.bit_depth, chunks.channels)
        if not chunks.interlace:
            return part
        if whole is None:
            whole = np.empty((chunks.height, chunks.width, chunks.channels), dtype)
        whole[y::dy, x::dx] = part
    if whole is None:  # unreachable for a checked header: every picture of 1×1 and more has a first pass
        raise _error("no pass has pixels")
    return whole


def _keyed_alpha(chunks: PngChunks, trns: bytes, data: NDArray[Any]) -> NDArray[Any]:
    """(H, W) alpha of the dtype of `data` from a tRNS chunk: one for each palette entry, or one transparent colour."""
    if chunks.color_type == PALETTE:
        table = np.full(256, 255, np.uint8)
        table[: len(trns)] = np.frombuffer(trns, np.uint8)
        opacity: NDArray[np.uint8] = table[data]
        return opacity
    # Keys have 16 bits whatever the depth; the bits above it mean nothing.
    key = np.frombuffer(trns, ">u2").astype(np.uint16) & np.uint16((1 << chunks.bit_depth) - 1)
    hidden = np.asarray(data == key[0] if data.ndim == 2 else (data == key).all(axis=2))
    return np.where(hidden, 0, np.iinfo(data.dtype).max).astype(data.dtype)


def decode_png(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """The samples of a PNG as stored: palette indices stay indices, 1/2/4-bit grey stays raw, 16 bits stay 16.

    Raises:
        DecodeError: the file is not a PNG, truncated, damaged or larger than `limits` allow.
    """
    chunks = read_chunks(data, limits)
    raw, notes = inflate(chunks)
    samples = _samples(chunks, raw)
    del raw
    color = samples[..., 0] if chunks.color_type in (GREY, PALETTE, GREY_ALPHA) else samples[..., :3]
    alpha: NDArray[Any] | None = None
    if chunks.color_type in (GREY_ALPHA, RGB_ALPHA):
        alpha = np.ascontiguousarray(samples[..., -1])
    elif chunks.trns is not None:
        alpha = _keyed_alpha(chunks, chunks.trns, color)
    color = np.ascontiguousarray(color)
    if chunks.palette is not None and len(chunks.palette) < 1 << chunks.bit_depth:
        largest = int(color.max())
        if largest >= len(chunks.palette):
            notes.append(f"index {largest} is used, the palette has {len(chunks.palette)} colours")
    return Raster(
        mode="palette" if chunks.color_type == PALETTE else "rgb" if color.ndim == 3 else "grey",
        data=color,
        palette=chunks.palette,
        alpha=alpha,
        bits=chunks.bit_depth,
        content_type=CONTENT_TYPE,
        orientation=orientation_of(chunks.exif),
        codec="png",
        notes=(*chunks.notes, *notes),
    )
