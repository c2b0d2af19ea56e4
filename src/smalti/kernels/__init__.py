"""Arrays in, arrays out: the loops over pixels. Compiled when a C compiler was there at build time, NumPy otherwise.

`SMALTI_KERNELS=reference` or `native` chooses; `native` fails at import where no compiled module was built.
"""

import os
from typing import TYPE_CHECKING

from smalti.kernels.maps import PlaneLegend, Tiles
from smalti.kernels.png import PngHeader, PngLabels, PngValues
from smalti.kernels.probe import probe
from smalti.kernels.reference.repair import RepairParameters

__all__ = [
    "IS_NATIVE",
    "PlaneLegend",
    "PngHeader",
    "PngLabels",
    "PngValues",
    "RepairParameters",
    "Tiles",
    "blend",
    "confusion",
    "contour",
    "count",
    "count_boxes",
    "count_colors",
    "flat_tokens",
    "fold",
    "fold_numbers",
    "gather_exact",
    "gather_table",
    "group_sets",
    "label_planes",
    "lookup",
    "mix",
    "mix_into",
    "nearest_table",
    "number_groups",
    "png_discover",
    "png_gather",
    "png_header",
    "png_indices",
    "png_labels",
    "png_lookup",
    "probe",
    "repair",
    "ring_edges",
    "runs_decode",
    "runs_encode",
    "take_texts",
    "tiles_pack",
    "tiles_unpack",
]


def _choose() -> bool:
    wanted = os.environ.get("SMALTI_KERNELS", "")
    if wanted not in ("", "native", "reference"):
        raise ImportError(f"SMALTI_KERNELS is {wanted!r}, but only 'native' and 'reference' exist")
    if wanted == "reference":
        return False
    try:
        from smalti.kernels import _native  # noqa: F401
    except ImportError:
        if wanted == "native":
            raise
        return False
    return True


IS_NATIVE = _choose()

if TYPE_CHECKING or not IS_NATIVE:
    from smalti.kernels.reference import (
        blend,
        confusion,
        contour,
        count,
        count_boxes,
        count_colors,
        flat_tokens,
        fold,
        fold_numbers,
        gather_exact,
        gather_table,
        group_sets,
        label_planes,
        lookup,
        mix,
        mix_into,
        nearest_table,
        number_groups,
        png_discover,
        png_gather,
        png_header,
        png_indices,
        png_labels,
        png_lookup,
        repair,
        ring_edges,
        runs_decode,
        runs_encode,
        take_texts,
        tiles_pack,
        tiles_unpack,
    )
else:
    from smalti.kernels.native import (
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
        repair,
        runs_decode,
        runs_encode,
    )
    from smalti.kernels.native_fold import (
        flat_tokens,
        fold,
        fold_numbers,
        group_sets,
        mix,
        mix_into,
        number_groups,
        take_texts,
    )
    from smalti.kernels.native_maps import label_planes, tiles_pack, tiles_unpack
    from smalti.kernels.native_png import png_discover, png_gather, png_header, png_indices, png_labels, png_lookup
    from smalti.kernels.native_polygons import ring_edges
