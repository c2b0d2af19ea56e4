"""From a label map to polygons: the edges of its regions, with fewer corners."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.labelmap import LabelMap
from smalti.polygons import area_of_ring, outline
from smalti.server.payloads.polygons import MAX_POLYGONS, PolygonOut

__all__ = ["polygons_of", "simplified"]


def polygons_of(found: LabelMap, wanted: Iterable[int], tolerance: float, min_area: int) -> list[PolygonOut]:
    """The regions of some entries, the largest first, at most `MAX_POLYGONS`.

    Args:
        found: the map.
        wanted: entry numbers.
        tolerance: how far corners may lie from the true edge, in pixels.
        min_area: smaller regions are left out, in pixels.
    """
    counts, boxes = kernels.count_boxes(found.data, len(found.legend) + 1)
    regions: list[PolygonOut] = []
    for index in sorted(set(wanted)):
        if not 0 < index < len(counts) or counts[index] < max(1, min_area):
            continue
        x, y, width, height = boxes[index].tolist()
        labels = list(found.legend.entries[index - 1].labels)
        for outer, holes in outline(found.data[y : y + height, x : x + width] == index):
            area = round(abs(area_of_ring(outer)) - sum(abs(area_of_ring(hole)) for hole in holes))
            if area < min_area:
                continue
            rings = [_moved(simplified(ring, tolerance), x, y) for ring in (outer, *holes)]
            regions.append(PolygonOut(index=index, labels=labels, rings=rings, area=area))
    regions.sort(key=lambda region: -region.area)
    return regions[:MAX_POLYGONS]


def _moved(points: NDArray[np.float64], x: int, y: int) -> list[float]:
    moved: list[float] = (points + np.array([x, y])).ravel().tolist()
    return moved


def simplified(ring: list[float], tolerance: float) -> NDArray[np.float64]:
    """(n, 2) corners of a closed ring, those left out not farther than `tolerance` from what remains (Douglas-Peucker)."""
    points = np.array(ring, np.float64).reshape(-1, 2)
    if tolerance <= 0 or len(points) <= 4:
        return points
    # A ring has no ends: its first corner and the one farthest from it stand in for them.
    far = int(((points - points[0]) ** 2).sum(axis=1).argmax())
    closed = np.concatenate([points, points[:1]])
    kept = np.zeros(len(closed), bool)
    kept[[0, far, len(points)]] = True
    waiting = [(0, far), (far, len(points))]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        apart = _distances(closed[first + 1 : last], closed[first], closed[last])
        worst = int(apart.argmax())
        if apart[worst] > tolerance:
            middle = first + 1 + worst
            kept[middle] = True
            waiting += [(first, middle), (middle, last)]
    found = points[kept[:-1]]
    return found if len(found) >= 3 else points


def _distances(points: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far points lie from the segment a-b."""
    along = b - a
    length = float(along @ along)
    share = np.clip((points - a) @ along / length, 0, 1) if length else np.zeros(len(points))
    apart: NDArray[np.float64] = np.linalg.norm(points - a - share[:, None] * along, axis=1)
    return apart
