"""TIFF through Pillow and libtiff: the first page, its samples as stored."""

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smalti.codecs.exif import ORIENTATION_TAG, find_orientation
from smalti.codecs.limits import DEFAULT_LIMITS, Limits
from smalti.codecs.raster import Raster
from smalti.codecs.refusals import kept_quiet, refused
from smalti.codecs.still import as_raster, load, open_picture

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = ["decode_tiff"]

CONTENT_TYPE = "image/tiff"
_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC = 258, 259, 262
# Old and new JPEG, JPEG 2000, WebP, LERC, JPEG XL: values may have changed on their way in.
_LOSSY = frozenset({6, 7, 33003, 33005, 34712, 34887, 34892, 50001, 50002, 52546})


def _upright(data: bytes) -> tuple[bytes, int]:
    """The file with its orientation set to 1, and what it was: Pillow would turn the picture while decoding it."""
    found = find_orientation(data)
    if found is None or found[0] == 1:
        return data, 1
    value, offset, value_format = found
    patched = bytearray(data)
    struct.pack_into(value_format, patched, offset, 1)
    return bytes(patched), value if 1 <= value <= 8 else 1


def _first_bits(picture: "ImageFile.ImageFile") -> int:
    bits: Any = getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE, (1,))
    return int(bits[0]) if isinstance(bits, tuple) and bits else 1


def decode_tiff(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """The first page of a TIFF: 1 to 32-bit grey, palette or RGB; alpha apart, orientation reported.

    Raises:
        DecodeError: not a TIFF, truncated, damaged, of floating point or negative samples, or beyond the limits.
    """
    from PIL.TiffImagePlugin import TiffImageFile

    notes = list[str]()
    upright, orientation = _upright(data)
    picture = open_picture(TiffImageFile, upright, limits, CONTENT_TYPE, notes)
    # libtiff's pages and EXIF blocks are read while loading, with warnings: all of it is kept quiet.
    with refused(CONTENT_TYPE), kept_quiet(notes):
        compression = int(getattr(picture, "tag_v2", {}).get(_COMPRESSION, 1))
        photometric = getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC, 0)
        bits = _first_bits(picture)
        pages = int(getattr(picture, "n_frames", 1))
        # An orientation in XMP would turn the picture, too; it says nothing about the samples.
        picture.getexif()[ORIENTATION_TAG] = 1
        load(picture, CONTENT_TYPE, notes)
    if pages > 1:
        notes.append(f"the file holds {pages} pages; the first was read")
    if photometric == 0 and picture.mode in ("1", "L"):
        notes.append("stored with 0 as white; samples are given with 0 as black")
    if bits == 16 and picture.mode in ("RGB", "RGBA"):
        notes.append("16-bit RGB samples were reduced to 8 bits; store masks as PNG to keep them")
    raster = as_raster(
        picture,
        content_type=CONTENT_TYPE,
        codec="tiff",
        bits=bits if bits in (1, 2, 4, 8) else 8,
        lossy=compression in _LOSSY,
        orientation=orientation,
        notes=notes,
    )
    return _unscaled(raster)


def _unscaled(raster: Raster) -> Raster:
    """Pillow stretches 2 and 4-bit grey to 0..255; masks need the samples that were stored."""
    if raster.mode != "grey" or raster.bits not in (2, 4) or raster.data is None:
        return raster
    step = 255 // ((1 << raster.bits) - 1)
    return replace(raster, data=(raster.data // np.uint8(step)).astype(np.uint8))
