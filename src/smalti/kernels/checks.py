"""What both builds of the kernels refuse, in the same words: the arguments are checked here, once, before any loop."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "as_groups",
    "as_labels",
    "as_numbers",
    "as_opacity",
    "as_pairs",
    "as_pixels",
    "as_sequences",
    "as_table",
    "as_taken",
    "as_texts",
    "label_beyond",
    "legend_arrays",
    "nearest_arrays",
    "number_of_labels",
    "ring_arrays",
    "run_arrays",
    "same_words",
]

CELLS = 1 << 24
"""One cell for every 24-bit colour."""

LABEL_TYPES = (np.uint8, np.uint16, np.uint32)
VALUE_TYPES = (np.uint8, np.uint16)


def as_pixels(pixels: NDArray[Any], name: str = "pixels") -> NDArray[np.uint8]:
    """Pixels in C order, (H, W, 3) uint8."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"{name}: expected (H, W, 3) uint8, got {_shape(pixels)}")
    return np.ascontiguousarray(pixels)


def as_labels(labels: NDArray[Any], name: str = "labels", *, ndim: int = 2) -> NDArray[Any]:
    """Label indices in C order, (H, W) of uint8, uint16 or uint32."""
    if labels.ndim != ndim or labels.dtype not in LABEL_TYPES:
        raise ValueError(f"{name}: expected {ndim} dimensions of uint8, uint16 or uint32, got {_shape(labels)}")
    return np.ascontiguousarray(labels)


def as_groups(codes: NDArray[Any], offsets: NDArray[Any]) -> tuple[NDArray[np.uint32], NDArray[Any]]:
    """Codes in C order, and where each group of them begins, with the end of the last."""
    if codes.ndim != 1 or codes.dtype != np.uint32:
        raise ValueError(f"codes: expected one dimension of uint32, got {_shape(codes)}")
    return _ready(codes), _offsets(offsets, len(codes))


def as_sequences(
    values: NDArray[Any], offsets: NDArray[Any], other: type[np.unsignedinteger[Any]] = np.uint64
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bytes or words in C order, and where each sequence of them begins, with the end of the last.

    Offsets are (n + 1,), of int32 if they came so and else of int64.
    """
    if values.ndim != 1 or values.dtype not in (np.uint8, other):
        raise ValueError(f"values: expected one dimension of uint8 or {np.dtype(other)}, got {_shape(values)}")
    return _ready(values), _offsets(offsets, len(values))


def as_numbers(numbers: NDArray[Any], offsets: NDArray[Any]) -> tuple[NDArray[np.uint64], NDArray[Any], int]:
    """The bits of numbers in C order, where each list of them begins, and the bits that stand for 0 too."""
    if numbers.ndim != 1 or numbers.dtype not in (np.int64, np.float64):
        raise ValueError(f"numbers: expected one dimension of int64 or float64, got {_shape(numbers)}")
    zero = 1 << 63 if numbers.dtype == np.float64 else 0  # -0.0
    return _ready(numbers).view(np.uint64), _offsets(offsets, len(numbers)), zero


def as_taken(
    text: NDArray[Any], offsets: NDArray[Any], codes: NDArray[Any]
) -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[np.uint32], NDArray[np.int32]]:
    """Texts in C order, codes of some of them, and the offsets of those when they stand one after another."""
    text, offsets = as_sequences(text, offsets)
    if text.dtype != np.uint8 or codes.ndim != 1 or codes.dtype != np.uint32:
        raise ValueError(f"codes: expected one dimension of uint32 into texts of uint8, got {_shape(codes)}")
    if len(codes) and codes.max() >= len(offsets) - 1:
        raise label_beyond(int(codes.max()), len(offsets) - 1, "code")
    sizes = np.diff(offsets)[codes]
    if sizes.sum(dtype=np.int64) >= 2**31:
        raise ValueError(
            f"codes: {len(codes)} texts have {sizes.sum(dtype=np.int64)} bytes, more than one column takes"
        )
    ends = np.zeros(len(codes) + 1, np.int32)
    np.cumsum(sizes, out=ends[1:])
    return text, offsets, _ready(codes), ends


def _offsets(offsets: NDArray[Any], size: int) -> NDArray[Any]:
    if offsets.ndim != 1 or not len(offsets) or offsets.dtype.kind != "i":
        raise ValueError(f"offsets: expected (n + 1,) signed integers, got {_shape(offsets)}")
    if offsets[0] < 0 or offsets[-1] > size or (offsets[1:] < offsets[:-1]).any():
        raise ValueError(f"offsets: expected ascending positions within the {size} values")
    return _ready(offsets, np.int32 if offsets.dtype == np.int32 else np.int64)


def _ready(array: NDArray[Any], dtype: type[np.generic] | None = None) -> NDArray[Any]:
    """In C order and aligned: columns of a stream at an odd address are not."""
    return np.require(array, dtype, ["C", "A"])


def same_words(total: NDArray[np.uint64], words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Words in C order, one for each of `total`, which is changed in place."""
    if total.ndim != 1 or total.dtype != np.uint64 or not total.flags.c_contiguous:
        raise ValueError(f"total: expected (n,) uint64 in C order, got {_shape(total)}")
    if words.shape != total.shape or words.dtype != np.uint64:
        raise ValueError(f"words: expected ({len(total)},) uint64, got {_shape(words)}")
    return _ready(words)


def as_texts(text: NDArray[Any], offsets: NDArray[Any], longest: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of some texts in C order, and where each begins."""
    text, offsets = as_sequences(text, offsets)
    if text.dtype != np.uint8 or len(text) >= 2**31 or longest < 0:
        raise ValueError(f"text: expected fewer than 2**31 uint8 and longest >= 0, got {_shape(text)}, {longest}")
    return text, np.asarray(offsets, np.int64)


def as_pairs(truth: NDArray[Any], predicted: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two label maps of one size."""
    truth, predicted = as_labels(truth, "truth"), as_labels(predicted, "predicted")
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {_shape(truth)}, but predicted is {_shape(predicted)}; compare maps of one size")
    return truth, predicted


def as_table(table: NDArray[Any], *, cells: int | None = None, small: bool = False) -> NDArray[Any]:
    """A lookup table in C order; `cells` fixes its length, `small` asks for uint8 or uint16."""
    if table.ndim != 1 or table.dtype.kind not in "bui" or (small and table.dtype not in VALUE_TYPES):
        kind = "uint8 or uint16" if small else "integers"
        raise ValueError(f"table: expected one dimension of {kind}, got {_shape(table)}")
    if cells is not None and len(table) != cells:
        raise ValueError(f"table: expected {cells} cells, got {len(table)}")
    return np.ascontiguousarray(table)


def legend_arrays(keys: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[np.uint32], NDArray[Any]]:
    """The exact legend: n sorted, unique keys R<<16|G<<8|B and their n values."""
    if keys.ndim != 1 or keys.dtype != np.uint32:
        raise ValueError(f"keys: expected (n,) uint32, got {_shape(keys)}")
    if values.shape != keys.shape or values.dtype not in VALUE_TYPES:
        raise ValueError(f"values: expected ({len(keys)},) uint8 or uint16, got {_shape(values)}")
    if len(keys) and (keys[-1] >= CELLS or not (keys[1:] > keys[:-1]).all()):
        raise ValueError("keys: expected R<<16|G<<8|B below 2**24, sorted and each only once; sort them with np.unique")
    return np.ascontiguousarray(keys), np.ascontiguousarray(values)


def nearest_arrays(
    colors: NDArray[Any], values: NDArray[Any], tolerance: int
) -> tuple[NDArray[np.uint8], NDArray[Any], int]:
    """The legend of a nearest table; the tolerance comes back as 0..255, 255 standing for no limit."""
    if colors.ndim != 2 or colors.shape[1] != 3 or colors.dtype != np.uint8:
        raise ValueError(f"colors: expected (n, 3) uint8, got {_shape(colors)}")
    if values.shape != colors.shape[:1] or values.dtype not in VALUE_TYPES:
        raise ValueError(f"values: expected ({len(colors)},) uint8 or uint16, got {_shape(values)}")
    limit = 255 if tolerance < 0 else min(int(tolerance), 255)
    return np.ascontiguousarray(colors), np.ascontiguousarray(values), limit


def as_opacity(colors: NDArray[Any], opacity: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Colours (n, 3) uint8 and their opacity as integers 0..256, rounded half up."""
    if colors.ndim != 2 or colors.shape[1] != 3 or colors.dtype != np.uint8:
        raise ValueError(f"colors: expected (n, 3) uint8, got {_shape(colors)}")
    share = np.asarray(opacity, dtype=np.float64)
    if share.shape != colors.shape[:1]:
        raise ValueError(f"opacity: expected ({len(colors)},), one for each colour, got {_shape(share)}")
    if not ((share >= 0) & (share <= 1)).all():
        raise ValueError("opacity: expected numbers from 0 to 1")
    return np.ascontiguousarray(colors), np.floor(share * 256 + 0.5).astype(np.uint16)


def number_of_labels(n: int) -> int:
    """How many labels there are to count."""
    if n < 0:
        raise ValueError(f"n: expected 0 or more labels, got {n}")
    return int(n)


def label_beyond(label: int, n: int, name: str = "label") -> IndexError:
    """The error for an index that the table, legend or count does not reach."""
    return IndexError(
        f"{name} {label} is out of range for {n} entries (0..{n - 1})" if n else f"{name} {label}: no entries"
    )


def run_arrays(values: NDArray[Any], lengths: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64], int]:
    """Run values, their lengths as int64, and the sum of the lengths."""
    if values.ndim != 1 or lengths.shape != values.shape or lengths.dtype.kind not in "ui":
        raise ValueError(f"runs: expected n values and n integer lengths, got {_shape(values)} and {_shape(lengths)}")
    if values.dtype.kind not in "bui":
        raise ValueError(f"runs: expected integers or booleans, got {_shape(values)}")
    if len(lengths) and int(lengths.min()) < 0:
        raise ValueError(f"runs: a length cannot be negative, got {int(lengths.min())}")
    if len(lengths) and int(lengths.max()) > np.iinfo(np.int64).max // len(lengths):
        raise ValueError(f"runs: lengths up to {int(lengths.max())} do not fit in memory")
    lengths = np.ascontiguousarray(lengths, dtype=np.int64)
    return np.ascontiguousarray(values), lengths, int(lengths.sum())


FARTHEST = 1 << 30
"""Beyond this, positions in a picture would leave 64 bits."""


def ring_arrays(
    grid: NDArray[Any], begins: NDArray[Any], groups: NDArray[Any], size_hw: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], tuple[int, int]]:
    """Corners (n, 2), where rings begin in them, where groups begin in those; all int64 in C order."""
    if grid.ndim != 2 or grid.shape[1] != 2 or grid.dtype != np.int64:
        raise ValueError(f"grid: expected (n, 2) int64, got {_shape(grid)}")
    if len(grid) and int(np.abs(grid).max()) > FARTHEST:
        raise ValueError(f"grid: expected corners within {FARTHEST} fifths of a pixel, got {int(np.abs(grid).max())}")
    for name, marks, end in (("begins", begins, len(grid)), ("groups", groups, len(begins) - 1)):
        if marks.ndim != 1 or marks.dtype != np.int64 or not len(marks):
            raise ValueError(f"{name}: expected one dimension of int64, got {_shape(marks)}")
        if marks[0] != 0 or marks[-1] != end or (marks[1:] < marks[:-1]).any():
            raise ValueError(f"{name}: expected numbers that rise from 0 to {end}")
    height, width = (int(side) for side in size_hw)
    if not (0 <= height <= FARTHEST and 0 <= width <= FARTHEST):
        raise ValueError(f"size_hw: expected sides of 0 to {FARTHEST} pixels, got {size_hw}")
    return np.ascontiguousarray(grid), np.ascontiguousarray(begins), np.ascontiguousarray(groups), (height, width)


def _shape(array: NDArray[Any]) -> str:
    return f"{array.shape} {array.dtype}"
