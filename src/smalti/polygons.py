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
from itertools import accumulate, chain, pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
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
    if not rings:
        return np.zeros(size_hw, np.uint8, order="F")
    return rasterise_many([rings], size_hw, rule=rule)[0]


def rasterise_many(
    polygons: Sequence[Sequence[Ring]], size_hw: tuple[int, int], *, rule: Rule = "union"
) -> list[NDArray[np.uint8]]:
    """(H, W) uint8 masks of many objects of one picture; their crossings are computed together."""
    height, width = size_hw
    masks = []
    for parts in _edges_of(polygons, size_hw, rule):
        whole = _fill(parts[0], height, width) if parts else np.zeros(size_hw, np.uint8, order="F")
        for part in parts[1:]:
            whole |= _fill(part, height, width)
        masks.append(whole)
    return masks


def runs_of_polygons(polygons: Sequence[Sequence[Ring]], size_hw: tuple[int, int]) -> list[list[int]]:
    """Run lengths (COCO's, uncompressed) of many objects of one picture; no mask is made."""
    pixels = size_hw[0] * size_hw[1]
    flat = [ring for rings in polygons for ring in rings]
    # The last run of every ring ends with the picture, and its first begins at 0.
    bounds, ends = _ring_edges(flat, np.arange(len(flat) + 1), size_hw, closes=True)
    runs = bounds.copy()
    runs[1:] -= bounds[:-1]
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


def _edges_of(
    polygons: Sequence[Sequence[Ring]], size_hw: tuple[int, int], rule: Rule
) -> list[list[NDArray[np.int64]]]:
    """For each object the sorted positions where inside and outside change, for each ring or for all together."""
    flat = [ring for rings in polygons for ring in rings]
    counts = [len(rings) for rings in polygons]
    groups = np.arange(len(flat) + 1) if rule == "union" else np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    edges, ends = _ring_edges(flat, groups, size_hw)
    parts = np.split(edges, ends[:-1]) if len(ends) else []
    if rule == "even-odd":
        return [[part] for part in parts]
    marks = [0, *accumulate(counts)]
    return [parts[low:high] for low, high in pairwise(marks)]


def _ring_edges(
    rings: Sequence[Ring], groups: NDArray[np.int64], size_hw: tuple[int, int], *, closes: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if not rings:
        return np.zeros(0, np.int64), np.zeros(len(groups) - 1, np.int64)
    return kernels.ring_edges(*_vertices(rings), groups, size_hw, closes=closes)


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


def _fill(edges: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8]:
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
    if all(type(ring) is list for ring in rings):  # several times as fast as an array for each
        flat = np.array(list(chain.from_iterable(rings)), np.float64)
    else:
        flat = np.concatenate([np.asarray(ring, np.float64) for ring in rings])
    if not np.isfinite(flat).all() or np.abs(flat).max(initial=0) > _FARTHEST:
        raise FrameError(f"a ring has a coordinate that is not finite or beyond {_FARTHEST:.0f} pixels")
    # Conversion to int cuts towards zero, as C does: -0.3 becomes 0.
    grid = (5 * flat + 0.5).astype(np.int64).reshape(-1, 2)
    return grid, np.array([0, *accumulate(sizes)]) // 2


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
