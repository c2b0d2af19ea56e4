"""What a target cannot say: counted while it is written, never dropped in silence."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from smalti.frames import SingleFrame
from smalti.geometry import rings

__all__ = ["TOPICS", "Ledger", "Loss"]

TOPICS: dict[str, str] = {
    "labels": "a label that the target has no name or number for",
    "multi-label": "an object or value with several labels keeps the first only",
    "overlap": "pixels that belong to several objects keep the topmost only",
    "instances": "objects of one label become one region",
    "ids": "the numbers of objects are not kept",
    "confidence": "confidences are not kept",
    "metadata": "metadata of frames are not kept",
    "roi-metadata": "metadata of annotations are not kept",
    "void": "void pixels become a label, or a label becomes void",
    "boxes": "boxes without a shape are not written",
    "points": "key points, 3-d shapes and labels of whole frames are not written",
    "ellipses": "ellipses become polygons or pixels",
    "holes": "holes in polygons are filled",
    "pixels": "pixels differ: shapes became pixels, or pixels became shapes",
    "masks": "further masks of a frame are not written",
    "video": "a picture of a clip becomes a file of its own",
    "timestamp": "times are not kept",
    "context": "the grouping of frames is not kept",
    "size": "objects that are too many or too small to be written",
}
"""Everything that a writer may have to give up. `Format.SAYS` names those that it can say."""


@dataclass(slots=True)
class Loss:
    """One kind of loss: how often, and where it was seen first."""

    topic: str
    count: int
    example: str

    @property
    def meaning(self) -> str:
        """What is lost, in words."""
        return TOPICS[self.topic]


@dataclass(slots=True)
class Ledger:
    """The losses of one export, by topic."""

    says: frozenset[str] = frozenset()
    losses: dict[str, Loss] = field(default_factory=dict)

    def add(self, topic: str, example: str, count: int = 1) -> None:
        """Count a loss; the first example is kept."""
        known = self.losses.get(topic)
        if known is None:
            if topic not in TOPICS:
                raise KeyError(topic)
            self.losses[topic] = Loss(topic, count, example)
        else:
            known.count += count

    def look(self, frame: SingleFrame) -> None:
        """Count what a frame says and the target cannot, as far as the record shows it."""
        where = f"frame {frame.id}"
        record = frame.record
        said = {key for key in record.meta if key not in ("split", "_type", "file_name", "results")}
        self._unless("metadata", said, f"{where}: {', '.join(sorted(said)[:4])}")
        self._unless("timestamp", record.timestamp or frame.timestamp, f"{where}: {record.timestamp} ms")
        self._unless("context", record.context_id, f"{where}: {record.context_id}")
        for annotation in frame.annotations:
            roi = annotation.roi
            here = f"{where}: {'/'.join(roi.label) or 'annotation'}"
            kind = annotation.get_type()
            self._unless("multi-label", len(roi.label) > 1, f"{where}: {', '.join(roi.label)}")
            self._unless("confidence", roi.confidence not in (None, 1, 1.0), f"{here}: {roi.confidence}")
            own = [key for key in roi.meta if key not in _OWN_META]
            self._unless("roi-metadata", own, f"{here}: {', '.join(own[:4])}")
            self._unless("boxes", kind == "b2d" and "rle" not in roi.meta, here)
            self._unless("points", kind in ("k2d", "k3d", "p3d", "b3d", "im"), f"{here} ({kind})")
            self._unless("ellipses", kind == "elp", here)
            self._unless("holes", roi.meta.get("holes") and len(rings(roi.poly)) > 1, here)

    def _unless(self, topic: str, is_said: Any, example: str) -> None:
        if is_said and topic not in self.says:
            self.add(topic, example)

    def rows(self) -> list[Loss]:
        """The losses, in the order of `TOPICS`."""
        return [self.losses[topic] for topic in TOPICS if topic in self.losses]

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain JSON."""
        return [
            {"topic": row.topic, "count": row.count, "meaning": row.meaning, "example": row.example}
            for row in self.rows()
        ]

    def merge(self, others: Iterable[Loss]) -> None:
        """Count the losses of another ledger here."""
        for row in others:
            self.add(row.topic, row.example, row.count)

    def __bool__(self) -> bool:
        return bool(self.losses)


# What readers put into the metadata of an annotation and writers understand: no loss of its own.
_OWN_META = frozenset(
    {
        "_type",
        "rle",
        "holes",
        "iscrowd",
        "isthing",
        "category_id",
        "supercategory",
        "area",
        "color",
        "object",
        "z_order",
    }
)
