"""Counting: pixels and frames per label, and the facts of a frame's masks that a store keeps."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import kernels, pixels
from smalti.binding import MaskPlan, resolve
from smalti.errors import DecodeError
from smalti.facts import MaskFacts, SegmentFacts
from smalti.frames import FrameGroup, SingleFrame
from smalti.labelmap import LabelMap
from smalti.parallel import ordered_map

__all__ = ["LabelCount", "Statistics", "agreement", "count_labels", "facts_of", "frame_facts", "statistics_of"]

AnyFrame = SingleFrame | FrameGroup


def facts_of(found: LabelMap, *, source: str, mask: str) -> MaskFacts:
    """The stored facts of one decoded mask."""
    segments = []
    if found.legend.kind == "ids":
        segments = [
            SegmentFacts(
                id=int(s.id), label=None if s.label == str(s.id) else s.label, pixels=s.pixels, box2d_xywh=s.box2d_xywh
            )
            for s in found.segments()
        ]
    named = {label: n for label, n in found.counts().items() if n}
    return MaskFacts(
        source=source,
        mask=mask,
        size_hw=found.size_hw,
        mode=found.mode,
        codec=found.codec,
        pixels=named,
        void=found.void,
        segments=segments,
    )


def frame_facts(
    frame: AnyFrame, legend: Any = None, *, read: Callable[[MaskPlan], LabelMap] | None = None
) -> list[MaskFacts]:
    """The facts of every mask of a frame; alpha masks have none.

    Args:
        frame: the frame; `legend` fills in what it does not say (see `smalti.resolve`).
        read: decodes the mask of a plan; None = as this process can.

    Raises:
        DecodeError, StorageError, FileNotFoundError: a mask cannot be read.
    """
    decode = read if read is not None else lambda plan: read_plan(plan, frame.base)
    plans = (plan for plan in resolve(frame, legend).masks if not plan.is_alpha)
    return [facts_of(decode(plan), source=plan.source.id, mask=plan.mask.id) for plan in plans]


def read_plan(plan: MaskPlan, base: str | None) -> LabelMap:
    """The decoded mask of a plan by the default policy."""
    return pixels.label_map(plan, base, None, ("auto", None, False, False))


@dataclass(slots=True)
class LabelCount:
    """What is known of one label: pixels, frames that show it, and the mean of its share where it occurs."""

    label: str
    pixels: int = 0
    frames: int = 0
    share_sum: float = 0.0

    @property
    def mean_share(self) -> float:
        """Mean share of the mask over the frames that show the label, 0..1."""
        return self.share_sum / self.frames if self.frames else 0.0


@dataclass(slots=True)
class Statistics:
    """Totals over frames.

    Attributes:
        labels: by label, in order of first appearance.
        frames: how many frames were counted; `masks`: how many masks in them.
        pixels: all mask pixels; `void`: those that no entry explains.
        failed: (frame id, message) of masks that could not be read.
    """

    labels: dict[str, LabelCount] = field(default_factory=dict)
    frames: int = 0
    masks: int = 0
    pixels: int = 0
    void: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)

    def add(self, facts: Iterable[MaskFacts]) -> None:
        """Count one frame's masks."""
        self.frames += 1
        seen: set[str] = set()
        for mask in facts:
            self.masks += 1
            self.pixels += mask.total
            self.void += mask.void
            for label, count in mask.pixels.items():
                row = self.labels.setdefault(label, LabelCount(label))
                row.pixels += count
                if count and label not in seen:
                    seen.add(label)
                    row.frames += 1
                    row.share_sum += mask.share(label)

    def ranked(self) -> list[LabelCount]:
        """The labels, most pixels first."""
        return sorted(self.labels.values(), key=lambda row: (-row.pixels, row.label))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, labels ranked."""
        rows = [
            {
                "label": row.label,
                "pixels": row.pixels,
                "pixel_share": row.pixels / self.pixels if self.pixels else 0.0,
                "frames": row.frames,
                "mean_share": row.mean_share,
            }
            for row in self.ranked()
        ]
        totals = {"frames": self.frames, "masks": self.masks, "pixels": self.pixels, "void": self.void}
        return {**totals, "labels": rows, "failed": [{"frame": i, "error": e} for i, e in self.failed]}


def statistics_of(all_facts: Iterable[Iterable[MaskFacts]]) -> Statistics:
    """Totals of stored facts: no mask is opened."""
    totals = Statistics()
    for facts in all_facts:
        totals.add(facts)
    return totals


def count_labels(frames: Iterable[AnyFrame], *, mask_id: str | None = None, workers: int | None = None) -> Statistics:
    """Pixels and frames per label, read from the masks; frames that cannot be read are listed, not dropped in silence.

    Args:
        frames: the frames; read lazily, several at a time.
        mask_id: count only masks with this id.
        workers: threads; default: one per core.
    """
    totals = Statistics()
    for frame, facts, error in ordered_map(lambda f: _try_facts(f, mask_id), frames, workers=workers):
        if error is not None:
            totals.failed.append((frame.id, error))
        else:
            totals.add(facts)
    return totals


def _try_facts(frame: AnyFrame, mask_id: str | None) -> tuple[AnyFrame, list[MaskFacts], str | None]:
    try:
        return frame, [f for f in frame_facts(frame) if mask_id in (None, f.mask)], None
    except (ValueError, OSError) as error:
        return frame, [], str(error)


def agreement(truth: LabelMap, predicted: LabelMap) -> tuple[NDArray[np.int64], list[str]]:
    """Confusion matrix of two label maps of one size, rows = truth, by label; the last row and column are void.

    Raises:
        DecodeError: the sizes differ.
    """
    if truth.size_hw != predicted.size_hw:
        raise DecodeError(f"the maps are {truth.size_hw} and {predicted.size_hw} (H, W); they must agree")
    names = list(dict.fromkeys([*truth.legend.labels, *predicted.legend.labels]))
    number = {name: i for i, name in enumerate(names)}
    void = len(names)
    sides = [
        m.remap({label: number[label] for e in m.legend for label in e.labels[:1]}, void=void)
        for m in (truth, predicted)
    ]
    return kernels.confusion(sides[0], sides[1], void + 1), names


def each_mask(frame: AnyFrame, legend: Any = None) -> Iterator[tuple[MaskPlan, LabelMap]]:
    """Every mask of a frame that has labels, decoded."""
    for plan in resolve(frame, legend).masks:
        if not plan.is_alpha:
            yield plan, read_plan(plan, frame.base)
