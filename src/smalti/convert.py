"""One representation of a mask into another: indices, RGB, palette, run lengths, polygons, ids, panoptic ids, video.

Every function says what it cannot keep, and raises where it would have to guess: an index without a colour, an id that
the target has no room for. Nothing wraps, nothing is rounded.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti import ids as id_schemes
from smalti import kernels
from smalti.codecs import DEFAULT_LIMITS, decode_still
from smalti.codecs.rle import decode_rle, encode_rle
from smalti.errors import DecodeError, LegendError
from smalti.geometry import rings as rings_of
from smalti.legend import Legend
from smalti.polygons import Rule, bridged, outline, rasterise

__all__ = [
    "IdSegment",
    "VideoCost",
    "ids_to_samples",
    "indices_to_rgb",
    "mask_to_polygons",
    "mask_to_rle",
    "panoptic_segments",
    "png_bytes",
    "polygons_to_mask",
    "rgb_to_indices",
    "rle_to_mask",
    "samples_to_ids",
    "segments_of_ids",
    "video_costs",
    "write_mask_video",
]

Indices = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]
Samples = NDArray[np.uint8] | NDArray[np.uint16]


def indices_to_rgb(indices: NDArray[Any], legend: Legend) -> NDArray[np.uint8]:
    """(H, W) stored indices → (H, W, 3) uint8 in the colours of the entries with these codes.

    Raises:
        LegendError: an index that occurs has no entry with a colour; two entries share a colour, so that there is no way back.
    """
    table: dict[int, tuple[int, int, int]] = {}
    taken: dict[tuple[int, int, int], int] = {}
    for entry in legend:
        if entry.code is None or entry.color is None or entry.code < 0:
            continue
        if entry.color in taken:
            raise LegendError(
                f"color {entry.color} stands for {taken[entry.color]} and {entry.code}; give each its own color"
            )
        table[entry.code], taken[entry.color] = entry.color, entry.code
    lookup = np.zeros((int(indices.max(initial=0)) + 1, 3), np.uint8)
    known = np.zeros(len(lookup), bool)
    for code, color in table.items():
        if code < len(lookup):
            lookup[code], known[code] = color, True
    used = kernels.count(_unsigned(indices), len(lookup)) > 0
    if (strange := np.flatnonzero(used & ~known)).size:
        raise LegendError(f"index {strange[:5].tolist()} occurs, but the legend has no color for it")
    colored: NDArray[np.uint8] = lookup[indices]
    return colored


def rgb_to_indices(pixels: NDArray[np.uint8], legend: Legend) -> Indices:
    """(H, W, 3) uint8 RGB → (H, W) codes of the entries with exactly these colours, in the smallest unsigned dtype.

    Raises:
        LegendError: a colour that occurs has no entry with a code.
    """
    rows = sorted(
        (e.color[0] << 16 | e.color[1] << 8 | e.color[2], e.code)
        for e in legend
        if e.color is not None and min(e.color) >= 0 and e.code is not None and e.code >= 0
    )
    keys, counts = kernels.count_colors(np.ascontiguousarray(pixels))
    known = np.array([key for key, _ in rows], np.uint32)
    strangers = ~np.isin(keys, known)
    if strangers.any():
        key, pixels_of = int(keys[strangers][0]), int(counts[strangers][0])
        raise LegendError(
            f"color {(key >> 16, key >> 8 & 255, key & 255)} is on {pixels_of} pixels and in no entry with a code; "
            "repair the mask, or add the color to the legend"
        )
    dtype = smallest_dtype(max((code for _, code in rows), default=0))
    numbers = np.arange(1, len(rows) + 1, dtype=np.uint8 if len(rows) <= 0xFF else np.uint16)
    where = kernels.gather_exact(np.ascontiguousarray(pixels), known, numbers)
    return kernels.lookup(where, np.array([0, *(code for _, code in rows)], dtype))


def smallest_dtype(largest: int) -> type[np.uint8 | np.uint16 | np.uint32]:
    """The smallest unsigned dtype that holds a number: chosen by how large it is, never by how many there are."""
    if largest > 0xFFFFFFFF:
        raise LegendError(f"{largest} fits no mask: 32 bits are the most")
    return np.uint8 if largest <= 0xFF else np.uint16 if largest <= 0xFFFF else np.uint32


def mask_to_rle(mask: NDArray[Any], *, compressed: bool = True) -> dict[str, Any]:
    """(H, W) mask → COCO run lengths, equal to those of pycocotools."""
    return encode_rle(mask, compressed=compressed)


def rle_to_mask(rle: dict[str, Any]) -> NDArray[np.uint8]:
    """COCO run lengths → (H, W) uint8 of 0 and 1."""
    return decode_rle(rle)


def polygons_to_mask(poly: Sequence[float], size_hw: tuple[int, int], *, rule: Rule = "union") -> NDArray[np.uint8]:
    """A ROI's flat polygon (rings separated as on the wire) → (H, W) uint8; the pixel rule is `smalti.polygons`'."""
    return rasterise(rings_of(poly), size_hw, rule=rule)


def mask_to_polygons(mask: NDArray[Any], *, holes: Literal["keep", "bridge", "drop"] = "keep") -> list[list[float]]:
    """(H, W) mask → rings along the edges of its pixels.

    Args:
        mask: anything but 0 is inside.
        holes: "keep": holes are rings of their own (fill even-odd); "bridge": each region is one ring, joined to its
            holes by bridges of no width (exact under any rule that fills a ring even-odd); "drop": holes are filled.
    """
    regions = outline(mask)
    if holes == "bridge":
        return [bridged([outer, *inner]) if inner else outer for outer, inner in regions]
    return [ring for outer, inner in regions for ring in [outer, *(inner if holes == "keep" else ())]]


def samples_to_ids(samples: NDArray[Any], scheme: str) -> NDArray[np.uint32]:
    """(H, W) or (H, W, C) stored samples → (H, W) ids of a scheme of `smalti.ids.SCHEMES`."""
    return id_schemes.pack(samples, scheme)


def ids_to_samples(ids: NDArray[Any], scheme: str) -> NDArray[Any]:
    """(H, W) ids → the samples that a mask of this scheme stores: grey uint8/uint16/uint32, RGB or RGBA uint8.

    Raises:
        DecodeError: an id is larger than the scheme can store.
    """
    if scheme not in id_schemes.SCHEMES:
        raise LegendError(f"id scheme {scheme!r} is not known; allowed: {', '.join(id_schemes.SCHEMES)}")
    top = int(ids.max(initial=0))
    most = {
        "coco": 0xFFFFFF,
        "coco2ch": 0xFFFF,
        "ade20k": 25 * 256 * 256 + 0xFFFF,
        "cityscapes": 0xFFFF,
        "mapillary": 0xFFFF,
    }
    if top > most.get(scheme, 0xFFFFFFFF):
        raise DecodeError(
            f"id {top} does not fit scheme {scheme!r}, whose largest is {most[scheme]}; use another scheme"
        )
    wide = ids.astype(np.uint32)
    if scheme in ("plain", "cityscapes", "mapillary"):
        dtype = smallest_dtype(top) if scheme == "plain" else np.uint16
        return wide.astype(dtype)
    planes: list[NDArray[Any]]
    if scheme == "coco":
        planes = [wide & 255, wide >> 8 & 255, wide >> 16]
    elif scheme == "coco2ch":
        planes = [wide >> 8, wide & 255, np.zeros_like(wide)]
    elif scheme == "ade20k":
        category = wide >> 8
        planes = [category // 256 * 10, category % 256, wide & 255]
    else:
        planes = [wide >> 24, wide >> 16 & 255, wide >> 8 & 255, wide & 255]
    return np.stack(planes, axis=-1).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class IdSegment:
    """One id of a mask: its pixels and the box x, y, w, h around them."""

    id: int
    area: int
    box2d_xywh: tuple[int, int, int, int]


def segments_of_ids(ids: NDArray[Any]) -> list[IdSegment]:
    """Every id of (H, W) ids with area and box, ascending; runs of equal pixels are met once, not pixel by pixel."""
    height, width = ids.shape
    flat = np.ascontiguousarray(ids).reshape(-1)
    if not flat.size:
        return []
    begins = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    # A row begins a run: then a run lies in one row and its ends are its box.
    begins = np.union1d(np.arange(0, flat.size, width), begins)
    lengths = np.diff(np.append(begins, flat.size))
    found, number = np.unique(flat[begins], return_inverse=True)
    area = np.bincount(number, weights=lengths).astype(np.int64)
    left, top = begins % width, begins // width
    low_x, high_x = np.full(len(found), width), np.zeros(len(found), np.int64)
    low_y, high_y = np.full(len(found), height), np.zeros(len(found), np.int64)
    np.minimum.at(low_x, number, left)
    np.maximum.at(high_x, number, left + lengths)
    np.minimum.at(low_y, number, top)
    np.maximum.at(high_y, number, top + 1)
    boxes = np.stack([low_x, low_y, high_x - low_x, high_y - low_y], axis=1).tolist()
    return [
        IdSegment(i, a, (b[0], b[1], b[2], b[3])) for i, a, b in zip(found.tolist(), area.tolist(), boxes, strict=True)
    ]


def panoptic_segments(data: bytes | NDArray[np.uint8], scheme: str = "coco") -> list[IdSegment]:
    """The segments of a panoptic PNG (or its (H, W, 3) samples), id 0 left out."""
    if scheme == "coco" and not isinstance(data, bytes) and data.dtype == np.uint8 and data.ndim == 3:
        pixels = np.ascontiguousarray(data[..., :3])
        keys, _ = kernels.count_colors(pixels)
        if len(keys) < 0xFFFF:
            numbers = np.arange(1, len(keys) + 1, dtype=np.uint8 if len(keys) <= 0xFF else np.uint16)
            return _segments_of_colors(kernels.gather_exact(pixels, keys, numbers), keys)
    if scheme == "coco" and isinstance(data, bytes):
        met = kernels.png_discover(data, max_pixels=DEFAULT_LIMITS.max_pixels, max_bytes=DEFAULT_LIMITS.max_bytes)
        if met is not None:
            return _segments_of_colors(*met)
    if isinstance(data, bytes):
        raster = decode_still(data)
        samples: NDArray[Any] = raster.data if raster.data is not None else np.zeros((0, 0), np.uint8)
        if raster.alpha is not None and id_schemes.SCHEMES[scheme].channels == 4:
            samples = np.dstack([samples, raster.alpha])
    else:
        samples = data
    return [segment for segment in segments_of_ids(samples_to_ids(samples, scheme)) if segment.id]


def _segments_of_colors(labels: Samples, keys: NDArray[np.uint32]) -> list[IdSegment]:
    """Segments of labels 1.. that stand for the colours R << 16 | G << 8 | B; an id reads them the other way round."""
    counts, boxes = kernels.count_boxes(labels, len(keys) + 1)
    rows = [
        IdSegment(key >> 16 | key & 0xFF00 | (key & 255) << 16, int(counts[i]), _box(boxes[i].tolist()))
        for i, key in enumerate(keys.tolist(), 1)
    ]
    return sorted((row for row in rows if row.id), key=lambda row: row.id)


def _box(row: list[int]) -> tuple[int, int, int, int]:
    return row[0], row[1], row[2], row[3]


def _unsigned(indices: NDArray[Any]) -> Indices:
    if indices.dtype in (np.uint8, np.uint16, np.uint32):
        return np.ascontiguousarray(indices)
    if indices.min(initial=0) < 0:
        raise LegendError(f"indices go down to {int(indices.min())}; 0 and above are allowed")
    found: Indices = indices.astype(smallest_dtype(int(indices.max(initial=0))))  # type: ignore[assignment]
    return found


def png_bytes(samples: NDArray[Any], palette: NDArray[np.uint8] | None = None) -> bytes:
    """Samples as a PNG that stores exactly these: grey uint8 or uint16, palette indices, RGB or RGBA.

    Raises:
        DecodeError: 32-bit samples, which PNG cannot store; more palette colours than 256.
    """
    from PIL import Image

    if samples.dtype == np.uint32:
        if int(samples.max(initial=0)) > 0xFFFF:
            raise DecodeError(
                f"a PNG stores numbers up to 65535, not {int(samples.max())}; use scheme 'coco' for large ids"
            )
        samples = samples.astype(np.uint16)
    picture = Image.fromarray(np.ascontiguousarray(samples))
    if palette is not None:
        if samples.dtype != np.uint8 or len(palette) > 256:
            raise DecodeError(
                f"a palette of {len(palette)} colors for {samples.dtype}; 256 colors and uint8 are allowed"
            )
        picture = Image.frombytes("P", (samples.shape[1], samples.shape[0]), samples.tobytes())
        picture.putpalette(palette.astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    # Runs are most of a mask: the fast strategy gives nearly the same size in a fraction of the time.
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


# ---------------------------------------------------------------------------------------------------- mask video
EXACT_CODECS: dict[str, tuple[str, dict[str, str], str]] = {
    "ffv1": ("bgr0", {"level": "3", "slicecrc": "1"}, ".mkv"),
    "libx264rgb": ("rgb24", {"qp": "0", "preset": "veryfast"}, ".mp4"),
}
"""Codecs that give back every value: pixel format, options, and a container that holds them."""


def write_mask_video(
    path: str | Path,
    pictures: Iterable[NDArray[np.uint8]],
    *,
    rate: Fraction | float = 25,
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
    pixel_format: str | None = None,
) -> int:
    """Write (H, W, 3) uint8 RGB pictures as a clip and return how many; the default codec is exact.

    Args:
        path: .mkv holds anything; .mp4 holds libx264rgb.
        pictures: in order of time.
        rate: pictures a second.
        codec: "ffv1", "libx264rgb" (qp 0), or another of FFmpeg's, at your own risk: see `video_costs`.
        options, pixel_format: for another codec.

    Raises:
        DecodeError: no picture, pictures of several sizes, or a codec that this FFmpeg lacks.
    """
    import av

    known = EXACT_CODECS.get(codec, ("yuv420p", {}, ".mp4"))
    count, size = 0, (0, 0)
    seconds = Fraction(rate).limit_denominator(90000)
    try:
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(codec, rate=seconds, options=options or known[1])
            for picture in pictures:
                if not count:
                    size = (picture.shape[0], picture.shape[1])
                    stream.height, stream.width = size
                    stream.pix_fmt = pixel_format or known[0]
                if (picture.shape[0], picture.shape[1]) != size:
                    raise DecodeError(
                        f"picture {count} is {picture.shape[:2]}, the first is {size} (H, W); they must agree"
                    )
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = count, 1 / seconds
                container.mux(stream.encode(frame))
                count += 1
            if not count:
                raise DecodeError("no pictures were given; a clip has at least one")
            container.mux(stream.encode())
    except av.error.FFmpegError as error:
        raise DecodeError(f"{path}: {codec} cannot write this clip: {error}") from None
    return count


@dataclass(frozen=True, slots=True)
class VideoCost:
    """What a codec makes of mask pictures: bytes, the share of pixels that come back as they were, strange colours."""

    codec: str
    bytes: int
    exact_share: float
    strange_colors: int

    @property
    def is_exact(self) -> bool:
        """Whether every pixel came back."""
        return self.exact_share == 1.0


_TRIALS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("ffv1", "ffv1", "bgr0", {}),
    ("libx264rgb qp 0", "libx264rgb", "rgb24", {"qp": "0"}),
    ("h264 4:4:4 qp 0", "libx264", "yuv444p", {"qp": "0"}),
    ("h264 4:2:0 crf 18", "libx264", "yuv420p", {"crf": "18"}),
    ("h264 4:2:0 crf 23", "libx264", "yuv420p", {"crf": "23"}),
)


def video_costs(pictures: Sequence[NDArray[np.uint8]], folder: str | Path) -> list[VideoCost]:
    """Encode a few (H, W, 3) pictures with exact and with usual codecs, in `folder`, and measure what comes back."""
    import av

    known = set(np.concatenate([kernels.count_colors(np.ascontiguousarray(p))[0] for p in pictures]).tolist())
    found: list[VideoCost] = []
    even = [p[: p.shape[0] // 2 * 2, : p.shape[1] // 2 * 2] for p in pictures]
    for name, codec, pixel_format, options in _TRIALS:
        if codec not in av.codecs_available:
            continue
        path = Path(folder) / f"trial-{len(found)}.mkv"
        write_mask_video(path, even, codec=codec, pixel_format=pixel_format, options=options)
        same = total = 0
        strange: set[int] = set()
        with av.open(str(path)) as container:
            for picture, frame in zip(even, container.decode(video=0), strict=True):
                back = frame.to_ndarray(format="rgb24")
                same += int((back == picture).all(axis=2).sum())
                total += picture.shape[0] * picture.shape[1]
                strange |= set(kernels.count_colors(np.ascontiguousarray(back))[0].tolist()) - known
        found.append(VideoCost(name, path.stat().st_size, same / total, len(strange)))
        path.unlink()
    return found
