"""The proof of an export: the output is read back and compared with what went in, pixel by pixel and label by label.

Pixels are compared as sets per label, so overlapping objects count for each of their labels. Void, and labels that only
say "no statement" (border, ignored, unlabeled), are not compared: targets write them differently.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti import formats, kernels
from smalti.errors import ExportLoss, FrameError
from smalti.formats.content import Painted, chosen_plan, is_void, painted, shapes, single_frames
from smalti.formats.losses import TOPICS, Ledger
from smalti.formats.output import safe_name
from smalti.formats.protocol import AnyFrame, Reading, Writing
from smalti.frames import SingleFrame
from smalti.parallel import ordered_map

__all__ = ["LabelProof", "Proof", "export", "losses_of", "prove"]

Layers = dict[str, NDArray[np.bool_]]


@dataclass(slots=True)
class LabelProof:
    """Pixels of one label: in both, and in either."""

    label: str
    both: int = 0
    either: int = 0
    before: int = 0
    after: int = 0

    @property
    def iou(self) -> float:
        """Intersection over union, 1 where the label occurs nowhere."""
        return self.both / self.either if self.either else 1.0


@dataclass(slots=True)
class Proof:
    """What an export kept.

    Attributes:
        format, path: what was written where.
        frames: how many went in; `read_back`: how many came out again.
        labels: by label.
        objects: numbered objects that went in, and those that came back with the same number and pixels.
        ledger: what the target cannot say.
        missing: ids of frames that did not come back.
    """

    format: str
    path: Path
    frames: int = 0
    read_back: int = 0
    labels: dict[str, LabelProof] = field(default_factory=dict)
    objects: int = 0
    objects_back: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    missing: list[str] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether every frame came back with every pixel of every label."""
        return not self.missing and all(row.both == row.either for row in self.labels.values())

    @property
    def is_lossless(self) -> bool:
        """Whether it is exact and the target could say everything."""
        return self.is_exact and not self.ledger

    def rows(self) -> list[LabelProof]:
        """Labels, the worst first."""
        return sorted(self.labels.values(), key=lambda row: (row.iou, row.label))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "format": self.format,
            "path": str(self.path),
            "frames": self.frames,
            "read_back": self.read_back,
            "exact": self.is_exact,
            "lossless": self.is_lossless,
            "labels": [
                {
                    "label": r.label,
                    "iou": r.iou,
                    "pixels_before": r.before,
                    "pixels_after": r.after,
                    "pixels_both": r.both,
                }
                for r in self.rows()
            ],
            "objects": self.objects,
            "objects_back": self.objects_back,
            "losses": self.ledger.to_dict(),
            "missing": self.missing,
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return msgspec.json.format(msgspec.json.encode(self.to_dict()), indent=2).decode()


def export(
    frames: Callable[[], Iterable[AnyFrame]],
    name: str,
    folder: str | Path,
    *,
    options: Writing | None = None,
    strict: bool = False,
    allow: Iterable[str] = (),
    verify: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Proof:
    """Write frames as another layout, and prove it by reading the output back.

    Args:
        frames: gives the frames; called twice where the output is verified, so that none is held.
        name: one of `smalti.formats.writable()`.
        folder: a new or empty folder.
        options: how to write.
        strict: raise on any loss that `allow` does not name.
        allow: topics of `smalti.formats.losses.TOPICS`.
        verify: read the output back.
        progress: called with the number of frames compared so far.

    Raises:
        ExportLoss: with `strict`; its `losses` are sentences. The output stays where it is, to look at.
        FrameError: the format cannot be written, or the folder is not empty.
    """
    layout = formats.load(name)
    if not hasattr(layout, "write"):
        raise FrameError(f"{name} can be read and not written; writable are {', '.join(formats.writable())}")
    allowed = set(allow)
    if unknown := allowed - set(TOPICS):
        raise FrameError(f"losses to allow: {sorted(unknown)[0]!r} is none of {', '.join(TOPICS)}")
    options = options or Writing()
    written = layout.write(frames(), Path(folder), options)
    if verify:
        proof = prove(frames(), name, Path(folder), options=options, progress=progress)
    else:
        proof = Proof(name, Path(folder), read_back=written.frames)
    proof.frames, proof.ledger = written.frames, written.losses
    if verify and proof.objects_back < proof.objects and "ids" not in proof.ledger.losses:
        changed = proof.objects - proof.objects_back
        proof.ledger.add("ids", f"{changed} of {proof.objects} objects have another number or other pixels", changed)
    if strict and (lost := losses_of(proof, allowed)):
        _refuse(proof, lost)
    return proof


def losses_of(proof: Proof, allowed: set[str]) -> list[str]:
    """Everything that was lost, as sentences, without the topics that are allowed."""
    said = [f"{row.meaning} ({row.count}; {row.example})" for row in proof.ledger.rows() if row.topic not in allowed]
    if not allowed & {"pixels", "labels", "overlap"}:
        said += [
            f"label {row.label!r} comes back with IoU {row.iou:.4f}" for row in proof.rows() if row.both != row.either
        ]
    return said + [f"frame {one} did not come back" for one in proof.missing]


def _refuse(proof: Proof, lost: list[str]) -> None:
    more = f"; … {len(lost) - 6} more" if len(lost) > 6 else ""
    raise ExportLoss(
        f"{proof.path}: {proof.format} cannot say everything: {'; '.join(lost[:6])}{more}; "
        "allow the losses by name, or choose another format",
        losses=lost,
    )


def prove(
    frames: Iterable[AnyFrame],
    name: str,
    path: Path,
    *,
    options: Writing | None = None,
    progress: Callable[[int], None] | None = None,
) -> Proof:
    """Compare frames with what a layout at `path` says; frames are matched by id, else by file stem.

    Args:
        frames: what went in.
        name: the format.
        path: the output.
        options: as it was written with.
        progress: called with the number of frames compared so far.
    """
    options = options or Writing()
    layout = formats.load(name)
    seen = layout.detect(path)
    proof = Proof(name, path)
    if seen is None:
        proof.missing = [frame.id for frame in islice(single_frames(frames), 1000)]
        return proof
    # What stores objects writes the mask of ids, what does not writes that of classes.
    prefer: Literal["classes", "ids"] = "ids" if "instances" in layout.SAYS else "classes"
    back = _Matcher(layout.read(seen.path, Reading()))
    pairs = ((frame, back.take(frame)) for frame in single_frames(frames))
    for frame, before, after, objects in ordered_map(lambda pair: _compare(pair, options, prefer), pairs):
        proof.frames += 1
        if after is None:
            proof.missing.append(frame.id)
        else:
            proof.read_back += 1
            proof.objects += objects[0]
            proof.objects_back += objects[1]
        _count(proof, before, after or {})
        if progress is not None:
            progress(proof.frames)
    return proof


class _Matcher:
    """Frames that come back, by what they may be called; drawn as far as needed, since most come back in order."""

    def __init__(self, frames: Iterator[SingleFrame]) -> None:
        self._frames = frames
        self._waiting: dict[str, SingleFrame] = {}
        self._names: dict[int, set[str]] = {}

    def take(self, frame: SingleFrame) -> SingleFrame | None:
        """The frame that this one became."""
        wanted = {frame.id, safe_name(frame.id)}
        for name in wanted:
            if name in self._waiting:
                return self._drop(self._waiting[name])
        for found in self._frames:
            names = _names_of(found)
            if names & wanted:
                return found
            self._names[id(found)] = names
            for name in names:
                self._waiting.setdefault(name, found)
        return None

    def _drop(self, found: SingleFrame) -> SingleFrame:
        for name in self._names.pop(id(found)):
            if self._waiting.get(name) is found:
                del self._waiting[name]
        return found


def _names_of(frame: SingleFrame) -> set[str]:
    found = {frame.id, frame.id.rpartition("/")[2]}
    for uri in (
        frame.metadata.get("file_name"),
        frame.source_record.uri,
        *(m.uri for m in frame.source_record.masks[:1]),
    ):
        if isinstance(uri, str) and uri:
            found.add(Path(uri).stem)
    return found


def _compare(
    pair: tuple[SingleFrame, SingleFrame | None], options: Writing, prefer: Literal["classes", "ids"]
) -> tuple[SingleFrame, Layers, Layers | None, tuple[int, int]]:
    frame, other = pair
    before, numbered = _layers(frame, options.mask_id, prefer)
    if other is None:
        return frame, before, None, (0, 0)
    after, numbered_back = _layers(other, None, prefer)
    same = sum(numbered_back.get(key) == pixels for key, pixels in numbered.items())
    return frame, before, after, (len(numbered), same)


def _layers(
    frame: SingleFrame, mask_id: str | None, prefer: Literal["classes", "ids"]
) -> tuple[Layers, dict[tuple[int, str], int]]:
    """(H, W) bool by label, and a fingerprint of every numbered object."""
    found: Layers = {}
    numbered: dict[tuple[int, str], int] = {}
    is_masked = mask_id is not None or chosen_plan(frame, prefer=prefer, mask_id=None) is not None
    has_shapes = mask_id is None and next(iter(shapes(frame, geometry_only=True)), None) is not None
    if is_masked and not has_shapes:
        picture = painted(frame, prefer=prefer, mask_id=mask_id)
        _add_painted(found, numbered, picture)
        return found, numbered
    for shape in shapes(frame, geometry_only=True):
        if not shape.label or is_void(shape.label):
            continue
        inside = shape.mask().view(np.bool_)
        known = found.get(shape.label)
        found[shape.label] = inside if known is None else known | inside
        if shape.roi is not None and shape.roi.id is not None and shape.roi.id.isdigit():
            numbered[int(shape.roi.id), shape.label] = hash(np.packbits(inside).tobytes())
    return found, numbered


def _add_painted(found: Layers, numbered: dict[tuple[int, str], int], picture: Painted) -> None:
    counts = kernels.count(picture.data, len(picture.items) + 1)
    by_label: dict[str, list[int]] = {}
    for position, item in enumerate(picture.items, 1):
        if counts[position] and not is_void(item.label):
            by_label.setdefault(item.label, []).append(position)
            if item.instance and item.id:
                numbered[item.id, item.label] = hash(np.packbits(picture.data == position).tobytes())
    for label, positions in by_label.items():
        table = np.zeros(len(picture.items) + 1, np.uint8)
        table[positions] = 1
        found[label] = kernels.lookup(picture.data, table).view(np.bool_)


def _count(proof: Proof, before: Layers, after: Layers) -> None:
    for label in {**before, **after}:
        row = proof.labels.setdefault(label, LabelProof(label))
        one, two = before.get(label), after.get(label)
        sums = [0 if layer is None else int(np.count_nonzero(layer)) for layer in (one, two)]
        both = 0
        if one is not None and two is not None and one.shape == two.shape:
            both = int(np.count_nonzero(one & two))
        row.before += sums[0]
        row.after += sums[1]
        row.both += both
        row.either += sums[0] + sums[1] - both
