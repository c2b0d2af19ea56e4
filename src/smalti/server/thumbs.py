"""Thumbnails: small pictures, small index maps with what their numbers mean, and pictures with a mask over them.

Pages draw overlays themselves, from pictures and index maps, so that colours may change without a request. A picture
with the mask in it is for links and notebooks. All are kept in memory and on disk, by what they were made of.
"""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from smalti import kernels
from smalti.binding import MaskPlan
from smalti.labelmap import LabelMap
from smalti.legend import Entry, Kind, Legend
from smalti.records import Source
from smalti.server.lru import Folder, Lru
from smalti.server.media import digest
from smalti.server.metrics import Metrics
from smalti.server.payloads.media import MAX_ENTRIES
from smalti.server.pictures import Pictures, encode, legend_key

__all__ = ["Small", "SmallEntry", "SmallLegend", "SmallMap", "Thumbs", "fit", "shrink_labels"]

_MEMORY = 64 << 20
_QUALITY = 78


class Small(msgspec.Struct, frozen=True, array_like=True):
    """A WebP: its size and that of the picture it was made from, (height, width)."""

    data: bytes
    size_hw: tuple[int, int]
    full_hw: tuple[int, int]


class SmallEntry(msgspec.Struct, frozen=True, array_like=True):
    """What a number of a small map means: `color` is shown, `stored` and `code` are what the legend says."""

    index: int
    labels: tuple[str, ...]
    color: tuple[int, int, int]
    stored: tuple[int, int, int] | None
    code: int | None


class SmallLegend(msgspec.Struct, frozen=True, array_like=True):
    """What the numbers mean; of ids only those that occur."""

    kind: Kind
    entries: tuple[SmallEntry, ...]

    def legend(self) -> Legend:
        """The same as a legend, whose entry numbers are positions here."""
        entries = (Entry(each.labels, each.stored, each.code) for each in self.entries)
        return Legend.from_entries(entries, kind=self.kind)


class SmallMap(msgspec.Struct, frozen=True, array_like=True):
    """Entry numbers row by row, little-endian; `legend` = a name for what they mean, equal where that is."""

    data: bytes
    size_hw: tuple[int, int]
    dtype: str
    meaning: SmallLegend
    legend: str


class Thumbs:
    """Makes and keeps them.

    Args:
        pictures: decodes.
        folder: where they are kept on disk.
        metrics: counts how many were made.
    """

    def __init__(self, pictures: Pictures, folder: Folder, metrics: Metrics) -> None:
        self.pictures, self.folder, self.metrics = pictures, folder, metrics
        self.kept: Lru[Any] = Lru(_MEMORY, lambda item: len(item.data) + 512)
        self._legends: Lru[SmallLegend] = Lru(16 << 20, lambda legend: 128 * len(legend.entries) + 256)

    def clear(self) -> None:
        """Keep nothing in memory."""
        self.kept.clear()

    def picture(self, source: Source, at_ms: float, size: int) -> tuple[str, Small]:
        """The picture of a source that fits into size × size, and a name that changes with it."""
        name = self.pictures.content(source.uri, source.content_type)[0]
        etag = digest(name.encode(), f"picture {at_ms:.6f} {size}".encode())

        def make() -> Small:
            rgb, full_hw, _ = self.pictures.small(source.uri, source.content_type, at_ms, size)
            return self._small(rgb, full_hw)

        return etag, self._through(etag, Small, make)

    def overlaid(
        self, source: Source, at_ms: float, size: int, plan: MaskPlan | None, mask_ms: float
    ) -> tuple[str, Small]:
        """The picture with a mask over it."""
        if plan is None:
            return self.picture(source, at_ms, size)
        name = self.pictures.content(source.uri, source.content_type)[0]
        etag = digest(name.encode(), self._mask_name(plan, mask_ms).encode(), f"overlay {at_ms:.6f} {size}".encode())

        def make() -> Small:
            rgb, full_hw, _ = self.pictures.small(source.uri, source.content_type, at_ms, size)
            found = self.pictures.labels(plan, mask_ms).map
            with self.pictures.slots.one():
                rgb = _over(rgb, found)
            return self._small(rgb, full_hw)

        return etag, self._through(etag, Small, make)

    def _small(self, rgb: NDArray[np.uint8], full_hw: tuple[int, int]) -> Small:
        with self.pictures.slots.one():
            return Small(encode(rgb, "webp", quality=_QUALITY), (rgb.shape[0], rgb.shape[1]), full_hw)

    def labels(self, plan: MaskPlan, at_ms: float, size: int, size_hw: tuple[int, int] | None) -> tuple[str, SmallMap]:
        """A mask at the size of a thumbnail, `size_hw`; None = as it fits into size × size by itself."""
        etag = digest(self._mask_name(plan, at_ms).encode(), f"labels {size} {size_hw}".encode())

        def make() -> SmallMap:
            found = self.pictures.labels(plan, at_ms).map
            with self.pictures.slots.one():
                data = shrink_labels(found, size_hw or fit(found.size_hw, size))
            meaning = _meaning(found, data)
            key = digest(msgspec.msgpack.encode(meaning))
            stored = np.ascontiguousarray(data, data.dtype.newbyteorder("<")).tobytes()
            height, width = data.shape
            return SmallMap(stored, (height, width), data.dtype.name, self._legends.get_or(key, lambda: meaning), key)

        return etag, self._through(etag, SmallMap, make)

    def _mask_name(self, plan: MaskPlan, at_ms: float) -> str:
        name = self.pictures.content(plan.mask.uri, plan.mask.content_type)[0]
        return digest(name.encode(), f"{at_ms:.6f}".encode(), legend_key(plan))

    def _through(self, etag: str, kind: Any, make: Any) -> Any:
        """What is kept in memory, else on disk, else made."""

        def look() -> Any:
            stored = self.folder.get(etag)
            if stored is not None:
                try:
                    return self._shared(
                        msgspec.msgpack.decode(pa.decompress(stored[8:], _size(stored), "zstd"), type=kind)
                    )
                except (msgspec.DecodeError, msgspec.ValidationError, OSError, ValueError):
                    pass  # half a file after a crash: made anew
            self.metrics.count("thumbs_made")
            made = make()
            packed = msgspec.msgpack.encode(made)
            self.folder.put(etag, len(packed).to_bytes(8, "little") + pa.compress(packed, "zstd", asbytes=True))
            return made

        return self.kept.get_or(etag, look)

    def _shared(self, found: Any) -> Any:
        """One legend in memory for all maps that mean the same."""
        if not isinstance(found, SmallMap):
            return found
        return msgspec.structs.replace(found, meaning=self._legends.get_or(found.legend, lambda: found.meaning))


def _size(stored: bytes) -> int:
    size = int.from_bytes(stored[:8], "little")
    if size > 1 << 26:
        raise ValueError(f"{size} bytes are no thumbnail")
    return size


def _meaning(found: LabelMap, data: NDArray[Any]) -> SmallLegend:
    legend = found.legend
    colors = legend.display_colors().tolist()
    occurring = np.unique(data).tolist() if legend.kind == "ids" else range(1, len(legend.entries) + 1)
    entries = tuple(
        SmallEntry(i, tuple(entry.labels), (colors[i][0], colors[i][1], colors[i][2]), entry.color, entry.code)
        for i in list(occurring)[:MAX_ENTRIES]
        if i
        for entry in [legend.entries[i - 1]]
    )
    return SmallLegend(legend.kind, entries)


def fit(size_hw: tuple[int, int], longest: int) -> tuple[int, int]:
    """The size whose longer side is `longest`, or less where it is less already."""
    scale = min(1.0, longest / max(size_hw))
    return max(1, round(size_hw[0] * scale)), max(1, round(size_hw[1] * scale))


def _over(rgb: NDArray[np.uint8], found: LabelMap) -> NDArray[np.uint8]:
    """A small picture with its labels in their colours at half opacity."""
    labels = shrink_labels(found, (rgb.shape[0], rgb.shape[1]))
    palette = found.legend.display_colors()
    strength = np.full(len(palette), 0.5)
    strength[0] = 0
    return kernels.blend(np.ascontiguousarray(rgb), labels, palette, strength)


def shrink_labels(found: LabelMap, size_hw: tuple[int, int]) -> NDArray[Any]:
    """The map at a smaller size; where samples of one cell differ, the label that is rarest in the mask wins.

    Thin and small things (poles, lane marks) would vanish from thumbnails otherwise.
    """
    height, width = size_hw
    if min(found.size_hw[0] // max(height, 1), found.size_hw[1] // max(width, 1)) < 2:
        return np.ascontiguousarray(found.resize(size_hw).data)
    # Four samples of each cell, looked up once each: a full reduction of a large mask would cost more than its decode.
    rows, columns = (_samples(full, small) for full, small in zip(found.size_hw, size_hw, strict=True))
    parts = [found.data[r[:, None], c] for r in rows for c in columns]
    counts = sum(np.bincount(part.ravel(), minlength=len(found.legend.entries) + 1) for part in parts)
    order = np.argsort(counts, kind="stable")[::-1]
    order = np.concatenate(([0], order[order != 0])).astype(found.data.dtype)  # void never wins over a label
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order), dtype=order.dtype)
    best = rank[parts[0]]
    for part in parts[1:]:
        np.maximum(best, rank[part], out=best)
    return order[best]


def _samples(full: int, small: int) -> list[NDArray[np.intp]]:
    """Positions at a quarter and at three quarters of each of `small` cells."""
    return [((np.arange(small) + part) * full / small).astype(np.intp) for part in (0.25, 0.75)]
