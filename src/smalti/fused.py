"""PNG masks straight to label maps: the compiled kernels inflate, unfilter and gather in one pass, no picture is made.

Everything here gives the answer of the general way (`codecs.decode_still`, then `decode.decode_raster`) or None, which
means: take the general way. It takes over where a note would have to be written, a policy chosen, or an error worded.
"""

import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalti import codecs, ids, kernels, lossy
from smalti.codecs.raster import Raster
from smalti.kernels.png import GREY, PALETTE, RGB, RGB_ALPHA
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.legend_tables import code_table, color_keys, grey_table, palette_table, plain_colors

__all__ = ["label_png"]

_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_END = b"\x00\x00\x00\x00IEND\xaeB\x60\x82"
# Written into cells of a table that no sample may reach; a legend with that many entries takes the general way.
_BEYOND = 0xFF


class _Head(NamedTuple):
    """What stands before the pixels: enough to know that the general reader would have nothing to say about it."""

    width: int
    height: int
    bits: int
    color: int
    palette: NDArray[np.uint8] | None
    has_alpha: bool

    @property
    def mode(self) -> str:
        """The stored mode, as `Raster.stored_mode` names it."""
        kind: Any = "palette" if self.color == PALETTE else "grey" if self.color == GREY else "rgb"
        return Raster(kind, alpha=_SOME if self.has_alpha else None, bits=self.bits).stored_mode


_SOME = np.empty((0, 0), np.uint8)


def label_png(
    data: bytes, legend: Legend | None, *, content_type: str | None, policy: str, scheme: str | None = None
) -> LabelMap | None:
    """The label map in a PNG, or None where the general way has to look.

    Args:
        data: a whole file of any format.
        legend: None = ids.
        content_type: what the record says.
        policy: "auto" or "exact".
        scheme: of ids, where the record names one.
    """
    if not kernels.IS_NATIVE or not data.startswith(_START) or not data.endswith(_END):
        return None
    if codecs.normalise(content_type) not in (None, "image/png") or not codecs.is_built_in("image/png"):
        return None
    head = _head(data)
    limits = codecs.DEFAULT_LIMITS
    if head is None or head.width * head.height > limits.max_pixels or len(data) > limits.max_bytes:
        return None
    try:
        if legend is None or legend.kind == "ids" or scheme is not None:
            return _ids(data, head, legend, scheme or (legend.scheme if legend is not None else None))
        if head.color in (RGB, RGB_ALPHA):
            return _colors(data, head, legend, policy) if legend.kind == "colors" else None
        return _samples(data, head, legend)
    except ValueError:
        return None  # a damaged file: the general reader says what is wrong with it, in the words of the house


def _head(data: bytes) -> _Head | None:
    """The chunks before the pixels; None where one is damaged, unusual or says what the general reader would note."""
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    bits, color, interlaced = data[24], data[25], data[28]
    if interlaced or color not in (GREY, RGB, PALETTE, RGB_ALPHA) or (bits != 8 and color in (RGB, RGB_ALPHA)):
        return None
    palette: NDArray[np.uint8] | None = None
    has_alpha = color == RGB_ALPHA
    at = 33
    while (kind := data[at + 4 : at + 8]) != b"IDAT":
        size = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + size
        if end > len(data) or zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return None
        if kind == b"PLTE" and color == PALETTE:
            if palette is not None or not size or size % 3 or size > 3 << bits:
                return None
            palette = np.frombuffer(data, np.uint8, size, at + 8).reshape(-1, 3)
        elif kind == b"tRNS":
            most = len(palette) if color == PALETTE and palette is not None else {GREY: 2, RGB: 6}.get(color, 0)
            if has_alpha or not (0 < size <= most) or (color != PALETTE and size != most):
                return None
            has_alpha = True
        elif kind in (b"IEND", b"eXIf"):
            return None
        at = end
    return None if color == PALETTE and palette is None else _Head(width, height, bits, color, palette, has_alpha)


def _colors(data: bytes, head: _Head, legend: Legend, policy: str) -> LabelMap | None:
    keys, values, catch_all = color_keys(legend)
    if values.dtype == np.uint32:
        return None
    found = kernels.png_labels(data, keys, values, max_pixels=codecs.DEFAULT_LIMITS.max_pixels)
    if found is None:
        return None
    labels, strangers = found.labels, found.strangers
    if strangers and policy == "auto" and not catch_all and not _is_exact(data, legend):
        return None
    if strangers and catch_all:
        labels[labels == 0] = catch_all
        strangers = 0
    return _map(labels, legend, head, strangers)


def _is_exact(data: bytes, legend: Legend) -> bool:
    """Whether `lossy.choose` takes a picture with strange colours as it is: asked of its colours, not of its pixels."""
    colors, _values = plain_colors(legend)
    if not len(colors):
        return True
    found = kernels.png_discover(data, limit=256)
    if found is None:
        return False
    labels, keys = found
    palette = np.stack([keys >> 16, keys >> 8 & 255, keys & 255], axis=1).astype(np.uint8)
    indices = (labels - np.uint16(1)).astype(np.uint8)
    return lossy.choose(Raster("palette", data=indices, palette=palette), colors) == "exact"


def _samples(data: bytes, head: _Head, legend: Legend) -> LabelMap | None:
    """Grey and palettes: a table as long as samples can be large, never expanded to RGB."""
    if legend.kind == "indices":
        table = code_table(legend, max(1 << head.bits, 256))
    elif head.palette is not None:
        table = palette_table(legend, head.palette)
    else:
        table = grey_table(legend, head.bits)
    unknown = head.palette is not None and len(head.palette) < 1 << head.bits
    if unknown and head.palette is not None:  # indices beyond the palette are worth a note
        if len(legend) >= _BEYOND:
            return None
        table = np.array(table)
        table[len(head.palette) :] = _BEYOND
    if table.dtype.itemsize > 2:
        return None
    found = kernels.png_lookup(data, table, watch=_BEYOND, max_pixels=codecs.DEFAULT_LIMITS.max_pixels)
    if found is None or (unknown and found.watched):
        return None
    labels, void, _beyond = found
    if legend.kind == "colors" and head.palette is not None and legend.has_codes() and void == labels.size:
        return None  # no colour of the palette fits: the general way tries the indices themselves
    return _map(labels, legend, head, void)


def _ids(data: bytes, head: _Head, legend: Legend | None, scheme: str | None) -> LabelMap | None:
    chosen = scheme or ("coco" if head.color in (RGB, RGB_ALPHA) else "plain")
    known = ids.SCHEMES.get(chosen)
    limit = codecs.DEFAULT_LIMITS.max_pixels
    if known is None or known.channels != (3 if head.color in (RGB, RGB_ALPHA) else 1):
        return None
    if head.palette is not None and len(head.palette) < 1 << head.bits:
        return None
    if known.channels == 3:
        found = kernels.png_discover(data, max_pixels=limit)
        if found is None:
            return None
        stored, keys = found
        colors = np.stack([keys >> 16, keys >> 8 & 255, keys & 255], axis=1).astype(np.uint8)
        raw = np.concatenate([np.zeros(1, np.uint32), ids.pack(colors[None], chosen)[0]])  # stored labels start at 1
        used = raw[1:]
    else:
        samples = kernels.png_indices(data, max_pixels=limit)
        if samples is None:
            return None
        stored = samples
        raw = np.arange(65536 if head.bits == 16 else 256, dtype=np.uint32)
        used = raw[kernels.count(stored, len(raw)) > 0]
    present = np.unique(used)
    numbers, legend_found = ids.name_ids(present, legend, chosen)
    table = np.zeros(len(raw), numbers.dtype)
    place = np.searchsorted(present, raw)
    fits = present[np.minimum(place, len(present) - 1)] == raw
    table[fits] = numbers[place[fits]]
    labels = kernels.lookup(stored, table)
    void = int(kernels.count(labels, len(legend_found) + 1)[0])
    return _map(labels, legend_found, head, void)


def _map(labels: NDArray[Any], legend: Legend, head: _Head, void: int) -> LabelMap:
    settled = {"exact": labels.size - void, "void": void}
    return LabelMap(labels, legend, "exact", settled, mode=head.mode, codec="png")
