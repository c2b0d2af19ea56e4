"""Id schemes: how a stored value of an instance or panoptic mask splits into a category and an instance.

Neighbouring ids are different objects, so nothing here ever rounds, scales or matches by nearness. Each rule is the
published one of its data set; 0 means "nothing" unless the legend names it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.errors import DecodeError, LegendError
from smalti.legend import Entry, Legend

__all__ = ["SCHEMES", "Scheme", "discover", "encoding_kind", "name_ids", "pack"]

Ids = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one family of masks stores ids.

    Attributes:
        channels: how many channels the stored picture must have (1 grey or palette, 3 RGB, 4 RGBA).
        pack: (H, W, channels) samples → (H, W) uint32 ids.
        category: (n,) ids → (n,) int64 category codes, -1 where the id says none.
        instance: (n,) ids → (n,) int64 instance numbers, 0 where the id is a region without instances.
    """

    channels: int
    pack: Callable[[NDArray[np.uint32]], NDArray[Any]]
    category: Callable[[Ids], NDArray[np.int64]]
    instance: Callable[[Ids], NDArray[np.int64]]


def _no_category(ids: Ids) -> NDArray[np.int64]:
    return np.full(ids.shape, -1, np.int64)


def _itself(ids: Ids) -> NDArray[np.int64]:
    return ids.astype(np.int64)


def _thousands(ids: Ids) -> NDArray[np.int64]:
    wide = ids.astype(np.int64)
    return np.where(wide >= 1000, wide // 1000, wide)


def _thousandths(ids: Ids) -> NDArray[np.int64]:
    wide = ids.astype(np.int64)
    return np.where(wide >= 1000, wide % 1000 + 1, 0)


SCHEMES: dict[str, Scheme] = {
    # Grey or palette: the stored value is the object's number (DAVIS, VIPSeg, nuclei in 16-bit TIFF).
    "plain": Scheme(1, lambda p: p[..., 0], _no_category, _itself),
    # COCO panoptic: id = R + 256 G + 65536 B; the category stands in the annotation of the segment.
    "coco": Scheme(3, lambda p: p[..., 0] | p[..., 1] << 8 | p[..., 2] << 16, _no_category, _itself),
    # COCO panoptic, two-channel form: R = category, G = instance (0 stuff, 255 crowd).
    "coco2ch": Scheme(
        3,
        lambda p: p[..., 0] << 8 | p[..., 1],
        lambda i: (i >> 8).astype(np.int64),
        lambda i: (i & 255).astype(np.int64),
    ),
    # ADE20K full: class = R / 10 * 256 + G, instance = B; our id is class * 256 + instance.
    "ade20k": Scheme(
        3,
        lambda p: (p[..., 0] // 10 * 256 + p[..., 1]) << 8 | p[..., 2],
        lambda i: (i >> 8).astype(np.int64),
        lambda i: (i & 255).astype(np.int64),
    ),
    # Cityscapes instanceIds: class * 1000 + n for things, the plain class for everything else.
    "cityscapes": Scheme(1, lambda p: p[..., 0], _thousands, _thousandths),
    # Mapillary Vistas and KITTI instances: class * 256 + n, 16 bit.
    "mapillary": Scheme(
        1, lambda p: p[..., 0], lambda i: (i >> 8).astype(np.int64), lambda i: (i & 255).astype(np.int64)
    ),
    # BDD100K bitmasks: R = class, G = attribute bits, (B << 8) + A = instance. Alpha is data here.
    "bdd100k": Scheme(
        4,
        lambda p: p[..., 0] << 24 | p[..., 1] << 16 | p[..., 2] << 8 | p[..., 3],
        lambda i: (i >> 24).astype(np.int64),
        lambda i: (i & 0xFFFF).astype(np.int64),
    ),
}


def encoding_kind(encoding: str | None) -> tuple[str, str | None] | None:
    """A mask's `encoding` → (kind of legend, id scheme): the one place where this is decided. None = look at the file."""
    if encoding is None:
        return None
    fixed = {
        "rgb": ("colors", None),
        "index": ("indices", None),
        "palette": ("indices", None),
        "instance16": ("ids", "cityscapes"),
        "rgb24id": ("ids", "coco"),
        "alpha": ("alpha", None),
        "rle": ("indices", None),
    }
    if encoding in fixed:
        return fixed[encoding]
    if encoding in SCHEMES:
        return ("ids", encoding)
    raise DecodeError(f"mask encoding {encoding!r} is not known; allowed: {', '.join([*fixed, *SCHEMES])}")


def discover(
    ids: Ids, legend: Legend | None, scheme: str
) -> tuple[NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32], Legend]:
    """Entry numbers (H, W) for an id mask, and the legend of what was found, in ascending order of ids.

    An entry of `legend` whose code is the id itself names it (panoptic segments); else one whose code is the id's
    category; an id that nothing names is called by its number. Id 0 is void unless the legend names it.
    """
    largest = int(ids.max(initial=0))
    if largest < 1 << 16:  # counting is many times quicker than sorting
        found = np.flatnonzero(kernels.count(ids, largest + 1)).astype(np.uint32)
        numbers, discovered = name_ids(found, legend, scheme)
        table = np.zeros(largest + 1, numbers.dtype)
        table[found] = numbers
        return kernels.lookup(ids, table), discovered
    found, inverse = np.unique(ids, return_inverse=True)
    numbers, discovered = name_ids(found, legend, scheme)
    return numbers[inverse.reshape(ids.shape)], discovered


def name_ids(
    found: Ids, legend: Legend | None, scheme: str
) -> tuple[NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32], Legend]:
    """(k,) ids in ascending order → their (k,) entry numbers and the legend of them; as `discover`."""
    by_code = {e.code: e for e in legend.entries if e.code is not None} if legend is not None else {}
    categories = SCHEMES[scheme].category(found)
    entries: list[Entry] = []
    number = np.zeros(len(found), np.int64)
    for position, (raw, category) in enumerate(zip(found.tolist(), categories.tolist(), strict=True)):
        # Where numbers of classes and of objects share a range, object 1 of class 0 must not be taken for class 1.
        named = by_code.get(category) if scheme == "mapillary" else by_code.get(raw) or by_code.get(category)
        if raw == 0 and named is None:
            continue
        labels = named.labels if named is not None else (str(raw),)
        color = named.color if named is not None and _alone(named, raw, category) else None
        entries.append(Entry(labels, color=color, code=raw))
        number[position] = len(entries)
    # The dtype follows from how large the numbers are, never from how many labels the caller expected.
    dtype: Any = np.uint8 if len(entries) <= 0xFF else np.uint16 if len(entries) <= 0xFFFF else np.uint32
    return number.astype(dtype), Legend.from_entries(entries, kind="ids", scheme=scheme)


def _alone(named: Entry, raw: int, category: int) -> bool:
    """Whether the entry's own colour may show this id: instances of one category must stay apart to the eye."""
    return named.code == raw and category in (-1, raw)


def pack(samples: NDArray[np.generic], scheme: str) -> Ids:
    """(H, W) or (H, W, C) stored samples → (H, W) ids.

    Raises:
        LegendError: the scheme is unknown.
        DecodeError: the picture has too few channels for the scheme.
    """
    known = SCHEMES.get(scheme)
    if known is None:
        raise LegendError(f"id scheme {scheme!r} is not known; allowed: {', '.join(SCHEMES)}")
    planes = samples[..., None] if samples.ndim == 2 else samples
    if planes.shape[2] < known.channels:
        raise DecodeError(
            f"the mask has {planes.shape[2]} channel(s), but ids of scheme {scheme!r} need {known.channels}; "
            "was it converted on the way? Name the scheme that wrote it"
        )
    return known.pack(planes.astype(np.uint32)).astype(np.uint32, copy=False)
