"""LabelMap: which legend entry every pixel of a mask belongs to, and the legend that explains the numbers."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.errors import DecodeError, LegendError
from smalti.legend import Entry, Legend

__all__ = ["LabelMap", "Segment"]


@dataclass(frozen=True, slots=True)
class Segment:
    """One entry as it stands in a mask: `id` is the raw value (or colour), `box2d_xywh` is in pixels."""

    id: Any
    labels: tuple[str, ...]
    pixels: int
    box2d_xywh: tuple[int, int, int, int]

    @property
    def label(self) -> str:
        """The first label."""
        return self.labels[0] if self.labels else str(self.id)


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """A decoded mask.

    Attributes:
        data: (H, W) entry numbers in the smallest unsigned dtype that holds them; 0 = void (no entry fits), entry i of
            `legend.entries` is i + 1. For id masks the entries are discovered in the mask.
        legend: what the numbers mean.
        policy: how colours were understood: "exact", "nearest" or "repair".
        settled: how many pixels each step of the policy settled, e.g. {"exact": 9000, "repaired": 120, "void": 3}.
        notes: sentences worth reporting: a wrong content type, a size that differs from the source's, ...
        pts_ms: for a mask video, the presentation time of the picture that was read.
        mode: the stored mode of the file: "P", "L", "I;16", "RGB", "RGBA", "YCC", ...
        codec: what stored it: "png", "jpeg", "h264", ...
    """

    data: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]
    legend: Legend
    policy: str = "exact"
    settled: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    pts_ms: float | None = None
    mode: str = ""
    codec: str = ""

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.data.shape[0]), int(self.data.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of `data`: (height, width)."""
        return self.size_hw

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False and dtype is not None and np.dtype(dtype) != self.data.dtype:
            raise ValueError(f"a label map of {self.data.dtype} cannot become {np.dtype(dtype)} without a copy")
        return np.array(self.data, dtype=dtype, copy=True if copy else None)

    def __getitem__(self, label: str) -> NDArray[np.bool_]:
        """(H, W) bool: where an entry with this label lies.

        Raises:
            LegendError: no entry of the legend has that label.
        """
        wanted = np.zeros(len(self.legend) + 1, np.uint8)
        wanted[self.legend.indices_of(label)] = 1
        return kernels.lookup(self.data, wanted).view(np.bool_)

    def __contains__(self, label: object) -> bool:
        return any(label in entry.labels for entry in self.legend.entries)

    @property
    def ids(self) -> NDArray[np.uint32]:
        """(H, W) uint32: the raw stored value of every pixel of an id or index mask; 0 where void.

        Raises:
            LegendError: the mask stores colours, so there are no raw numbers.
        """
        codes = [entry.code for entry in self.legend.entries]
        if any(code is None for code in codes):
            raise LegendError("the mask stores colors, not ids; use .data and .legend")
        table = np.array([0, *(max(code or 0, 0) for code in codes)], np.uint32)
        return kernels.lookup(self.data, table)

    def entry_counts(self) -> NDArray[np.int64]:
        """(n + 1,) pixels by entry number; position 0 counts void."""
        return kernels.count(self.data, len(self.legend) + 1)

    @property
    def void(self) -> int:
        """How many pixels no entry explains."""
        return int(self.entry_counts()[0])

    def counts(self) -> dict[str, int]:
        """Pixels by label, zeros included; an entry with several labels counts for each. Void is apart: `.void`."""
        totals = dict.fromkeys(self.legend.labels, 0)
        for entry, pixels in zip(self.legend.entries, self.entry_counts()[1:].tolist(), strict=True):
            for label in entry.labels:
                totals[label] += pixels
        return totals

    def shares(self) -> dict[str, float]:
        """Share of all pixels by label, 0..1, zeros included."""
        total = max(self.data.size, 1)
        return {label: pixels / total for label, pixels in self.counts().items()}

    def boxes(self) -> dict[str, tuple[int, int, int, int]]:
        """The smallest box (x, y, w, h) in pixels around each label that occurs."""
        found: dict[str, tuple[int, int, int, int]] = {}
        for segment in self.segments():
            for label in segment.labels:
                found[label] = _join(found.get(label), segment.box2d_xywh)
        return found

    def segments(self) -> list[Segment]:
        """Every entry that occurs: id, labels, pixels and box; for id masks one per object."""
        counts, boxes = kernels.count_boxes(self.data, len(self.legend) + 1)
        return [
            Segment(_raw(entry, self.legend.kind), entry.labels, int(counts[i]), tuple(int(v) for v in boxes[i]))  # type: ignore[arg-type]
            for i, entry in enumerate(self.legend.entries, 1)
            if counts[i]
        ]

    def remap(self, mapping: Mapping[Any, int], void: int = 255) -> NDArray[Any]:
        """(H, W) class numbers, all mapped at once; what `mapping` does not name becomes `void`.

        Args:
            mapping: label (or raw value: a colour tuple or a stored number) → class number.
            void: the number for void and for everything unnamed: the ignore index of a loss.

        Returns:
            The smallest dtype that holds all numbers: uint8, uint16, or a signed one when any is negative.

        Raises:
            LegendError: a name is not in the legend, or two labels of one entry ask for different numbers.
        """
        if wrong := [
            n for n in (void, *mapping.values()) if not isinstance(n, (int, np.integer)) or isinstance(n, bool)
        ]:
            raise LegendError(f"remap has the class number {wrong[0]!r}; class numbers are whole numbers")
        table = [void, *(self._class_of(entry, mapping, void) for entry in self.legend.entries)]
        known = {label for entry in self.legend.entries for label in entry.labels}
        known |= {_raw(entry, self.legend.kind) for entry in self.legend.entries}
        if self.legend.kind != "ids" and (unknown := [key for key in mapping if key not in known]):
            raise LegendError(
                f"remap names {unknown[0]!r}, which the legend lacks; it has: {', '.join(self.legend.labels[:20])}"
            )
        return kernels.lookup(self.data, np.array(table, _fitting([void, *mapping.values()])))

    def _class_of(self, entry: Entry, mapping: Mapping[Any, int], void: int) -> int:
        raw = _raw(entry, self.legend.kind)
        asked = {mapping[key] for key in (*entry.labels, raw) if key in mapping}
        if len(asked) > 1:
            raise LegendError(
                f"labels {', '.join(entry.labels)} of one entry are mapped to {sorted(asked)}; give them one number"
            )
        return asked.pop() if asked else void

    def resize(self, size_hw: tuple[int, int]) -> "LabelMap":
        """The map at another size, by the nearest pixel centre: labels are never mixed."""
        height, width = size_hw
        if height < 1 or width < 1 or not self.data.size:
            raise DecodeError(f"a map of {self.size_hw} cannot become {size_hw}; both sizes must be at least 1")
        rows = ((np.arange(height) + 0.5) * self.data.shape[0] / height).astype(np.intp)
        columns = ((np.arange(width) + 0.5) * self.data.shape[1] / width).astype(np.intp)
        return replace(self, data=self.data[rows[:, None], columns])

    def colors(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB: every pixel in the colour of its entry, void black."""
        return self.legend.display_colors()[self.data]

    def __repr__(self) -> str:
        height, width = self.size_hw
        total = max(self.data.size, 1)
        ranked = sorted(((n, label) for label, n in self.counts().items() if n), reverse=True)
        parts = [f"{label} {_percent(n / total)}" for n, label in ranked[:6]]
        parts += [f"… {len(ranked) - 6} more"] if len(ranked) > 6 else []
        if void := self.void:
            parts.append(f"void {_percent(void / total)}")
        return f"LabelMap {height}×{width} {self.data.dtype}: {', '.join(parts) or 'empty'}"

    def _repr_html_(self) -> str:
        """The picture and the legend with shares, for notebooks."""
        from PIL import Image

        buffer = io.BytesIO()
        step = max(1, max(self.size_hw) // 480)
        Image.fromarray(self.colors()[::step, ::step]).save(buffer, "PNG")
        picture = base64.b64encode(buffer.getvalue()).decode()
        palette = self.legend.display_colors()
        total = max(self.data.size, 1)
        rows = [
            f'<tr><td style="background:#{bytes(palette[i].tolist()).hex()};width:1.2em"></td>'
            f"<td>{html.escape('/'.join(names))}</td><td>{_percent(n / total)}</td></tr>"
            for i, (names, n) in enumerate(
                zip([("void",), *(e.labels for e in self.legend)], self.entry_counts().tolist(), strict=True)
            )
            if n
        ]
        return f'<img alt="label map" src="data:image/png;base64,{picture}"><table>{"".join(rows)}</table>'


def _raw(entry: Entry, kind: str) -> Any:
    return entry.color if kind == "colors" else entry.code if entry.code is not None else entry.color


def _join(one: tuple[int, int, int, int] | None, two: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    if one is None:
        return two
    left, top = min(one[0], two[0]), min(one[1], two[1])
    right, bottom = max(one[0] + one[2], two[0] + two[2]), max(one[1] + one[3], two[1] + two[3])
    return left, top, right - left, bottom - top


def _fitting(numbers: Sequence[int]) -> Any:
    low, high = min(numbers), max(numbers)
    for dtype in (np.uint8, np.uint16, np.int16, np.int32, np.int64):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    raise LegendError(f"class numbers {low}..{high} fit no integer type")


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 or share == 0 else "<0.1%"
