"""One training sample: the picture and the class map of a frame at a position of a view's order. NumPy only."""

import logging
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from smalti import kernels, pixels
from smalti.chosen import Chosen, ClipRun, Fixed, names_of
from smalti.errors import DecodeError, FrameError, SmaltiError
from smalti.feed.ahead import Ahead, Job, Part, Troubles, Unreadable, plan_part, reordered
from smalti.feed.windows import Box, Crop, Window, fill
from smalti.hints import Known
from smalti.iterate import serve
from smalti.kept import KeptMaps
from smalti.kept import in_use as kept_in_use
from smalti.labelmap import LabelMap
from smalti.mask_reading import read_window
from smalti.order import Position, Shard

if TYPE_CHECKING:
    from smalti.chosen import Run
    from smalti.legend import Legend
    from smalti.view import DataView

__all__ = ["Failure", "OnError", "Sample", "SampleOptions", "Samples", "dealt"]

T = TypeVar("T")
OnError = str | Callable[["Failure"], "Sample | None"]
_LOG = logging.getLogger("smalti.feed")
_LOGGED = 20
_TABLES_KEPT = 1024
_PARTS_KEPT = 20_000
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Sample:
    """What a model is shown.

    Attributes:
        frame_id: which frame; of a clip, its first.
        image: (H, W, 3) uint8 RGB; of a clip (T, H, W, 3).
        mask: (H, W) class numbers, by the view's one table per legend; of a clip (T, H, W).
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


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """How samples are made.

    Attributes:
        epoch: which order.
        mask_id, source: which mask, where frames have several.
        crop: (height, width) of a random window, or one number for a square; None = whole pictures.
        crop_on: a label or several: `crop_share` of the windows are centred on one of their pixels, where there is one.
        crop_share: 0..1.
        clip: so many consecutive frames of one context make a sample; None = single frames.
        clip_step: frames from the start of one clip to the next; default: they do not overlap.
        seed: of the windows; a position of an epoch always gets the same one.
        on_error: "raise", "skip" (the frame is left out, counted and logged), or a function Failure → Sample or None.
        dtype: of class numbers; None = the smallest that holds those of a frame's legend.
        kept: where decoded label maps are kept (a folder or KeptMaps); None = where `smalti.kept` says now.
    """

    epoch: int = 0
    mask_id: str | None = None
    source: str | None = None
    crop: Sequence[int] | int | None = None
    crop_on: str | Sequence[str] | None = None
    crop_share: float = 0.5
    clip: int | None = None
    clip_step: int | None = None
    seed: int = 0
    on_error: OnError = "raise"
    dtype: Any = None
    kept: KeptMaps | str | Path | None = None

    @property
    def shelf(self) -> KeptMaps | None:
        """Where label maps are kept."""
        if self.kept is None:
            return kept_in_use()
        return self.kept if isinstance(self.kept, KeptMaps) else KeptMaps(Path(self.kept))


class Samples:
    """The samples of one epoch of a view, by position. Pickles as the view and its options: nothing open crosses processes.

    Args:
        view: what to read.
        **options: see `SampleOptions`.

    Attributes:
        failures: how many frames were left out by this process.
        is_narrow: masks are only held to `dtype` and stay as small as they are: somebody widens them later.
    """

    def __init__(self, view: "DataView", **options: Any) -> None:
        self.view, self.options = view, SampleOptions(**options)
        on_error = self.options.on_error
        if not callable(on_error) and on_error not in ("raise", "skip"):
            raise FrameError(f"on_error is {on_error!r}; allowed: 'raise', 'skip' or a function")
        self.epoch = self.options.epoch
        self.failures = 0
        self._crop = Crop.of(self.options.crop, self.options.crop_on, self.options.crop_share)
        if self._crop is not None:
            self._crop.check_labels(Known(view.tables))
        self._dtype = None if self.options.dtype is None else np.dtype(self.options.dtype)
        self.is_narrow = False
        self._fixed: Fixed | None = None
        self._shelf = self.options.shelf
        self._forget()

    def _forget(self) -> None:
        self._runs: dict[int, Run | ClipRun] = {}
        self._tables: dict[tuple[Legend, str, str], NDArray[Any]] = {}
        self._known: dict[int, Part] = {}
        self._known_of: Chosen | None = None
        self._legends: dict[Legend | None, Legend | None] = {}
        self._ahead = Ahead(self._plan, self._shelf)

    def __getstate__(self) -> dict[str, Any]:
        self.view.chosen()  # so that every process has the frames that this one has, even of a draft that changes
        made_anew = ("_runs", "_tables", "_known", "_known_of", "_legends", "_ahead")
        return {key: value for key, value in self.__dict__.items() if key not in made_anew}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @property
    def crop_hw(self) -> tuple[int, int] | None:
        """(height, width) of every sample; None where pictures are left whole."""
        return None if self._crop is None else self._crop.size_hw

    @property
    def run(self) -> "Run | ClipRun | Fixed":
        """The order of this epoch."""
        return self.run_of(self.epoch)

    def run_of(self, epoch: int) -> "Run | ClipRun | Fixed":
        """The order of an epoch; made once per process."""
        if self._fixed is not None:
            return self._fixed
        if epoch not in self._runs:
            while len(self._runs) > 1:
                self._runs.pop(next(iter(self._runs)))
            run, frames = self.view.run(epoch), self.options.clip
            self._runs[epoch] = (
                run if frames is None else ClipRun(run, frames, frames if (s := self.options.clip_step) is None else s)
            )
        return self._runs[epoch]

    def part(self, positions: Sequence[int]) -> "Samples":
        """The samples of these positions alone, to be sent to another process without the rest of the view."""
        run = self.run
        if isinstance(run, Fixed):
            raise FrameError("a part of a view has no parts; cut the whole")
        twin = copy(self)
        twin.view, twin.failures = self.view.clone(), 0
        twin._fixed = Fixed(run, np.array(positions, np.int64))
        twin.view.reads_only(twin._fixed.chosen)
        twin._forget()
        return twin

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
        return self.load_many([position])[0]

    def load_many(
        self, positions: Sequence[int], *, epoch: int | None = None, upcoming: Sequence[int] = ()
    ) -> list[Sample | Failure]:
        """The samples at some positions, in the order asked: records are looked up and remote files fetched together.

        Args:
            positions: which.
            epoch: of another epoch than the one that the options name.
            upcoming: what will be asked for next; where files are remote, they are fetched while these are decoded.
        """
        turn = self.epoch if epoch is None else epoch
        jobs = self._ahead.ready(turn, positions, upcoming)
        found: dict[int, Sample | Failure] = {}
        for number, job in reordered(enumerate(jobs)):
            found[number] = self._load(job, turn)
        return [found[number] for number in range(len(jobs))]

    def mask(self, position: int) -> NDArray[Any]:
        """The class map of a sample alone, cut as the sample is; its image is not opened.

        Raises:
            SmaltiError, OSError: it cannot be read.
        """
        (job,) = self._ahead.ready(self.epoch, [position], ())
        window = self._window(job, self.epoch)
        try:
            maps = self._each(job, lambda part: self._mask(part, window)[0])
        except Troubles as error:
            self._name(error, job)
            raise
        return maps[0] if self.options.clip is None else np.stack(maps)

    def stream(self, shard: Shard, start: Position | None = None, *, at_once: int = 8) -> Iterator[Sample]:
        """The samples that a share has left, in order, without end where the view has none; failures are left out."""
        begin = start or Position(self.run.key, self.epoch)
        positions = dealt(shard, self.run.total, begin)
        now = list(islice(positions, at_once))
        while now:
            upcoming = list(islice(positions, at_once))
            for found in self.load_many(now, epoch=begin.epoch, upcoming=upcoming):
                if not isinstance(found, Failure):
                    yield found
            now = upcoming

    # -- what to read -------------------------------------------------------------------------------------------
    def _plan(self, epoch: int, positions: Sequence[int]) -> list[Job]:
        run, wanted = self.run_of(epoch), np.array(positions, np.int64)
        if len(wanted) and (wanted.min() < 0 or (run.total is not None and wanted.max() >= run.total)):
            raise IndexError(f"positions {wanted.min()}..{wanted.max()}; the view has {run.total} samples, from 0")
        places = run.at(wanted) if isinstance(run, ClipRun) else run.at(wanted)[0].reshape(len(wanted), -1)
        parts = self._parts_at(run.chosen, np.unique(places))
        jobs = []
        for position, mine in zip(positions, places.tolist(), strict=True):
            found = [parts[place] for place in mine]
            trouble = next((part for part in found if isinstance(part, Unreadable)), None)
            if trouble is not None:
                jobs.append(Job(position, trouble.frame_id, trouble.where, trouble=trouble.error))
            else:
                good = [replace(part) for part in found if isinstance(part, Part)]
                jobs.append(Job(position, good[0].frame_id, good[0].where, good))
        return jobs

    def _parts_at(self, chosen: Chosen, places: NDArray[np.int64]) -> dict[int, Part | Unreadable]:
        """What frames are read from: found out once, since the frames of a view stay what they are."""
        if self._known_of is not chosen or len(self._known) > _PARTS_KEPT:
            self._known, self._known_of = {}, chosen
        missing = np.array([place for place in places.tolist() if place not in self._known], np.int64)
        found: dict[int, Part | Unreadable] = {
            place: self._known[place] for place in places.tolist() if place in self._known
        }
        for place, served in zip(missing.tolist(), serve(chosen, missing) if len(missing) else (), strict=True):
            try:
                part = plan_part(served, self.options.mask_id, self.options.source)
            except Troubles as error:
                found[place] = Unreadable(served.record.id or "", (served.dataset, served.version), error)
                continue
            # Legends repeat from frame to frame: one object for all that are equal.
            part.reading = replace(
                part.reading, legend=self._legends.setdefault(part.reading.legend, part.reading.legend)
            )
            found[place] = self._known[place] = part
        return found

    # -- pixels -------------------------------------------------------------------------------------------------
    def _load(self, job: Job, epoch: int) -> Sample | Failure:
        try:
            return self._read(job, epoch)
        except Troubles as error:
            on_error = self.options.on_error
            if not callable(on_error) and on_error == "raise":
                self._name(error, job)
                raise
            failure = Failure(job.frame_id, job.position, str(error))
            replaced = on_error(failure) if callable(on_error) else None
            return self._counted(failure) if replaced is None else replaced

    def _name(self, error: SmaltiError | OSError, job: Job) -> None:
        """Say on the error which frame it is about: most name a file at best, which may be that of many frames."""
        names = (names_of(table) for table in self.view.tables)
        where = next(
            (f"{d[-1]}@{v[-1]}" for d, v in names if job.where[0] in d and job.where[1] in v), "@".join(job.where)
        )
        said = f"this was frame {job.frame_id!r} of {where}, position {job.position} of the order"
        if said not in getattr(error, "__notes__", ()):  # what is wrong with a frame is kept, and raised each time
            error.add_note(said)

    def _counted(self, failure: Failure) -> Failure:
        self.failures += 1
        if self.failures <= _LOGGED:
            more = "; further ones are counted, not listed" if self.failures == _LOGGED else ""
            _LOG.warning("frame %s is skipped: %s%s", failure.frame_id, failure.error, more)
        return failure

    def _read(self, job: Job, epoch: int) -> Sample:
        window = self._window(job, epoch)
        shown = self._each(job, lambda part: self._part(part, window))
        if self.options.clip is None:
            return Sample(job.frame_id, *shown[0])
        return Sample(job.frame_id, np.stack([s[0] for s in shown]), np.stack([s[1] for s in shown]))

    def _each(self, job: Job, read: Callable[[Part], T]) -> list[T]:
        """What is read of each frame of a sample; where that fails, the job says with which."""
        if job.trouble is not None:
            raise job.trouble
        found = []
        for part in job.parts:
            try:
                found.append(read(part))
            except Troubles:
                job.blame(part)
                raise
        return found

    def _window(self, job: Job, epoch: int) -> Window:
        return Window(self._crop, np.random.default_rng([self.options.seed, epoch, job.position]))

    def _part(self, part: Part, window: Window) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        mask, size_hw = self._mask(part, window)

        def same(image_hw: tuple[int, int]) -> Box:
            if image_hw != size_hw:
                raise DecodeError(
                    f"the image is {image_hw} and its mask {size_hw} (H, W); smalti check says more", uri=part.uri
                )
            return window.box

        image = pixels.image_box(part.source, part.base, same, data=part.image)
        # What lies outside the picture is black, and void for the loss.
        return (image if self._crop is None else fill(image, self._crop.size_hw, 0)), mask

    def _mask(self, part: Part, window: Window) -> tuple[NDArray[Any], tuple[int, int]]:
        """The class map in the window, and (height, width) of the whole mask."""
        seg = read_window(part.reading, window.place, shelf=self._shelf, asked=part.asked, data=part.mask)
        mask = kernels.lookup(seg.data, self._table(seg, part.where))
        crop, void = self._crop, self.view.mapping.void
        return (mask if crop is None else fill(mask, crop.size_hw, void)), window.full_hw

    def _table(self, seg: LabelMap, where: tuple[str, str]) -> NDArray[Any]:
        """The view's table for this legend, made once."""
        key = (seg.legend, *where)
        table = self._tables.get(key)
        if table is None:
            table = self._fitting(self.view.class_table(*key).lut)
            if len(self._tables) >= _TABLES_KEPT:
                self._tables.clear()
            self._tables[key] = table
        return table

    def _fitting(self, lut: NDArray[Any]) -> NDArray[Any]:
        if self._dtype is None:
            return lut
        low, high = int(lut.min()), int(lut.max())
        if not np.iinfo(self._dtype).min <= low <= high <= np.iinfo(self._dtype).max:
            raise FrameError(
                f"class numbers {low}..{high} do not fit {self._dtype}; map labels and void to others, or ask for int64"
            )
        return lut if self.is_narrow else lut.astype(self._dtype)


def dealt(shard: Shard, total: int | None, start: Position) -> Iterator[int]:
    """The positions that a share has left, in order; without end where the view has none."""
    done = 0
    while True:
        places = shard.dealt(done, _AT_ONCE)
        mine = places if total is None else places[places < total - len(start)]
        yield from start.left(mine).tolist()
        done += len(places)
        if len(mine) < len(places):
            return
