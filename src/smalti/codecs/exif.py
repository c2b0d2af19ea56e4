"""The one thing that masks need from EXIF, the orientation: read with bounds, without warnings, and never applied."""

import struct

__all__ = ["ORIENTATION_TAG", "find_orientation", "orientation_of"]

ORIENTATION_TAG = 0x0112

# (byte order mark, magic number) → struct byte order, whether offsets have 8 bytes (BigTIFF)
_HEADERS = {
    b"II*\0": ("<", False),
    b"MM\0*": (">", False),
    b"II+\0": ("<", True),
    b"MM\0+": (">", True),
}
_SHORT, _LONG = 3, 4


def find_orientation(tiff: bytes | memoryview) -> tuple[int, int, str] | None:
    """(value, offset of the value, struct format of the value) in the first directory of a TIFF header, or None."""
    order, big = _HEADERS.get(bytes(tiff[:4]), ("", False))
    if not order:
        return None
    count_format, entry_size, value_at = (order + "Q", 20, 12) if big else (order + "H", 12, 8)
    try:
        (directory,) = struct.unpack_from(order + ("Q" if big else "I"), tiff, 8 if big else 4)
        (entries,) = struct.unpack_from(count_format, tiff, directory)
        first = directory + struct.calcsize(count_format)
        # A directory has at most one entry a tag: the bound keeps a hostile count from looping over a large file.
        for entry in range(min(entries, 0xFFFF)):
            offset = first + entry * entry_size
            tag, kind = struct.unpack_from(order + "HH", tiff, offset)
            if tag == ORIENTATION_TAG and kind in (_SHORT, _LONG):
                value_format = order + ("H" if kind == _SHORT else "I")
                (value,) = struct.unpack_from(value_format, tiff, offset + value_at)
                return int(value), offset + value_at, value_format
    except (struct.error, OverflowError):  # offsets beyond the end, or beyond what C can count
        return None
    return None


def orientation_of(exif: bytes | memoryview | None) -> int:
    """The orientation 1..8 that an EXIF block asks for; 1 where it says nothing, or nothing that makes sense."""
    if not exif:
        return 1
    body = exif[6:] if bytes(exif[:6]) == b"Exif\0\0" else exif
    found = find_orientation(body)
    return found[0] if found is not None and 1 <= found[0] <= 8 else 1
