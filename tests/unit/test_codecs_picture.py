"""RGB of stills: whatever the way, the same pixels as the long one; a box is what it is cut from."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smalti import codecs
from smalti.codecs.limits import Limits
from smalti.codecs.picture import decode_rgb
from smalti.codecs.show import to_rgb
from smalti.errors import DecodeError


def encode(mode: str, kind: str, **options: Any) -> bytes:
    """A picture of smooth colours and noise, 37 by 53."""
    random = np.random.default_rng(1)
    bands = len(Image.new(mode, (1, 1)).getbands())
    ramp = np.linspace(0, 220, 53)[None, :, None] + random.integers(0, 30, (37, 53, bands))
    file = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8).squeeze(), mode if bands == 4 else None).save(file, kind, **options)
    return file.getvalue()


PICTURES = {
    "jpeg 4:2:0": lambda: encode("RGB", "JPEG", quality=80),
    "jpeg 4:4:4": lambda: encode("RGB", "JPEG", quality=95, subsampling=0),
    "jpeg progressive": lambda: encode("RGB", "JPEG", progressive=True),
    "jpeg grey": lambda: encode("L", "JPEG"),
    "jpeg of RGB planes": lambda: encode("RGB", "JPEG", keep_rgb=True),
    "png": lambda: encode("RGB", "PNG"),
    "png grey": lambda: encode("L", "PNG"),
    "webp": lambda: encode("RGB", "WEBP"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_way_gives_the_same_pixels(name: str) -> None:
    data = PICTURES[name]()
    truth = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    found = decode_rgb(data)
    np.testing.assert_array_equal(found, truth)
    np.testing.assert_array_equal(found, to_rgb(codecs.decode_still(data)))
    found[0, 0] = 1  # a picture may be painted on
    asked = []

    def place(size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
        asked.append(size_hw)
        return 5, 7, 11, 13

    np.testing.assert_array_equal(decode_rgb(data, place=place), truth[7:20, 5:16])
    assert asked == [(37, 53)]


def test_a_registered_decoder_has_the_first_word(monkeypatch: pytest.MonkeyPatch) -> None:
    data = PICTURES["jpeg 4:2:0"]()
    monkeypatch.setitem(codecs._table, "image/jpeg", lambda _data: np.full((37, 53, 3), 9, np.uint8))
    assert (decode_rgb(data) == 9).all()
    assert (decode_rgb(data, content_type="image/jpeg", place=lambda _size: (0, 0, 2, 2)) == 9).all()


def test_damage_and_limits_are_refused() -> None:
    data = PICTURES["jpeg 4:2:0"]()
    with pytest.raises(DecodeError, match="truncated"):
        decode_rgb(data[: len(data) // 2])
    with pytest.raises(DecodeError, match="pixels"):
        decode_rgb(data, limits=Limits(max_pixels=1000))
    with pytest.raises(DecodeError):
        decode_rgb(data, limits=Limits(max_bytes=100))
    with pytest.raises(DecodeError):
        decode_rgb(b"")


@pytest.mark.realdata
def test_real_jpegs_have_the_same_pixels(realdata: Path) -> None:
    files = sorted(realdata.rglob("*.jpg"))[::9]
    assert len(files) > 5
    for path in files:
        data = path.read_bytes()
        try:
            truth = to_rgb(codecs.decode_still(data))
        except DecodeError:
            with pytest.raises(DecodeError):
                decode_rgb(data)
            continue
        np.testing.assert_array_equal(decode_rgb(data), truth, err_msg=str(path))
