"""One training sample: the picture and the class map of a frame at a position of a view's order. NumPy only."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti import pixels
from smalti.binding import resolve
from smalti.errors import DecodeError, FrameError, SmaltiError
from smalti.frames import SingleFrame
from smalti.iterate import Served
from smalti.labelmap import LabelMap

if TYPE_CHECKING:
    from smalti.chosen import Run
    from smalti.mapping import ClassTable
    from smalti.view import DataView

__all__ = ["Failure", "OnError", "Sample", "Samples"]

OnError = str | Callable[["Failure"], "Sample | None"]
_TABLES_KEPT = 256


@dataclass(frozen=True, slots=True)
class Sample:
    """What a model is shown.

    Attributes:
        frame_id: which frame.
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) class numbers, by the view's one table per legend.
    """

    frame_id: str
    image: NDArray[np.uint8]
    mask: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A frame that could not be read, and why."""

    frame_id: str
    position: int
    error: str


class Samples:
    """The samples of one epoch of a view, by position. Pickles as the view and its options: nothing open crosses processes.

    Args:
        view: what to read.
        epoch: which order.
        mask_id, source: which mask, where frames have several.
        crop: (height, width) of a random window; None = whole pictures.
        crop_on: a label: half of the windows are centred on one of its pixels, where there is one.
        seed: of the windows; a position of an epoch always gets the same one.
        on_error: "raise", "skip" (the frame is left out and listed), or a function Failure → Sample or None.
    """

    def __init__(
        self,
        view: "DataView",
        *,
        epoch: int = 0,
        mask_id: str | None = None,
        source: str | None = None,
        crop: Sequence[int] | None = None,
        crop_on: str | None = None,
        seed: int = 0,
        on_error: OnError = "raise",
    ) -> None:
        if crop is not None and (len(crop) != 2 or min(crop) < 1):
            raise FrameError(f"crop is {tuple(crop)}; give (height, width) in pixels")
        if not callable(on_error) and on_error not in ("raise", "skip"):
            raise FrameError(f"on_error is {on_error!r}; allowed: 'raise', 'skip' or a function")
        self.view, self.epoch = view, epoch
        self.mask_id, self.source = mask_id, source
        self.crop = None if crop is None else (int(crop[0]), int(crop[1]))
        self.crop_on, self.seed, self.on_error = crop_on, seed, on_error
        self._run: Run | None = None
        self._tables: deque[tuple[tuple[Any, str, str], ClassTable]] = deque(maxlen=_TABLES_KEPT)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_run": None, "_tables": deque(maxlen=_TABLES_KEPT)}

    @property
    def run(self) -> "Run":
        """The order; made once per process."""
        if self._run is None:
            self._run = self.view.run(self.epoch)
        return self._run

    def __len__(self) -> int:
        total = self.run.total
        if total is None:
            raise FrameError("this view never ends; give it a maximum_number_of_frames")
        return total

    def __getitem__(self, position: int) -> Sample:
        found = self.load(position)
        if isinstance(found, Failure):
            raise DecodeError(f"frame {found.frame_id}: {found.error}")
        return found

    def load(self, position: int) -> Sample | Failure:
        """The sample at a position, or what went wrong, as `on_error` asks.

        Raises:
            SmaltiError, OSError: the frame cannot be read, and on_error is "raise".
        """
        served = self._served(position)
        try:
            return self._read(served, position)
        except (SmaltiError, OSError) as error:
            if self.on_error == "raise":
                raise
            failure = Failure(served.record.id or "", position, str(error))
            replaced = self.on_error(failure) if callable(self.on_error) else None
            return failure if replaced is None else replaced

    def _served(self, position: int) -> Served:
        places, rules = self.run.at(np.array([position], np.int64))
        (record,) = self.run.chosen.take(places)
        table = self.run.chosen.tables[int(self.run.chosen.part[int(places[0])])]
        return Served(record, table.dataset, table.version, int(rules[0]), "", table.mask_labels)

    def _read(self, served: Served, position: int) -> Sample:
        plan = resolve(served.record, served.mask_labels).plan(self.mask_id, self.source)
        frame = SingleFrame.on(served.record, plan.source.id, mask_labels=served.mask_labels)
        seg = pixels.label_map(plan, None, None, ("auto", None, False, False))
        image = frame.image()
        if image.shape[:2] != seg.size_hw:
            raise DecodeError(
                f"the image is {image.shape[:2]} and its mask {seg.size_hw} (H, W); smalti check says more"
            )
        mask = self._table(seg, served).apply(seg)
        if self.crop is not None:
            image, mask = self._window(image, mask, seg, position)
        return Sample(served.record.id or "", image, mask)

    def _table(self, seg: LabelMap, served: Served) -> "ClassTable":
        """The view's table for this legend, made once: legends repeat from frame to frame."""
        key = (seg.legend, served.dataset, served.version)
        for known, table in self._tables:
            if known[0] is seg.legend or known == key:
                return table
        made = self.view.class_table(seg.legend, served.dataset, served.version)
        self._tables.append((key, made))
        return made

    def _window(
        self, image: NDArray[np.uint8], mask: NDArray[Any], seg: LabelMap, position: int
    ) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        height, width = self.crop or mask.shape
        random = np.random.default_rng([self.seed, self.epoch, position])
        top, left = (
            int(random.integers(0, max(full - part, 0) + 1))
            for full, part in zip(mask.shape, (height, width), strict=True)
        )
        if self.crop_on is not None and self.crop_on in seg and random.random() < 0.5:
            rows, columns = np.nonzero(seg[self.crop_on])
            if len(rows):
                pick = int(random.integers(len(rows)))
                top = int(np.clip(rows[pick] - height // 2, 0, max(mask.shape[0] - height, 0)))
                left = int(np.clip(columns[pick] - width // 2, 0, max(mask.shape[1] - width, 0)))
        cut = np.s_[top : top + height, left : left + width]
        image, mask = image[cut], mask[cut]
        short = height - mask.shape[0], width - mask.shape[1]
        if any(short):
            # What lies outside the picture is black, and void for the loss.
            image = np.pad(image, ((0, short[0]), (0, short[1]), (0, 0)))
            mask = np.pad(mask, ((0, short[0]), (0, short[1])), constant_values=self.view.mapping.void)
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)
