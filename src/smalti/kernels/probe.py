"""Proof for `smalti doctor`: the kernels that run here give the answers of the NumPy reference."""

import importlib
import struct
import zlib
from typing import Any

import numpy as np

from smalti.kernels import reference
from smalti.kernels.maps import PlaneLegend, label_counts

__all__ = ["probe"]


def probe() -> str:
    """A sentence that says which kernels run, after both builds decoded the same small pictures.

    Raises:
        RuntimeError: the compiled kernels differ from the reference; the message names the kernel.
    """
    try:
        compiled: dict[str, Any] = {}
        for name in ("native", "native_fold", "native_png", "native_maps", "native_polygons"):
            compiled |= vars(importlib.import_module(f"smalti.kernels.{name}"))
    except ImportError as error:
        return f"NumPy reference; the compiled kernels are not there ({error})"
    calls = [(name, lambda kernel, given=given: kernel(*given)) for name, given in _calls()] + _calls_in_place()
    for name, call in calls:
        expected, found = call(getattr(reference, name)), call(compiled[name])
        if not _equal(expected, found):
            raise RuntimeError(
                f"kernels.{name}: the compiled kernel differs from the reference on this machine; "
                "set SMALTI_KERNELS=reference and report it"
            )
    return f"compiled; {len(calls)} probes agree with the NumPy reference bit for bit"


def _calls() -> list[tuple[str, tuple[Any, ...]]]:
    y, x = np.mgrid[:37, :53]
    labels = (((x // 7) + (y // 5) ** 2) % 6).astype(np.uint8)
    colors = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 64], [128, 128, 0], [7, 8, 9], [210, 210, 120]], np.uint8)
    pixels = colors[labels]
    keys = np.array([0x008040, 0x808000, 0xD2D278, 0xFF0000], np.uint32)
    values = np.array([1, 2, 3, 4], np.uint8)
    rgb, grey = _png(2, pixels.reshape(37, -1)), _png(0, labels)
    runs, lengths = reference.runs_encode(labels)
    words = np.arange(200, dtype=np.uint64) ** np.uint64(7)
    codes, groups = labels.ravel().astype(np.uint32), np.arange(0, labels.size, 5)
    text = b'{"city":"bremen","n":-4}{"a":[1]}{}'
    return [
        ("gather_exact", (pixels, keys, values)),
        ("lookup", (labels, np.arange(6, dtype=np.int64) * 1000)),
        ("count", (labels, 6)),
        ("count_boxes", (labels, 7)),
        ("count_colors", (pixels,)),
        ("confusion", (labels, labels[::-1], 6)),
        ("blend", (pixels[::-1], labels, colors, np.linspace(0, 1, 6))),
        ("runs_encode", (labels,)),
        ("runs_decode", (runs, lengths)),
        ("contour", (labels,)),
        ("repair", (pixels[..., 0], pixels[..., 1], pixels[..., 2], colors)),
        ("png_labels", (rgb, keys, values)),
        ("png_discover", (rgb,)),
        ("png_indices", (grey,)),
        ("mix", (words, 5)),
        ("fold", (words, np.array([0, 0, 7, 150]))),
        ("fold_numbers", (np.arange(150) / 8 - 3, np.array([0, 0, 7, 150]))),
        ("flat_tokens", (np.frombuffer(text, np.uint8), np.array([0, 24, 33, 35]), 3)),
        ("group_sets", (codes, groups)),
        ("number_groups", (codes, groups)),
        ("number_groups", (np.frombuffer(text, np.uint8), np.array([0, 2, 4, 10, 24, 33, 35], np.int32))),
        ("take_texts", (np.frombuffer(text, np.uint8), np.array([0, 24, 33, 35]), np.arange(50, dtype=np.uint32) % 3)),
        ("tiles_pack", (labels, 16)),
        ("ring_edges", (_corners(), np.array([0, 5, 9]), np.array([0, 1, 2]), (37, 53))),
        ("png_lookup", (grey, np.arange(256).astype(np.uint8)[::-1])),
    ]


def _corners() -> np.ndarray[Any, np.dtype[np.int64]]:
    """Two rings in fifths of a pixel; the second leaves the picture."""
    return np.array([(20, 20), (160, 31), (140, 120), (77, 150), (9, 88), (200, 7), (290, 60), (250, 200), (180, -30)])


def _calls_in_place() -> list[tuple[str, Any]]:
    """Kernels that write into what they are given: each is called, and what it wrote comes back."""
    y, x = np.mgrid[:37, :53]
    luma = ((x // 9) * 40 + (y // 8) * 7).astype(np.uint8)
    blue, red = luma[::2, ::2] // 2 + np.uint8(60), np.uint8(200) - luma[::2, ::2] // 2
    levels = np.arange(256)
    level, red_of, blue_of = (table.astype(np.int16) for table in (levels, levels - 128, 128 - levels))
    green_of = [((levels - 128) * step).astype(np.int32) for step in (20000, -30000)]
    tables = (level, red_of, blue_of, green_of[0], green_of[1])
    colors = np.array([[0, 0, 0], [90, 200, 40], [250, 20, 130]], np.uint8)

    def unpack(kernel: Any) -> Any:
        out = np.zeros((20, 40), np.uint8)
        kernel(reference.tiles_pack(luma, 16), (37, 53), 16, (3, 5, 40, 20), out)
        return out

    def label(kernel: Any) -> Any:
        legend = PlaneLegend(tables, colors, np.array([1, 2, 3], np.uint8), 60, np.zeros(1 << 24, np.uint16))
        labels, counts = np.zeros((37, 53), np.uint8), label_counts((37, 53))
        sums = kernel((luma, blue, red), None, legend, labels, counts)
        return labels, counts, *sums

    def mix(kernel: Any) -> Any:
        total = np.arange(9, dtype=np.uint64)
        kernel(total, total[::-1], 3)
        return total

    return [("tiles_unpack", unpack), ("label_planes", label), ("mix_into", mix)]


def _png(color: int, rows: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """The bytes of `rows` under filters 0 to 4 in turn. They are residuals then: any picture will do, if it is the same."""
    height, size = rows.shape
    filters = np.arange(height, dtype=np.uint8)[:, None] % 5
    stream = zlib.compress(np.hstack([filters, rows]).tobytes())
    header = struct.pack(">IIBBBBB", size // (3 if color == 2 else 1), height, 8, color, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", stream[:99]), (b"IDAT", stream[99:]), (b"IEND", b"")]
    packed = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _equal(expected: Any, found: Any) -> bool:
    if isinstance(expected, tuple):
        return len(expected) == len(found) and all(map(_equal, expected, found))
    if isinstance(expected, np.ndarray):
        return expected.dtype == found.dtype and np.array_equal(expected, found)
    return bool(expected == found)
