"""From the bytes of a mask to a label map: raster → policy → gather → LabelMap.

The kind of the legend says how stored values are read; only masks of colours may use nearness or repair. Ids are exact
by construction: they never reach the code that matches by distance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti import codecs, ids, kernels, lossy
from smalti.codecs.raster import Raster
from smalti.codecs.show import to_rgb
from smalti.codecs.sniff import HEAD_BYTES
from smalti.errors import DecodeError, LegendError, UnknownColors
from smalti.fused import label_png
from smalti.labelmap import LabelMap
from smalti.legend import Entry, Legend
from smalti.legend_tables import code_table, color_keys, grey_table, palette_table, plain_colors

__all__ = ["Lossy", "alpha_of", "decode_mask", "decode_raster", "read_raster"]

Lossy = Literal["auto", "exact", "nearest", "repair"]
_POLICIES = ("auto", "exact", "nearest", "repair")


def decode_mask(
    data: bytes | bytearray | memoryview,
    legend: Legend | Mapping[Any, str | Sequence[str]] | None,
    *,
    content_type: str | None = None,
    at_ms: float = 0,
    lossy: Lossy = "auto",
    tolerance: int | None = None,
    strict: bool = False,
    scheme: str | None = None,
) -> LabelMap:
    """The label map in the bytes of a mask file.

    Args:
        data: a picture, or a whole video.
        legend: what the values mean, a Legend or what makes one ({(r, g, b): label}); None = every value is an object of its own (an id mask).
        content_type: what the record says; the magic bytes decide, and a mismatch is noted.
        at_ms: for a video: milliseconds into it.
        lossy: "exact" matches colours exactly; "nearest" takes the nearest entry; "repair" also settles the pixels that
            are mixes of their neighbours; "auto" chooses by codec and by what the pixels show.
        tolerance: with "nearest": the largest difference in any channel, in levels; None = no limit.
        strict: raise `UnknownColors` instead of leaving unexplained pixels void.
        scheme: of an id mask (see `smalti.ids.SCHEMES`); None = the legend's, or the usual one of the stored channels.

    Raises:
        DecodeError: not a picture or clip that can be read, or larger than the limits.
        TimestampError: `at_ms` lies outside the clip.
        UnknownColors: with `strict`, when a pixel's value is not in the legend.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise DecodeError(f"data is a {type(data).__name__}; give the bytes of the file: Path(name).read_bytes()")
    data = bytes(data)
    if isinstance(legend, Mapping):
        legend = Legend(legend)
    _check_options(legend, lossy, tolerance)
    if lossy in ("auto", "exact") and tolerance is None:
        quick = label_png(data, legend, content_type=content_type, policy=lossy, scheme=scheme)
        if quick is not None and not (strict and quick.settled["void"]):
            return quick
    raster = read_raster(data, content_type=content_type, at_ms=at_ms)
    return decode_raster(raster, legend, lossy=lossy, tolerance=tolerance, strict=strict, scheme=scheme)


def _check_options(legend: Legend | None, lossy: str, tolerance: int | None) -> None:
    if lossy not in _POLICIES:
        raise DecodeError(f"lossy={lossy!r}; allowed: {', '.join(_POLICIES)}")
    if legend is not None and not isinstance(legend, Legend):
        raise LegendError(f"the legend is a {type(legend).__name__}; Legend.read(path) reads one from a file")
    if tolerance is not None and (not isinstance(tolerance, (int, np.integer)) or isinstance(tolerance, bool)):
        raise DecodeError(f"tolerance={tolerance!r}; allowed: whole levels, or None")
    if tolerance is not None and lossy in ("exact", "repair"):
        raise DecodeError(
            f"tolerance={tolerance} has no meaning with lossy={lossy!r}; say lossy='nearest', or leave it out"
        )


def read_raster(data: bytes, *, content_type: str | None = None, at_ms: float = 0) -> Raster:
    """The picture in `data`, or the one at `at_ms` of a video, as it is stored."""
    if codecs.is_video(content_type, data[:HEAD_BYTES]):
        with codecs.open_clip(data, content_type=content_type) as clip:
            return clip.at(at_ms)
    return codecs.decode_still(data, content_type=content_type)


def decode_raster(
    raster: Raster,
    legend: Legend | None,
    *,
    lossy: Lossy = "auto",
    tolerance: int | None = None,
    strict: bool = False,
    scheme: str | None = None,
) -> LabelMap:
    """The label map of a decoded picture; arguments as in `decode_mask`, `scheme` names an id scheme."""
    if legend is None or legend.kind == "ids" or scheme is not None:
        found = _decode_ids(raster, legend, scheme or (legend.scheme if legend is not None else None))
        return replace(found, mode=raster.stored_mode, codec=raster.codec)
    found = (
        _decode_indices(raster, legend, lossy)
        if legend.kind == "indices"
        else _decode_colors(raster, legend, lossy, tolerance)
    )
    notes = (*raster.notes, *found.notes)
    found = replace(found, notes=notes, pts_ms=raster.pts_ms, mode=raster.stored_mode, codec=raster.codec)
    if strict and found.settled.get("void"):
        raise _strangers(raster, found)
    return found


def alpha_of(raster: Raster) -> NDArray[np.uint8]:
    """(H, W) uint8 opacity: the alpha channel where there is one, else the grey value, else luma."""
    if raster.alpha is not None:
        return _to_8_bits(raster.alpha, 16 if raster.alpha.dtype == np.uint16 else 8)
    if raster.mode == "grey" and raster.data is not None:
        return _to_8_bits(raster.data, raster.bits)
    if raster.mode == "ycc" and raster.planes is not None and raster.full_range:
        return np.ascontiguousarray(raster.planes[0])
    rgb = to_rgb(raster)
    if np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2]):
        return np.ascontiguousarray(rgb[..., 0])
    weights = np.array([77, 150, 29], np.uint32)
    return ((rgb.astype(np.uint32) @ weights + 128) >> 8).astype(np.uint8)


def _to_8_bits(samples: NDArray[np.generic], bits: int) -> NDArray[np.uint8]:
    if bits == 8:
        return np.ascontiguousarray(samples, np.uint8)
    top = (1 << bits) - 1
    return ((samples.astype(np.uint64) * 255 + top // 2) // top).astype(np.uint8)


def _decode_ids(raster: Raster, legend: Legend | None, scheme: str | None) -> LabelMap:
    if raster.mode == "ycc" or raster.data is None:
        samples: NDArray[np.generic] = to_rgb(raster)
    else:
        samples = raster.data
    chosen = scheme or ("coco" if samples.ndim == 3 else "plain")
    if ids.SCHEMES.get(chosen, ids.SCHEMES["plain"]).channels == 4 and raster.alpha is not None:
        samples = np.dstack([samples, raster.alpha])
    elif samples.ndim == 3 and chosen in ("plain", "cityscapes", "mapillary"):
        samples = _one_channel(samples, chosen)
    data, found = ids.discover(ids.pack(samples, chosen), legend, chosen)
    notes = raster.notes
    if raster.lossy:
        notes += (
            f"ids from a lossy codec ({raster.codec or raster.content_type}) cannot be recovered; values are read as they are",
        )
    void = int(kernels.count(data, len(found) + 1)[0])
    return LabelMap(data, found, "exact", {"exact": data.size - void, "void": void}, notes, raster.pts_ms)


def _one_channel(samples: NDArray[np.generic], scheme: str) -> NDArray[np.generic]:
    if np.array_equal(samples[..., 0], samples[..., 1]) and np.array_equal(samples[..., 0], samples[..., 2]):
        return samples[..., 0]
    raise DecodeError(
        f"the mask is RGB with unequal channels, but ids of scheme {scheme!r} are stored in one; name the scheme that wrote it"
    )


def _decode_indices(raster: Raster, legend: Legend, policy: Lossy) -> LabelMap:
    if raster.lossy and policy != "exact":
        grey = [
            Entry(e.labels, (e.code, e.code, e.code), e.code) if e.code is not None and 0 <= e.code < 256 else e
            for e in legend
        ]
        found = _decode_colors(raster, Legend.from_entries(grey, kind="colors"), policy, None)
        return replace(found, legend=legend)
    if raster.mode == "ycc" or raster.data is None:
        samples: NDArray[np.generic] = to_rgb(raster)
    else:
        samples = raster.data
    if samples.ndim == 3:
        samples = _one_channel(samples, "index")
    return _through_table(samples, legend, raster.bits)


def _through_table(samples: NDArray[np.generic], legend: Legend, bits: int) -> LabelMap:
    """Stored numbers → entries through a table as long as the numbers can be large."""
    size = 1 << min(bits, 16) if samples.dtype != np.uint32 else int(samples.max(initial=0)) + 1
    if size > 1 << 24:
        raise DecodeError(
            f"the mask stores numbers up to {size - 1}; a legend of indices reaches {(1 << 24) - 1}: is this an id mask?"
        )
    # Longer tables than 16 bits need are rare, and too large to keep.
    table = code_table(legend, max(size, 256)) if size <= 1 << 16 else legend.code_table(size)
    return _settle_exact(kernels.lookup(samples, table), legend)


def _settle_exact(
    data: NDArray[np.uint8] | NDArray[np.uint16], legend: Legend, notes: tuple[str, ...] = ()
) -> LabelMap:
    void = int(data.size - np.count_nonzero(data))
    return LabelMap(data, legend, "exact", {"exact": data.size - void, "void": void}, notes)


def _decode_colors(raster: Raster, legend: Legend, policy: Lossy, tolerance: int | None) -> LabelMap:
    if raster.mode == "palette" and policy in ("auto", "exact") and tolerance is None:
        return _decode_palette(raster, legend)
    if (
        raster.mode == "grey"
        and not raster.lossy
        and raster.data is not None
        and policy in ("auto", "exact")
        and tolerance is None
    ):
        return _decode_grey(raster, raster.data, legend)
    colors, values = plain_colors(legend)
    notes: tuple[str, ...] = ()
    free = policy == "auto" and tolerance is None and not raster.lossy
    if free and raster.mode == "rgb" and len(colors) < len(legend):
        exact = _gather_exact(_as_rgb8(raster), legend)
        if not exact.settled["void"]:  # entries with "any" channels explain what nearness cannot know of
            return exact
    if policy == "auto":
        chosen = "nearest" if tolerance is not None else lossy.choose(raster, colors) if len(colors) else "exact"
    else:
        chosen = policy
    if chosen != "exact" and not len(colors):
        raise LegendError(f"lossy={chosen!r} needs entries that say every channel; this legend has none")
    if chosen == "exact":
        return _gather_exact(_as_rgb8(raster), legend)
    if chosen == "nearest":
        data, facts = lossy.nearest(raster, colors, values, tolerance)
        if policy == "auto" and tolerance is None and not raster.lossy:
            notes = (
                f"the legend misses the mask's colors by up to {lossy.NEAR} levels; they were matched by nearness",
            )
    else:
        data, facts = lossy.repair(raster, colors, values)
    return LabelMap(data, legend, chosen, facts, notes)


def _as_rgb8(raster: Raster) -> NDArray[np.uint8]:
    if raster.mode == "rgb" and raster.data is not None and raster.data.dtype == np.uint8:
        return raster.data.astype(np.uint8, copy=False)
    return to_rgb(raster)


def _gather_exact(pixels: NDArray[np.uint8], legend: Legend) -> LabelMap:
    keys, values, catch_all = color_keys(legend)
    data = kernels.gather_exact(pixels, keys, values)
    if catch_all:
        data[data == 0] = catch_all
    return _settle_exact(data, legend)


def _decode_palette(raster: Raster, legend: Legend) -> LabelMap:
    """Palette masks are matched by the colour of each index; where no used colour fits, by the index itself."""
    if raster.data is None or raster.palette is None:
        raise DecodeError("the picture says palette but has none", content_type=raster.content_type)
    found = _settle_exact(kernels.lookup(raster.data, palette_table(legend, raster.palette)), legend)
    if not found.settled["exact"] and legend.has_codes():
        by_code = _settle_exact(kernels.lookup(raster.data, code_table(legend, 256)), legend)
        return replace(by_code, notes=("no palette color is in the legend; the stored indices were matched instead",))
    return found


def _decode_grey(raster: Raster, samples: NDArray[np.generic], legend: Legend) -> LabelMap:
    """Grey v means the stored number v where the legend numbers its entries, else the colour (v, v, v)."""
    if legend.has_codes():
        return _through_table(samples, legend, raster.bits)
    if samples.dtype == np.uint32:
        samples = np.minimum(samples, 0xFFFF)
    table = grey_table(legend, raster.bits if samples.dtype == np.uint8 else 16)
    return _settle_exact(kernels.lookup(samples, table), legend)


def _strangers(raster: Raster, found: LabelMap) -> UnknownColors:
    """What no entry explains: the five commonest values, each with the nearest colour of the legend."""
    rows = strange_colors(raster, found)[:5]
    said = "; ".join(
        f"{c} on {n} px" + (f" (nearest {near}, {d} levels off)" if near is not None else "") for c, n, near, d in rows
    )
    return UnknownColors(
        f"{found.settled['void']} of {found.data.size} pixels have values that the legend lacks: {said}; "
        "add them to the legend, or decode with lossy='nearest' or 'repair'",
        colors=rows,
    )


def strange_colors(
    raster: Raster, found: LabelMap
) -> Sequence[tuple[tuple[int, int, int], int, tuple[int, int, int] | None, int | None]]:
    """(colour, pixels, nearest legend colour, largest channel difference) of void pixels, the commonest first."""
    pixels = to_rgb(raster)[found.data == 0]
    if not len(pixels):
        return []
    keys, counts = kernels.count_colors(pixels[None])
    known, _ = found.legend.without_wildcards()
    rows = []
    for key, count in sorted(zip(keys.tolist(), counts.tolist(), strict=True), key=lambda row: -row[1])[:1000]:
        color = (key >> 16, key >> 8 & 255, key & 255)
        near, apart = None, None
        if len(known):
            distance = np.abs(known.astype(np.int16) - np.array(color)).max(axis=1)
            best = int(distance.argmin())
            near, apart = tuple(known[best].tolist()), int(distance[best])
        rows.append((color, count, near, apart))
    return rows
