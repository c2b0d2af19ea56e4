"""Polygons ⇄ masks, by COCO's rule and without its detour.

The pixel rule is that of pycocotools, bit for bit. Coordinates are in pixels, (0, 0) is the outer corner of the first
pixel. A ring is taken to a grid of fifths of a pixel, vertices rounded half up. In each column of pixels its boundary
counts where it crosses the third fifth (0.4 to 0.6 of the pixel's width); a crossing at fifth v begins at the first
row y with 5 y ≥ v - 2. Between the first and second, third and fourth, … crossing of a column the ring is inside, so
one ring by itself is filled even-odd. Several rings of one object add up, as COCO has it, or are filled even-odd
together (holes) where that is asked for.

pycocotools walks the boundary in steps of a fifth and throws most of them away; here only the crossings are computed,
for all rings at once. `outline` gives rings along the edges of pixels, which this rule turns back into the same mask.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.errors import FrameError

__all__ = ["area_of_ring", "bridged", "outline", "rasterise", "rasterise_many", "runs_of_polygons"]

Ring = Sequence[float] | NDArray[Any]
Rule = Literal["union", "even-odd"]

# Beyond this, five times the coordinate leaves the whole numbers that the rule is written in.
_FARTHEST = 2.0**26


def rasterise(rings: Sequence[Ring], size_hw: tuple[int, int], *, rule: Rule = "union") -> NDArray[np.uint8]:
    """(H, W) uint8 mask of 0 and 1 of one object.

    Args:
        rings: flat x0, y0, x1, y1, … in pixels, three points or more each.
        size_hw: (height, width) in pixels.
        rule: "union": rings add up (COCO); "even-odd": a ring inside another is a hole.

    Raises:
        FrameError: a ring has too few numbers, an odd number of them, or one that is not finite.
    """
    height, width = size_hw
    starts, owner = _crossings(rings, size_hw)
    if rule == "even-odd":
        owner = np.zeros_like(owner)
    masks = [_fill(starts[owner == number], height, width) for number in np.unique(owner).tolist()]
    if not masks:
        return np.zeros(size_hw, np.uint8, order="F")
    whole = masks[0]
    for mask in masks[1:]:
        whole |= mask
    return whole


def rasterise_many(
    polygons: Sequence[Sequence[Ring]], size_hw: tuple[int, int], *, rule: Rule = "union"
) -> list[NDArray[np.uint8]]:
    """(H, W) uint8 masks of many objects of one picture; their crossings are computed together."""
    height, width = size_hw
    flat = [ring for rings in polygons for ring in rings]
    starts, owner = _crossings(flat, size_hw)
    ends = np.searchsorted(owner, np.arange(len(flat) + 1)).tolist()
    masks = []
    first = 0
    for rings in polygons:
        bounds = ends[first : first + len(rings) + 1]
        first += len(rings)
        if rule == "even-odd" or len(rings) == 1:
            masks.append(_fill(starts[bounds[0] : bounds[-1]], height, width))
            continue
        whole = np.zeros(size_hw, np.uint8, order="F")
        for low, high in pairwise(bounds):
            whole |= _fill(starts[low:high], height, width)
        masks.append(whole)
    return masks


def runs_of_polygons(polygons: Sequence[Sequence[Ring]], size_hw: tuple[int, int]) -> list[list[int]]:
    """Run lengths (COCO's, uncompressed) of many objects of one picture; no mask is made for objects of one ring."""
    pixels = size_hw[0] * size_hw[1]
    flat = [ring for rings in polygons for ring in rings]
    edges, owner = _sorted_edges(*_crossings(flat, size_hw), pixels)
    # The last run of every ring ends with the picture, and its first begins at 0.
    closing = np.searchsorted(owner, np.arange(len(flat)), side="right")
    bounds = np.insert(edges, closing, pixels)
    ends = closing + np.arange(1, len(flat) + 1)
    runs = np.diff(bounds, prepend=0)
    runs[ends[:-1]] = bounds[ends[:-1]]
    listed, marks = runs.tolist(), [0, *ends.tolist()]
    found = []
    first = 0
    for rings in polygons:
        last = first + len(rings)
        if len(rings) == 1:
            found.append(listed[marks[first] : marks[last]])
        else:
            parts = [
                bounds[low : high - 1] for low, high in zip(marks[first:last], marks[first + 1 : last + 1], strict=True)
            ]
            joined = _union(parts, pixels)
            found.append(np.diff(np.concatenate([[0], joined, [pixels]])).tolist())
        first = last
    return found


def _sorted_edges(
    starts: NDArray[np.int64], owner: NDArray[np.int64], pixels: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions where each ring's inside and outside change, sorted by ring and position, and their rings."""
    keys = np.sort(owner * (pixels + 1) + starts)
    if not len(keys):
        return keys, keys
    # Equal crossings cancel in pairs: of each run of equal keys, one is left where the run is odd.
    begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    keys = keys[begins[np.diff(np.append(begins, len(keys))) % 2 == 1]]
    owner = keys // (pixels + 1)
    edges = keys - owner * (pixels + 1)
    kept = edges < pixels
    return edges[kept], owner[kept]


def _edges(starts: NDArray[np.int64], pixels: int) -> NDArray[np.int64]:
    """Sorted positions where inside and outside change; equal ones cancel in pairs, those at the very end say nothing."""
    if not len(starts):
        return starts
    values, times = np.unique(starts, return_counts=True)
    odd: NDArray[np.int64] = values[(times & 1) == 1]
    return odd[odd < pixels]


def _union(parts: Sequence[NDArray[np.int64]], pixels: int) -> NDArray[np.int64]:
    steps = [np.ones(len(part), np.int64) for part in parts]
    for step in steps:
        step[1::2] = -1
    if not parts or not sum(len(part) for part in parts):
        return np.zeros(0, np.int64)
    where = np.concatenate([np.append(part, pixels) if len(part) & 1 else part for part in parts])
    change = np.concatenate([np.append(s, -1) if len(s) & 1 else s for s in steps])
    order = np.argsort(where, kind="stable")
    where, change = where[order], change[order]
    last = np.flatnonzero(np.append(where[1:] != where[:-1], True))
    depth = np.cumsum(change)[last] > 0
    edge = depth != np.concatenate([[False], depth[:-1]])
    found: NDArray[np.int64] = where[last][edge]
    return found[found < pixels]


def _fill(starts: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8]:
    edges = _edges(starts, height * width)
    if not len(edges):
        return np.zeros((height, width), np.uint8, order="F")
    filled = np.zeros(height * width, np.uint8)
    ends = np.append(edges, height * width) if len(edges) & 1 else edges
    if len(ends) <= 128:
        for low, high in zip(ends[0::2].tolist(), ends[1::2].tolist(), strict=True):
            filled[low:high] = 1
    else:
        filled[edges] = 1
        low, high = int(edges[0]), int(ends[-1]) + 1  # the last end sets itself to 0
        np.bitwise_xor.accumulate(filled[low:high], out=filled[low:high])
    return filled.reshape((height, width), order="F")


def _vertices(rings: Sequence[Ring]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n, 2) vertices in fifths of a pixel, and (rings + 1,) where each ring begins."""
    sizes = [len(ring) for ring in rings]
    for number, size in enumerate(sizes):
        if size < 6 or size & 1:
            raise FrameError(f"ring {number} has {size} numbers; a ring has x, y of at least three points")
    flat = np.concatenate([np.asarray(ring, np.float64) for ring in rings])
    if not np.isfinite(flat).all() or np.abs(flat).max(initial=0) > _FARTHEST:
        raise FrameError(f"a ring has a coordinate that is not finite or beyond {_FARTHEST:.0f} pixels")
    # Conversion to int cuts towards zero, as C does: -0.3 becomes 0.
    grid = (5 * flat + 0.5).astype(np.int64).reshape(-1, 2)
    return grid, np.concatenate([[0], np.cumsum(sizes) // 2])


def _crossings(rings: Sequence[Ring], size_hw: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(m,) positions column * height + row where rings cross columns, and (m,) the ring of each, in order of rings."""
    height, width = size_hw
    if not rings:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    grid, begins = _vertices(rings)
    following = np.arange(1, len(grid) + 1)
    following[begins[1:] - 1] = begins[:-1]
    x0, y0 = grid[:, 0], grid[:, 1]
    x1, y1 = x0[following], y0[following]
    # The columns whose third fifth lies between the two ends of an edge.
    low = np.maximum((np.minimum(x0, x1) + 2) // 5, 0)
    high = np.minimum((np.maximum(x0, x1) + 2) // 5, width)
    counts = np.maximum(high - low, 0)
    total = int(counts.sum())
    if not total:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    edge = np.repeat(np.arange(len(grid)), counts)
    column = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts) + low[edge]
    fifth = _fifths(x0[edge], y0[edge], x1[edge], y1[edge], 5 * column + 2)
    # ceil((v + 0.5) / 5 - 0.5) in whole numbers, after the bounds are kept.
    row = np.clip(-((2 - fifth) // 5), 0, height)
    owner = np.repeat(np.repeat(np.arange(len(rings)), np.diff(begins)), counts)
    return column * height + row, owner


def _fifths(
    x0: NDArray[np.int64],
    y0: NDArray[np.int64],
    x1: NDArray[np.int64],
    y1: NDArray[np.int64],
    left: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The upper of the two boundary points of an edge at fifths `left` and `left + 1` of a row of the grid."""
    wide, tall = np.abs(x1 - x0), np.abs(y1 - y0)
    is_flat = wide >= tall
    swapped = np.where(is_flat, x0 > x1, y0 > y1)
    xs, ys = np.where(swapped, x1, x0), np.where(swapped, y1, y0)
    xe, ye = np.where(swapped, x0, x1), np.where(swapped, y0, y1)
    slope = np.where(is_flat, ye - ys, xe - xs) / np.where(is_flat, wide, np.maximum(tall, 1))
    step = left - xs
    there = (ys + slope * step + 0.5).astype(np.int64)
    beyond = (ys + slope * (step + 1) + 0.5).astype(np.int64)
    found: NDArray[np.int64] = np.minimum(there, beyond)
    steep = np.flatnonzero(~is_flat)
    if len(steep):
        found[steep] = _steep(xs[steep], ys[steep], slope[steep], left[steep])
    return found


def _steep(
    xs: NDArray[np.int64], ys: NDArray[np.int64], slope: NDArray[np.float64], left: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The same where the boundary takes whole steps down: the last row before it leaves (or reaches) fifth `left`."""
    rising = slope > 0
    # The row where x passes left + 1/2, by division; then corrected by the very expression that the rule rounds.
    step = np.ceil((left + 0.5 - xs) / slope).astype(np.int64)

    def has_passed(at: NDArray[np.int64]) -> NDArray[np.bool_]:
        u = (xs + slope * at + 0.5).astype(np.int64)
        return np.asarray(np.where(rising, u > left, u <= left))

    step -= has_passed(step - 1)
    step += ~has_passed(step)
    found: NDArray[np.int64] = ys + step - 1
    return found


def area_of_ring(ring: Ring) -> float:
    """The area inside a ring in square pixels, by the shoelace formula."""
    points = np.asarray(ring, np.float64).reshape(-1, 2)
    x, y = points[:, 0], points[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def outline(mask: NDArray[Any]) -> list[tuple[list[float], list[list[float]]]]:
    """The rings of a mask along the edges of its pixels: one (outer ring, holes) per 4-connected region.

    `rasterise` of all rings by "even-odd" is the mask again, exactly; so is that of the outer rings by "union" where
    there are no holes.
    """
    inside = np.pad(np.asarray(mask) != 0, 1).view(np.uint8)
    code = inside[:-1, :-1] | inside[:-1, 1:] << 1 | inside[1:, :-1] << 2 | inside[1:, 1:] << 3
    # Where an edge turns: one corner, or two where pixels touch by their corners only.
    turns = np.array([0, 1, 1, 0, 1, 0, 2, 1, 1, 2, 0, 1, 0, 1, 1, 0], np.uint8)[code]
    ys, xs = np.nonzero(turns)
    if not len(ys):
        return []
    twice = turns[ys, xs].astype(np.int64)
    rank = np.repeat(np.arange(len(ys)), twice)
    second = np.arange(len(rank)) - np.repeat(np.cumsum(twice) - twice, twice)
    y, x, kind = ys[rank], xs[rank], code[ys[rank], xs[rank]]
    # The first copy of a double corner belongs to the edge on its left; which vertical edge goes with it, the code says.
    across = np.lexsort((second, x, y))
    down = np.lexsort((np.where(kind == 9, second, 1 - second), y, x))
    partner = np.empty((2, len(rank)), np.int64)
    for axis, order in enumerate((across, down)):
        partner[axis, order[0::2]], partner[axis, order[1::2]] = order[1::2], order[0::2]
    return _nested(_follow(partner[0].tolist(), partner[1].tolist(), x.tolist(), y.tolist(), kind.tolist()))


def _follow(
    across: list[int], down: list[int], x: list[int], y: list[int], kind: list[int]
) -> list[tuple[list[float], bool]]:
    """Every closed ring, and whether it is a hole: its first corner in reading order has inside all but below-right."""
    seen = bytearray(len(x))
    found = []
    for start in range(len(x)):
        if seen[start]:
            continue
        ring: list[float] = []
        at = start
        while not seen[at]:
            seen[at] = 1
            ring += (x[at], y[at])
            at = across[at]
            seen[at] = 1
            ring += (x[at], y[at])
            at = down[at]
        # The first corner of an outer ring has a pixel below-right only; 6 is a corner shared by two regions.
        found.append((ring, kind[start] in (7, 6)))
    return found


def _nested(rings: list[tuple[list[float], bool]]) -> list[tuple[list[float], list[list[float]]]]:
    """Holes with the smallest outer ring around them."""
    outer = [(ring, []) for ring, is_hole in rings if not is_hole]  # type: list[tuple[list[float], list[list[float]]]]
    holes = [ring for ring, is_hole in rings if is_hole]
    if len(outer) == 1:
        return [(outer[0][0], holes)]
    areas = [area_of_ring(ring) for ring, _ in outer]
    for hole in holes:
        around = [i for i, (ring, _) in enumerate(outer) if _is_around(ring, hole[0] + 0.5, hole[1] + 0.5)]
        outer[min(around, key=lambda i: areas[i])][1].append(hole)
    return outer


def _is_around(ring: Ring, x: float, y: float) -> bool:
    points = np.asarray(ring, np.float64).reshape(-1, 2)
    ahead = np.roll(points, -1, axis=0)
    crosses = (points[:, 1] > y) != (ahead[:, 1] > y)
    at = points[crosses, 0]  # the edges that cross a level are vertical here
    return bool((at > x).sum() % 2)


def bridged(rings: Sequence[Ring]) -> list[float]:
    """Several rings as one, joined by bridges of no width that are walked both ways: filled even-odd, the same area."""
    joined = [float(v) for v in rings[0]]
    joined += joined[:2] if len(rings) > 1 else []
    for ring in rings[1:]:
        points = [float(v) for v in ring]
        joined += points + points[:2] + joined[:2]
    return joined
