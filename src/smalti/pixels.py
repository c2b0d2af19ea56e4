"""From what a frame says to pixels: its image, its masks as labels or opacity, its files as local paths."""

import numpy as np
from numpy.typing import NDArray

from smalti import codecs, storage
from smalti.binding import MaskPlan
from smalti.codecs.picture import Place, decode_rgb, whole
from smalti.codecs.raster import Raster
from smalti.codecs.show import to_rgb
from smalti.codecs.sniff import HEAD_BYTES
from smalti.decode import Lossy, alpha_of
from smalti.errors import FrameError
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.mask_reading import join, naming, plan_reading, raster_at, read_mask
from smalti.open_clips import MAX_OPEN_CLIPS, close_clips, is_clip, open_clip
from smalti.records import Mask, Source

__all__ = [
    "MAX_OPEN_CLIPS",
    "alpha",
    "close_clips",
    "image",
    "image_box",
    "is_clip",
    "join",
    "label_map",
    "local_path",
    "mask_raster",
    "open_clip",
    "source_raster",
]

Options = tuple[Lossy, int | None, bool, bool]


def image(source: Source, base: str | None, *, upright: bool = False) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a source; see `SingleFrame.image`."""
    if not upright:
        return image_box(source, base)
    raster = source_raster(source, base)
    return _turn(to_rgb(raster), raster)


def image_box(
    source: Source, base: str | None, place: Place = whole, *, data: bytes | None = None
) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 RGB: the box of a source's picture that `place` chooses, as stored.

    Args:
        source: the record.
        base: the folder that a relative URI is meant from.
        place: (height, width) of the picture → box2d_xywh within it.
        data: the file's bytes where somebody has them.
    """
    uri = join(source.uri, base)
    if not is_clip(uri, source.content_type):
        data = data if data is not None else storage.fetch(uri)
        if not codecs.is_video(source.content_type, data[:HEAD_BYTES]):
            with naming(uri):
                return decode_rgb(data, content_type=source.content_type, place=place)
    rgb = to_rgb(raster_at(uri, source.content_type, source.timestamp))
    x, y, width, height = place((rgb.shape[0], rgb.shape[1]))
    return rgb[y : y + height, x : x + width]


def source_raster(source: Source, base: str | None) -> Raster:
    """The stored samples of a source, for a video the picture at its timestamp."""
    return raster_at(join(source.uri, base), source.content_type, source.timestamp)


def mask_raster(mask: Mask, base: str | None, *, clamp: bool = False) -> Raster:
    """The stored samples of a mask, for a video the picture at its timestamp."""
    return raster_at(join(mask.uri, base), mask.content_type, mask.timestamp, clamp=clamp)


def label_map(plan: MaskPlan, base: str | None, legend: Legend | None, options: Options) -> LabelMap:
    """The decoded mask of a plan; `legend` replaces the plan's own, `options` are (lossy, tolerance, strict, clamp)."""
    return read_mask(plan_reading(plan, base, legend, options))


def alpha(plan: MaskPlan, base: str | None) -> NDArray[np.uint8]:
    """(H, W) uint8 opacity of a mask."""
    return alpha_of(mask_raster(plan.mask, base))


def local_path(uri: str, base: str | None, raise_on_error: bool, force_download: bool) -> str | None:
    """Path of a local copy, or None where it cannot be had and nobody wants to know why."""
    try:
        return str(storage.local_path(join(uri, base), refresh=force_download))
    except (OSError, FrameError):
        if raise_on_error:
            raise
        return None


def _turn(rgb: NDArray[np.uint8], raster: Raster) -> NDArray[np.uint8]:
    """The picture as EXIF (mirrors and quarter turns) or the container (degrees clockwise) asks to see it."""
    order = raster.orientation
    if order in (5, 6, 7, 8):
        rgb = rgb.transpose(1, 0, 2)
    if order in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    if order in (3, 4, 7, 8):
        rgb = rgb[::-1]
    return np.ascontiguousarray(np.rot90(rgb, -(raster.rotation // 90) % 4))
