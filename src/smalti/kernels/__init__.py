"""Arrays in, arrays out: the loops over pixels. Compiled when a C compiler was there at build time, NumPy otherwise.

`SMALTI_KERNELS=reference` or `native` chooses; `native` fails at import where no compiled module was built.
"""

from smalti.kernels.reference import (
    blend,
    confusion,
    contour,
    count,
    count_boxes,
    count_colors,
    gather_exact,
    gather_table,
    lookup,
    nearest_table,
    runs_decode,
    runs_encode,
)

IS_NATIVE = False

__all__ = [
    "IS_NATIVE",
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
    "runs_decode",
    "runs_encode",
]
