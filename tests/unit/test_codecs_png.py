"""The PNG reader against a writer of our own (all colour types, depths, filters and passes), Pillow, and damage."""

import io
import struct
import tracemalloc
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from smalti.codecs.limits import Limits
from smalti.codecs.png import GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA, decode_png, inflate, read_chunks
from smalti.codecs.raster import Raster
from smalti.errors import DecodeError

KINDS = [(GREY, depth) for depth in (1, 2, 4, 8, 16)]
KINDS += [(PALETTE, depth) for depth in (1, 2, 4, 8)]
KINDS += [(kind, depth) for kind in (RGB, GREY_ALPHA, RGB_ALPHA) for depth in (8, 16)]
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def packed(samples: NDArray[Any], depth: int) -> NDArray[np.uint8]:
    """(h, w, c) samples → (h, n) bytes, most significant bits first."""
    h = len(samples)
    flat = samples.reshape(h, -1).astype(np.int64)
    bits = (flat[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(h, -1).astype(np.uint8), axis=1)


def filtered(rows: NDArray[np.uint8], filters: list[int], distance: int) -> bytes:
    """The five filters as the specification writes them, encoder's side: all neighbours are raw bytes."""
    x = rows.astype(np.int64)
    a = np.zeros_like(x)
    a[:, distance:] = x[:, :-distance] if x.shape[1] > distance else 0
    b = np.vstack([np.zeros_like(x[:1]), x[:-1]])
    c = np.vstack([np.zeros_like(a[:1]), a[:-1]])
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
    predicted = [np.zeros_like(x), a, b, (a + b) // 2, paeth]
    lines = [bytes([f]) + ((x[y] - predicted[f][y]) % 256).astype(np.uint8).tobytes() for y, f in enumerate(filters)]
    return b"".join(lines)


def write_png(
    samples: NDArray[Any],
    kind: int,
    depth: int,
    *,
    filters: list[int] | None = None,
    interlace: bool = False,
    before: bytes = b"",
    pieces: int = 1,
    after: bytes = b"",
) -> bytes:
    """(h, w, c) samples → a PNG; `filters` are used in turn, `before` stands between IHDR and IDAT."""
    height, width = samples.shape[:2]
    distance = max(1, CHANNELS[kind] * depth // 8)
    wanted = filters or [0]
    stream = b""
    for x, y, dx, dy in PASSES if interlace else [(0, 0, 1, 1)]:
        part = samples[y::dy, x::dx]
        if part.size:
            rows = packed(part, depth)
            stream += filtered(rows, [wanted[row % len(wanted)] for row in range(len(rows))], distance)
    body = zlib.compress(stream, 1)
    step = max(1, -(-len(body) // pieces))
    idat = b"".join(chunk(b"IDAT", body[at : at + step]) for at in range(0, len(body), step))
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlace))
    return SIGNATURE + chunk(b"IHDR", header) + before + idat + after + chunk(b"IEND", b"")


def rejoined(raster: Raster) -> NDArray[Any]:
    """(h, w, c) with alpha back in its place."""
    assert raster.data is not None
    data = raster.data.reshape(*raster.data.shape[:2], -1)
    return data if raster.alpha is None else np.dstack([data, raster.alpha])


@dataclass
class Case:
    samples: NDArray[Any]
    kind: int
    depth: int
    filters: list[int]
    interlace: bool
    pieces: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind, depth = draw(st.sampled_from(KINDS))
    height, width = draw(st.integers(1, 19)), draw(st.integers(1, 19))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    samples = rng.integers(0, 1 << depth, (height, width, CHANNELS[kind]))
    filters = draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    return Case(samples, kind, depth, filters, draw(st.booleans()), draw(st.integers(1, 5)))


def palette_of(depth: int) -> NDArray[np.uint8]:
    return np.random.default_rng(depth).integers(0, 256, (1 << depth, 3), dtype=np.uint8)


def plte(depth: int) -> bytes:
    return chunk(b"PLTE", palette_of(depth).tobytes())


@settings(max_examples=300, deadline=None)
@given(cases())
def test_what_is_written_is_read(case: Case) -> None:
    before = plte(case.depth) if case.kind == PALETTE else b""
    data = write_png(
        case.samples,
        case.kind,
        case.depth,
        filters=case.filters,
        interlace=case.interlace,
        pieces=case.pieces,
        before=before,
    )
    raster = decode_png(data)
    assert np.array_equal(rejoined(raster), case.samples)
    assert raster.bits == case.depth
    assert raster.data is not None
    assert raster.data.dtype == (np.uint16 if case.depth == 16 else np.uint8)
    assert raster.mode == {GREY: "grey", GREY_ALPHA: "grey", PALETTE: "palette"}.get(case.kind, "rgb")
    assert not raster.lossy
    assert raster.notes == ()
    if case.kind == PALETTE:
        assert np.array_equal(raster.palette, palette_of(case.depth))
    else:
        assert raster.palette is None


@pytest.mark.parametrize(("kind", "depth"), KINDS)
@pytest.mark.parametrize("interlace", [False, True])
def test_pictures_larger_than_a_band(kind: int, depth: int, interlace: bool) -> None:
    """Rows are unfiltered in bands of half a mebibyte: each must see the last row of the one before."""
    channels = CHANNELS[kind]
    width = 2600 // max(1, channels * depth // 8) + 3
    rng = np.random.default_rng(7)
    samples = rng.integers(0, 1 << depth, (520, width, channels))
    data = write_png(
        samples, kind, depth, filters=[4, 3, 2, 1, 0, 4, 4], interlace=interlace, before=plte(8) if kind == 3 else b""
    )
    assert np.array_equal(rejoined(decode_png(data)), samples)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_agrees_with_pillow(mode: str) -> None:
    rng = np.random.default_rng(3)
    rough = Image.fromarray(rng.integers(0, 256, (12, 17, 3), dtype=np.uint8)).resize((301, 203))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(rough.convert("L")).astype(np.uint16) * 251)
    else:
        picture = rough.convert("RGBA").convert(mode) if mode != "P" else rough.quantize(200)
    if mode in ("LA", "RGBA"):
        picture.putalpha(rough.convert("L"))
    file = io.BytesIO()
    picture.save(file, "PNG")
    raster = decode_png(file.getvalue())
    expected = np.asarray(picture)
    assert np.array_equal(rejoined(raster), expected.reshape(203, 301, -1))
    if mode == "P":
        assert raster.palette is not None
        assert raster.palette.ravel().tolist() == (picture.getpalette("RGB") or [])[: raster.palette.size]


def test_palette_alpha_is_apart_and_indices_stay() -> None:
    indices = np.arange(16).reshape(4, 4, 1)
    data = write_png(indices, PALETTE, 4, before=plte(4) + chunk(b"tRNS", bytes([0, 7, 200])))
    raster = decode_png(data)
    assert np.array_equal(raster.data, indices[..., 0])
    assert raster.alpha is not None
    assert raster.alpha.ravel().tolist() == [0, 7, 200] + [255] * 13


@pytest.mark.parametrize(("kind", "depth"), [(GREY, 1), (GREY, 4), (GREY, 8), (GREY, 16), (RGB, 8), (RGB, 16)])
def test_colour_key_becomes_alpha(kind: int, depth: int) -> None:
    rng = np.random.default_rng(depth)
    samples = rng.integers(0, 1 << depth, (6, 5, CHANNELS[kind]))
    key = samples[2, 3]
    noise = 0 if depth == 16 else 1 << 15  # bits above the depth mean nothing
    body = b"".join(struct.pack(">H", int(part) | noise) for part in key)
    raster = decode_png(write_png(samples, kind, depth, before=chunk(b"tRNS", body)))
    white = 65535 if depth == 16 else 255
    assert np.array_equal(raster.alpha, np.where((samples == key).all(axis=2), 0, white))
    assert raster.data is not None
    assert np.array_equal(raster.data.reshape(samples.shape), samples)


def test_colour_chunks_change_nothing() -> None:
    samples = np.random.default_rng(1).integers(0, 256, (5, 6, 3))
    chunks = [
        chunk(b"gAMA", struct.pack(">I", 220000)),
        chunk(b"sRGB", b"\2"),
        chunk(b"iCCP", b"x\0\0" + zlib.compress(b"not a profile")),
        chunk(b"cICP", bytes([9, 16, 0, 1])),
        chunk(b"sBIT", bytes([3, 3, 3])),
        chunk(b"bKGD", bytes(6)),
        chunk(b"PLTE", bytes(9)),  # a suggestion only, for RGB
    ]
    raster = decode_png(write_png(samples, RGB, 8, before=b"".join(chunks)))
    assert np.array_equal(raster.data, samples)
    assert raster.notes == ()


def test_orientation_is_reported_and_not_applied() -> None:
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    samples = np.arange(6).reshape(2, 3, 1)
    raster = decode_png(write_png(samples, GREY, 8, before=chunk(b"eXIf", exif)))
    assert raster.orientation == 6
    assert raster.size_hw == (2, 3)


GREY_2X2 = np.array([[[1], [2]], [[3], [4]]])


@pytest.mark.parametrize(
    ("after_header", "words"),
    [
        (chunk(b"PLTE", bytes(3)) * 2, "second PLTE"),
        (chunk(b"ABCD", b""), "marked as critical"),
        (chunk(b"IHDR", bytes(13)), "marked as critical"),
        (b"\0\0\0\0IDAT\0\0\0\0", "wrong CRC"),
        (b"\0\0\0\0ID\x01T\0\0\0\0", "four letters"),
        (b"\x7f\xff\xff\xfftEXt", "truncated"),
        (chunk(b"IDAT", b"") + chunk(b"tIME", bytes(7)), "not consecutive"),
        (chunk(b"IEND", b""), "no IDAT"),
    ],
)
def test_faulty_chunks_are_named(after_header: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words) as caught:
        decode_png(write_png(GREY_2X2, GREY, 8, before=after_header))
    assert caught.value.content_type == "image/png"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ((0, 2, 8, 0, 0, 0, 0), "at least 1"),
        ((2, 0x80000000, 8, 0, 0, 0, 0), "2147483647"),
        ((2, 2, 3, 0, 0, 0, 0), "3 bits"),
        ((2, 2, 16, 3, 0, 0, 0), "16 bits"),
        ((2, 2, 8, 1, 0, 0, 0), "colour type 1"),
        ((2, 2, 8, 0, 1, 0, 0), "compression 1"),
        ((2, 2, 8, 0, 0, 0, 2), "interlace 2"),
        ((2, 2, 8, 3, 0, 0, 0), "without a PLTE"),
        ((100000, 100000, 8, 0, 0, 0, 0), "the limit is"),
    ],
)
def test_faulty_headers_are_named(header: tuple[int, ...], words: str) -> None:
    data = SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", *header)) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(DecodeError, match=words):
        decode_png(data)


def with_stream(stream: bytes, width: int = 2, height: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


ROWS = b"\0\1\2\0\3\4"


def test_streams_that_are_short_long_or_damaged() -> None:
    with pytest.raises(DecodeError, match="truncated: 5 of 6 bytes"):
        decode_png(with_stream(zlib.compress(ROWS[:-1])))
    with pytest.raises(DecodeError, match="filter 5"):
        decode_png(with_stream(zlib.compress(b"\0\1\2\5\3\4")))
    broken = zlib.compress(ROWS)[:-1] + b"\xff"
    with pytest.raises(DecodeError, match="damaged"):
        decode_png(with_stream(broken))
    longer = decode_png(with_stream(zlib.compress(ROWS + b"xyz")))
    assert np.array_equal(longer.data, [[1, 2], [3, 4]])
    assert "more compressed data" in longer.notes[0]
    unchecked = decode_png(with_stream(zlib.compress(ROWS)[:-4]))
    assert np.array_equal(unchecked.data, [[1, 2], [3, 4]])
    assert "checksum" in unchecked.notes[0]


def test_damaged_ancillary_chunks_and_trailing_bytes_are_noted() -> None:
    spoilt = bytearray(chunk(b"iCCP", b"abc"))
    spoilt[-1] ^= 1
    raster = decode_png(write_png(GREY_2X2, GREY, 8, before=bytes(spoilt)) + b"trailer")
    assert np.array_equal(raster.data, GREY_2X2[..., 0])
    assert [note for note in raster.notes if "iCCP" in note]
    assert [note for note in raster.notes if "7 bytes follow" in note]


def test_index_beyond_the_palette_is_kept_and_noted() -> None:
    data = write_png(np.array([[[0], [3]]]), PALETTE, 2, before=chunk(b"PLTE", bytes(range(6))))
    raster = decode_png(data)
    assert raster.data is not None
    assert raster.data.tolist() == [[0, 3]]
    assert raster.palette is not None
    assert len(raster.palette) == 2
    assert "index 3" in raster.notes[0]


def peak_of(data: bytes, **limits: int) -> int:
    """Bytes that decoding held at most; NumPy and zlib report to tracemalloc."""
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            decode_png(data, Limits(**limits))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_header_alone_allocates_nothing() -> None:
    inside_the_limit = with_stream(zlib.compress(ROWS), 11000, 11000)
    assert peak_of(inside_the_limit) < 1 << 20
    assert peak_of(with_stream(zlib.compress(ROWS), 60000, 60000)) < 1 << 20


def test_a_stream_is_inflated_to_its_size_and_no_further() -> None:
    bomb = with_stream(zlib.compress(bytes(64 << 20)))
    tracemalloc.start()
    try:
        raster = decode_png(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert raster.size_hw == (2, 2)
    assert peak < 1 << 20


def test_pixel_limit_can_be_set() -> None:
    data = write_png(GREY_2X2, GREY, 8)
    assert decode_png(data, Limits(max_pixels=4)).size_hw == (2, 2)
    with pytest.raises(DecodeError, match="is 4 pixels, the limit is 3"):
        decode_png(data, Limits(max_pixels=3))


def test_chunks_share_the_bytes_of_the_file() -> None:
    samples = np.random.default_rng(5).integers(0, 256, (9, 11, 3))
    data = write_png(samples, RGB, 8, interlace=True, pieces=3)
    chunks = read_chunks(data)
    assert all(piece.obj is data for piece in chunks.idat)
    raw, notes = inflate(chunks)
    assert len(raw) == chunks.raw_bytes
    assert notes == []


VALID = [
    write_png(np.random.default_rng(4).integers(0, 16, (9, 7, 1)), PALETTE, 4, before=plte(4), filters=[1, 4]),
    write_png(np.random.default_rng(4).integers(0, 256, (9, 7, 3)), RGB, 8, filters=[3, 4, 2], interlace=True),
    write_png(np.random.default_rng(4).integers(0, 65536, (5, 4, 4)), RGB_ALPHA, 16, filters=[4]),
]


def with_good_crcs(data: bytes) -> bytes:
    """The file with every CRC put right, so that damage reaches what lies behind the check."""
    fixed, offset = bytearray(data[:8]), 8
    while offset + 12 <= len(data):
        length = int.from_bytes(data[offset : offset + 4], "big")
        if offset + 12 + length > len(data):
            break
        fixed += chunk(data[offset + 4 : offset + 8], data[offset + 8 : offset + 8 + length])
        offset += 12 + length
    return bytes(fixed) + data[offset:]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 40),
    st.booleans(),
)
def test_damage_raises_only_our_error(data: bytes, edits: list[tuple[int, int]], cut: int, repaired: bool) -> None:
    spoilt = bytearray(data)
    for at, value in edits:
        spoilt[at % len(spoilt)] = value
    damaged = bytes(spoilt[: len(spoilt) - cut])
    try:
        raster = decode_png(with_good_crcs(damaged) if repaired else damaged, Limits(max_pixels=1 << 16))
    except DecodeError:
        return
    height, width = raster.size_hw
    assert 0 < height * width <= 1 << 16
