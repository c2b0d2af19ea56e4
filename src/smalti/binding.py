"""Which masks a frame uses, and what their colours mean: every ambiguity rule lives here.

The published examples of the format contradict each other about the field that names the mask. A ROI is read by the
first rule that fits, per source:

1. `roi.mask.id` is the id of a mask of that source → the colour means `roi.label`.
2. a `roi.label` is the id of a mask of that source → the colour means `roi.mask.id` (and the other labels).
3. the source has exactly one mask → that one, and the colour means `roi.label`.

Anything else is a `MaskReferenceError` that lists the masks that exist: nothing resolves by accident. What the frame
does not say is filled in from the version's legends (`mask_labels`: first by mask id, then `_all_`); the frame wins.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

from smalti.errors import LegendError, MaskReferenceError
from smalti.ids import encoding_kind
from smalti.legend import Entry, Legend
from smalti.records import Frame, Mask, Roi, Source

__all__ = ["ALL_MASKS", "MaskBinding", "MaskPlan", "Resolution", "resolve"]

ALL_MASKS = "_all_"
Legends = Legend | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class MaskBinding:
    """What one ROI says about one mask.

    Attributes:
        roi: position in `frame.rois`.
        source: id of the source.
        mask: id of the mask.
        color: the pixel value as written: (r, g, b), -1 = any; one number for a mask of indices.
        labels: what the colour means.
        rule: which of the three rules of this module chose the mask (1, 2 or 3).
    """

    roi: int
    source: str
    mask: str
    color: tuple[int, ...]
    labels: tuple[str, ...]
    rule: Literal[1, 2, 3]


@dataclass(frozen=True, slots=True)
class MaskPlan:
    """One mask of a frame with the legend that explains it; `legend` None = no legend describes it: ids, or alpha."""

    source: Source
    mask: Mask
    legend: Legend | None
    scheme: str | None = None
    is_alpha: bool = False


class Resolution(Sequence[MaskBinding]):
    """What `resolve` found: a sequence of bindings, one per mask ROI and source, and `masks`: one plan per mask."""

    __slots__ = ("_bindings", "masks")

    def __init__(self, bindings: Sequence[MaskBinding], masks: Sequence[MaskPlan]) -> None:
        self._bindings = tuple(bindings)
        self.masks = tuple(masks)

    @overload
    def __getitem__(self, index: int) -> MaskBinding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[MaskBinding, ...]: ...
    def __getitem__(self, index: int | slice) -> MaskBinding | tuple[MaskBinding, ...]:
        return self._bindings[index]

    def __len__(self) -> int:
        return len(self._bindings)

    def __iter__(self) -> Iterator[MaskBinding]:
        return iter(self._bindings)

    def plan(self, mask_id: str | None = None, source_id: str | None = None) -> MaskPlan:
        """The plan of the one mask that is meant.

        Args:
            mask_id: None = the only mask that a ROI or a legend explains, or the only mask there is.
            source_id: None = any source.

        Raises:
            MaskReferenceError: no mask, or more than one, fits; the message lists the masks.
        """
        wanted = None if mask_id is None else str(mask_id)
        fitting = [p for p in self.masks if source_id in (None, p.source.id) and wanted in (None, p.mask.id)]
        if len(fitting) > 1 and wanted is None:
            used = {(b.source, b.mask) for b in self._bindings}
            fitting = (
                [p for p in fitting if (p.source.id, p.mask.id) in used]
                or [p for p in fitting if p.legend is not None]
                or fitting
            )
        if len(fitting) == 1:
            return fitting[0]
        known = [f"{p.source.id}/{p.mask.id}" for p in self.masks]
        raise MaskReferenceError(
            self._why_not_one(wanted, source_id, len(fitting)),
            mask_id=wanted,
            known=known,
        )

    def _why_not_one(self, wanted: str | None, source_id: str | None, fitting: int) -> str:
        if not self.masks:
            return "the frame has no masks; add one to a source (`masks_source`), or name a frame that has some"
        listed = ", ".join(f"{p.mask.id!r} of source {p.source.id!r}" for p in self.masks)
        if wanted is not None:
            asked = f"mask {wanted!r}" + (f" of source {source_id!r}" if source_id is not None else "")
            found = f"{asked} is in {fitting} sources" if fitting else f"there is no {asked}"
        else:
            of = f" of source {source_id!r}" if source_id is not None else ""
            found = f"{fitting} masks{of} could be meant" if fitting else f"there is no mask{of}"
        more = " and its source (--source on the command line)" if wanted is not None and fitting else ""
        return f"{found}; the frame has {listed}: name one by its id (--mask on the command line){more}"

    def __repr__(self) -> str:
        lines = [
            f"  rois[{b.roi}] {b.color} in {b.source}/{b.mask} means {', '.join(b.labels)} (rule {b.rule})"
            for b in self
        ]
        return "\n".join([f"Resolution of {len(self.masks)} mask(s):", *lines])


def resolve(frame: Any, legend: Legends = None) -> Resolution:
    """Which mask every ROI speaks of, what its colour means, and by which rule.

    Args:
        frame: a Frame record, or a SingleFrame or FrameGroup (anything with `.record`).
        legend: a Legend for every mask, or the version form `{"_all_" or mask id: [{"value": …, "labels": …}]}`.

    Raises:
        MaskReferenceError: a ROI's mask cannot be told; the message has the JSON path and the masks that exist.
        LegendError: one colour of one mask means two different things.
    """
    record: Frame = getattr(frame, "record", frame)
    given = legend if legend is not None else getattr(frame, "mask_labels", None)
    bindings = [
        b for position, roi in enumerate(record.rois) if roi.mask is not None for b in _bind(record, position, roi)
    ]
    masks = [
        _plan(source, mask, [b for b in bindings if (b.source, b.mask) == (source.id, mask.id)], given)
        for source in record.sources
        for mask in source.masks
    ]
    return Resolution(bindings, masks)


def _bind(frame: Frame, position: int, roi: Roi) -> list[MaskBinding]:
    candidates = [s for s in frame.sources if not roi.sources or s.id in roi.sources]
    found = [binding for source in candidates if (binding := _bind_source(source, position, roi)) is not None]
    if roi.sources or len(found) == 1:
        unmet = [s for s in candidates if s.masks and s.id not in {b.source for b in found}]
        if found and not unmet:
            return found
    # A ROI that names no source holds wherever its mask is found by name; a lone mask (rule 3) is not a name.
    elif named := [b for b in found if b.rule != 3]:
        return named
    known = [f"{s.id}/{m.id}" for s in frame.sources for m in s.masks]
    masks = {s.id: [m.id for m in s.masks] for s in candidates}
    path = f"$.rois[{position}].mask.id"
    mask_id = roi.mask.id if roi.mask else ""
    listed = "; ".join(
        f"source {name!r} has masks {ids}" if ids else f"source {name!r} has no masks" for name, ids in masks.items()
    )
    raise MaskReferenceError(
        f"{path} is {mask_id!r} and the label is {roi.label}, but {listed}; name one of them, or give the source a single mask",
        path=path,
        mask_id=mask_id,
        known=known,
    )


def _bind_source(source: Source, position: int, roi: Roi) -> MaskBinding | None:
    named = roi.mask
    if named is None:
        return None
    ids = {mask.id for mask in source.masks}
    value = tuple(named.value)
    if named.id in ids:
        return MaskBinding(position, source.id, named.id, value, tuple(roi.label), 1)
    spoken = [label for label in roi.label if label in ids]
    if len(spoken) == 1 and named.id:
        others = tuple(label for label in roi.label if label != spoken[0])
        return MaskBinding(position, source.id, spoken[0], value, (named.id, *others), 2)
    if len(ids) == 1:
        return MaskBinding(position, source.id, source.masks[0].id, value, tuple(roi.label), 3)
    return None


def _plan(source: Source, mask: Mask, bindings: list[MaskBinding], given: Legends) -> MaskPlan:
    meant = encoding_kind(mask.encoding)
    if meant is not None and meant[0] == "alpha":
        return MaskPlan(source, mask, None, is_alpha=True)
    scheme = meant[1] if meant is not None and meant[0] == "ids" else None
    legend = _own_legend(source, mask, bindings)
    for fallback in _fallbacks(mask.id, given):
        legend = fallback if legend is None else legend | fallback
    if legend is None:
        return MaskPlan(source, mask, None, scheme)
    if meant is not None and meant[0] == "indices":
        # A colour (v, v, v) of an index mask means the stored number v.
        legend = Legend.from_entries([_with_code(e) for e in legend.entries], kind="indices")
    elif scheme is not None:
        legend = Legend.from_entries([_with_id(e, scheme) for e in legend.entries], kind="ids", scheme=scheme)
    return MaskPlan(source, mask, legend, scheme or legend.scheme)


def _own_legend(source: Source, mask: Mask, bindings: list[MaskBinding]) -> Legend | None:
    entries = []
    for binding in bindings:
        value = binding.color[:3]
        if len(value) == 1:
            entries.append(Entry(binding.labels, code=value[0]))
        else:
            entries.append(Entry(binding.labels, color=(value[0], value[1], value[2])))
    if not entries:
        return None
    try:
        return Legend.from_entries(entries)
    except LegendError as error:
        raise LegendError(f"source {source.id!r}, mask {mask.id!r}: {error}") from None


def _fallbacks(mask_id: str, given: Legends) -> Iterator[Legend]:
    if isinstance(given, Legend):
        yield given
    elif given is not None and not isinstance(given, Mapping):
        raise LegendError(
            f"the legend is a {type(given).__name__}; allowed: a Legend (Legend.read(path) reads a file), or the version "
            "form {'_all_' or mask id: [{'value': …, 'labels': …}]}"
        )
    elif given:
        if wrong := [key for key in given if not isinstance(key, str)]:
            raise LegendError(
                f"the legend has the key {wrong[0]!r}, which is no mask id; wrap colors as Legend({{(r, g, b): label}})"
            )
        for key in (mask_id, ALL_MASKS):
            if key in given:
                rows = given[key]
                yield rows if isinstance(rows, Legend) else Legend.from_mask_labels(rows, where=f"mask_labels[{key!r}]")


def _with_code(entry: Entry) -> Entry:
    if entry.code is None and entry.color is not None and len(set(entry.color)) == 1 and entry.color[0] >= 0:
        return Entry(entry.labels, entry.color, entry.color[0])
    return entry


def _with_id(entry: Entry, scheme: str) -> Entry:
    if entry.code is None and entry.color is not None and min(entry.color) >= 0:
        red, green, blue = entry.color
        if scheme == "coco":
            return Entry(entry.labels, entry.color, red | green << 8 | blue << 16)
        return _with_code(entry)
    return entry
