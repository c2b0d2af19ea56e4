"""Masks of colours that a codec has changed: which policy fits a picture, and the two that look beyond exact colours.

`nearest` takes every pixel on its own. `repair` asks which labels would have led to these samples (the kernel of that
name explains how). Both take a decoded picture and the legend as arrays, and know nothing of labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.codecs.raster import Raster
from smalti.codecs.show import to_rgb
from smalti.kernels.reference.repair import MAX_COLORS

__all__ = ["NEAR", "choose", "close_colors", "colors_as_planes", "nearest", "planes_of", "repair"]

Bytes = NDArray[np.uint8]
Planes = tuple[Bytes, Bytes, Bytes]
Facts = dict[str, int]
Policy = Literal["exact", "nearest", "repair"]

NEAR = 3
"""Levels by which a lossless mask may miss its legend and still be taken for it: legends are off by 1 or 2 in the wild."""

FEW_STRANGERS = 16
"""Up to so many foreign colours are classes that the legend lacks; a codec or a brush with soft edges leaves more."""

SOFT = 1.2
"""Below this ratio of second to first differences chroma was brought to full size by interpolation (a step: 2)."""

# Kr and Kb of each matrix: the shares of red and blue in luma.
_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


def choose(raster: Raster, colors: Bytes) -> Policy:
    """The policy for a picture, by its codec and by what its pixels show.

    Args:
        raster: the decoded mask.
        colors: (n, 3) uint8 RGB of the legend.

    Returns:
        "exact" where every pixel is a legend colour, or the strangers are few colours far from any (classes that the
        legend lacks). "nearest" where the strangers of a lossless picture are all within NEAR levels of the legend: also
        lossless video that kept chroma at full size, where only the rounding of Y, Cb, Cr has moved the colours.
        "repair" where a codec mixed colours: lossy pictures, and lossless ones that hold many strange colours
        (JPEG-damaged maps saved as PNG, soft edges).
    """
    if not len(colors) or raster.size_hw[0] * raster.size_hw[1] == 0:
        return "exact"
    if raster.mode == "ycc":
        return "nearest" if _kept_every_color(raster, colors) else "repair"
    keys, counts = _colors_of(raster)
    away = _away(keys, colors)
    strange = away > 0
    if not strange.any():
        return "exact"
    near = strange & (away <= NEAR)
    if not raster.lossy:
        if near.any() and not _legend_is_off(keys, strange, near, colors):
            return "exact" if int(strange.sum()) <= FEW_STRANGERS else "repair"
        if int(counts[strange & ~near].sum()) * 1000 <= int(counts[strange].sum()):
            return "nearest"
        if int((strange & ~near).sum()) <= FEW_STRANGERS:
            return "nearest" if near.any() else "exact"
    return "repair"


def nearest(
    raster: Raster, colors: Bytes, values: NDArray[Any], tolerance: int | None = None
) -> tuple[NDArray[Any], Facts]:
    """Give each pixel the nearest legend colour by squared RGB distance, on its own.

    Args:
        raster: the decoded mask; planes are converted with their own matrix and range.
        colors: (n, 3) uint8 RGB of the legend.
        values: (n,) uint8 or uint16 entry numbers.
        tolerance: the largest difference in any channel, in levels; None = NEAR for lossless pictures, no limit for
            lossy ones; negative = no limit.

    Returns:
        (H, W) of values.dtype, 0 where every colour is too far; and pixels by step: exact, nearest, void.
    """
    if tolerance is None:
        tolerance = -1 if raster.lossy or raster.mode == "ycc" else NEAR
    limit = 255 if tolerance < 0 else min(int(tolerance), 255)
    space = (raster.matrix, raster.full_range) if raster.mode == "ycc" else None
    table = _table(colors.tobytes(), limit, space)
    position = table.look_up(_triples(raster))
    label = np.concatenate([np.zeros(1, values.dtype), values])[position & 0x7FFF]
    exact = int((position >> 15).sum())
    void = int(label.size - np.count_nonzero(position))
    return label, {"exact": exact, "nearest": label.size - exact - void, "void": void}


def repair(raster: Raster, colors: Bytes, values: NDArray[Any]) -> tuple[NDArray[Any], Facts]:
    """Find the labels that explain a lossy picture best.

    Flat areas further than 24 levels (in luma or chroma) from every legend colour stay void: see RepairParameters.alien.

    Args:
        raster: the decoded mask: planes as the codec stored them are best; RGB and grey work as well.
        colors: (n, 3) uint8 RGB of the legend. Of more than 254, those that the picture does not show are left out.
        values: (n,) uint8 or uint16 entry numbers.

    Returns:
        (H, W) of values.dtype, 0 where nothing explains the pixel; and pixels by step: exact (within one level of their
        colour, as their surroundings), nearest (within five), repaired, void.
    """
    planes = planes_of(raster)
    tinted = colors_as_planes(raster, colors)
    if len(tinted) > MAX_COLORS:
        kept = _shown(planes, tinted)
        tinted, values = tinted[kept], values[kept]
    table = np.concatenate([np.zeros(1, values.dtype), values])
    if not len(tinted) or not planes[0].size:
        labels = np.zeros(raster.size_hw, values.dtype)
        return labels, {"exact": 0, "nearest": 0, "repaired": 0, "void": labels.size}
    positions, counts = kernels.repair(*planes, tinted)
    facts = dict(zip(("exact", "nearest", "repaired", "void"), counts.tolist(), strict=True))
    if np.array_equal(table, np.arange(len(table))):
        return positions.astype(values.dtype, copy=False), facts
    return table[positions], facts


def close_colors(raster: Raster, colors: Bytes) -> list[tuple[int, int, int]]:
    """Legend entries that a lossy codec of this kind cannot keep apart.

    Returns:
        (position, position, levels apart) where two colours are less than 8 levels apart in luma and in both chroma
        planes; the closest first. Noise at borders reaches that far, and flat areas drift by half of it.
    """
    planes = colors_as_planes(raster, colors).astype(np.int32)
    apart = np.abs(planes[:, None] - planes[None]).max(axis=2)
    first, second = np.nonzero(np.triu(apart < 8, 1))
    rows = sorted((int(apart[i, j]), int(i), int(j)) for i, j in zip(first, second, strict=True))
    return [(i, j, levels) for levels, i, j in rows]


def colors_as_planes(raster: Raster, colors: Bytes) -> Bytes:
    """(n, 3) RGB → (n, 3) uint8 Y, Cb, Cr, as the picture's own planes would hold them."""
    if raster.mode == "grey":
        grey = (np.asarray(colors, np.uint32) @ np.array([77, 150, 29], np.uint32) + 128) >> 8
        return np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], axis=1).astype(np.uint8)
    if raster.mode == "ycc":
        return _to_planes(colors, raster.matrix, raster.full_range)
    return _to_planes(colors, "bt601", True)


def planes_of(raster: Raster) -> Planes:
    """Luma (H, W) and chroma (H, W) or ((H + 1) // 2, (W + 1) // 2), uint8, of any picture.

    RGB becomes full-range BT.601, which JPEG uses. Chroma that was brought to full size by somebody before is brought
    back: its samples say no more than that, and the repair has to know which pixels shared one.
    """
    if raster.mode == "ycc" and raster.planes is not None:
        luma, cb, cr = raster.planes
        if cb.shape == luma.shape:
            return luma, *_at_cells(cb, cr)
        halves = ((luma.shape[0] + 1) // 2, (luma.shape[1] + 1) // 2)
        return luma, _fit(cb, luma.shape, halves), _fit(cr, luma.shape, halves)
    if raster.mode == "grey":
        luma = _eight_bits(raster)
        return luma, np.full_like(luma, 128), np.full_like(luma, 128)
    rgb = to_rgb(raster)
    planes = np.moveaxis(_to_planes(rgb.reshape(-1, 3), "bt601", True).reshape(rgb.shape), 2, 0)
    luma, cb, cr = (np.ascontiguousarray(plane) for plane in planes)
    return luma, *_at_cells(cb, cr)


def _to_planes(colors: Bytes, matrix: str, full_range: bool) -> Bytes:
    """(n, 3) RGB → (n, 3) Y, Cb, Cr in fixed point, halves up."""
    kr, kb = _LUMA[matrix]
    rows = np.array(
        [
            [kr, 1 - kr - kb, kb],
            [-kr / (2 - 2 * kb), -(1 - kr - kb) / (2 - 2 * kb), 0.5],
            [0.5, -(1 - kr - kb) / (2 - 2 * kr), -kb / (2 - 2 * kr)],
        ]
    )
    if not full_range:
        rows *= np.array([[219], [224], [224]]) / 255
    fixed = np.rint(rows * 65536).astype(np.int64).T.astype(np.int32)
    offset = np.array([0 if full_range else 16, 128, 128], np.int32) * 65536 + 32768
    wide = np.asarray(colors, np.int32) @ fixed + offset
    planes: Bytes = np.clip(wide >> 16, 0, 255).astype(np.uint8)
    return planes


def _at_cells(cb: Bytes, cr: Bytes) -> tuple[Bytes, Bytes]:
    """Full-size chroma brought back to the samples that a codec kept: all of them, or one for two by two pixels."""
    kept = _kept_samples(cb, cr)
    if kept == "all":
        return cb, cr
    back = _halve if kept == "pairs" else _unfilter
    return back(cb), back(cr)


def _kept_samples(cb: Bytes, cr: Bytes) -> Literal["all", "pairs", "soft"]:
    """What full-size chroma holds: every sample its own, each two by two the same, or steps that take several samples."""
    kinds = set()
    for axis in (0, 1):
        first = second = inside = 0
        for plane in (cb, cr):
            lines = (plane if axis else plane.T)[::3].astype(np.int16)
            if lines.shape[1] < 4:
                return "all"
            steps = np.diff(lines, axis=1)
            first += int(np.abs(steps).sum(dtype=np.int64))
            second += int(np.abs(np.diff(steps, axis=1)).sum(dtype=np.int64))
            inside += int(np.abs(steps[:, ::2]).sum(dtype=np.int64))
        if not first or (second > SOFT * first and inside * 5 > first):
            return "all"
        kinds.add("pairs" if inside * 5 <= first else "soft")
    return "soft" if "soft" in kinds else "pairs"


def _halve(plane: Bytes) -> Bytes:
    """(H, W) → ((H + 1) // 2, (W + 1) // 2), the mean of two by two samples, halves up."""
    height, width = plane.shape
    wide = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge").astype(np.uint16)
    halved: Bytes = ((wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2] + 2) >> 2).astype(np.uint8)
    return halved


def _unfilter(plane: Bytes) -> Bytes:
    """(H, W) → ((H + 1) // 2, (W + 1) // 2), undoing the triangle filter by which JPEG and WebP fill chroma in.

    It made the samples (3 own + other) / 4 from a kept sample and its neighbour, so own = (3 near - far) / 2 from both
    sides: thin lines get their whole colour back, where a mean would leave three quarters.
    """
    height, width = plane.shape
    wide = np.pad(plane, ((1, 1 + height % 2), (1, 1 + width % 2)), mode="edge").astype(np.int32)
    for _ in range(2):
        wide = (3 * (wide[1:-1:2] + wide[2:-1:2]) - wide[:-2:2] - wide[3::2]).T
    unfiltered: Bytes = np.clip((wide + 8) >> 4, 0, 255).astype(np.uint8)
    return unfiltered


def _fit(plane: Bytes, full: Sequence[int], halves: tuple[int, int]) -> Bytes:
    """Chroma of any other sampling (4:2:2, 4:4:0, 4:1:1, 4:1:0) brought to half the size both ways."""
    if plane.shape == halves:
        return plane
    down, across = (-(-size // max(kept, 1)) for size, kept in zip(full, plane.shape, strict=True))
    whole = plane.repeat(down, axis=0).repeat(across, axis=1)[: full[0], : full[1]]
    return _halve(whole)


def _eight_bits(raster: Raster) -> Bytes:
    if raster.data is None:
        raise ValueError(f"a raster of mode {raster.mode!r} without data")
    if raster.data.dtype == np.uint8 and raster.bits == 8:
        return raster.data.astype(np.uint8, copy=False)
    return np.ascontiguousarray(to_rgb(raster)[..., 0])


def _kept_every_color(raster: Raster, colors: Bytes) -> bool:
    """Whether planes hold the legend's colours but for rounding: nothing is mixed, so there is nothing to repair."""
    if raster.lossy or raster.planes is None or any(p.shape != raster.planes[0].shape for p in raster.planes[1:]):
        return False
    return bool((_away(_colors_of(raster)[0], colors) <= NEAR).all())


def _colors_of(raster: Raster) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The RGB keys of a picture and their pixels; of grey and palettes without making an RGB picture."""
    if raster.mode in ("grey", "palette") and raster.data is not None and raster.data.dtype == np.uint8:
        counts = np.bincount(raster.data.ravel(), minlength=256)
        used = np.flatnonzero(counts)
        strip = Raster(raster.mode, used.astype(np.uint8)[None], raster.palette, bits=raster.bits)
        keys = to_rgb(strip)[0].astype(np.uint32)
        return keys[:, 0] << 16 | keys[:, 1] << 8 | keys[:, 2], counts[used].astype(np.int64)
    return kernels.count_colors(to_rgb(raster))


def _legend_is_off(
    keys: NDArray[np.uint32], strange: NDArray[np.bool_], near: NDArray[np.bool_], colors: Bytes
) -> bool:
    """Whether strange colours near the legend say that the legend misses them, and are no classes of their own.

    Only where no two entries are so near to each other that this would be a guess, where the entries that are missed
    do not occur themselves, and never for black: that is what people leave unlabelled.
    """
    wide = colors.astype(np.int32)
    apart = np.abs(wide[:, None] - wide[None]).max(axis=2)
    np.fill_diagonal(apart, 255)
    strangers = _unpack(keys[near])
    if (len(colors) > 1 and int(apart.min()) <= 2 * NEAR) or not strangers.any(axis=1).all():
        return False
    missed = np.abs(strangers[:, None] - wide[None]).max(axis=2).argmin(axis=1)
    shown = {tuple(color) for color in _unpack(keys[~strange]).tolist()}
    return not any(tuple(wide[i].tolist()) in shown for i in missed.tolist())


def _unpack(keys: NDArray[np.uint32]) -> NDArray[np.int32]:
    return np.stack([keys >> 16, keys >> 8 & 255, keys & 255], axis=1).astype(np.int32)


def _away(keys: NDArray[np.uint32], colors: Bytes) -> NDArray[np.int32]:
    """(k,) how many levels each key is from the legend: the least, over its colours, of the worst channel."""
    pixels, away = _unpack(keys), np.full(len(keys), 256, np.int32)
    for color in colors.astype(np.int32):
        np.minimum(away, np.abs(pixels - color).max(axis=1), out=away)
    return away


def _shown(planes: Planes, colors: Bytes) -> NDArray[np.int64]:
    """Positions of the at most MAX_COLORS colours that are nearest to most samples, in their order."""
    luma, cb, cr = planes
    step = 1 if cb.shape == luma.shape else 2
    keys, counts = kernels.count_colors(np.stack([luma[::step, ::step], cb, cr], axis=2))
    position, _ = _nearest_positions(_unpack(keys), colors.astype(np.int32))
    pixels = np.bincount(position, weights=counts, minlength=len(colors))
    return np.sort(np.argsort(-pixels, kind="stable")[:MAX_COLORS])


def _nearest_positions(pixels: NDArray[np.int32], colors: NDArray[np.int32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(k, 3) → position of the nearest colour by squared distance, the lower of equals, and its worst channel."""
    best, least = np.zeros(len(pixels), np.int64), np.full(len(pixels), np.iinfo(np.int32).max, np.int32)
    for position, color in enumerate(colors):
        away = pixels - color
        square = (away * away).sum(axis=1)
        better = square < least
        best[better], least[better] = position, square[better]
    return best, np.abs(pixels - colors[best]).max(axis=1)


def _triples(raster: Raster) -> Bytes:
    """(H, W, 3) uint8: RGB, or Y, Cb, Cr with chroma repeated to full size."""
    if raster.mode != "ycc" or raster.planes is None:
        return to_rgb(raster)
    luma, *chroma = raster.planes
    out = np.empty((*luma.shape, 3), np.uint8)
    out[..., 0] = luma
    for channel, plane in enumerate(chroma, 1):
        down, across = -(-luma.shape[0] // plane.shape[0]), -(-luma.shape[1] // plane.shape[1])
        out[..., channel] = plane.repeat(down, axis=0).repeat(across, axis=1)[: luma.shape[0], : luma.shape[1]]
    return out


@dataclass(slots=True, eq=False)
class _NearestTable:
    """All 2**24 triples → 1 + position of the nearest colour, 0 too far, with bit 15 where equal; filled as needed.

    Cells hold one more than that, so that 0 can mean "not asked yet": untouched pages of the table cost no memory.
    Threads may fill it at the same time, because all of them write the same.
    """

    colors: NDArray[np.int32]
    limit: int
    space: tuple[Any, bool] | None
    cells: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(1 << 24, np.uint16))

    def look_up(self, triples: Bytes) -> NDArray[np.uint16]:
        found = kernels.gather_table(triples, self.cells)
        if not found.all():
            keys, _ = kernels.count_colors(triples[found == 0][None])
            self.fill(keys)
            found = kernels.gather_table(triples, self.cells)
        return found - np.uint16(1)

    def fill(self, keys: NDArray[np.uint32]) -> None:
        pixels = _unpack(keys)
        if self.space is not None:
            y, cb, cr = (np.ascontiguousarray(part)[None] for part in pixels.astype(np.uint8).T)
            strip = Raster("ycc", planes=(y, cb, cr), matrix=self.space[0], full_range=self.space[1])
            pixels = to_rgb(strip)[0].astype(np.int32)
        position, worst = _nearest_positions(pixels, self.colors)
        label = np.where(worst <= self.limit, position + 1, 0) | np.where(worst == 0, 0x8000, 0)
        self.cells[keys] = (label + 1).astype(np.uint16)


@lru_cache(maxsize=4)
def _table(colors: bytes, limit: int, space: tuple[Any, bool] | None) -> _NearestTable:
    return _NearestTable(np.frombuffer(colors, np.uint8).reshape(-1, 3).astype(np.int32), limit, space)
