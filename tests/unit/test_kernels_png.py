"""PNG straight to labels, against Pillow and NumPy."""

import io
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from smalti import kernels
from smalti.kernels import reference

try:
    from smalti.kernels import native_png as native
except ImportError:
    native = None  # type: ignore[assignment]

BUILDS = [pytest.param(reference, id="reference")]
if native is not None:
    BUILDS.append(pytest.param(native, id="native"))
each_build = pytest.mark.parametrize("build", BUILDS)

COLORS = np.array([[0, 0, 0], [128, 64, 128], [244, 35, 232], [70, 70, 70], [0, 0, 142], [255, 255, 255]], np.uint8)


def scene(height: int, width: int) -> np.ndarray:
    """(H, W) uint8 of 0..5: bars, a disc and a few thin lines."""
    y, x = np.mgrid[:height, :width]
    labels = (x * 5 // max(width, 1)).astype(np.uint8)
    labels[(y - height // 2) ** 2 + (x - width // 3) ** 2 < (height // 3) ** 2] = 5
    labels[(x + 2 * y) % 41 == 0] = 2
    return labels


def encode(picture: np.ndarray, **options: Any) -> bytes:
    held = io.BytesIO()
    Image.fromarray(picture).save(held, "png", **options)
    return held.getvalue()


def legend() -> tuple[np.ndarray, np.ndarray]:
    keys = (COLORS.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)).astype(np.uint32)
    order = np.argsort(keys)
    return keys[order], (order + 1).astype(np.uint8)


@each_build
@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"compress_level": 1}, {"compress_level": 0}], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (61, 90)])
def test_what_pillow_writes(build, options: dict[str, Any], size: tuple[int, int]) -> None:
    labels = scene(*size)
    found = build.png_labels(encode(COLORS[labels], **options), *legend())
    np.testing.assert_array_equal(found.labels, labels + 1)
    assert found.strangers == 0
    assert found.alpha is None


@each_build
def test_strangers_are_counted_and_void(build) -> None:
    labels = scene(40, 40)
    keys, values = legend()
    kept = values != 3
    found = build.png_labels(encode(COLORS[labels]), keys[kept], values[kept])
    np.testing.assert_array_equal(found.labels, np.where(labels == 2, 0, labels + 1))
    assert found.strangers == int((labels == 2).sum())
    with_zero = build.png_labels(encode(COLORS[labels]), keys[kept], values[kept] - 1)  # black is 0 on purpose
    assert with_zero.strangers == found.strangers


@each_build
def test_alpha_is_kept_apart(build) -> None:
    labels = scene(33, 47)
    alpha = (np.arange(33 * 47) // 19 % 256).astype(np.uint8).reshape(33, 47)
    file = encode(np.dstack([COLORS[labels], alpha]))
    found = build.png_labels(file, *legend(), need_alpha=True)
    np.testing.assert_array_equal(found.labels, labels + 1)
    np.testing.assert_array_equal(found.alpha, alpha)
    opaque = build.png_labels(encode(COLORS[labels]), *legend(), need_alpha=True)
    assert (opaque.alpha == 255).all()


@each_build
def test_discovered_colors_are_sorted(build) -> None:
    labels = scene(30, 30)
    found, keys = build.png_discover(encode(COLORS[labels]))
    assert found.dtype == np.uint16
    assert keys.tolist() == sorted(keys.tolist())
    packed = COLORS[labels].astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    np.testing.assert_array_equal(keys[found - 1], packed)


@each_build
def test_grey_and_palette_are_never_expanded(build) -> None:
    labels = scene(25, 31)
    np.testing.assert_array_equal(build.png_indices(encode(labels)), labels)
    wide = labels.astype(np.uint16) * 1001
    np.testing.assert_array_equal(build.png_indices(encode(wide)), wide)
    picture = Image.fromarray(labels, "P")
    picture.putpalette(COLORS.tobytes())
    held = io.BytesIO()
    picture.save(held, "png", bits=4)
    np.testing.assert_array_equal(build.png_indices(held.getvalue()), labels)
    np.testing.assert_array_equal(build.png_header(held.getvalue()).palette[:6], COLORS)
    held = io.BytesIO()
    Image.fromarray(labels > 2).save(held, "png")
    np.testing.assert_array_equal(build.png_indices(held.getvalue()), (labels > 2).astype(np.uint8))
    table = np.arange(256, dtype=np.int64) * 10**10
    np.testing.assert_array_equal(build.png_indices(encode(labels), table), table[labels])


@each_build
def test_a_table_must_reach_every_sample(build) -> None:
    with pytest.raises(ValueError, match=r"expected \(65536,\)"):
        build.png_indices(encode(np.zeros((2, 2), np.uint16)), np.zeros(256, np.uint8))


@each_build
def test_other_kinds_are_for_the_general_reader(build) -> None:
    grey, color = encode(scene(9, 9)), encode(COLORS[scene(9, 9)])
    assert build.png_labels(grey, *legend()) is None
    assert build.png_discover(grey) is None
    assert build.png_indices(color) is None
    full = np.arange(256, dtype=np.uint8)
    assert build.png_labels(color, np.arange(256, dtype=np.uint32), full) is None  # no value is left for strangers


@each_build
def test_damage_has_words(build) -> None:
    file = bytearray(encode(COLORS[scene(9, 9)]))
    with pytest.raises(ValueError, match="cut off"):
        build.png_labels(bytes(file[:60]), *legend())
    file[-20] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        build.png_labels(bytes(file), *legend())
    with pytest.raises(ValueError, match="not a PNG"):
        build.png_labels(b"GIF89a" + bytes(40), *legend())


@pytest.mark.skipif(native is None, reason="the compiled kernels are not built")
def test_the_gil_is_released() -> None:
    """Another thread goes on while a picture is read."""
    labels = np.random.default_rng(1).integers(0, 6, (1500, 1500)).astype(np.uint8)
    file, (keys, values) = encode(COLORS[labels], compress_level=1), legend()
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())

    watcher = threading.Thread(target=tick)
    watcher.start()
    start = time.perf_counter()
    for _ in range(5):
        native.png_labels(file, keys, values)
    end = time.perf_counter()
    done.set()
    watcher.join()
    inside = [t for t in ticks if start < t < end]
    longest = max(np.diff([start, *inside, end]))
    assert longest < (end - start) / 3  # holding the GIL, no tick would fall inside any of the five calls


@pytest.mark.realdata
@pytest.mark.skipif(native is None, reason="the compiled kernels are not built")
def test_every_real_png_equals_pillow(realdata: Path) -> None:
    seen = 0
    for path in sorted(realdata.rglob("*.png")):
        if path.stat().st_size > 150_000 or "hostile" in path.parts or path.name.startswith("x"):
            continue
        file = path.read_bytes()
        header = native.png_header(file)
        if header is None or header.interlaced:
            continue
        try:
            with Image.open(path) as picture:
                picture.load()
        except (OSError, ValueError, SyntaxError):
            continue  # refused by the oracle
        if header.color in (0, 3):
            stored = np.asarray(picture).astype(np.uint16)
            scale = 255 // ((1 << header.bits) - 1) if header.color == 0 and header.bits in (2, 4) else 1
            np.testing.assert_array_equal(native.png_indices(file), stored // scale, err_msg=path.name)
        elif header.bits == 8 and header.color in (2, 6):
            rgb = np.asarray(picture.convert("RGBA"))[..., :3].astype(np.uint32)
            found = native.png_discover(file)
            if found is None:
                continue  # more than 65535 colours
            packed = rgb @ np.array([65536, 256, 1], np.uint32)
            np.testing.assert_array_equal(found[1][found[0].astype(np.int64) - 1], packed, err_msg=path.name)
        else:
            continue
        seen += 1
    assert seen > 400


def test_the_package_offers_what_its_builds_have() -> None:
    for name in kernels.__all__:
        assert hasattr(kernels, name)
    for name in reference.__all__:
        assert name in kernels.__all__
