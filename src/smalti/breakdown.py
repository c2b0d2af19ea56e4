"""How labels are spread over frames: pixels, frames, size, what occurs with what, and when. From facts alone."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.facts import MaskFacts
from smalti.plots import bar_chart, heat_map, line_chart, range_chart
from smalti.stats import Statistics

__all__ = ["Breakdown"]

_STEPS = 60
_MOST_PLOTTED = 40
_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(slots=True)
class Breakdown:
    """Totals over frames that are added in their order, and what is needed to plot them.

    Attributes:
        totals: pixels and frames per label.
        rois: ROIs per label, whatever their shape.
        opened: frames whose masks had to be opened, because nothing was stored about them.
    """

    totals: Statistics = field(default_factory=Statistics)
    rois: dict[str, int] = field(default_factory=dict)
    opened: int = 0
    _frame: "array[int]" = field(default_factory=lambda: array("q"))
    _label: "array[int]" = field(default_factory=lambda: array("q"))
    _share: "array[float]" = field(default_factory=lambda: array("d"))
    _number: dict[str, int] = field(default_factory=dict)

    def add(self, facts: Iterable[MaskFacts], rois: Iterable[Iterable[str]] = ()) -> None:
        """Count one frame: its masks, and the labels of its ROIs."""
        listed = list(facts)
        self.totals.add(listed)
        for labels in rois:
            for label in labels:
                self.rois[label] = self.rois.get(label, 0) + 1
        pixels: dict[str, int] = {}
        for mask in listed:
            for label, count in mask.pixels.items():
                if count:
                    pixels[label] = pixels.get(label, 0) + count
        whole = sum(mask.total for mask in listed) or 1
        for label, count in pixels.items():
            self._frame.append(self.totals.frames - 1)
            self._label.append(self._number.setdefault(label, len(self._number)))
            self._share.append(count / whole)

    # ------------------------------------------------------------------------------------------------------ figures
    def _ranked(self) -> list[str]:
        return [row.label for row in self.totals.ranked() if row.frames]

    def sizes(self) -> dict[str, tuple[float, float, float]]:
        """Per label the 10 %, 50 % and 90 % quantile of its share of a frame, over the frames that show it."""
        label, share = np.array(self._label, np.int64), np.array(self._share)
        order = np.argsort(label, kind="stable")
        ends = np.searchsorted(label[order], np.arange(len(self._number) + 1))
        found = {}
        for name in self._ranked():
            at = self._number[name]
            low, middle, high = np.quantile(share[order[ends[at] : ends[at + 1]]], _QUANTILES).tolist()
            found[name] = (low, middle, high)
        return found

    def together(self, names: Sequence[str]) -> NDArray[np.float64]:
        """(n, n) share of the frames with the row's label that show the column's, too."""
        places = {self._number[name]: i for i, name in enumerate(names)}
        table = np.full(len(self._number) + 1, -1, np.int64)
        for number, place in places.items():
            table[number] = place
        which, frame = table[np.array(self._label, np.int64)], np.array(self._frame, np.int64)
        frame, which = frame[which >= 0], which[which >= 0]
        counts = np.zeros((len(names), len(names)), np.int64)
        # Entries of one frame follow one another; pairs at a distance of 1, 2, … within a frame are all its pairs.
        np.add.at(counts, (which, which), 1)
        for apart in range(1, len(names)):
            same = frame[apart:] == frame[:-apart]
            if not same.any():
                break
            one, two = which[apart:][same], which[:-apart][same]
            np.add.at(counts, (one, two), 1)
            np.add.at(counts, (two, one), 1)
        own = np.maximum(np.diag(counts), 1)
        found: NDArray[np.float64] = counts / own[:, None]
        return found

    def over_time(self, names: Sequence[str], steps: int = _STEPS) -> dict[str, list[float]]:
        """Per label its mean share of a frame in equal parts of the sequence of frames."""
        frames = self.totals.frames
        steps = max(1, min(steps, frames))
        which, share = np.array(self._label, np.int64), np.array(self._share)
        step = np.array(self._frame, np.int64) * steps // max(frames, 1)
        size = np.bincount(np.arange(frames) * steps // max(frames, 1), minlength=steps) if frames else np.ones(1)
        return {
            name: (
                np.bincount(step[which == at], share[which == at], minlength=steps)[:steps] / np.maximum(size, 1)
            ).tolist()
            for name in names
            for at in (self._number[name],)
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: the totals, and per label ROIs and quantiles of its size."""
        found = self.totals.to_dict()
        sizes = self.sizes()
        for row in found["labels"]:
            row["rois"] = self.rois.get(row["label"], 0)
            low, middle, high = sizes.get(row["label"], (0.0, 0.0, 0.0))
            row |= {"share_p10": low, "share_p50": middle, "share_p90": high}
        listed = {row["label"] for row in found["labels"]}
        for label, count in sorted(self.rois.items(), key=lambda item: (-item[1], item[0])):
            if label not in listed:
                empty: Mapping[str, Any] = {"pixels": 0, "pixel_share": 0.0, "frames": 0, "mean_share": 0.0}
                quantiles = {"share_p10": 0.0, "share_p50": 0.0, "share_p90": 0.0}
                found["labels"].append({"label": label, **empty, "rois": count, **quantiles})
        return {**found, "masks_opened_in": self.opened}

    def plots(self) -> dict[str, str]:
        """SVG documents by name: pixels, frames, size, together, time, and rois where there are any."""
        names = self._ranked()[:_MOST_PLOTTED]
        rows = {row.label: row for row in self.totals.labels.values()}
        whole, frames = max(self.totals.pixels, 1), max(self.totals.frames, 1)
        left_out = len(rows) - len(names)
        more = f" ({len(names)} of {len(rows)} labels)" if left_out > 0 and len(names) == _MOST_PLOTTED else ""
        by_frames = sorted(names, key=lambda name: (-rows[name].frames, name))
        found = {}
        if names:
            sizes, times = self.sizes(), self.over_time(names[:8])
            found["pixels"] = bar_chart(
                f"Pixels per label{more}", [(name, rows[name].pixels / whole * 100) for name in names], unit="%"
            )
            found["frames"] = bar_chart(
                f"Frames per label{more}", [(name, rows[name].frames / frames * 100) for name in by_frames], unit="%"
            )
            bands = [(name, low * 100, mid * 100, high * 100) for name in names for low, mid, high in (sizes[name],)]
            found["size"] = range_chart(
                f"Share of a frame where a label occurs, 10 % · median · 90 %{more}", bands, unit="%"
            )
            found["together"] = heat_map(
                f"What occurs together{more}",
                by_frames,
                self.together(by_frames).tolist(),
                note="Of 100 frames with the row's label, so many show the column's.",
            )
            steps = len(next(iter(times.values())))
            found["time"] = line_chart(
                "Share of a frame over time",
                [(name, [value * 100 for value in values]) for name, values in times.items()],
                unit="%",
                note=f"Frames by context and time, from left to right in {steps} equal steps; the {len(times)} largest labels.",
            )
        if self.rois:
            ranked = sorted(self.rois.items(), key=lambda item: (-item[1], item[0]))[:_MOST_PLOTTED]
            found["rois"] = bar_chart("ROIs per label", ranked)
        return found
