"""A still as RGB for training and for eyes, whole or a box of it: what `to_rgb(decode_still(data))` gives, but sooner.

A mask needs the samples as stored; a picture needs colours. Pillow makes RGB of a JPEG while it decodes, so the way
over planes is spared, and only the box that is wanted is copied out. libjpeg still decodes the whole file: its rows
depend on one another, and Pillow has no way to ask for some of its blocks.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smalti import codecs
from smalti.codecs.limits import DEFAULT_LIMITS, Limits
from smalti.codecs.show import to_rgb
from smalti.codecs.sniff import HEAD_BYTES

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Box", "Place", "decode_rgb", "whole"]

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""
Place = Callable[[tuple[int, int]], Box]
"""(height, width) of a picture → the box of it that is wanted, within it."""


def whole(size_hw: tuple[int, int]) -> Box:
    """The box that is everything."""
    return 0, 0, size_hw[1], size_hw[0]


def decode_rgb(
    data: bytes, *, content_type: str | None = None, place: Place = whole, limits: Limits = DEFAULT_LIMITS
) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 RGB of the box that `place` chooses, as stored: never turned, never resized.

    Args:
        data: a whole encoded file.
        content_type: what the record says, in any spelling; the magic bytes are asked first.
        place: gets (height, width) and says which box is wanted.
        limits: bounds on pixels and bytes.

    Raises:
        UnknownContentType: no decoder fits.
        DecodeError: the bytes are damaged, truncated or beyond the limits.
    """
    if _is_plain_jpeg(data, content_type):
        found = _jpeg(data, place, limits)
        if found is not None:
            return found
    rgb = to_rgb(codecs.decode_still(data, content_type=content_type, limits=limits))
    x, y, width, height = place((rgb.shape[0], rgb.shape[1]))
    found = rgb[y : y + height, x : x + width]
    return found if found.flags.writeable else found.copy()


def _is_plain_jpeg(data: bytes, content_type: str | None) -> bool:
    """Whether our own decoder would be asked: a decoder that somebody registered has the first word."""
    declared = codecs.normalise(content_type)
    return (
        codecs.sniff(data[:HEAD_BYTES]) == "image/jpeg"
        and codecs.is_built_in("image/jpeg")
        and (declared is None or codecs.is_built_in(declared))
    )


def _jpeg(data: bytes, place: Place, limits: Limits) -> NDArray[np.uint8] | None:
    """None where it is grey, or of four inks."""
    from PIL.JpegImagePlugin import JpegImageFile

    from smalti.codecs.still import load, open_picture

    limits.check_bytes(len(data), content_type="image/jpeg")
    picture: Image.Image = open_picture(JpegImageFile, data, limits, "image/jpeg", [])
    if picture.mode != "RGB":
        return None
    x, y, width, height = box = place((picture.height, picture.width))
    load(picture, "image/jpeg", [])  # type: ignore[arg-type]
    if box != (0, 0, picture.width, picture.height):
        picture = picture.crop((x, y, x + width, y + height))
    return np.array(picture)  # a copy: what Pillow gives away cannot be written to
