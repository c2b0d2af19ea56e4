"""What a decoder returns: the samples of a picture as they were stored, before anybody decides what they mean."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Raster"]

Samples = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """One decoded picture, not expanded and not converted.

    Attributes:
        mode: "grey" and "palette" have `data` (H, W); "rgb" has `data` (H, W, 3); "ycc" has `planes` only.
        data: uint8 or uint16 (uint32 where a TIFF stores it). Grey of 1, 2 or 4 bits keeps its raw samples (0..2**bits-1).
        palette: (n, 3) uint8 RGB, for "palette".
        planes: luma (H, W) and the two chroma planes (h, w), uint8, as the codec stored them, for "ycc".
        alpha: (H, W), the dtype of `data`, kept apart: it may be data, a matte or noise. None where none is stored.
        bits: stored bits a sample (1, 2, 4, 8, 16, 32).
        lossy: whether the codec may have changed the values that went in.
        content_type: what the bytes are, whatever the record says.
        orientation: EXIF orientation 1..8 of a still, reported and never applied.
        rotation: clockwise degrees that a container asks a player to turn the picture by, reported and never applied.
        matrix: the colour matrix of "ycc": "bt601", "bt709" or "bt2020".
        full_range: whether "ycc" luma spans 0..255 (JPEG) or 16..235 (most video).
        pts_ms: for a video, the presentation time of this picture in milliseconds.
        codec: the codec's own name ("h264", "ffv1", "png", ...).
        notes: sentences worth reporting, e.g. that the content type announced another format.
    """

    mode: Literal["grey", "palette", "rgb", "ycc"]
    data: Samples | None = None
    palette: NDArray[np.uint8] | None = None
    planes: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]] | None = None
    alpha: Samples | None = None
    bits: int = 8
    lossy: bool = False
    content_type: str = "application/octet-stream"
    orientation: int = 1
    rotation: int = 0
    matrix: Literal["bt601", "bt709", "bt2020"] = "bt601"
    full_range: bool = True
    pts_ms: float | None = None
    codec: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) in pixels, as stored."""
        picture = self.data if self.data is not None else (self.planes or (np.empty((0, 0), np.uint8),))[0]
        return int(picture.shape[0]), int(picture.shape[1])

    @property
    def stored_mode(self) -> str:
        """A short name for reports: "P", "L", "I;16", "1", "RGB", "RGBA", "YCC" ..."""
        base = {"palette": "P", "rgb": "RGB", "ycc": "YCC"}.get(self.mode)
        if base is None:
            base = {1: "1", 16: "I;16", 32: "I"}.get(self.bits, "L")
        elif self.bits == 16:
            base += ";16"
        return base + ("A" if self.alpha is not None and base != "1" else "")
