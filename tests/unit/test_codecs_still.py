"""JPEG, WebP, BMP, GIF, TIFF and AVIF: the samples as stored, told from Pillow's own reading in each test."""

import io
import struct
import threading
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin, features

from smalti.codecs import Limits, decode_still
from smalti.codecs.refusals import kept_quiet
from smalti.codecs.show import to_rgb
from smalti.errors import DecodeError, SmaltiError


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def photo(mode: str = "RGB", size: tuple[int, int] = (53, 37)) -> Image.Image:
    rng = np.random.default_rng(11)
    return Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)).resize(size).convert(mode)


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_gives_the_planes_of_libjpeg(subsampling: int) -> None:
    data = encoded(photo(), "JPEG", quality=83, subsampling=subsampling)
    raster = decode_still(data)
    theirs = Image.open(io.BytesIO(data))
    theirs.draft("YCbCr", None)
    assert raster.planes is not None
    assert np.array_equal(np.dstack(raster.planes), np.asarray(theirs))
    assert (raster.mode, raster.matrix, raster.full_range, raster.lossy) == ("ycc", "bt601", True, True)
    assert raster.data is None
    assert np.array_equal(to_rgb(raster), np.asarray(Image.open(io.BytesIO(data))))


def test_jpeg_of_other_kinds() -> None:
    grey = decode_still(encoded(photo("L"), "JPEG"))
    assert (grey.mode, grey.lossy) == ("grey", True)
    assert np.array_equal(grey.data, np.asarray(Image.open(io.BytesIO(encoded(photo("L"), "JPEG")))))
    kept = encoded(photo(), "JPEG", keep_rgb=True)
    rgb = decode_still(kept)
    assert (rgb.mode, rgb.lossy) == ("rgb", True)
    assert np.array_equal(rgb.data, np.asarray(Image.open(io.BytesIO(kept))))
    ink = encoded(photo("CMYK"), "JPEG")
    cmyk = decode_still(ink)
    assert np.array_equal(cmyk.data, np.asarray(Image.open(io.BytesIO(ink)).convert("RGB")))
    assert "CMYK" in cmyk.notes[0]


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "PNG"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_is_reported_and_never_applied(kind: str, orientation: int) -> None:
    picture = photo(size=(20, 12))
    options = {"lossless": True} if kind == "WEBP" else {}
    raster = decode_still(encoded(picture, kind, exif=exif_with(orientation), **options))
    assert raster.orientation == orientation
    assert raster.size_hw == (12, 20)
    if kind != "JPEG":
        assert np.array_equal(raster.data, np.asarray(picture))


def test_tiff_orientation_in_xmp_is_not_applied() -> None:
    picture = photo(size=(20, 12))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[700] = xmp
    raster = decode_still(encoded(picture, "TIFF", tiffinfo=directory))
    assert np.array_equal(raster.data, np.asarray(picture))


def test_webp_says_whether_it_lost_anything() -> None:
    exact = decode_still(encoded(photo(), "WEBP", lossless=True))
    assert (exact.lossy, exact.codec) == (False, "vp8l")
    assert np.array_equal(exact.data, np.asarray(photo()))
    assert decode_still(encoded(photo(), "WEBP", quality=90)).lossy
    cutout = photo("RGBA")
    cutout.putalpha(photo("L"))
    apart = decode_still(encoded(cutout, "WEBP", lossless=True, exact=True))
    assert np.array_equal(np.dstack([apart.data, apart.alpha]), np.asarray(cutout))
    assert decode_still(encoded(cutout, "WEBP", quality=80)).lossy


def test_animated_webp_gives_its_first_picture() -> None:
    other = photo().rotate(180)
    raster = decode_still(encoded(photo(), "WEBP", lossless=True, save_all=True, append_images=[other]))
    assert np.array_equal(raster.data, np.asarray(photo()))
    assert not raster.lossy
    assert "2 pictures" in raster.notes[0]


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF"])
def test_palettes_stay_palettes(kind: str) -> None:
    picture = photo().quantize(60)
    data = encoded(picture, kind, **({"optimize": False} if kind == "GIF" else {}))
    theirs = Image.open(io.BytesIO(data))
    assert theirs.mode == "P"
    raster = decode_still(data)
    assert raster.mode == "palette"
    assert np.array_equal(raster.data, np.asarray(theirs))
    assert np.array_equal(to_rgb(raster), np.asarray(picture.convert("RGB")))
    assert not raster.lossy


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_bmp_of_other_kinds(mode: str) -> None:
    raster = decode_still(encoded(photo(mode), "BMP"))
    assert np.array_equal(raster.data, np.asarray(photo(mode)))
    assert raster.bits == (1 if mode == "1" else 8)


def test_gif_transparency_is_apart() -> None:
    picture = photo().quantize(8)
    raster = decode_still(encoded(picture, "GIF", transparency=3, optimize=False))
    assert raster.data is not None
    assert np.array_equal(raster.alpha, np.where(raster.data == 3, 0, 255))


def gif(canvas: tuple[int, int], frame: tuple[int, int, int, int]) -> bytes:
    """A GIF whose only picture, all of index 1, lies somewhere on its canvas; uncompressed LZW codes of 3 bits."""
    left, top, width, height = frame
    codes = []
    for _ in range(width * height):
        codes += [4, 1]  # clear, then the index: codes never grow
    codes.append(5)
    number = sum(code << (3 * at) for at, code in enumerate(codes))
    body = number.to_bytes(-(-3 * len(codes) // 8), "little")
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *canvas, 0x81, 0, 0)
        + bytes([9, 9, 9, 200, 0, 0, 0, 200, 0, 0, 0, 200])
        + b","
        + struct.pack("<HHHHB", left, top, width, height, 0)
        + b"\2"
        + b"".join(bytes([len(body[at : at + 255])]) + body[at : at + 255] for at in range(0, len(body), 255))
        + b"\0;"
    )


def test_gif_smaller_than_its_canvas() -> None:
    raster = decode_still(gif((6, 5), (1, 2, 3, 2)))
    covered = np.zeros((5, 6), bool)
    covered[2:4, 1:4] = True
    assert np.array_equal(raster.data, covered)
    assert np.array_equal(raster.alpha, np.where(covered, 255, 0))
    assert "3×2 of 6×5" in raster.notes[0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "photometric"), [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (32, 1), (8, 0)])
def test_tiff_grey_of_every_depth(order: str, bits: int, photometric: int) -> None:
    samples = np.random.default_rng(bits).integers(0, 1 << bits, (7, 16), dtype=np.uint64)
    raster = decode_still(tiff(samples, bits, order=order, photometric=photometric))
    assert raster.data is not None
    assert raster.bits == bits
    assert raster.data.dtype == {16: np.uint16, 32: np.uint32}.get(bits, np.uint8)
    assert np.array_equal(raster.data, samples if photometric else (1 << bits) - 1 - samples)
    assert bool(raster.notes) == (photometric == 0)


def tiff(samples: NDArray[Any], bits: int, *, order: str = "<", photometric: int = 1, sample_format: int = 1) -> bytes:
    """(h, w) samples → an uncompressed TIFF of one strip; w × bits must fill whole bytes."""
    height, width = samples.shape
    if bits < 8:
        spread = (samples.astype(np.int64)[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
        body = np.packbits(spread.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    else:
        kind = {1: "u", 2: "i", 3: "f"}[sample_format]
        body = samples.astype(f"{order}{kind}{bits // 8}").tobytes()
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1)]
    tags += [(278, height), (279, len(body)), (339, sample_format)]
    mark = b"II" if order == "<" else b"MM"
    directory = struct.pack(order + "H", len(tags))
    directory += b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    return mark + struct.pack(order + "HI", 42, 8 + len(body)) + body + directory + bytes(4)


def test_tiff_samples_that_are_no_codes() -> None:
    with pytest.raises(DecodeError, match="signed samples down to -5"):
        decode_still(tiff(np.array([[1, -5]]), 16, sample_format=2))
    fine = decode_still(tiff(np.array([[1, 70]]), 16, sample_format=2))
    assert fine.data is not None
    assert fine.data.tolist() == [[1, 70]]
    with pytest.raises(DecodeError, match="'F'"):
        decode_still(tiff(np.array([[1.0, 0.5]]), 32, sample_format=3))


def test_tiff_pages_and_compressions() -> None:
    stack = encoded(photo("L"), "TIFF", save_all=True, append_images=[photo("L").rotate(180)])
    raster = decode_still(stack)
    assert np.array_equal(raster.data, np.asarray(photo("L")))
    assert "2 pages" in raster.notes[0]
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        squeezed = decode_still(encoded(photo(), "TIFF", compression=compression))
        assert np.array_equal(squeezed.data, np.asarray(photo()))
        assert not squeezed.lossy
    assert decode_still(encoded(photo(), "TIFF", compression="jpeg")).lossy
    bilevel = photo("1")
    fax = decode_still(encoded(bilevel, "TIFF", compression="group4"))
    assert np.array_equal(fax.data, np.asarray(bilevel))
    assert fax.bits == 1


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow is built without AVIF")
def test_avif() -> None:
    data = encoded(photo(), "AVIF", quality=90)
    raster = decode_still(data)
    assert np.array_equal(raster.data, np.asarray(Image.open(io.BytesIO(data))))
    assert raster.lossy


@pytest.mark.parametrize(("kind", "content_type"), [("PPM", None), ("JPEG2000", None), ("TGA", "tga"), ("SGI", "sgi")])
def test_rarer_formats(kind: str, content_type: str | None) -> None:
    options = {"irreversible": False} if kind == "JPEG2000" else {}
    raster = decode_still(encoded(photo(), kind, **options), content_type=content_type)
    assert np.array_equal(raster.data, np.asarray(photo()))
    assert raster.lossy == (kind == "JPEG2000")


KINDS = ["JPEG", "WEBP", "BMP", "GIF", "TIFF", "PNG", "JPEG2000", "PPM"]
if features.check("avif"):
    KINDS.append("AVIF")


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_files_are_refused(kind: str) -> None:
    rng = np.random.default_rng(0)
    whole = encoded(Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    with pytest.raises(DecodeError) as caught:
        decode_still(whole[: len(whole) * 2 // 3])
    assert "truncated" in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_limits_of_pixels_and_bytes(kind: str) -> None:
    data = encoded(photo(size=(30, 20)), kind)
    assert decode_still(data, limits=Limits(max_pixels=600, max_bytes=len(data))).size_hw == (20, 30)
    with pytest.raises(DecodeError, match="600 pixels, the limit is 599"):
        decode_still(data, limits=Limits(max_pixels=599))
    with pytest.raises(DecodeError, match=f"{len(data)} bytes, the limit is"):
        decode_still(data, limits=Limits(max_bytes=len(data) - 1))


def test_our_limit_counts_and_not_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for kind in ("JPEG", "BMP", "GIF", "PNG"):
        assert decode_still(encoded(photo(), kind)).size_hw == (37, 53)
    for kind in ("WEBP", "TIFF"):  # these plugins ask Pillow's own limit while they read
        with pytest.raises(DecodeError, match="MAX_IMAGE_PIXELS"):
            decode_still(encoded(photo(), kind))


def test_a_process_that_fills_up_truncated_files_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    raster = decode_still(encoded(photo(), "BMP"))
    assert "LOAD_TRUNCATED_IMAGES" in raster.notes[0]


def test_pillows_warnings_become_notes() -> None:
    data = bytearray(tiff(np.arange(32).reshape(2, 16), 8))
    directory = int.from_bytes(data[4:8], "little")
    # The last tag now claims 4 GiB of values somewhere.
    struct.pack_into("<HHII", data, directory + 2 + 9 * 12, 42112, 2, 0x7FFFFFFF, 8)
    raster = decode_still(bytes(data))
    assert np.array_equal(raster.data, np.arange(32).reshape(2, 16))
    assert any("42112" in note for note in raster.notes)


def test_warnings_of_others_pass_through() -> None:
    notes: list[str] = []
    with pytest.warns(UserWarning, match="mine"), kept_quiet(notes):
        warnings.warn("mine", UserWarning, stacklevel=1)
    assert notes == []


def test_decoding_in_threads_keeps_the_warning_filters() -> None:
    data = encoded(photo().quantize(9), "TIFF")
    before = list(warnings.filters)
    workers = [threading.Thread(target=lambda: [decode_still(data) for _ in range(20)]) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert list(warnings.filters) == before


VALID = {kind: encoded(photo(size=(24, 18)), kind) for kind in KINDS if kind != "PNG"}
VALID["GIF89a"] = gif((6, 5), (1, 2, 3, 2))
VALID["fax"] = encoded(photo("1"), "TIFF", compression="group4")
VALID["tiff of 16 bits"] = tiff(np.arange(64).reshape(4, 16), 16)
VALID["palette BMP"] = encoded(photo().quantize(5), "BMP")


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(VALID)),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=5),
    st.integers(0, 60),
    st.booleans(),
)
def test_damage_raises_only_our_errors(kind: str, edits: list[tuple[int, int]], cut: int, front: bool) -> None:
    spoilt = bytearray(VALID[kind])
    for at, value in edits:
        spoilt[at % (min(120, len(spoilt)) if front else len(spoilt))] = value
    try:
        raster = decode_still(bytes(spoilt[: len(spoilt) - cut]), limits=Limits(max_pixels=1 << 20))
    except SmaltiError:
        return
    assert raster.size_hw[0] * raster.size_hw[1] <= 1 << 20


def test_zlib_is_not_trusted_either() -> None:
    """A TIFF whose deflate stream is cut must not give half a picture."""
    data = bytearray(encoded(photo(), "TIFF", compression="tiff_adobe_deflate"))
    start = data.index(zlib.compress(b"")[:1], 8)
    data[start + 40 : start + 60] = bytes(20)
    with pytest.raises(DecodeError):
        decode_still(bytes(data))
