"""Stills of unknown origin: decoded whole, decoded small, or only looked at; the same here and in a worker process.

Nothing of the web framework is imported here: a worker starts quickly and knows nothing but decoders.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import codecs
from smalti.codecs.limits import Limits
from smalti.codecs.raster import Raster
from smalti.errors import DecodeError

__all__ = ["SAFE", "Stills", "opened"]

SAFE = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
"""What browsers show as we decode it, by Pillow's names."""


@contextmanager
def opened(data: bytes, kind: str, limits: Limits, uri: str | None = None) -> Iterator[Any]:
    """A picture of a kind of `SAFE` within the limits, whose pixels are not read yet; its faults become ours."""
    from PIL import Image

    limits.check_bytes(len(data), content_type=kind)
    try:
        with Image.open(io.BytesIO(data), formats=(SAFE[kind],)) as picture:
            limits.check_pixels(*picture.size, content_type=kind)
            yield picture
    except DecodeError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DecodeError(f"{kind}: the file is damaged ({error})", uri=uri, content_type=kind) from None


class Stills:
    """Decodes in this process.

    Args:
        limits: bounds on one picture.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def whole(self, data: bytes, content_type: str | None) -> Raster:
        """The stored samples."""
        return codecs.decode_still(data, content_type=content_type, limits=self.limits)

    def small_jpeg(self, data: bytes, size: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """(h, w, 3) uint8 RGB that fits into size × size, and the (height, width) in full.

        JPEG decodes at an eighth, a quarter or half of its size for a fraction of the cost.
        """
        from PIL import Image

        with opened(data, "image/jpeg", self.limits) as picture:
            full = picture.size
            picture.draft("RGB", (size, size))
            shown = picture.convert("RGB")
        shown.thumbnail((size, size), Image.Resampling.BOX)
        return np.asarray(shown), (full[1], full[0])

    def close(self) -> None:
        """Nothing to let go of."""
