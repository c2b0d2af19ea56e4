"""The kernels in NumPy: the readable truth that the compiled ones must equal, bit for bit."""

from smalti.kernels.reference.blend import blend
from smalti.kernels.reference.count import confusion, count, count_boxes, count_colors
from smalti.kernels.reference.fold import fold, fold_numbers, mix, mix_into
from smalti.kernels.reference.gather import gather_exact, gather_table, lookup, nearest_table
from smalti.kernels.reference.groups import group_sets, number_groups, take_texts
from smalti.kernels.reference.png import png_discover, png_gather, png_header, png_indices, png_labels, png_lookup
from smalti.kernels.reference.polygons import ring_edges
from smalti.kernels.reference.repair import RepairParameters, repair
from smalti.kernels.reference.runs import contour, runs_decode, runs_encode
from smalti.kernels.reference.tiles import tiles_pack, tiles_unpack
from smalti.kernels.reference.tokens import flat_tokens
from smalti.kernels.reference.video import label_planes

__all__ = [
    "RepairParameters",
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
    "repair",
    "ring_edges",
    "runs_decode",
    "runs_encode",
    "take_texts",
    "tiles_pack",
    "tiles_unpack",
]
