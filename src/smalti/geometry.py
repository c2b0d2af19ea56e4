"""Shapes as flat number lists: the wire's geometry codes and the arithmetic that annotations share. Units are pixels.

| code | shape | numbers |
|---|---|---|
| b2d | box | 4 corners, clockwise from top-left: x, y each |
| p2d | polygon | x0, y0, x1, y1, …; rings separated by -999999999 |
| k2d | key points | x0, y0, x1, y1, … |
| elp | ellipse | cx, cy, rx, ry, theta (radians) |
| p3d, k3d | polygon, points in 3-d | x, y, z, … |
| b3d | 3-d box | x, y, z, w, h of the front, x, y, z, w, h of the back |
| mask | a value in a mask | none |
| im | the whole image | none |
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from smalti.wire import RING_SEPARATOR

__all__ = ["box_of_points", "corners_of_box", "flat", "join_rings", "points_of_ellipse", "rings", "xywha_of_corners"]

Numbers = Sequence[float]


def flat(values: Iterable[object]) -> list[float]:
    """Nested number lists as one flat list, without separators."""
    found: list[float] = []
    for value in values:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise ValueError(f"{value!r} is no place; coordinates are finite numbers in pixels")
            found.append(value)
        elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
            found += flat(value)
        else:
            raise ValueError(f"{value!r} is not a number; coordinates are numbers in pixels")
    return found


def rings(poly: Numbers) -> list[list[float]]:
    """The rings of a flat polygon, separators gone."""
    found: list[list[float]] = [[]]
    for number in poly:
        if number == RING_SEPARATOR:
            found.append([])
        else:
            found[-1].append(number)
    return [ring for ring in found if ring]


def join_rings(parts: Iterable[Numbers]) -> list[float]:
    """Rings as one flat polygon, separated as the wire wants it."""
    joined: list[float] = []
    for part in parts:
        joined += ([RING_SEPARATOR] if joined else []) + list(part)
    return joined


def corners_of_box(box2d_xywh: Numbers) -> list[float]:
    """x, y, w, h and maybe an angle in radians → 4 corners; the box turns about its centre."""
    if len(box2d_xywh) not in (4, 5):
        raise ValueError(f"a box has 4 numbers x, y, w, h (and maybe an angle in radians), not {len(box2d_xywh)}")
    x, y, w, h = box2d_xywh[:4]
    corners = [x, y, x + w, y, x + w, y + h, x, y + h]
    angle = box2d_xywh[4] if len(box2d_xywh) == 5 else 0
    return _turn(corners, angle, x + w / 2, y + h / 2) if angle else corners


def xywha_of_corners(corners: Numbers) -> tuple[float, float, float, float, float]:
    """4 corners → x, y, w, h, angle in radians: the inverse of `corners_of_box`."""
    ax, ay, bx, by, cx, cy, dx, dy = corners
    angle = math.atan2(by - ay, bx - ax)
    if angle == 0:
        return ax, ay, bx - ax, dy - ay, 0.0
    width, height = math.hypot(bx - ax, by - ay), math.hypot(dx - ax, dy - ay)
    middle_x, middle_y = (ax + bx + cx + dx) / 4, (ay + by + cy + dy) / 4
    return middle_x - width / 2, middle_y - height / 2, width, height, angle


def box_of_points(points_xy: Numbers) -> tuple[float, float, float, float]:
    """The smallest upright box x, y, w, h around flat points (separators are passed over)."""
    numbers = [number for ring in rings(points_xy) for number in ring]
    if len(numbers) < 2:
        return 0, 0, 0, 0
    xs, ys = numbers[0::2], numbers[1::2]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def points_of_ellipse(ellipse2d_xyrrt: Numbers, num_point: int = 4) -> list[float]:
    """cx, cy, rx, ry, theta → `num_point` points on the ellipse, flat, beginning at theta."""
    cx, cy, rx, ry, theta = ellipse2d_xyrrt
    steps = [2 * math.pi * i / num_point for i in range(num_point)]
    upright = [c for t in steps for c in (cx + rx * math.cos(t), cy + ry * math.sin(t))]
    return _turn(upright, theta, cx, cy)


def _turn(points: Numbers, angle: float, cx: float, cy: float) -> list[float]:
    cos, sin = math.cos(angle), math.sin(angle)
    turned: list[float] = []
    for x, y in zip(points[0::2], points[1::2], strict=True):
        turned += [cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos]
    return turned
