"""The table of decoders: names, aliases, magic bytes, strangers' decoders, and what is imported when."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smalti import codecs
from smalti.codecs import Limits, Raster, decode_still, is_video, normalise, register, sniff
from smalti.errors import DecodeError, UnknownContentType


@pytest.fixture(autouse=True)
def _table_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(codecs, "_table", dict(codecs._table))
    codecs._announced.cache_clear()
    yield
    codecs._announced.cache_clear()


def png(value: int = 7) -> bytes:
    file = io.BytesIO()
    Image.new("L", (3, 2), value).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("png", "image/png"),
        (".PNG", "image/png"),
        ("image/x-png", "image/png"),
        ("Image/JPG; charset=binary", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("tif", "image/tiff"),
        ("mp4", "video/mp4"),
        ("video/avi", "video/x-msvideo"),
        ("mkv", "video/x-matroska"),
        ("jxl", "image/jxl"),
        ("image/x-mine", "image/x-mine"),
        ("application/octet-stream", None),
        ("", None),
        (None, None),
    ],
)
def test_every_spelling_becomes_one(given: str | None, name: str | None) -> None:
    assert normalise(given) == name


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000"])
def test_magic_bytes_of_stills(kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, kind)
    name = {"PPM": "image/x-portable-anymap", "JPEG2000": "image/jp2"}.get(kind, f"image/{kind.lower()}")
    assert sniff(file.getvalue()) == name
    assert not is_video("video/mp4", file.getvalue())


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "video/quicktime"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "image/avif"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "image/avif"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video/quicktime"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "video/x-matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (b"\x47" + bytes(187) + b"\x47" + bytes(187) + b"\x47", "video/mp2t"),
        (b"BM, it begins", None),
        (b"P7\n", None),
        (b"", None),
    ],
)
def test_magic_bytes(head: bytes, name: str | None) -> None:
    assert sniff(head) == name
    assert is_video(None, head) == (name or "").startswith("video/")


def test_the_type_decides_only_where_the_bytes_say_nothing() -> None:
    assert is_video("mp4", b"????")
    assert is_video("image/png", b"\0\0\0\x20ftypisom")
    assert not is_video(None, b"????")


def test_a_mismatch_is_decoded_by_what_it_is_and_noted() -> None:
    raster = decode_still(png(), content_type="image/jpg")
    assert raster.content_type == "image/png"
    assert raster.notes == ("the record says image/jpeg, the bytes are image/png and were read as that",)
    for fitting in ("png", "image/x-png", None, "application/octet-stream", "image/*"):
        assert decode_still(png(), content_type=fitting).notes == ()


def test_what_cannot_be_decoded() -> None:
    with pytest.raises(DecodeError, match="0 bytes"):
        decode_still(b"")
    with pytest.raises(UnknownContentType, match="no known format") as unknown:
        decode_still(b"hello, this is text")
    assert "image/png" in unknown.value.known
    with pytest.raises(UnknownContentType, match="image/jxl"):
        decode_still(b"hello, this is text", content_type="jxl")
    with pytest.raises(UnknownContentType, match="text/html"):
        decode_still(b"<html>", content_type="text/html")
    with pytest.raises(UnknownContentType, match="open_clip"):
        decode_still(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41")
    with pytest.raises(DecodeError, match="PNG signature"):
        decode_still(b"hello, this is text", content_type="png")


def test_strangers_return_arrays() -> None:
    shapes = {(2, 3): "grey", (2, 3, 1): "grey", (2, 3, 2): "grey", (2, 3, 3): "rgb", (2, 3, 4): "rgb"}
    for shape, mode in shapes.items():
        stored = np.random.default_rng(1).integers(0, 65536, shape).astype(">u2")
        register("image/x-mine", lambda data, stored=stored: stored)
        raster = decode_still(b"mine", content_type="image/x-mine")
        assert (raster.mode, raster.bits, raster.content_type) == (mode, 16, "image/x-mine")
        assert raster.data is not None
        assert raster.data.dtype == np.uint16
        colors = stored.shape[2] - (stored.shape[2] in (2, 4)) if stored.ndim == 3 else 1
        flat = stored.reshape(2, 3, -1)
        assert np.array_equal(raster.data.reshape(2, 3, -1), flat[..., :colors])
        assert (raster.alpha is not None) == (flat.shape[2] in (2, 4))
    register("image/x-mine", lambda data: np.eye(3, dtype=bool))
    assert decode_still(b"mine", content_type="image/x-mine").bits == 1


def test_what_strangers_may_not_return() -> None:
    for array in (np.zeros((2, 2)), np.zeros((2, 2), np.int64), np.zeros(4, np.uint8), np.zeros((2, 2, 5), np.uint8)):
        register("image/x-mine", lambda data, array=array: array)
        with pytest.raises(DecodeError, match="allowed"):
            decode_still(b"mine", content_type="image/x-mine")
    register("image/x-mine", lambda data: np.zeros((9, 9), np.uint8))
    with pytest.raises(DecodeError, match="81 pixels"):
        decode_still(b"mine", content_type="image/x-mine", limits=Limits(max_pixels=80))


def test_what_strangers_raise_is_ours() -> None:
    def refuse(data: bytes) -> Raster:
        raise OSError("no such thing")

    register("image/x-mine", refuse)
    with pytest.raises(DecodeError, match="image/x-mine: no such thing") as caught:
        decode_still(b"mine", content_type="image/x-mine")
    assert isinstance(caught.value.__cause__, OSError)


def test_limits_reach_those_who_ask() -> None:
    seen: list[Limits] = []

    def mine(data: bytes, *, limits: Limits) -> Raster:
        seen.append(limits)
        return Raster("grey", np.zeros((1, 1), np.uint8))

    register("image/x-mine", mine)
    decode_still(b"mine", content_type="image/x-mine", limits=Limits(max_pixels=5))
    assert seen == [Limits(max_pixels=5)]


def test_a_stranger_goes_before_a_built_in_and_before_magic_bytes() -> None:
    register("png", lambda data: np.full((1, 1), 99, np.uint8))
    assert decode_still(png()).data == 99
    register("image/x-mine", lambda data: np.full((1, 1), 98, np.uint8))
    # A type of somebody's own may begin like another: its name is believed.
    assert decode_still(png(), content_type="image/x-mine").data == 98


def test_register_refuses_what_is_no_still() -> None:
    with pytest.raises(ValueError, match="not the content type of a still"):
        register("mp4", lambda data: data)  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match=r"package\.module:function"):
        register("image/x-mine", "nonsense")


def test_dotted_names_load_late_and_fail_with_words() -> None:
    register("image/x-mine", "no_such_package.codec:decode")
    with pytest.raises(DecodeError, match="cannot be loaded"):
        decode_still(b"mine", content_type="image/x-mine")
    register("image/x-mine", "smalti.codecs.png:decode_png")
    assert decode_still(png(5), content_type="image/x-mine").size_hw == (2, 3)


def test_installed_packages_announce_decoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "mine-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[smalti.codecs]\nimage/x-announced = mine_codec:decode\n")
    (tmp_path / "mine_codec.py").write_text(
        "import numpy\ndef decode(data):\n    return numpy.full((1, 2), len(data), numpy.uint8)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    raster = decode_still(b"12345", content_type="image/x-announced")
    assert raster.data is not None
    assert raster.data.tolist() == [[5, 5]]
    assert "image/x-announced" in codecs.content_types()


def test_nothing_heavy_is_imported_early() -> None:
    script = (
        "import sys, smalti.codecs as c; heavy = {'PIL', 'av'} & set(sys.modules); assert not heavy, heavy; "
        "c.content_types(); assert 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_MAX_PIXELS", "1234")
    assert Limits.from_environment() == Limits(max_pixels=1234)
    monkeypatch.setenv("SMALTI_MAX_BYTES", "a lot")
    with pytest.raises(ValueError, match="SMALTI_MAX_BYTES is 'a lot'"):
        Limits.from_environment()
    with pytest.raises(ValueError, match="max_pixels is 0"):
        Limits(max_pixels=0)
