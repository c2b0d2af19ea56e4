"""Samples as stored, losslessness as the stream tells it, and the one rule from a time to a picture."""

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clips import encode

from smalti.codecs.clip import Clip
from smalti.codecs.clipindex import ClipIndex, Coded
from smalti.codecs.lossless import is_lossless, vp9_is_lossless
from smalti.codecs.planes import raster_of
from smalti.codecs.ranges import ClipBytes
from smalti.errors import TimestampError

av = pytest.importorskip("av")

SIZE = (30, 50)  # no multiple of anything that a codec pads to


def noise(seed: int = 0, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, channels), np.uint8)


LOSSLESS_RGB = {
    "libx264rgb": ("mp4", "libx264rgb", "rgb24", {"qp": "0"}),
    "ffv1": ("matroska", "ffv1", "bgr0", {}),
    "vp9": ("webm", "libvpx-vp9", "gbrp", {"lossless": "1"}),
    "png": ("mov", "png", "rgb24", {}),
    "qtrle": ("mov", "qtrle", "rgb24", {}),
    "huffyuv": ("avi", "huffyuv", "rgb24", {}),
    "utvideo": ("avi", "utvideo", "gbrp", {}),
    "rawvideo": ("avi", "rawvideo", "bgr24", {}),
}


@pytest.mark.parametrize("name", LOSSLESS_RGB)
def test_lossless_rgb_comes_back_bit_for_bit(name: str) -> None:
    container, codec, pixels, options = LOSSLESS_RGB[name]
    pictures = [noise(seed) for seed in range(3)]
    clip = Clip(encode(pictures, container=container, codec=codec, pixels=pixels, options=options))
    for picture, raster in zip(pictures, clip.rasters(), strict=True):
        assert (raster.mode, raster.lossy, raster.bits, raster.alpha is None) == ("rgb", False, 8, True)
        assert raster.data is not None
        assert np.array_equal(raster.data, picture)
        assert raster.data.flags.c_contiguous
        assert not raster.data.flags.writeable
    assert clip.lossy is False


@pytest.mark.parametrize(
    ("container", "codec", "pixels", "options", "mode", "lossy"),
    [
        ("mp4", "libx264rgb", "rgb24", {"crf": "18"}, "rgb", True),
        ("mp4", "libx264", "yuv444p", {"qp": "0"}, "ycc", False),
        ("mp4", "libx264", "yuv444p", {"crf": "18"}, "ycc", True),
        ("mp4", "libx264", "yuv420p", {"crf": "18"}, "ycc", True),
        ("mpegts", "libx264", "yuv420p", {"qp": "0"}, "ycc", False),
        ("webm", "libvpx-vp9", "gbrp", {"crf": "10"}, "rgb", True),
        ("webm", "libvpx-vp9", "yuv420p", {"lossless": "1"}, "ycc", False),
        ("webm", "libvpx-vp9", "yuv444p", {"lossless": "1"}, "ycc", False),
        ("webm", "libvpx-vp9", "yuv420p", {"crf": "12", "b": "0"}, "ycc", True),
        ("matroska", "ffv1", "yuv444p", {}, "ycc", False),
    ],
)
def test_the_stream_says_whether_it_is_lossless(
    container: str, codec: str, pixels: str, options: dict[str, str], mode: str, lossy: bool
) -> None:
    clip = Clip(encode([noise(1), noise(2)], container=container, codec=codec, pixels=pixels, options=options))
    assert (clip.lossy, clip.at(0, clamp=True).mode, clip.at(0, clamp=True).lossy) == (lossy, mode, lossy)


def test_headers_that_cannot_be_read_prove_nothing() -> None:
    for codec in ("h264", "vp9", "hevc", "av1"):
        assert not is_lossless(codec, b"", b"")
        assert not is_lossless(codec, b"\x01" * 9, b"\x80")
        assert not is_lossless(codec, bytes(range(64)), bytes(range(64)))


def yuv_frame(pixels: str, seed: int = 3) -> tuple[object, list[np.ndarray]]:
    """A frame of random samples and its planes, written through the plane buffers."""
    frame = av.VideoFrame(SIZE[1], SIZE[0], pixels)
    rng, planes = np.random.default_rng(seed), []
    depth = frame.format.components[0].bits
    dtype = np.uint8 if depth == 8 else np.dtype("<u2")
    for plane in frame.planes:
        values = rng.integers(0, 1 << depth, (plane.height, plane.width)).astype(dtype)
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : values.shape[1] * values.itemsize] = values.view(np.uint8)
        plane.update(rows.tobytes())
        planes.append(values)
    return frame, planes


@pytest.mark.parametrize(
    "pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv411p", "yuv410p", "yuv440p", "yuva420p", "yuva444p"]
)
def test_planes_are_cropped_and_not_converted(pixels: str) -> None:
    frame, planes = yuv_frame(pixels)
    raster = raster_of(frame, {})
    assert raster.planes is not None
    for got, expected in zip(raster.planes, planes, strict=False):
        assert np.array_equal(got, expected)
        assert got.flags.c_contiguous
        assert not got.flags.writeable
    assert (raster.alpha is None) == (len(planes) == 3)
    if raster.alpha is not None:
        assert np.array_equal(raster.alpha, planes[3])


@pytest.mark.parametrize(("pixels", "bits"), [("yuv420p10le", 10), ("yuv422p12le", 12), ("yuv444p16le", 16)])
@pytest.mark.parametrize("full", [False, True])
def test_deep_planes_are_rounded_to_the_nearest_of_8_bits(pixels: str, bits: int, full: bool) -> None:
    frame, planes = yuv_frame(pixels)
    frame.color_range = 2 if full else 1
    raster = raster_of(frame, {})
    assert raster.planes is not None
    assert raster.full_range is full
    for number, (got, stored) in enumerate(zip(raster.planes, planes, strict=True)):
        exact = stored.astype(np.float64) / 2 ** (bits - 8)
        if full:
            middle = 1 << (bits - 1) if number else 0
            exact = (stored - float(middle)) * 255 / (2**bits - 1) + (128 if number else 0)
        assert np.array_equal(got, np.clip(np.floor(exact + 0.5), 0, 255).astype(np.uint8))


def test_matrix_and_range_are_read() -> None:
    frame, _ = yuv_frame("yuv420p")
    expected = {1: "bt709", 2: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020"}
    for code, matrix in expected.items():
        frame.colorspace = code
        assert raster_of(frame, {}).matrix == matrix
        assert raster_of(frame, {}).notes == ()
    frame.colorspace = 8  # YCgCo
    assert "not known" in raster_of(frame, {}).notes[0]
    assert raster_of(yuv_frame("yuvj420p")[0], {}).full_range


@pytest.mark.parametrize("pixels", ["rgb24", "bgr24", "rgba", "bgra", "argb", "abgr", "gbrp", "gbrap"])
def test_every_order_of_rgb_is_read_as_rgb(pixels: str) -> None:
    picture = noise(4)
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels)
    raster = raster_of(frame, {})
    assert raster.data is not None
    assert (raster.mode, raster.bits) == ("rgb", 8)
    assert np.array_equal(raster.data, picture)
    assert (raster.alpha is not None) == ("a" in pixels)
    if raster.alpha is not None:
        assert (raster.alpha == 255).all()


@pytest.mark.parametrize(("pixels", "channels"), [("rgb48le", 3), ("rgb48be", 3), ("rgba64le", 4)])
def test_16_bits_of_rgb_are_kept(pixels: str, channels: int) -> None:
    picture = np.random.default_rng(8).integers(0, 65536, (*SIZE, channels)).astype(np.uint16)
    frame = av.VideoFrame(SIZE[1], SIZE[0], pixels)
    rows = np.zeros((SIZE[0], frame.planes[0].line_size), np.uint8)
    stored = picture.astype(">u2" if pixels.endswith("be") else "<u2").reshape(SIZE[0], -1).view(np.uint8)
    rows[:, : stored.shape[1]] = stored
    frame.planes[0].update(rows.tobytes())
    raster = raster_of(frame, {})
    assert raster.data is not None
    assert (raster.data.dtype, raster.bits) == (np.uint16, 16)
    assert np.array_equal(raster.data, picture[..., :3])
    assert (raster.alpha is not None) == (channels == 4)
    if raster.alpha is not None:
        assert np.array_equal(raster.alpha, picture[..., 3])


def test_10_bits_of_rgb_are_rounded_to_8() -> None:
    frame, planes = yuv_frame("gbrp10le")
    raster = raster_of(frame, {})
    assert raster.data is not None
    for channel, plane in zip((1, 2, 0), planes, strict=True):
        assert np.array_equal(raster.data[..., channel], np.floor(plane * 255.0 / 1023 + 0.5).astype(np.uint8))


def test_vp9_that_is_lossless_in_some_pictures_only_is_lossy() -> None:
    """A flat picture first, then noise at a rate that cannot hold it: the key frame alone would tell another story."""
    pictures = [np.full((*SIZE, 3), 90, np.uint8), *(noise(seed) for seed in range(6))]
    options = {"b": "40M", "minrate": "40M", "maxrate": "40M", "lag-in-frames": "0", "deadline": "realtime"}
    data = encode(pictures, container="webm", codec="libvpx-vp9", options=options)
    with av.open(io.BytesIO(data)) as container:
        told = [vp9_is_lossless(bytes(packet)) for packet in container.demux(video=0) if packet.size]
    assert told[0]
    assert not all(told)
    assert Clip(data).lossy is True


def test_a_vp9_superframe_is_lossless_when_all_its_frames_are() -> None:
    def frames(**options: str) -> list[bytes]:
        data = encode([noise(1), noise(2)], container="webm", codec="libvpx-vp9", options=options)
        with av.open(io.BytesIO(data)) as container:
            return [bytes(packet) for packet in container.demux(video=0) if packet.size]

    def together(*parts: bytes) -> bytes:
        marker = bytes([0b110_01_000 | (len(parts) - 1)])  # sizes of two bytes
        return b"".join(parts) + marker + b"".join(len(part).to_bytes(2, "little") for part in parts) + marker

    kept, lost = frames(lossless="1"), frames(crf="20", b="0")
    assert [vp9_is_lossless(frame) for frame in kept + lost] == [True, True, False, False]
    assert vp9_is_lossless(together(*kept))
    assert not vp9_is_lossless(together(kept[0], lost[1]))
    assert not vp9_is_lossless(together(lost[0], kept[1]))
    assert not vp9_is_lossless(kept[0][:6])


@pytest.mark.parametrize("pixels", ["nv12", "nv21", "yuyv422", "uyvy422"])
def test_other_orders_of_yuv_are_the_same_planes(pixels: str) -> None:
    planar, planes = yuv_frame("yuv420p" if pixels.startswith("nv") else "yuv422p")
    raster = raster_of(planar.reformat(format=pixels), {})
    assert raster.mode == "ycc"
    assert raster.planes is not None
    assert all(np.array_equal(got, expected) for got, expected in zip(raster.planes, planes, strict=True))


def test_grey_keeps_its_depth() -> None:
    values = np.random.default_rng(0).integers(0, 65536, SIZE).astype(np.uint16)
    clip = Clip(encode([values], container="matroska", codec="ffv1", pixels="gray16le", given="gray16le"))
    raster = clip.at(0)
    assert (raster.mode, raster.bits, raster.lossy) == ("grey", 16, False)
    assert np.array_equal(raster.data, values)
    values = noise()[..., 0]
    raster = Clip(encode([values], container="matroska", codec="ffv1", pixels="gray", given="gray")).at(0)
    assert (raster.mode, raster.bits) == ("grey", 8)
    assert np.array_equal(raster.data, values)


@pytest.mark.parametrize(("pixels", "flip"), [("monob", 0), ("monow", 1)])
def test_one_bit_is_unpacked(pixels: str, flip: int) -> None:
    bits = np.random.default_rng(0).integers(0, 2, SIZE).astype(np.uint8)
    frame = av.VideoFrame(SIZE[1], SIZE[0], pixels)
    rows = np.zeros((SIZE[0], frame.planes[0].line_size), np.uint8)
    packed = np.packbits(bits ^ flip, axis=1)
    rows[:, : packed.shape[1]] = packed
    frame.planes[0].update(rows.tobytes()[: frame.planes[0].buffer_size])
    raster = raster_of(frame, {})
    assert (raster.mode, raster.bits) == ("grey", 1)
    assert np.array_equal(raster.data, bits)


def test_a_palette_stays_a_palette() -> None:
    indices = np.random.default_rng(0).integers(0, 256, SIZE).astype(np.uint8)
    colors = np.random.default_rng(1).integers(0, 256, (256, 4)).astype(np.uint8)  # A, R, G, B
    colors[:, 0] = 255
    frame = av.VideoFrame.from_ndarray((indices, colors), "pal8")
    raster = raster_of(frame, {})
    assert raster.mode == "palette"
    assert np.array_equal(raster.data, indices)
    assert np.array_equal(raster.palette, colors[:, 1:])
    assert raster.alpha is None


def test_a_format_beyond_the_table_is_converted_and_noted() -> None:
    frame = av.VideoFrame.from_ndarray(noise(), "rgb24").reformat(format="rgb565le")
    raster = raster_of(frame, {"notes": ("before",)})
    assert (raster.mode, raster.lossy) == ("rgb", True)
    assert raster.notes[0] == "before"
    assert "rgb565le" in raster.notes[1]


def test_alpha_of_webm_is_kept() -> None:
    frame, planes = yuv_frame("yuva420p")
    target = io.BytesIO()
    with av.open(target, "w", format="webm") as output:
        stream = output.add_stream("libvpx-vp9", rate=25, options={"lossless": "1"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuva420p"
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    raster = Clip(target.getvalue()).at(0)
    assert raster.planes is not None
    if raster.alpha is None:
        pytest.skip("this FFmpeg writes no alpha into WebM")
    assert np.array_equal(raster.planes[0], planes[0])


def index_of(ticks: list[int], last_duration: int = 0, tick: Fraction = Fraction(1, 1000)) -> ClipIndex:
    coded = [Coded(at, at, None, last_duration, True, True) for at in ticks]
    return ClipIndex.build(coded, tick)


@given(
    st.lists(st.integers(-1000, 100_000), min_size=1, max_size=30, unique=True),
    st.floats(-2000, 110_000),
    st.sampled_from([Fraction(1, 1000), Fraction(1, 90_000), Fraction(1001, 30_000)]),
)
def test_the_rule_is_that_of_a_plain_search(ticks: list[int], at_ms: float, tick: Fraction) -> None:
    index = index_of(ticks, 10, tick)
    times = [at * tick * 1000 for at in sorted(ticks)]
    best = min(range(len(times)), key=lambda number: (abs(times[number] - Fraction(at_ms)), number))
    assert index.nearest(at_ms, "clip", clamp=True) == best
    half_first = (times[1] - times[0] if len(times) > 1 else 10 * tick * 1000) / 2
    inside = times[0] - half_first <= Fraction(at_ms) <= times[-1] + 10 * tick * 1000 / 2
    if inside:
        assert index.nearest(at_ms, "clip") == best
    else:
        with pytest.raises(TimestampError, match="clamp=True"):
            index.nearest(at_ms, "clip")


def test_the_edges_reach_half_a_duration_further() -> None:
    index = index_of([100, 140, 200], 100)
    assert [index.nearest(at, "clip") for at in (80, 250)] == [0, 2]
    for at in (79.9, 250.1, float("nan"), float("inf"), -float("inf")):
        with pytest.raises(TimestampError):
            index.nearest(at, "clip")
    assert index.nearest(float("inf"), "clip", clamp=True) == 2
    assert index.nearest(-float("inf"), "clip", clamp=True) == 0
    with pytest.raises(TimestampError):
        index.nearest(float("nan"), "clip", clamp=True)
    assert index_of([100, 140, 200]).nearest(230, "clip") == 2, "an unknown last duration is that of the one before"


def test_boxes_of_any_kind_bound_the_payload() -> None:
    def box(kind: bytes, inside: bytes) -> bytes:
        return (8 + len(inside)).to_bytes(4, "big") + kind + inside

    long = (1).to_bytes(4, "big") + b"mdat" + (16 + 5).to_bytes(8, "big") + b"abcde"
    endless = (0).to_bytes(4, "big") + b"mdat" + b"fghij"
    data = box(b"ftyp", b"isom") + box(b"mdat", b"12345") + box(b"moov", b"table") + long + endless
    source = ClipBytes(io.BytesIO(data))
    source.hold_headers()
    assert [data[start:end] for start, end in source.payloads()] == [b"12345", b"abcde", b"fghij"]
    expected = data.replace(b"12345", bytes(5)).replace(b"abcde", bytes(5)).replace(b"fghij", bytes(5))
    view = source.view(blank=True)
    read = b"".join(iter(lambda: view.read(7), b""))
    assert read == expected
    assert source.view().read(10_000) != b""
    plain = source.view()
    assert b"".join(iter(lambda: plain.read(7), b"")) == data
    assert ClipBytes(b"\0\0\0\x04free" * 3).payloads() == [], "a box shorter than its own head ends the walk"
