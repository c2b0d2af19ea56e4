"""Every exception that means "these bytes cannot be decoded", and Pillow's warnings, kept from escaping."""

import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from smalti.errors import DecodeError

__all__ = ["kept_quiet", "refusals", "refused"]

# What Pillow's plugins and other people's decoders raise on hostile or damaged bytes. One list, with the reasons; a
# name that is not here (KeyboardInterrupt, AssertionError, NameError, ...) is a bug and must surface.
_REFUSALS: tuple[type[Exception], ...] = (
    OSError,  # "image file is truncated", "decoder error -2", UnidentifiedImageError, "cannot load this image"
    ValueError,  # "tile cannot extend outside image", "invalid palette size", sizes and seeks that make no sense
    SyntaxError,  # Pillow's word for "not such a file", and for most faults of a header
    struct.error,  # a header that ends too early
    zlib.error,  # damaged deflate streams
    MemoryError,  # sizes that passed the pixel limit but not the machine
    OverflowError,  # header numbers too large for C
    ZeroDivisionError,  # resolutions, strips and tiles of size 0
    EOFError,  # no such frame; data that ends inside one
    IndexError,  # palettes and tag tuples shorter than announced
    KeyError,  # modes, compressions and tags that do not exist
    TypeError,  # "Missing dimensions": tags of the wrong type used as numbers
    AttributeError,  # a part that an incomplete header never created ("'NoneType' object has no attribute 'palette'")
    RuntimeError,  # decoders that libtiff, libwebp or libavif stop
)


def refusals() -> tuple[type[Exception], ...]:
    """The exceptions that a decoder refuses bytes with; Pillow's bomb error is an Exception of its own kind."""
    pillow = sys.modules.get("PIL.Image")  # not imported for this: what is not loaded raises nothing
    return _REFUSALS if pillow is None else (*_REFUSALS, pillow.DecompressionBombError)


@contextmanager
def refused(content_type: str) -> Iterator[None]:
    """Turn what Pillow raises in the block into a DecodeError that names the content type."""
    try:
        yield
    except DecodeError:
        raise
    except refusals() as error:
        reason = str(error).rstrip(".") or type(error).__name__
        if type(error).__name__ == "DecompressionBombError":
            hint = "this is Pillow's own limit: set PIL.Image.MAX_IMAGE_PIXELS, too, if the file is to be trusted"
        else:
            hint = "the file is damaged, truncated or of an unsupported kind: fetch or write it again"
        raise DecodeError(f"{content_type}: {reason}; {hint}", content_type=content_type) from error


_lock = threading.RLock()


@contextmanager
def kept_quiet(notes: list[str]) -> Iterator[None]:
    """Turn Pillow's warnings in the block into `notes`; those of other threads go where they would have gone.

    Python keeps its warning filters for the whole process, hence the lock: keep the block short.
    """
    with _lock:
        strangers: list[warnings.WarningMessage] = []
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                yield
        finally:
            for one in caught:
                if "PIL" in one.filename.replace("\\", "/").split("/"):
                    sentence = f"the decoder warned: {' '.join(str(one.message).split())}"
                    if sentence not in notes:
                        notes.append(sentence)
                else:
                    strangers.append(one)
    for one in strangers:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno, source=one.source)
