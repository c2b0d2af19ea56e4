"""TIFF samples that Pillow would reduce: strips, tiles, planes, byte orders and compressions, and what is refused."""

import io
import itertools
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from smalti.codecs import Limits, decode_still
from smalti.codecs.tiff_samples import _from_lzw, _from_packbits
from smalti.errors import DecodeError


def write_tiff(
    samples: NDArray[Any],
    *,
    order: str = "<",
    block: tuple[int, int] | None = None,
    planar: bool = False,
    deflate: bool = False,
    predictor: bool = False,
    extra: dict[int, list[int]] | None = None,
) -> bytes:
    """(h, w, c) samples → a TIFF of strips of 3 rows, or of tiles of `block` (height, width)."""
    height, width, channels = samples.shape
    down, across = block or (3, width)
    stored = samples.dtype.newbyteorder(order)
    bodies = []
    planes = [samples[..., plane : plane + 1] for plane in range(channels)] if planar else [samples]
    for plane in planes:
        for top, left in itertools.product(range(0, height, down), range(0, width, across)):
            part = plane[top : top + down, left : left + across]
            if block:
                padding = (0, down - part.shape[0]), (0, across - part.shape[1]), (0, 0)
                part = np.pad(part, padding, constant_values=9)
            if predictor:
                part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1]))
            body = part.astype(stored).tobytes()
            bodies.append(zlib.compress(body) if deflate else body)
    offsets = list(itertools.accumulate((len(body) for body in bodies), initial=8))
    tags: dict[int, list[int]] = {
        256: [width],
        257: [height],
        258: [samples.dtype.itemsize * 8] * channels,
        259: [8 if deflate else 1],
        262: [2 if channels > 2 else 1],
        277: [channels],
        284: [2 if planar else 1],
        317: [2 if predictor else 1],
    }
    if block:
        tags |= {322: [across], 323: [down], 324: offsets[:-1], 325: [len(body) for body in bodies]}
    else:
        tags |= {273: offsets[:-1], 278: [down], 279: [len(body) for body in bodies]}
    tags |= extra or {}
    start = offsets[-1]
    outside = start + 2 + 12 * len(tags) + 4
    directory, values = struct.pack(order + "H", len(tags)), b""
    for tag in sorted(tags):
        packed = struct.pack(f"{order}{len(tags[tag])}I", *tags[tag])
        inline = packed if len(packed) == 4 else struct.pack(order + "I", outside + len(values))
        directory += struct.pack(order + "HHI", tag, 4, len(tags[tag])) + inline
        values += packed if len(packed) > 4 else b""
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HI", 42, start) + b"".join(bodies) + directory + bytes(4) + values


@settings(max_examples=120, deadline=None)
@given(
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from([("u2", 2), ("u2", 3), ("u2", 4), ("u4", 1)]),
    st.sampled_from("<>"),
    st.sampled_from([None, (16, 16), (5, 7)]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_what_is_written_is_read(
    size_hw: tuple[int, int],
    kind: tuple[str, int],
    order: str,
    block: tuple[int, int] | None,
    options: tuple[bool, bool, bool],
) -> None:
    dtype, channels = np.dtype(kind[0]), kind[1]
    rng = np.random.default_rng(sum(size_hw))
    samples = rng.integers(0, np.iinfo(dtype).max, (*size_hw, channels), dtype=dtype, endpoint=True)
    planar, deflate, predictor = options
    data = write_tiff(samples, order=order, block=block, planar=planar, deflate=deflate, predictor=predictor)
    raster = decode_still(data)
    assert raster.data is not None
    stored = raster.data.reshape(*size_hw, -1)
    read = stored if raster.alpha is None else np.dstack([stored, raster.alpha])
    assert np.array_equal(read, samples)
    assert read.dtype == dtype
    assert raster.bits == dtype.itemsize * 8
    assert raster.notes == ()


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits"])
def test_expanders_agree_with_libtiff(compression: str) -> None:
    rng = np.random.default_rng(2)
    runs = np.repeat(rng.integers(0, 256, 3000, dtype=np.uint8), rng.integers(1, 9, 3000))
    samples = np.concatenate([runs, rng.integers(0, 256, 20000, dtype=np.uint8)])[:24000].reshape(120, 200)
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "TIFF", compression=compression)
    expand = {"tiff_lzw": _from_lzw, "packbits": _from_packbits}[compression]
    with Image.open(file) as picture:
        offsets, sizes = picture.tag_v2[273], picture.tag_v2[279]  # type: ignore[attr-defined]
        rows = picture.tag_v2.get(278, 120)  # type: ignore[attr-defined]
    data = file.getvalue()
    raw = b"".join(
        expand(data[offset : offset + size], min(rows, 120 - strip * rows) * 200)
        for strip, (offset, size) in enumerate(zip(offsets, sizes, strict=True))
    )
    assert raw == samples.tobytes()


SAMPLES = np.random.default_rng(6).integers(0, 65536, (10, 8, 3), dtype=np.uint16)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({273: [8]}, "1 strips or tiles"),
        ({279: [1, 1, 1, 1]}, "1 of 144 bytes"),
        ({278: [0]}, "at least 1"),
        ({257: [0]}, "at least 1"),
        ({256: [1 << 30], 257: [1 << 30]}, "the limit is"),
        ({322: [1], 323: [1], 324: [8], 325: [2], 256: [9000], 257: [9000]}, "need 81000000"),
    ],
)
def test_faulty_layouts_are_named(extra: dict[int, list[int]], words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode_still(write_tiff(SAMPLES, extra=extra))


def test_damaged_streams() -> None:
    data = bytearray(write_tiff(SAMPLES, deflate=True))
    data[12:30] = bytes(18)
    with pytest.raises(DecodeError, match="damaged"):
        decode_still(bytes(data))
    with pytest.raises(DecodeError, match="LZW code"):
        _from_lzw(bytes([0x80, 0x7F, 0xFF]), 100)


def test_a_header_alone_allocates_nothing() -> None:
    data = write_tiff(SAMPLES, extra={256: [11000], 257: [11000], 278: [11000]})
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="truncated"):
            decode_still(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


VALID = [write_tiff(SAMPLES, block=(5, 7), deflate=True, predictor=True), write_tiff(SAMPLES, order=">", planar=True)]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 30),
)
def test_damage_raises_only_our_error(data: bytes, edits: list[tuple[int, int]], cut: int) -> None:
    spoilt = bytearray(data)
    for back, value in edits:
        spoilt[-1 - back % len(spoilt)] = value  # the directory lies at the end
    try:
        decode_still(bytes(spoilt[: len(spoilt) - cut]), content_type="tiff", limits=Limits(max_pixels=1 << 16))
    except DecodeError:
        return
