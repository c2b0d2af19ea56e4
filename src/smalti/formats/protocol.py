"""What a format is: a module that can tell its layout, read it into frames, and maybe write it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from smalti.formats.losses import Ledger
from smalti.frames import FrameGroup, SingleFrame
from smalti.legend import Legend

__all__ = ["AnyFrame", "Detection", "Format", "Reading", "Writing", "Written"]

AnyFrame = SingleFrame | FrameGroup


@dataclass(frozen=True, slots=True)
class Detection:
    """A layout that was recognised.

    Attributes:
        format: its name in `smalti.formats.FORMATS`.
        path: what to read: the folder or file that was named, or the one inside it that counts.
        sureness: 0..1; 1 = nothing else looks like this.
        reasons: sentences that say what was found.
    """

    format: str
    path: Path
    sureness: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read.

    Attributes:
        images: where the images are, if not where the layout has them.
        masks: where the masks are, if not where the layout has them.
        legend: what the values mean, where the layout does not say so itself.
        encoding: how masks store values, for plain folders.
        split: only this part ("train", "val", …); None = all.
        workers: threads for files that must be opened; None = one per core.
        skipped: filled with sentences about files and annotations that were left out, and why.
    """

    images: Path | None = None
    masks: Path | None = None
    legend: Legend | None = None
    encoding: str | None = None
    split: str | None = None
    workers: int | None = None
    skipped: list[str] = field(default_factory=list)

    def skip(self, sentence: str) -> None:
        """Note something that was left out; at most a thousand sentences are kept."""
        if len(self.skipped) < 1000:
            self.skipped.append(sentence)


@dataclass(frozen=True, slots=True)
class Writing:
    """How to write.

    Attributes:
        split: the part to write where the layout has parts and a frame does not name its own (`meta.split`).
        images: "link" makes symbolic links to local images, "copy" copies them, "none" only names them.
        mask_id: which mask of each frame to write; None = the one that fits the layout.
        workers: threads; None = one per core.
        legend: names and numbers to use, for layouts that leave them open; None = those of the frames.
    """

    split: str = "train"
    images: Literal["link", "copy", "none"] = "link"
    mask_id: str | None = None
    workers: int | None = None
    legend: Legend | None = None


@dataclass(slots=True)
class Written:
    """What a writer did: how many frames, where its output begins, and what it could not say."""

    path: Path
    frames: int
    losses: Ledger


class Format(Protocol):
    """A module of this package.

    Attributes:
        LOOKS_LIKE: one sentence: what the layout looks like on disk.
        SAYS: what the layout can express, of `smalti.formats.losses.TOPICS`.
    """

    LOOKS_LIKE: str
    SAYS: frozenset[str]

    def detect(self, path: Path) -> Detection | None:
        """Whether `path` has this layout, with reasons; must be quick and must not raise for bad data."""

    def read(self, path: Path, options: Reading = ...) -> Iterator[SingleFrame]:
        """The frames, one after another; `frame.mask_labels` holds the legends by mask id."""

    def write(self, frames: Iterable[AnyFrame], folder: Path, options: Writing = ...) -> Written:
        """Write frames; what the layout cannot say is in the ledger of the result."""
