"""The compiled kernels: arguments checked and results allocated here, every loop in C with the GIL released."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels import _native
from smalti.kernels.checks import (
    CELLS,
    as_labels,
    as_opacity,
    as_pairs,
    as_pixels,
    as_table,
    label_beyond,
    legend_arrays,
    nearest_arrays,
    number_of_labels,
    run_arrays,
)
from smalti.kernels.reference.repair import RepairParameters, prepare_repair

__all__ = [
    "blend",
    "confusion",
    "contour",
    "count",
    "count_boxes",
    "count_colors",
    "gather_exact",
    "gather_table",
    "lookup",
    "nearest_table",
    "repair",
    "runs_decode",
    "runs_encode",
]


def gather_exact(pixels: NDArray[np.uint8], keys: NDArray[np.uint32], values: NDArray[Any]) -> NDArray[Any]:
    """(H, W, 3) uint8, (n,) uint32 sorted R<<16|G<<8|B, (n,) values → (H, W) of values.dtype, 0 where no key fits."""
    pixels = as_pixels(pixels)
    keys, values = legend_arrays(keys, values)
    out = np.empty(pixels.shape[:2], values.dtype)
    _native.gather_exact(pixels, keys, values, out)
    return out


def gather_table(pixels: NDArray[np.uint8], table: NDArray[Any]) -> NDArray[Any]:
    """(H, W, 3) uint8, (2**24,) table → (H, W) of table.dtype."""
    pixels = as_pixels(pixels)
    table = as_table(table, cells=CELLS, small=True)
    out = np.empty(pixels.shape[:2], table.dtype)
    _native.gather_table(pixels, table, out)
    return out


def nearest_table(colors: NDArray[np.uint8], values: NDArray[Any], tolerance: int = -1) -> NDArray[Any]:
    """(n, 3) uint8, (n,) values → (2**24,) table; nearest by squared distance, ties to the lower position.

    Args:
        colors: the legend's colours.
        values: what each colour stands for, uint8 or uint16.
        tolerance: largest difference in any channel, in levels, that the nearest colour may have; negative = no limit.
            Where it is larger the table holds 0.
    """
    colors, values, limit = nearest_arrays(colors, values, tolerance)
    table = np.empty(CELLS, values.dtype)
    _native.nearest_table(colors, values, limit, table)
    return table


def lookup(indices: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """(H, W) uint8 | uint16 | uint32, (m,) table → (H, W) of table.dtype.

    Raises:
        IndexError: an index is m or more.
    """
    indices, table = as_labels(indices, "indices"), as_table(table)
    out = np.empty(indices.shape, table.dtype)
    try:
        _native.lookup(indices, table, out)
    except IndexError:
        raise label_beyond(int(indices.max()), len(table), "index") from None
    return out


def count(labels: NDArray[Any], n: int) -> NDArray[np.int64]:
    """(H, W) uint8 | uint16 | uint32 → (n,) int64 pixels of each label.

    Raises:
        IndexError: a label is n or more.
    """
    labels, n = as_labels(labels), number_of_labels(n)
    counts = np.empty(n, np.int64)
    try:
        _native.count(labels, counts)
    except IndexError:
        raise label_beyond(int(labels.max()), n) from None
    return counts


def count_boxes(labels: NDArray[Any], n: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """(H, W) labels → (n,) int64 pixels and (n, 4) int32 boxes x, y, w, h; zeros where a label is absent."""
    labels, n = as_labels(labels), number_of_labels(n)
    if not labels.size:
        return np.zeros(n, np.int64), np.zeros((n, 4), np.int32)
    counts, boxes = np.empty(n, np.int64), np.empty((n, 4), np.int32)
    try:
        _native.count_boxes(labels, labels.shape[1], counts, boxes)
    except IndexError:
        raise label_beyond(int(labels.max()), n) from None
    return counts, boxes


def count_colors(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """(H, W, 3) uint8 → (k,) uint32 sorted keys R<<16|G<<8|B and (k,) int64 pixels of each."""
    keys, counts = _native.count_colors(as_pixels(pixels))
    found = np.frombuffer(keys, np.uint32)
    order = np.argsort(found)
    return found[order], np.frombuffer(counts, np.int64)[order]


def confusion(truth: NDArray[Any], predicted: NDArray[Any], n: int) -> NDArray[np.int64]:
    """(H, W) and (H, W) labels → (n, n) int64; row = truth, column = predicted.

    Raises:
        IndexError: a label is n or more.
    """
    truth, predicted = as_pairs(truth, predicted)
    n = number_of_labels(n)
    wide = np.promote_types(truth.dtype, predicted.dtype)
    counts = np.empty((n, n), np.int64)
    try:
        _native.confusion(truth.astype(wide, copy=False), predicted.astype(wide, copy=False), n, counts)
    except IndexError:
        beyond = truth if int(truth.max()) >= n else predicted
        raise label_beyond(int(beyond.max()), n) from None
    return counts


def blend(
    image: NDArray[np.uint8], labels: NDArray[Any], colors: NDArray[np.uint8], opacity: NDArray[Any]
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 under (H, W) labels → (H, W, 3) uint8, rounded half up.

    Args:
        image: RGB.
        labels: uint8, uint16 or uint32 indices into `colors`.
        colors: (n, 3) uint8 RGB, one for each label.
        opacity: (n,) from 0 (the image shows) to 1 (the colour covers it); used in steps of 1/256.

    Raises:
        IndexError: a label has no colour.
    """
    image, labels = as_pixels(image, "image"), as_labels(labels)
    if image.shape[:2] != labels.shape:
        raise ValueError(f"image is {image.shape[:2]}, but labels are {labels.shape}; blend pictures of one size")
    colors, cover = as_opacity(colors, opacity)
    out = np.empty_like(image)
    try:
        _native.blend(image, labels, colors, cover, out)
    except IndexError:
        raise label_beyond(int(labels.max()), len(colors)) from None
    return out


def runs_encode(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Any shape, read in C order → (k,) values and (k,) int64 lengths of its runs."""
    flat = np.ascontiguousarray(labels).reshape(-1)
    run_arrays(flat[:0], np.empty(0, np.int64))
    runs = _native.runs_count(flat)
    values, lengths = np.empty(runs, flat.dtype), np.empty(runs, np.int64)
    _native.runs_encode(flat, values, lengths)
    return values, lengths


def runs_decode(values: NDArray[Any], lengths: NDArray[Any]) -> NDArray[Any]:
    """(k,) values, (k,) lengths → (sum of lengths,) of values.dtype."""
    values, lengths, total = run_arrays(values, lengths)
    out = np.empty(total, values.dtype)
    _native.runs_decode(values, lengths, out)
    return out


def contour(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """(H, W) integers or booleans → (H, W) bool: differs from its right or its lower neighbour."""
    if labels.ndim != 2 or labels.dtype.kind not in "bui":
        raise ValueError(f"labels: expected (H, W) integers or booleans, got {labels.shape} {labels.dtype}")
    edge = np.zeros(labels.shape, np.bool_)
    if labels.size:
        _native.contour(np.ascontiguousarray(labels), labels.shape[1], edge)
    return edge


def repair(
    y: NDArray[np.uint8],
    cb: NDArray[np.uint8],
    cr: NDArray[np.uint8],
    colors: NDArray[np.uint8],
    parameters: RepairParameters | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Label every pixel of a lossy mask; what it does stands in kernels/reference/repair.py.

    Args:
        y: (H, W) uint8 luma.
        cb: uint8, (H, W) or ((H + 1) // 2, (W + 1) // 2).
        cr: the same shape as cb.
        colors: (n, 3) uint8, the legend in the planes' own colour space; at most 254.
        parameters: see RepairParameters.

    Returns:
        (H, W) uint8, 1 + position in colors or 0; and (4,) int64 pixels: exact, near, repaired, void.
    """
    height, width = y.shape
    positions, counts = np.zeros((height, width), np.uint8), np.zeros(4, np.int64)
    y, cb, cr, colors, cell = prepare_repair(y, cb, cr, colors)
    if positions.size:
        numbers = (parameters or RepairParameters()).as_array()
        _native.repair(y, cb, cr, width, cell, colors, numbers, positions, counts)
    return positions, counts
