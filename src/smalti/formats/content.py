"""What a frame shows, for writers: one picture of numbered items, or its shapes one by one.

`painted` serves targets that store a picture (class maps, ids): every pixel has one item. `shapes` serves targets that
list objects: each has its own pixels or polygon, and they may overlap.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.binding import MaskPlan, resolve
from smalti.codecs.rle import decode_rle, encode_rle
from smalti.errors import FrameError
from smalti.frames import FrameGroup, SingleFrame
from smalti.geometry import points_of_ellipse, rings
from smalti.ids import SCHEMES
from smalti.labelmap import LabelMap
from smalti.pixels import join, mask_raster, source_raster
from smalti.polygons import outline, rasterise
from smalti.records import Roi
from smalti.stats import read_plan

__all__ = ["VOID_LABELS", "Item", "Painted", "Shape", "is_void", "painted", "shapes", "single_frames", "size_of"]

_ELLIPSE_POINTS = 64
VOID_LABELS = frozenset({"", "void", "ignore", "ignored", "border", "__ignore__", "unlabeled", "unlabelled"})
"""Labels (in lower case) that stand for "no statement"; targets with a void value of their own write it for them."""


def is_void(label: str) -> bool:
    """Whether a label stands for "no statement"."""
    return label.lower() in VOID_LABELS


@dataclass(frozen=True, slots=True)
class Item:
    """One number of a painted picture.

    Attributes:
        labels: what it means.
        id: the number that the source stored (an id, an index), 0 where it stored none.
        instance: the number of the object within its class; 0 = a region without objects.
        color: (R, G, B) of its label where the source says one.
        roi: the annotation that it comes from.
        category: the number of its class in the source; -1 where the source has none.
    """

    labels: tuple[str, ...]
    id: int = 0
    instance: int = 0
    color: tuple[int, int, int] | None = None
    roi: Roi | None = None
    category: int = -1

    @property
    def label(self) -> str:
        """The first label, else the number."""
        return self.labels[0] if self.labels else str(self.id)

    @property
    def is_thing(self) -> bool:
        """Whether it is one object among others of its label."""
        told = self.roi.meta.get("isthing") if self.roi is not None else None
        return bool(told) if told is not None else self.instance > 0


@dataclass(frozen=True, slots=True)
class Painted:
    """(H, W) numbers of items, 0 = void, item i is number i + 1.

    Attributes:
        data: (H, W) unsigned.
        items: what the numbers mean.
        kind: "classes" (one item a label), "ids" (one an object), "shapes" (annotations painted in their order).
        mask_id: the mask that was read; None for shapes.
        covered: pixels of shapes that later shapes cover.
        policy: how colours were understood.
    """

    data: NDArray[Any]
    items: tuple[Item, ...]
    kind: Literal["classes", "ids", "shapes"]
    mask_id: str | None = None
    covered: int = 0
    policy: str = "exact"

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.data.shape[0]), int(self.data.shape[1])


@dataclass(slots=True)
class Shape:
    """One object: its labels, and its pixels as a polygon, as run lengths, or as a number of a painted picture."""

    labels: tuple[str, ...]
    size_hw: tuple[int, int]
    roi: Roi | None = None
    item: Item | None = None
    rings: list[list[float]] = field(default_factory=list)
    rle: dict[str, Any] | None = None
    crop: NDArray[np.uint8] | None = None
    corner_xy: tuple[int, int] = (0, 0)

    @property
    def label(self) -> str:
        """The first label."""
        return self.labels[0] if self.labels else ""

    @property
    def has_holes(self) -> bool:
        """Whether rings inside rings are holes."""
        return bool(self.roi is not None and self.roi.meta.get("holes"))

    def mask(self) -> NDArray[np.uint8]:
        """(H, W) uint8 of 0 and 1."""
        if self.rle is not None:
            return decode_rle(self.rle)
        if self.crop is not None:
            whole = np.zeros(self.size_hw, np.uint8)
            x, y = self.corner_xy
            whole[y : y + self.crop.shape[0], x : x + self.crop.shape[1]] = self.crop
            return whole
        return rasterise(self.rings, self.size_hw, rule="even-odd" if self.has_holes else "union")

    def cropped(self) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The pixels within their box, and its corner x, y; an empty array where there are none."""
        if self.crop is not None:
            return self.crop, self.corner_xy
        mask = self.mask()
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return np.zeros((0, 0), np.uint8), (0, 0)
        y, x = int(rows[0]), int(columns[0])
        return np.ascontiguousarray(mask[y : rows[-1] + 1, x : columns[-1] + 1]), (x, y)

    def run_lengths(self, *, compressed: bool = True) -> dict[str, Any]:
        """COCO run lengths."""
        if self.rle is not None and isinstance(self.rle["counts"], str) == compressed:
            return self.rle
        return encode_rle(self.mask(), compressed=compressed)

    def regions(self) -> list[tuple[list[float], list[list[float]]]]:
        """(outer ring, holes) per part: the polygon itself where it is one, else the edges of the pixels."""
        if self.rings and not self.has_holes:
            return [(ring, []) for ring in self.rings]
        if self.rings:
            return [(self.rings[0], self.rings[1:])]
        if self.crop is not None:
            x, y = self.corner_xy
            return [(_moved(o, x, y), [_moved(h, x, y) for h in inner]) for o, inner in outline(self.crop)]
        return outline(self.mask())


def _moved(ring: list[float], x: int, y: int) -> list[float]:
    moved: list[float] = (np.asarray(ring).reshape(-1, 2) + np.array([x, y])).ravel().tolist()
    return moved


def single_frames(frames: Iterable[SingleFrame | FrameGroup]) -> Iterator[SingleFrame]:
    """The frames, groups taken apart into their sources (ids get the source's name appended)."""
    for frame in frames:
        if isinstance(frame, SingleFrame):
            yield frame
            continue
        for name, part in frame.items():
            alone = part.copy()
            alone.record.sources = [s for s in alone.record.sources if s.id == name]
            alone.record.rois = [r for r in alone.record.rois if not r.sources or name in r.sources]
            alone.id = f"{frame.id}_{name}"
            yield alone


def size_of(frame: SingleFrame) -> tuple[int, int]:
    """(height, width) in pixels: as the record says, else as the masks or the image have it.

    Raises:
        FrameError: nothing says it.
    """
    source = frame.source_record
    if source.height and source.width:
        return source.height, source.width
    for mask in source.masks:
        if mask.height and mask.width:
            return mask.height, mask.width
    for mask in source.masks:
        return mask_raster(mask, frame.base).size_hw
    for roi in frame.record.rois:
        if isinstance(rle := roi.meta.get("rle"), dict):
            return rle["size"][0], rle["size"][1]
    if source.uri:
        return source_raster(source, frame.base).size_hw
    raise FrameError(f"frame {frame.id}: its size is unknown; set width and height of the source")


def painted(
    frame: SingleFrame, *, prefer: Literal["classes", "ids"] = "classes", mask_id: str | None = None
) -> Painted:
    """The frame as one picture of items.

    Args:
        frame: its mask is read; without a mask, its shapes are painted in their order, the last on top.
        prefer: which kind of mask to take where the frame has several: one of classes or one of ids.
        mask_id: this mask and no other.

    Raises:
        MaskReferenceError: `mask_id` does not exist.
        FrameError: the frame has neither a mask nor shapes with a known size.
        DecodeError, StorageError, FileNotFoundError: the mask cannot be read.
    """
    plan = chosen_plan(frame, prefer=prefer, mask_id=mask_id)
    if plan is not None:
        found = _from_map(read_plan(plan, frame.base), frame, plan)
        numbered = (
            _objects_plan(frame, plan) if prefer == "ids" and mask_id is None and found.kind == "classes" else None
        )
        return found if numbered is None else _combined(found, read_plan(numbered, frame.base))
    objects = list(shapes(frame, geometry_only=True))
    size = size_of(frame)
    data = np.zeros(size, np.uint16 if len(objects) < 0xFFFF else np.uint32)
    covered = 0
    for number, shape in enumerate(objects, 1):
        inside = shape.mask().view(np.bool_)
        covered += int(np.count_nonzero(data[inside]))
        data[inside] = number
    items = tuple(_item_of(shape, number) for number, shape in enumerate(objects, 1))
    return Painted(data, items, "shapes", None, covered)


def chosen_plan(frame: SingleFrame, *, prefer: str, mask_id: str | None) -> MaskPlan | None:
    """The mask to write; None where the frame has none."""
    resolution = resolve(frame.record, frame.mask_labels)
    if mask_id is not None:
        return resolution.plan(mask_id, frame.source_id)
    usable = [p for p in resolution.masks if not p.is_alpha and p.source.id == frame.source_id]

    def rank(plan: MaskPlan) -> tuple[bool, bool]:
        is_ids = plan.legend is None or plan.legend.kind == "ids" or plan.scheme is not None
        names = plan.legend is not None and any(_names_things(label) for label in plan.legend.labels)
        return (not names, is_ids != (prefer == "ids"))

    return min(usable, key=rank, default=None)


def _objects_plan(frame: SingleFrame, classes: MaskPlan) -> MaskPlan | None:
    """The mask that numbers objects without naming them, beside one that names classes (VOC, LabelMe)."""
    others = [
        p
        for p in resolve(frame.record, frame.mask_labels).masks
        if p.source.id == frame.source_id and p.mask.id != classes.mask.id and not p.is_alpha
    ]
    unnamed = [p for p in others if p.legend is None or not any(_names_things(label) for label in p.legend.labels)]
    return unnamed[0] if len(unnamed) == 1 else None


def _combined(classes: Painted, objects: LabelMap) -> Painted:
    """One item per class and object: classes say what, objects which one."""
    if objects.size_hw != classes.size_hw:
        return classes
    voids = [is_void(e.labels[0]) for e in objects.legend]
    numbers = np.array([0, *(0 if void else i for i, void in enumerate(voids, 1))], np.uint32)[objects.data]
    pairs, data = np.unique(classes.data.astype(np.uint64) << np.uint64(32) | numbers, return_inverse=True)
    items, table = [], np.zeros(len(pairs), np.uint32)
    for position, pair in enumerate(pairs.tolist()):
        what, which = pair >> 32, pair & 0xFFFFFFFF
        if what == 0:
            continue
        item = classes.items[what - 1]
        code = objects.legend.entries[which - 1].code if which else 0
        items.append(replace(item, instance=code or 0, id=code or item.id))
        table[position] = len(items)
    return Painted(table[data.reshape(classes.size_hw)], tuple(items), "ids", classes.mask_id, policy=classes.policy)


def _names_things(label: str) -> bool:
    return not is_void(label) and not label.isdigit()


def _item_of(shape: Shape, number: int) -> Item:
    roi = shape.roi
    given = roi.id if roi is not None else None
    raw = int(given) if given is not None and given.isdigit() and len(given) < 10 else 0
    color = roi.meta.get("color") if roi is not None else None
    return Item(shape.labels, raw, number, _color(color), roi)


def _color(found: Any) -> tuple[int, int, int] | None:
    return (found[0], found[1], found[2]) if isinstance(found, (list, tuple)) and len(found) == 3 else None


def _from_map(found: LabelMap, frame: SingleFrame, plan: MaskPlan) -> Painted:
    legend = found.legend
    named = {
        tuple(a.roi.mask.value): a.roi for a in frame.annotations if a.roi.mask is not None and _speaks_of(a.roi, plan)
    }
    is_ids = legend.kind == "ids"
    codes = np.array([entry.code or 0 for entry in legend], np.uint32)
    scheme = legend.scheme or plan.scheme or "plain"
    instances = SCHEMES[scheme].instance(codes) if is_ids and len(codes) else np.zeros(len(codes), np.int64)
    categories = SCHEMES[scheme].category(codes) if is_ids and len(codes) else codes.astype(np.int64)
    items = []
    for entry, instance, category in zip(legend, instances.tolist(), categories.tolist(), strict=True):
        roi = named.get((entry.code,)) if entry.code is not None else None
        roi = roi or (named.get(entry.color) if entry.color is not None else None)
        told = _color(roi.meta.get("color")) if roi is not None else None
        # A border or an "unlabeled" region is never an object of its own.
        number = 0 if entry.labels and is_void(entry.labels[0]) else instance
        color = told or (entry.color if not is_ids and entry.color is not None and min(entry.color) >= 0 else None)
        items.append(
            Item(entry.labels, entry.code or 0, number, color, roi, category if entry.code is not None else -1)
        )
    return Painted(found.data, tuple(items), "ids" if is_ids else "classes", plan.mask.id, policy=found.policy)


def _speaks_of(roi: Roi, plan: MaskPlan) -> bool:
    return roi.mask is not None and roi.mask.id in ("", plan.mask.id)


def shapes(
    frame: SingleFrame, *, geometry_only: bool = False, mask_id: str | None = None, split: bool = False
) -> Iterator[Shape]:
    """The objects of a frame: its polygons, run lengths and ellipses, or else the items of its mask.

    Args:
        frame: the frame.
        geometry_only: never read a mask.
        mask_id: read this mask, and leave shapes alone.
        split: regions without objects (stuff, class masks) as one shape per 4-connected part.
    """
    size: tuple[int, int] | None = None
    met = False
    for annotation in frame.annotations if mask_id is None else ():
        roi = annotation.roi
        parts = _rings_of(roi)
        rle = roi.meta.get("rle")
        if not parts and not isinstance(rle, dict):
            continue
        met = True
        size = size or size_of(frame)
        yield Shape(tuple(roi.label), size, roi, None, parts, rle if isinstance(rle, dict) else None)
    if met or geometry_only or not frame.source_record.masks:
        return
    found = painted(frame, prefer="ids", mask_id=mask_id)
    yield from _shapes_of(found, split)


def _shapes_of(found: Painted, split: bool) -> Iterator[Shape]:
    from smalti import kernels

    counts, boxes = kernels.count_boxes(found.data, len(found.items) + 1)
    for number, item in enumerate(found.items, 1):
        if not counts[number]:
            continue
        x, y, w, h = boxes[number].tolist()
        crop = (found.data[y : y + h, x : x + w] == number).view(np.uint8)
        base = Shape(item.labels, found.size_hw, item.roi, item, crop=np.ascontiguousarray(crop), corner_xy=(x, y))
        if not split or item.is_thing:
            yield base
            continue
        for outer, holes in base.regions():
            yield Shape(item.labels, found.size_hw, _holed(item.roi, holes), item, rings=[outer, *holes])


def _holed(roi: Roi | None, holes: Sequence[Any]) -> Roi | None:
    if not holes:
        return None
    return Roi(label=list(roi.label) if roi is not None else [], meta={"holes": True})


def _rings_of(roi: Roi) -> list[list[float]]:
    """The rings of a polygon or an ellipse; [] for anything else."""
    kind = roi.meta.get("_type")
    if "rle" in roi.meta or roi.mask is not None:
        return []
    if kind == "elp" and len(roi.poly) == 5:
        return [points_of_ellipse(roi.poly, _ELLIPSE_POINTS)]
    if kind == "p2d" or (kind is None and roi.poly):
        return [ring for ring in rings(roi.poly) if len(ring) >= 6 and len(ring) % 2 == 0]
    return []


def image_uri(frame: SingleFrame) -> str:
    """The URI of the image as storage takes it, or "" where the frame names none."""
    uri = frame.source_record.uri
    return join(uri, frame.base) if uri else ""
