"""TIFF through Pillow and libtiff: the first page, its samples as stored."""

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.exif import ORIENTATION_TAG, find_orientation
from smalti.codecs.limits import DEFAULT_LIMITS, Limits
from smalti.codecs.raster import Raster
from smalti.codecs.refusals import kept_quiet, refused
from smalti.codecs.still import as_raster, load, open_picture
from smalti.codecs.tiff_samples import Directory, keeps_better, read_directory, read_samples

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = ["decode_tiff"]

CONTENT_TYPE = "image/tiff"
_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 259, 262, 339
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


def _first(picture: "ImageFile.ImageFile", tag: int) -> int:
    """The first value of a tag whose default is 1."""
    value: Any = getattr(picture, "tag_v2", {}).get(tag, 1)
    return int(value[0] if isinstance(value, tuple) else value)


def decode_tiff(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Raster:
    """The first page of a TIFF: 1 to 32-bit grey, palette or RGB; alpha apart, orientation reported.

    Raises:
        DecodeError: not a TIFF, truncated, damaged, of floating point or negative samples, or beyond the limits.
    """
    directory = read_directory(data)
    if directory is not None and keeps_better(directory):
        return _kept(read_samples(data, directory, limits), directory, find_orientation(data))

    from PIL.TiffImagePlugin import TiffImageFile

    notes = list[str]()
    upright, orientation = _upright(data)
    picture = open_picture(TiffImageFile, upright, limits, CONTENT_TYPE, notes)
    # libtiff's pages and EXIF blocks are read while loading, with warnings: all of it is kept quiet.
    with refused(CONTENT_TYPE), kept_quiet(notes):
        compression, bits = _first(picture, _COMPRESSION), _first(picture, _BITS_PER_SAMPLE)
        photometric = getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC, 0)
        signed = _first(picture, _SAMPLE_FORMAT) != 1
        pages = int(getattr(picture, "n_frames", 1))
        # An orientation in XMP would turn the picture, too; it says nothing about the samples.
        picture.getexif()[ORIENTATION_TAG] = 1
        load(picture, CONTENT_TYPE, notes)
    if pages > 1:
        notes.append(f"the file holds {pages} pages; the first was read")
    if photometric == 0 and picture.mode in ("1", "L"):
        notes.append("stored with 0 as white; samples are given with 0 as black")
    if bits == 16 and picture.mode in ("RGB", "RGBA"):
        notes.append(
            "16-bit RGB samples of this compression were reduced to 8 bits; store the picture as PNG to keep them"
        )
    raster = as_raster(
        picture,
        content_type=CONTENT_TYPE,
        codec="tiff",
        bits=bits if bits in (1, 2, 4, 8) else 8,
        lossy=compression in _LOSSY,
        signed=signed,
        orientation=orientation,
        notes=notes,
    )
    return _unscaled(raster)


def _kept(samples: NDArray[Any], directory: Directory, orientation: tuple[int, int, str] | None) -> Raster:
    """What our own reader kept, as a Raster."""
    channels = samples.shape[2]
    color = samples[..., :3] if channels > 2 else samples[..., 0]
    return Raster(
        mode="rgb" if channels > 2 else "grey",
        data=np.ascontiguousarray(color),
        alpha=np.ascontiguousarray(samples[..., -1]) if channels in (2, 4) else None,
        bits=samples.dtype.itemsize * 8,
        content_type=CONTENT_TYPE,
        orientation=orientation[0] if orientation is not None and 1 <= orientation[0] <= 8 else 1,
        codec="tiff",
        notes=("the file holds more than one page; the first was read",) if directory.more_pages else (),
    )


def _unscaled(raster: Raster) -> Raster:
    """Pillow stretches 2 and 4-bit grey to 0..255; masks need the samples that were stored."""
    if raster.mode != "grey" or raster.bits not in (2, 4) or raster.data is None:
        return raster
    step = 255 // ((1 << raster.bits) - 1)
    return replace(raster, data=(raster.data // np.uint8(step)).astype(np.uint8))
