"""The compiled PNG reader equals the NumPy one: every filter, depth and colour type, and every kind of damage."""

import struct
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.kernels import reference

native = pytest.importorskip("smalti.kernels.native_png", reason="the compiled kernels are not built")

quick = settings(max_examples=100, deadline=None)
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, color: int, stream: bytes, *, pieces: int = 1, extra: bytes = b"") -> bytes:
    """A file around any compressed stream, cut into `pieces` IDAT chunks."""
    cuts = np.linspace(0, len(stream), pieces + 1).astype(int)
    idat = b"".join(chunk(b"IDAT", stream[a:b]) for a, b in pairwise(cuts))
    palette = chunk(b"PLTE", bytes(range(3)) * min(1 << bits, 256)) if color == 3 else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + palette + extra + idat + chunk(b"IEND", b"")


@st.composite
def stored_rows(draw: st.DrawFn, bits: int, color: int) -> tuple[int, int, np.ndarray]:
    """Rows as the file has them: mostly zero residuals, as in masks, under filters of every kind."""
    width, height = draw(st.sampled_from([1, 2, 5, 16, 17, 40, 131, 300])), draw(st.integers(1, 12))
    row_bytes = (width * CHANNELS[color] * bits + 7) // 8
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    busy = draw(st.sampled_from([0.0, 0.02, 0.2, 1.0]))
    rows = rng.integers(0, 256, (height, row_bytes + 1)).astype(np.uint8)
    rows[rng.random(rows.shape) >= busy] = 0
    if draw(st.booleans()):  # rows that repeat, as Sub and None rows of masks do
        rows = rows[np.sort(rng.integers(0, height, height))]
    kinds = draw(st.sampled_from([[0], [1], [2], [3], [4], [0, 1, 2, 3, 4]]))
    rows[:, 0] = rng.choice(kinds, height)
    return width, height, rows


def outcome(call: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except ValueError:
        return ValueError


def same(name: str, *args: Any, may_differ: bool = False, **kwargs: Any) -> Any:
    expected = outcome(getattr(reference, name), *args, **kwargs)
    found = outcome(getattr(native, name), *args, **kwargs)
    if expected is None or expected is ValueError:
        # Data that are too long and damaged as well may be judged either way: who notices what first is no promise.
        assert found is expected or (may_differ and (found is None or found is ValueError))
        return expected
    pairs = zip(expected, found, strict=True) if isinstance(expected, tuple) else [(expected, found)]
    for one, other in pairs:
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(other, one)
        else:
            assert other == one
    return expected


@quick
@given(data=st.data(), color=st.sampled_from([2, 6]), level=st.sampled_from([0, 1, 6, 9]), wide=st.booleans())
def test_colors_to_labels(data: st.DataObject, color: int, level: int, wide: bool) -> None:
    width, height, rows = data.draw(stored_rows(8, color))
    file = png(width, height, 8, color, zlib.compress(rows.tobytes(), level), pieces=data.draw(st.integers(1, 4)))
    labels, keys = same("png_discover", file)
    known = keys[:: data.draw(st.integers(1, 3))][:250]
    first = data.draw(st.sampled_from([0, 1]))  # a value of 0 is not a stranger
    values = np.arange(first, len(known) + first).astype(np.uint16 if wide else np.uint8)
    found = same("png_labels", file, known, values, need_alpha=True)
    assert found.labels.shape == (height, width)
    assert found.strangers == int((~np.isin(keys[labels - 1], known)).sum())
    assert same("png_discover", file, limit=len(keys) - 1) is None


@quick
@given(data=st.data(), kind=st.sampled_from([(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (3, 1), (3, 2), (3, 4), (3, 8)]))
def test_grey_and_palette_samples(data: st.DataObject, kind: tuple[int, int]) -> None:
    color, bits = kind
    width, height, rows = data.draw(stored_rows(bits, color))
    file = png(width, height, bits, color, zlib.compress(rows.tobytes()), pieces=data.draw(st.integers(1, 3)))
    same("png_header", file)
    samples = same("png_indices", file)
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.int32, np.int64, np.bool_]))
    table = np.random.default_rng(1).integers(0, 250, 65536 if bits == 16 else 256).astype(dtype)
    np.testing.assert_array_equal(same("png_indices", file, table), table[samples])
    if dtype in (np.uint8, np.uint16):
        values, zeros, watched = same("png_lookup", file, table, watch=int(table[samples[0, 0]]))
        np.testing.assert_array_equal(values, table[samples])
        assert (zeros, watched) == (int((values == 0).sum()), int((values == values[0, 0]).sum()))
    else:
        assert same("png_lookup", file, table) is ValueError


def test_a_table_of_nearest_colors() -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 256, (9, 1 + 3 * 21)).astype(np.uint8)
    rows[:, 0] %= 5
    file = png(21, 9, 8, 2, zlib.compress(rows.tobytes()))
    for dtype in (np.uint8, np.uint16):
        table = rng.integers(0, 4, 1 << 24).astype(dtype)
        same("png_gather", file, table)


@pytest.mark.parametrize("width", [3000, 40000])
def test_rows_beyond_the_window(width: int) -> None:
    """Streams longer than the window: history, unfinished rows and the row before must survive its moves."""
    rng = np.random.default_rng(width)
    height = 800_000 // width
    rows = rng.integers(0, 3, (height, 3 * width + 1)).astype(np.uint8)
    rows[rng.random(rows.shape) > 0.01] = 0
    rows[:, 0] = rng.choice([1, 1, 1, 2, 0], height)
    rows[5:] = np.where(rng.random((height - 5, 1)) < 0.5, rows[:-5], rows[5:])  # matches from far back
    expected = np.zeros((height, width, 3), np.uint8)
    for y in range(height):
        delta = rows[y, 1:].reshape(width, 3)
        above = expected[y - 1] if y else np.zeros((width, 3), np.uint8)
        expected[y] = [delta, np.cumsum(delta, axis=0, dtype=np.uint8), above + delta][rows[y, 0]]
    for level in (0, 1, 9):
        labels, keys = native.png_discover(png(width, height, 8, 2, zlib.compress(rows.tobytes(), level)))
        packed = expected.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        np.testing.assert_array_equal(keys[labels - 1], packed)


GOOD = zlib.compress(bytes(5 * 16))
DAMAGED = {
    "too little data": png(5, 5, 8, 2, zlib.compress(bytes(4 * 16))),
    "a row began and did not end": png(5, 5, 8, 2, zlib.compress(bytes(4 * 16 + 3))),
    "too much data": png(5, 5, 8, 2, zlib.compress(bytes(6 * 16))),
    "a stream cut off": png(5, 5, 8, 2, GOOD[:-5]),
    "a stream without its checksum": png(5, 5, 8, 2, GOOD[:-4]),
    "a wrong checksum of the stream": png(5, 5, 8, 2, GOOD[:-1] + b"\x00"),
    "no zlib header": png(5, 5, 8, 2, b"\xff" + GOOD[1:]),
    "more behind the stream": png(5, 5, 8, 2, GOOD + b"behind"),
    "an empty stream": png(5, 5, 8, 2, b""),
    "a filter that does not exist": png(5, 5, 8, 2, zlib.compress((bytes([5]) + bytes(15)) * 5)),
    "an unknown critical chunk": png(5, 5, 8, 2, GOOD, extra=chunk(b"ABCD", b"")),
    "an unknown ancillary chunk": png(5, 5, 8, 2, GOOD, extra=chunk(b"abCD", b"xyz")),
    "an animation": png(5, 5, 8, 2, GOOD, extra=chunk(b"acTL", bytes(8))),
    "a damaged palette beside RGB": png(5, 5, 8, 2, GOOD, extra=chunk(b"PLTE", bytes(5))),
    "a second header": png(5, 5, 8, 2, GOOD, extra=chunk(b"IHDR", bytes(13))),
    "no width": png(0, 5, 8, 2, GOOD),
    "three bits": png(5, 5, 3, 0, GOOD),
    "a bomb's header": png(60000, 60000, 8, 2, GOOD),
    "grey with alpha": png(5, 5, 8, 4, zlib.compress(bytes(5 * 11))),
    "16-bit RGB": png(5, 5, 16, 2, zlib.compress(bytes(5 * 31))),
    "nothing": b"",
    "only a signature": b"\x89PNG\r\n\x1a\n",
    "no end": png(5, 5, 8, 2, GOOD)[:-12],
    "half an end": png(5, 5, 8, 2, GOOD)[:-6],
    "a JPEG": b"\xff\xd8\xff\xe0" + bytes(60),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_judged_alike(name: str) -> None:
    file = DAMAGED[name]
    keys, values = np.array([0], np.uint32), np.array([1], np.uint8)
    same("png_header", file)
    same("png_labels", file, keys, values)
    same("png_discover", file)
    same("png_indices", file)


@quick
@given(data=st.data(), color=st.sampled_from([0, 2, 3, 6]))
def test_changed_bytes_are_judged_alike(data: st.DataObject, color: int) -> None:
    width, height, rows = data.draw(stored_rows(8, color))
    stream = bytearray(zlib.compress(rows.tobytes()))
    for _ in range(data.draw(st.integers(0, 2))):
        stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file = bytearray(png(width, height, 8, color, bytes(stream)))
    if data.draw(st.booleans()):
        file[data.draw(st.integers(0, len(file) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = bytes(file[: data.draw(st.integers(0, len(file)))]) if data.draw(st.booleans()) else bytes(file)
    same("png_header", cut)
    same("png_indices", cut, may_differ=True)
    same("png_labels", cut, np.array([0, 255], np.uint32), np.array([1, 2], np.uint8), may_differ=True, need_alpha=True)


def test_limits_come_before_allocation() -> None:
    for reader in (reference, native):
        file = png(5, 5, 8, 2, GOOD)
        with pytest.raises(ValueError, match="24 are allowed"):
            reader.png_discover(file, max_pixels=24)
        with pytest.raises(ValueError, match="79 are allowed"):
            reader.png_discover(file, max_bytes=79)
        assert reader.png_discover(file, max_pixels=25, max_bytes=80)[0].shape == (5, 5)
        with pytest.raises(ValueError, match="more than"):
            reader.png_discover(png(16000, 16000, 8, 2, GOOD))


@pytest.mark.realdata
def test_every_small_real_png(realdata: Path) -> None:
    seen = 0
    for path in sorted(realdata.rglob("*.png")):
        if path.stat().st_size > 4000:
            continue
        file = path.read_bytes()
        header = same("png_header", file)
        if header in (None, ValueError) or header.width * header.height > 20_000:
            continue
        seen += 1
        same("png_discover", file)
        same("png_indices", file)
    assert seen > 150
