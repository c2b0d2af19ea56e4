"""What is known about a mask without opening it again: stored facts, counted once.

`smalti.stats` counts them, a store keeps them beside the frame, queries (`mask.car.share:[0.05 TO *]`), sampling and
class weights read them.
"""

import msgspec

__all__ = ["MaskFacts", "SegmentFacts"]


class SegmentFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object of an id mask: its raw id, the label of its category (None = no legend names it) and its pixels."""

    id: int
    label: str | None = None
    pixels: int
    box2d_xywh: tuple[int, int, int, int] | None = None


class MaskFacts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The pixels of one mask of one frame, by label.

    A pixel whose legend entry has several labels counts for each of them, so the sum of `pixels` may exceed the size.

    Attributes:
        source: the id of the source that the mask belongs to.
        mask: the mask's id.
        size_hw: (height, width) in pixels.
        mode: the stored mode, e.g. "P", "L", "I;16", "RGB", "YCC" (see `Raster.stored_mode`).
        codec: the codec that stored it, e.g. "png", "h264".
        pixels: label → number of pixels; labels of the legend that do not occur may be absent.
        void: pixels that no entry of the legend names.
        segments: the objects of an id mask; empty for other masks.
    """

    source: str
    mask: str
    size_hw: tuple[int, int]
    mode: str = ""
    codec: str = ""
    pixels: dict[str, int] = {}
    void: int = 0
    segments: list[SegmentFacts] = []

    @property
    def total(self) -> int:
        """The number of pixels of the mask."""
        return self.size_hw[0] * self.size_hw[1]

    def share(self, label: str) -> float:
        """The part of the mask that `label` covers, 0..1; 0.0 for an empty mask."""
        return self.pixels.get(label, 0) / self.total if self.total else 0.0

    @property
    def void_share(self) -> float:
        """The part of the mask that no entry names, 0..1; 0.0 for an empty mask."""
        return self.void / self.total if self.total else 0.0
