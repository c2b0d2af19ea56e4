"""A decoded video frame → Raster: samples as the codec stored them, copied only where rows are padded."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.raster import Raster

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["FrameFacts", "raster_of"]

U8 = NDArray[np.uint8]
Plane = NDArray[np.uint8] | NDArray[np.uint16]
Matrix = Literal["bt601", "bt709", "bt2020"]
FrameFacts = dict[str, Any]  # what the clip knows about every picture: fields of Raster

# Where R, G, B and alpha (or None) stand in a pixel, and the bytes a pixel takes.
PACKED_RGB: dict[str, tuple[slice, int | None, int]] = {
    "rgb24": (slice(0, 3), None, 3),
    "bgr24": (slice(2, None, -1), None, 3),
    "rgba": (slice(0, 3), 3, 4),
    "rgb0": (slice(0, 3), None, 4),
    "bgra": (slice(2, None, -1), 3, 4),
    "bgr0": (slice(2, None, -1), None, 4),
    "argb": (slice(1, 4), 0, 4),
    "0rgb": (slice(1, 4), None, 4),
    "abgr": (slice(3, 0, -1), 0, 4),
    "0bgr": (slice(3, 0, -1), None, 4),
}
# Other orders of the same samples: FFmpeg only moves bytes to make the planar twin.
PLANAR_TWIN = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "p010le": "yuv420p10le",
    "p210le": "yuv422p10le",
}
# AVColorSpace → matrix. 2 is "unspecified": FFmpeg and what builds on it write and read BT.601 then, whatever the size.
MATRICES: dict[int, Matrix] = {1: "bt709", 2: "bt601", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}
FULL_RANGE = 2  # AVColorRange


class Layout(NamedTuple):
    """What a pixel format's name stands for, asked of FFmpeg once: the asking costs as much as a small picture."""

    read: "Callable[[VideoFrame, Layout, FrameFacts], Raster] | None"
    bits: int
    channels: int


LAYOUTS: dict[str, Layout] = {}


def raster_of(frame: "VideoFrame", facts: FrameFacts) -> Raster:
    """The frame's samples with what `facts` (fields of Raster) says about the clip.

    Arrays are C-contiguous and read-only: where no row is padded they are the decoder's own memory, which it still
    refers to. YUV of more than 8 bits is rounded to 8; RGB of 9 to 15 bits too; grey and RGB of 16 bits are kept.
    """
    pixel_format = frame.format
    name = pixel_format.name
    layout = LAYOUTS.get(name)
    if layout is None:
        parts = pixel_format.components
        planar = len({part.plane for part in parts}) == len(parts) and "f" not in name  # floats end in f32, f16
        read = next((reader for prefixes, reader in PLANAR if planar and name.startswith(prefixes)), None)
        layout = LAYOUTS[name] = Layout(NAMED.get(name, read), parts[0].bits, len(parts))
    if layout.read is not None:
        return _lock(layout.read(frame, layout, facts))
    if name in PLANAR_TWIN:
        return raster_of(frame.reformat(format=PLANAR_TWIN[name]), facts)
    note = f"pixel format {name} was converted to RGB by FFmpeg"
    return raster_of(frame.reformat(format="rgb24"), {**facts, "notes": (*facts.get("notes", ()), note), "lossy": True})


def _rows(frame: "VideoFrame", number: int, pixel_bytes: int = 1) -> U8:
    """(h, w * pixel_bytes) uint8 view of a plane without its padding, top row first."""
    plane: Any = frame.planes[number]  # has the buffer protocol, which PyAV's stubs do not say
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, abs(plane.line_size))[:, : plane.width * pixel_bytes]
    return rows if plane.line_size > 0 else rows[::-1]  # AVI keeps raw pictures bottom up


def _samples(frame: "VideoFrame", number: int, bits: int) -> Plane:
    """(h, w) view of a plane that holds one component: uint8, or uint16 in the machine's order."""
    if bits <= 8:
        return _rows(frame, number)
    wide = np.ascontiguousarray(_rows(frame, number, 2)).view(">u2" if frame.format.is_big_endian else "<u2")
    return wide.astype(np.uint16, copy=False)


def _lock(raster: Raster) -> Raster:
    """The same with every array read-only: writing into the decoder's memory would change the pictures that follow."""
    for array in (raster.data, raster.alpha, raster.palette, *(raster.planes or ())):
        if array is not None:
            array.flags.writeable = False
    return raster


def _solid(array: Any) -> Any:
    return np.ascontiguousarray(array)


def _to_8(samples: Plane, bits: int, *, full: bool, chroma: bool = False) -> U8:
    """Samples of `bits` bits rounded to 8, halves up: steps of 2**(bits-8), or v*255/(2**bits-1) in full range."""
    if samples.dtype == np.uint8:
        return cast(U8, samples)
    wide, shift = samples.astype(np.int64), bits - 8
    if not full:
        rounded: U8 = np.minimum((wide + (1 << shift >> 1)) >> shift, 255).astype(np.uint8)
        return rounded
    top, middle = (1 << bits) - 1, 1 << (bits - 1)
    if chroma:  # the middle stays the middle
        return np.clip((2 * 255 * (wide - middle) + top) // (2 * top) + 128, 0, 255).astype(np.uint8)
    return ((2 * 255 * wide + top) // (2 * top)).astype(np.uint8)


def _packed_rgb(frame: "VideoFrame", layout: Layout, facts: FrameFacts) -> Raster:
    order, alpha, pixel_bytes = PACKED_RGB[frame.format.name]
    pixels = _rows(frame, 0, pixel_bytes).reshape(frame.height, frame.width, pixel_bytes)
    return Raster(
        "rgb", data=_solid(pixels[..., order]), alpha=None if alpha is None else _solid(pixels[..., alpha]), **facts
    )


def _planar_rgb(frame: "VideoFrame", layout: Layout, facts: FrameFacts) -> Raster:
    bits = layout.bits
    keep = 16 if bits == 16 else 8
    data = np.empty((frame.height, frame.width, 3), np.uint16 if keep == 16 else np.uint8)
    for plane, channel in enumerate((1, 2, 0)):  # stored as G, B, R
        samples = _samples(frame, plane, bits)
        data[..., channel] = samples if bits == keep else _to_8(samples, bits, full=True)
    alpha = None
    if layout.channels == 4:
        samples = _samples(frame, 3, bits)
        alpha = _solid(samples if bits == keep else _to_8(samples, bits, full=True))
    return Raster("rgb", data=data, alpha=alpha, bits=keep, **facts)


def _wide_rgb(frame: "VideoFrame", layout: Layout, facts: FrameFacts) -> Raster:
    order = ">u2" if frame.format.is_big_endian else "<u2"
    channels = layout.channels
    pixels = _solid(_rows(frame, 0, 2 * channels)).view(order).reshape(frame.height, frame.width, channels)
    alpha = _solid(pixels[..., 3].astype(np.uint16)) if channels == 4 else None
    return Raster("rgb", data=_solid(pixels[..., :3].astype(np.uint16)), alpha=alpha, bits=16, **facts)


def _grey(frame: "VideoFrame", layout: Layout, facts: FrameFacts) -> Raster:
    bits = layout.bits
    return Raster("grey", data=_solid(_samples(frame, 0, bits)), bits=bits, **facts)


def _one_bit(frame: "VideoFrame", layout: Layout, facts: FrameFacts) -> Raster:
    plane: Any = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(frame.height, -1)[:, : (frame.width + 7) // 8]
    white = np.unpackbits(rows, axis=1, count=frame.width)
    return Raster("grey", data=_solid(white ^ 1 if frame.format.name == "monow" else white), bits=1, **facts)


def _palette(frame: "VideoFrame", layout: Layout, facts: FrameFacts) -> Raster:
    table: Any = frame.planes[1]
    entries = np.frombuffer(table, np.uint32, count=256)  # A, R, G, B from the highest byte down
    palette = np.stack([entries >> 16 & 255, entries >> 8 & 255, entries & 255], axis=1).astype(np.uint8)
    indices = _solid(_rows(frame, 0))
    opacity = (entries >> 24).astype(np.uint8)
    alpha = opacity[indices] if len(np.unique(opacity)) > 1 else None  # all 0 or all 255 says nothing
    return Raster("palette", data=indices, palette=palette, alpha=alpha, **facts)


def _planar_yuv(frame: "VideoFrame", layout: Layout, facts: FrameFacts) -> Raster:
    bits = layout.bits
    full = frame.color_range == FULL_RANGE or frame.format.name.startswith("yuvj")
    matrix = MATRICES.get(int(frame.colorspace))
    if matrix is None:
        note = f"colour matrix {int(frame.colorspace)} is not known; the planes are taken as BT.601"
        facts = {**facts, "notes": (*facts.get("notes", ()), note)}
    luma, blue, red = (
        _solid(_to_8(_samples(frame, plane, bits), bits, full=full, chroma=plane > 0)) for plane in range(3)
    )
    alpha = None
    if layout.channels == 4:
        alpha = _solid(_to_8(_samples(frame, 3, bits), bits, full=True))
    return Raster("ycc", planes=(luma, blue, red), alpha=alpha, matrix=matrix or "bt601", full_range=full, **facts)


PLANAR = (
    (("yuv4", "yuvj4", "yuva4"), _planar_yuv),
    (("gbrp", "gbrap"), _planar_rgb),
    (("gray",), _grey),
)
NAMED = {
    **dict.fromkeys(PACKED_RGB, _packed_rgb),
    **dict.fromkeys(("rgb48le", "rgb48be", "rgba64le", "rgba64be"), _wide_rgb),
    **dict.fromkeys(("monob", "monow"), _one_bit),
    "pal8": _palette,
}
