"""Proof for `smalti doctor`: the kernels that run here give the answers of the NumPy reference."""

import importlib
import struct
import zlib
from typing import Any

import numpy as np

from smalti.kernels import reference

__all__ = ["probe"]


def probe() -> str:
    """A sentence that says which kernels run, after both builds decoded the same small pictures.

    Raises:
        RuntimeError: the compiled kernels differ from the reference; the message names the kernel.
    """
    try:
        labelers: dict[str, Any] = vars(importlib.import_module("smalti.kernels.native"))
        readers: dict[str, Any] = vars(importlib.import_module("smalti.kernels.native_png"))
    except ImportError as error:
        return f"NumPy reference; the compiled kernels are not there ({error})"
    compiled = labelers | readers
    calls = _calls()
    for name, arguments in calls:
        expected, found = getattr(reference, name)(*arguments), compiled[name](*arguments)
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
        ("png_lookup", (grey, np.arange(256).astype(np.uint8)[::-1])),
    ]


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
