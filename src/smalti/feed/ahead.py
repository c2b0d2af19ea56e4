"""What has to be known before pixels are read: the records of the next samples, and the bytes of their remote files.

Local files are read when they are decoded. Remote ones are asked for many at a time, and those of the next samples while
the present ones are being decoded: then a worker waits for the network once, at the start.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from smalti import kept, storage
from smalti.binding import resolve
from smalti.errors import SmaltiError
from smalti.iterate import Served
from smalti.mask_reading import Reading, join, plan_reading
from smalti.pixels import is_clip
from smalti.records import Source

__all__ = ["Ahead", "Job", "Part", "Troubles", "Unreadable", "plan_part", "reordered"]

AT_ONCE = 16
Troubles = (SmaltiError, OSError)
"""What may be wrong with a frame; anything else is a bug and must surface."""


@dataclass(slots=True)
class Part:
    """One frame to be read.

    Attributes:
        frame_id: which.
        where: (dataset, version) ids.
        reading: its mask.
        source: the record of its image, the folder that its relative URI is meant from, and `uri` where it lies.
        image: the bytes of a remote image.
        asked, mask: what a remote mask is kept under, and its bytes where those are needed.
    """

    frame_id: str
    where: tuple[str, str]
    reading: Reading
    source: Source
    base: str | None
    uri: str
    image: bytes | None = None
    asked: kept.Asked | None = None
    mask: bytes | None = None

    @property
    def clip_order(self) -> tuple[str, float]:
        """Pictures of one clip are cheapest in the order of their times."""
        at_ms = self.source.timestamp if is_clip(self.uri, self.source.content_type) else 0
        return (self.uri, at_ms)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A frame that says nothing that could be read, where it is, and why."""

    frame_id: str
    where: tuple[str, str]
    error: SmaltiError | OSError


@dataclass(slots=True)
class Job:
    """A sample to be made: the frames at one position (several for a clip), or what is wrong with one of them.

    Attributes:
        position: of the sample.
        frame_id, where: its first frame, or the one with which something is wrong; (dataset, version) ids.
        parts: its frames.
        trouble: what is wrong.
    """

    position: int
    frame_id: str
    where: tuple[str, str]
    parts: list[Part] = field(default_factory=list)
    trouble: SmaltiError | OSError | None = None

    def blame(self, part: Part) -> None:
        """Something is wrong with this one of its frames."""
        self.frame_id, self.where = part.frame_id, part.where


def plan_part(served: Served, mask_id: str | None, source: str | None) -> Part:
    """Which files a frame is read from.

    Raises:
        SmaltiError: no mask or several fit.
    """
    plan = resolve(served.record, served.mask_labels).plan(mask_id, source)
    reading = plan_reading(plan, served.base, None, ("auto", None, False, False))
    uri = join(plan.source.uri, served.base)
    return Part(served.record.id or "", (served.dataset, served.version), reading, plan.source, served.base, uri)


class Ahead:
    """Jobs made ready, the next ones on a thread of their own.

    Args:
        plan: positions → jobs, without any bytes.
        shelf: where label maps are kept.
    """

    def __init__(self, plan: Callable[[int, Sequence[int]], list[Job]], shelf: kept.KeptMaps | None) -> None:
        self._plan, self._shelf = plan, shelf
        self._pool: ThreadPoolExecutor | None = None
        self._next: tuple[Any, Future[list[Job]]] | None = None
        self._is_remote = False

    def ready(self, epoch: int, positions: Sequence[int], upcoming: Sequence[int]) -> list[Job]:
        """The jobs of these positions, and a start with the upcoming ones where they are far away."""
        asked = (epoch, tuple(positions))
        waiting, self._next = self._next, None
        jobs = waiting[1].result() if waiting is not None and waiting[0] == asked else self._prepare(epoch, asked[1])
        if upcoming and self._is_remote:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="smalti-ahead")
            after = (epoch, tuple(upcoming))
            self._next = (after, self._pool.submit(self._prepare, *after))
        return jobs

    def _prepare(self, epoch: int, positions: Sequence[int]) -> list[Job]:
        jobs = self._plan(epoch, positions)
        parts = [part for job in jobs for part in job.parts]
        images = [p for p in parts if _is_far(p.uri) and not is_clip(p.uri, p.source.content_type)]
        masks = [p for p in parts if _is_far(p.reading.uri) and not p.reading.is_clip]
        if images or masks:
            self._is_remote = True
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="smalti-fetch") as pool:
                found = {p.uri: pool.submit(storage.fetch, p.uri) for p in images}
                asked = {(p.reading.uri, p.reading.question): pool.submit(self._ask, p.reading) for p in masks}
            for job in jobs:
                _hand_out(job, found, asked)
        return jobs

    def _ask(self, reading: Reading) -> tuple[kept.Asked | None, bytes | None]:
        """What a mask is kept under, and its bytes unless it is kept."""
        asked, data = None, None
        if self._shelf is not None and not reading.strict:
            asked, data = self._shelf.ask(reading.uri, reading.question)
            if asked is not None and data is None and self._shelf.has(asked.key):
                return asked, None
        return asked, data if data is not None else storage.fetch(reading.uri)


def _is_far(uri: str) -> bool:
    return "://" in uri and not storage.parse_uri(uri).is_local


def _hand_out(job: Job, images: dict[str, Future[bytes]], masks: dict[Any, Future[Any]]) -> None:
    for part in job.parts:
        try:
            if part.uri in images:
                part.image = images[part.uri].result()
            key = (part.reading.uri, part.reading.question)
            if key in masks:
                part.asked, part.mask = masks[key].result()
        except Troubles as error:
            job.blame(part)
            job.trouble, job.parts = error, []
            return


def reordered(jobs: Iterable[tuple[int, Job]]) -> list[tuple[int, Job]]:
    """Numbered jobs in the order in which clips are cheapest to read."""
    return sorted(jobs, key=lambda item: item[1].parts[0].clip_order if item[1].parts else ("", 0.0))
