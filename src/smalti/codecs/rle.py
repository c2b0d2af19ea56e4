"""COCO run lengths ⇄ masks: column by column, starting with a run of zeros, exactly as pycocotools writes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.limits import DEFAULT_LIMITS, Limits
from smalti.errors import DecodeError

__all__ = ["counts_of", "decode_rle", "encode_rle", "mask_of", "pack", "unpack"]

# Six bits a character from "0" on: five of the number, one that says that more follow.
_FIRST, _LAST = 48, 48 + 63
# pycocotools keeps run lengths in 32 bits; a number of more characters than this cannot be one.
_MAX_CHARACTERS = 7


def counts_of(mask: NDArray[Any]) -> list[int]:
    """(H, W) mask, anything but 0 is inside → run lengths of outside, inside, outside, ... in column-major order."""
    inside = (np.asarray(mask) != 0).ravel(order="F")
    if inside.size == 0:
        return [0]  # what pycocotools writes for an empty picture
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    counts = np.diff(np.concatenate([[0], edges, [inside.size]]))
    return [0, *counts.tolist()] if inside[0] else counts.tolist()


def mask_of(counts: Sequence[int], size_hw: tuple[int, int], limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Run lengths → (H, W) uint8 mask of 0 and 1, in column-major memory.

    Raises:
        DecodeError: a run is negative, the runs do not fill the picture, or it is beyond the limits.
    """
    height, width = size_hw
    if height * width == 0:
        if height < 0 or width < 0 or any(counts):
            raise DecodeError(f"run lengths for a picture of {height}×{width} pixels; give its size as [height, width]")
        return np.zeros((height, width), np.uint8, order="F")
    limits.check_pixels(width, height, content_type="run lengths")
    try:
        runs = np.asarray(counts, dtype=np.int64)
    except (OverflowError, TypeError, ValueError) as error:
        raise DecodeError(f"run lengths must be whole numbers ({error}); write the mask again") from error
    if runs.ndim != 1:
        raise DecodeError(f"run lengths are nested {runs.ndim} deep; one flat list is allowed")
    if runs.size and int(runs.min()) < 0:
        raise DecodeError(f"run {int(runs.argmin())} has length {int(runs.min())}; 0 and above are allowed")
    # Each run is bounded before they are added up, so that the sum cannot wrap around.
    pixels = height * width
    total = int(runs.sum()) if not runs.size or int(runs.max()) <= pixels else int(runs.max())
    if total != pixels:
        raise DecodeError(
            f"the runs cover {total} pixels, the size {height}×{width} has {pixels}; "
            "the size may be given as [width, height] by mistake"
        )
    values = np.arange(runs.size, dtype=np.uint8) & np.uint8(1)
    return np.repeat(values, runs).reshape((height, width), order="F")


def pack(counts: Sequence[int]) -> bytes:
    """Run lengths → COCO's compressed string."""
    packed = bytearray()
    for position, count in enumerate(counts):
        # From the fourth run on, only the difference to the last run of the same kind is written.
        number = count - counts[position - 2] if position > 2 else count
        more = True
        while more:
            bits = number & 0x1F
            number >>= 5
            more = number != (-1 if bits & 0x10 else 0)
            packed.append(_FIRST + (bits | 0x20 if more else bits))
    return bytes(packed)


def unpack(packed: bytes | str) -> list[int]:
    """COCO's compressed string → run lengths.

    Raises:
        DecodeError: a character is outside "0".."o", or the last number is cut off.
    """
    try:
        text = packed.encode("ascii") if isinstance(packed, str) else packed
    except UnicodeEncodeError as error:
        raise DecodeError(f"compressed run lengths with a character beyond ASCII ({error})") from error
    counts: list[int] = []
    number = shift = 0
    for position, character in enumerate(text):
        if not _FIRST <= character <= _LAST:
            raise DecodeError(
                f"compressed run lengths have {chr(character)!r} at position {position}; '0' to 'o' are allowed"
            )
        bits = character - _FIRST
        number |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            if shift >= 5 * _MAX_CHARACTERS:
                raise DecodeError(f"compressed run lengths have a number of over {shift} bits at position {position}")
            continue
        if bits & 0x10:
            number -= 1 << shift
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number = shift = 0
    if shift:
        raise DecodeError("compressed run lengths end in the middle of a number: the string is truncated")
    return counts


def encode_rle(mask: NDArray[Any], *, compressed: bool = True) -> dict[str, Any]:
    """(H, W) mask → {"size": [height, width], "counts": str, or a list where not compressed}."""
    counts = counts_of(mask)
    height, width = mask.shape
    return {"size": [int(height), int(width)], "counts": pack(counts).decode("ascii") if compressed else counts}


def decode_rle(rle: Mapping[str, Any], limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """COCO's {"size", "counts"}, compressed or not → (H, W) uint8 mask of 0 and 1.

    Raises:
        DecodeError: a part is missing or of the wrong kind, or the runs do not fit the size.
    """
    size, counts = rle.get("size"), rle.get("counts")
    if not (isinstance(size, (list, tuple)) and len(size) == 2 and all(type(side) is int for side in size)):
        raise DecodeError(f"run lengths of size {size!r}; [height, width] as two whole numbers is needed")
    if isinstance(counts, (str, bytes)):
        counts = unpack(counts)
    elif not isinstance(counts, (list, tuple)):
        raise DecodeError(f"run lengths as {type(counts).__name__}; a string or a list of whole numbers is needed")
    elif not all(type(count) is int for count in counts):
        raise DecodeError("run lengths that are not whole numbers; write the mask again")
    return mask_of(counts, (size[0], size[1]), limits)
