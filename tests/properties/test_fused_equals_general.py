"""The fast way through PNG masks against the general one: the same labels, legend, policy, counts, mode and notes."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from smalti import LabelMap, Legend, codecs, kernels
from smalti.codecs.raster import Raster
from smalti.codecs.show import to_rgb
from smalti.decode import decode_raster, read_raster
from smalti.errors import DecodeError
from smalti.fused import label_png
from smalti.legend import Entry

pytestmark = pytest.mark.skipif(not kernels.IS_NATIVE, reason="no compiled kernels here")


def _compare(
    data: bytes, legend: Legend | None, policy: str, scheme: str | None = None, raster: Raster | None = None
) -> bool:
    """Whether the fast way took the mask; where it did, it must agree."""
    quick = label_png(data, legend, content_type=None, policy=policy, scheme=scheme)
    if quick is None:
        return False
    slow = decode_raster(raster or read_raster(data), legend, lossy=policy, scheme=scheme)  # type: ignore[arg-type]
    assert quick.data.dtype == slow.data.dtype
    assert np.array_equal(quick.data, slow.data)
    assert quick.legend == slow.legend
    assert _facts(quick) == _facts(slow)
    return True


def _facts(found: LabelMap) -> tuple[object, ...]:
    # Bytes behind the compressed pixels are read by nobody; only the general reader notes them.
    notes = tuple(note for note in found.notes if "follow the compressed pixels" not in note)
    return found.policy, dict(found.settled), notes, found.pts_ms, found.mode, found.codec


def _legends(raster: Raster) -> Iterator[Legend | None]:
    """None, and legends that explain all, half or hardly any of what the picture shows."""
    yield None
    keys, counts = kernels.count_colors(to_rgb(raster))
    ranked = keys[np.argsort(-counts, kind="stable")][:40].tolist()
    colors = [(key >> 16, key >> 8 & 255, key & 255) for key in ranked]
    yield Legend({color: f"c{i}" for i, color in enumerate(colors)})
    yield Legend({color: f"c{i}" for i, color in enumerate(colors[::2])})
    yield Legend({**{color: f"c{i}" for i, color in enumerate(colors[:3])}, (-1, -1, -1): "any"})
    yield Legend({**{color: f"c{i}" for i, color in enumerate(colors[:2])}, (-1, colors[-1][1], -1): "some"})
    yield Legend({number: f"n{number}" for number in range(0, 300, 3)})
    yield Legend.from_entries([Entry((f"e{i}",), color, 2 * i) for i, color in enumerate(colors)])


@pytest.mark.realdata
@pytest.mark.parametrize("part", [12, pytest.param(1, marks=pytest.mark.soak)], ids=["a twelfth", "every one"])
def test_real_pngs_and_pngsuite(realdata: Path, part: int) -> None:
    taken = compared = 0
    for path in (
        sorted(realdata.rglob("*.png"))[::part] + sorted((realdata / "pngsuite").rglob("*.png"))[:: min(part, 3)]
    ):
        data = path.read_bytes()
        if part > 1 and len(data) > 40_000:
            continue
        try:
            raster = read_raster(data)
        except DecodeError:
            assert label_png(data, Legend({(0, 0, 0): "x"}), content_type=None, policy="exact") is None, path.name
            continue
        for legend in _legends(raster):
            compared += 1
            taken += _compare(data, legend, "exact", raster=raster)
            if part == 1:
                _compare(data, legend, "auto", raster=raster)
    assert taken > compared * 0.7, "interlaced, 16-bit RGB and damaged pictures go the general way, and few others"


MODES = ["RGB", "RGBA", "L", "P", "I;16", "1"]


@st.composite
def pngs(draw: st.DrawFn) -> bytes:
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 40))
    mode = draw(st.sampled_from(MODES))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    few = draw(st.booleans())
    coarse = draw(st.integers(1, 8))
    top = 4 if few else 256
    shape = (-(-height // coarse), -(-width // coarse))

    def plane(most: int) -> np.ndarray:
        return np.kron(rng.integers(0, most, shape), np.ones((coarse, coarse), int))[:height, :width]

    if mode in ("RGB", "RGBA"):
        picture = Image.fromarray(np.stack([plane(top) for _ in mode], axis=2).astype(np.uint8))
    elif mode == "I;16":
        picture = Image.fromarray(plane(4 if few else 65536).astype(np.uint16))
    elif mode == "1":
        picture = Image.fromarray(plane(2).astype(bool))
    else:
        picture = Image.fromarray(plane(top).astype(np.uint8))
        if mode == "P":
            picture.putpalette(rng.integers(0, 256, 3 * top).astype(np.uint8).tobytes())
    out = io.BytesIO()
    options = {"transparency": 1} if mode in ("L", "P") and draw(st.booleans()) else {}
    picture.save(out, "PNG", compress_level=draw(st.sampled_from([0, 1, 6])), optimize=draw(st.booleans()), **options)
    return out.getvalue()


@settings(max_examples=80, deadline=None)
@given(data=pngs(), policy=st.sampled_from(["auto", "exact"]))
def test_any_png_with_any_legend(data: bytes, policy: str) -> None:
    raster = read_raster(data)
    for legend in _legends(raster):
        _compare(data, legend, policy, raster=raster)


@settings(max_examples=30, deadline=None)
@given(data=pngs(), scheme=st.sampled_from(["plain", "coco", "coco2ch", "ade20k", "cityscapes", "mapillary"]))
def test_any_id_mask_with_any_scheme(data: bytes, scheme: str) -> None:
    try:
        decode_raster(read_raster(data), None, scheme=scheme)
    except DecodeError:
        assert label_png(data, None, content_type=None, policy="auto", scheme=scheme) is None
        return
    _compare(data, None, "auto", scheme)
    _compare(data, Legend({1: "one", 3: "three"}, kind="ids", scheme=scheme), "auto", scheme)


def test_the_fast_way_is_taken_for_plain_masks_and_left_for_policies() -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), (1, 2, 3), np.uint8)).save(out, "PNG")
    legend = Legend({(1, 2, 3): "a"})
    assert _compare(out.getvalue(), legend, "auto")
    assert _compare(out.getvalue(), legend, "exact")
    noise = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(noise, "PNG")
    assert not _compare(noise.getvalue(), legend, "auto"), "strange colours: the policy is chosen by the general way"
    assert _compare(noise.getvalue(), legend, "exact")


def test_a_registered_decoder_goes_before_the_fast_way() -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((4, 4), 7, np.uint8)).save(out, "PNG")
    assert label_png(out.getvalue(), None, content_type=None, policy="auto") is not None
    before = codecs._table["image/png"]
    codecs.register("image/png", lambda data: np.zeros((1, 1), np.uint8))
    try:
        assert label_png(out.getvalue(), None, content_type=None, policy="auto") is None
    finally:
        codecs._table["image/png"] = before
