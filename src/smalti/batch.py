"""Many masks at once, in order: every core is used, a clip is read in one forward pass, memory is bounded.

Masks are taken in chunks of `CHUNK` a worker, and at most two chunks are under way: while one is handed out the next is
being read. So at most 2 × CHUNK × workers label maps (of H × W × 1 or 2 bytes) are held, and as many decoded pictures
of a clip (1.5 to 3 bytes a pixel) where its labels cost more than its pictures, whatever the number of masks: with two
workers and masks of 2048×1024 at most 64 MiB of maps.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

from smalti import codecs, storage
from smalti.binding import resolve
from smalti.codecs.sniff import HEAD_BYTES
from smalti.decode import Lossy, decode_mask, decode_raster
from smalti.errors import DecodeError, SmaltiError
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.mask_reading import Reading, plan_reading, read_mask, read_run
from smalti.parallel import available_cores

__all__ = ["CHUNK", "MaskJob", "OnError", "decode_masks", "label_maps"]

CHUNK = 8
"""Masks for each worker in a chunk: enough that pictures of a clip come in runs and remote files in parallel."""

OnError = Literal["raise", "skip"] | Callable[[int, Exception], LabelMap | None]


@dataclass(frozen=True, slots=True, eq=False)
class MaskJob:
    """One mask for `decode_masks`.

    Attributes:
        data: the bytes of a picture or clip, or a URI or path to read them from.
        legend: what the values mean; None = every value is an object of its own.
        at_ms: for a clip: milliseconds into it.
        content_type: what is recorded about the file, if anything.
        scheme: of an id mask, see `smalti.ids.SCHEMES`.
    """

    data: bytes | str | os.PathLike[str]
    legend: Legend | None = None
    at_ms: float = 0
    content_type: str | None = None
    scheme: str | None = None

    @property
    def content(self) -> bytes:
        """The data of a job that has them, which is no URI."""
        if isinstance(self.data, str | os.PathLike):
            raise TypeError(f"the job names {os.fspath(self.data)!r}, whose bytes have not been read")
        return self.data


Item = MaskJob | bytes | str | os.PathLike[str] | tuple[Any, ...]


def decode_masks(
    items: Iterable[Item], *, workers: int | None = None, lossy: Lossy = "auto", on_error: OnError = "raise"
) -> Iterator[LabelMap]:
    """The label maps of many masks, in the order of the items.

    Args:
        items: `MaskJob`s, or their fields as a tuple `(data, legend, at_ms, …)`, or `data` alone. Drawn lazily.
        workers: threads; None = one for each core.
        lossy: as in `decode_mask`.
        on_error: "raise" at the item's place; "skip" leaves it out; a function of the item's position and the error
            gives the map to put there, or None to leave it out.

    Raises:
        DecodeError, TimestampError, FileNotFoundError, StorageError: as `decode_mask`; messages begin with `items[n]`.
    """
    works = (_work_of(item, position, lossy) for position, item in enumerate(items))
    return _run(works, workers, on_error)


def label_maps(
    frames: Iterable[Any],
    mask_id: str | int | None = None,
    *,
    workers: int | None = None,
    lossy: Lossy = "auto",
    legend: Any = None,
    on_error: OnError = "raise",
) -> Iterator[LabelMap]:
    """`frame.label_map(mask_id)` of many frames, in their order.

    Args:
        frames: SingleFrames or FrameGroups, drawn lazily.
        mask_id: None = the only mask that each frame uses.
        workers, on_error: as in `decode_masks`; frames of one clip should stand together, in the order of time.
        lossy, legend: as in `SingleFrame.label_map`.

    Raises:
        MaskReferenceError: no mask or several fit.
        DecodeError, TimestampError, FileNotFoundError, StorageError: as the mask's bytes deserve; messages begin with
            `frames[n]` and the frame's id.
    """
    works = (_work_of_frame(f, n, mask_id, legend, lossy) for n, f in enumerate(frames))
    return _run(works, workers, on_error)


class _Chunk:
    """Items that are under way together. Whoever hands them out waits once for all of them, not for each: waking up and
    taking the interpreter from a worker costs more than handing out."""

    def __init__(self, works: "list[_Work]") -> None:
        self.works = works
        self.ready: deque[tuple[_Work, Callable[[], LabelMap]]] = deque()
        self._left = len(works)
        self._changing = threading.Lock()
        self._through = threading.Event()
        for work in works:
            work.chunk = self

    def settle(self, work: "_Work", answer: LabelMap | BaseException) -> None:
        """Note what became of an item; the first answer counts."""
        with self._changing:
            if work.answer is not None:
                return
            work.answer = answer
            self._left -= 1
            is_through = not self._left
        if is_through:
            self._through.set()

    def wait(self) -> None:
        """Until every item has its answer."""
        self._through.wait()


@dataclass(slots=True, eq=False)
class _Work:
    """One item on its way: what to do, for which place, and what came of it."""

    position: int
    place: str
    task: Reading | MaskJob | Exception
    lossy: Lossy
    answer: LabelMap | BaseException | None = None
    chunk: _Chunk | None = None

    def settle(self, answer: LabelMap | BaseException) -> None:
        """The answer, from any thread."""
        if self.chunk is not None:
            self.chunk.settle(self, answer)

    def run(self, function: Callable[[], LabelMap]) -> None:
        """The answer is what `function` returns or raises."""
        try:
            self.settle(function())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the item is handed out
            self.settle(error)


def _work_of(item: Item, position: int, lossy: Lossy) -> _Work:
    job = item if isinstance(item, MaskJob) else MaskJob(*item) if isinstance(item, tuple) else MaskJob(item)
    place = f"items[{position}]"
    if isinstance(job.data, (bytes, bytearray, memoryview)):
        return _Work(position, place, job, lossy)
    reading = Reading(os.fspath(job.data), job.legend, job.content_type, job.at_ms, job.scheme, lossy)
    return _Work(position, place, reading, lossy)


def _work_of_frame(frame: Any, position: int, mask_id: str | int | None, legend: Any, lossy: Lossy) -> _Work:
    place = f"frames[{position}]"
    try:
        place = f"frames[{position}] ({frame.id})"
        whole = legend if isinstance(legend, Legend) else None
        found = resolve(frame, legend if whole is None else None)
        plan = found.plan(None if mask_id is None else str(mask_id), getattr(frame, "source_id", None))
        task: Reading | Exception = plan_reading(plan, frame.base, whole, (lossy, None, False, False))
    except (SmaltiError, OSError) as error:
        task = error
    return _Work(position, place, task, lossy)


def _run(works: Iterator[_Work], workers: int | None, on_error: OnError) -> Iterator[LabelMap]:
    count = workers or available_cores()
    pool = ThreadPoolExecutor(count, thread_name_prefix="smalti")
    under_way: deque[_Chunk] = deque()
    stop = threading.Event()
    try:
        while listed := list(islice(works, CHUNK * count)):
            chunk = _Chunk(listed)
            _submit(chunk, pool, count, stop)
            under_way.append(chunk)
            if len(under_way) == 2:
                yield from _collect(under_way.popleft(), on_error)
        while under_way:
            yield from _collect(under_way.popleft(), on_error)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _collect(chunk: _Chunk, on_error: OnError) -> Iterator[LabelMap]:
    chunk.wait()
    for work in chunk.works:
        found, work.answer = work.answer, None  # a map that was handed out is no longer held
        if isinstance(found, (SmaltiError, OSError)):
            _locate(found, work.place)
            if on_error == "raise":
                raise found
            found = on_error(work.position, found) if callable(on_error) else None
        elif isinstance(found, BaseException):
            raise found
        if found is not None:
            yield found


def _locate(error: Exception, place: str) -> None:
    """Say the place in the message. What ends a run is the error of several items: the place of the last replaces."""
    plain: tuple[Any, ...] = vars(error).setdefault("_without_place", error.args)
    if plain and isinstance(plain[0], str):
        error.args = (f"{place}: {plain[0]}", *plain[1:])
    else:
        error.add_note(place)


def _submit(chunk: _Chunk, pool: ThreadPoolExecutor, workers: int, stop: threading.Event) -> None:
    """Hand out a chunk: a clip's pictures as one run, remote files fetched together, everything else one by one."""
    runs: dict[tuple[Any, ...], list[_Work]] = {}
    remote: list[_Work] = []
    for work in chunk.works:
        task = work.task
        if isinstance(task, Exception):
            work.settle(task)
        elif isinstance(task, MaskJob):
            if codecs.is_video(task.content_type, task.content[:HEAD_BYTES]):
                runs.setdefault((id(task.data), task.content_type), []).append(work)
            else:
                chunk.ready.append((work, partial(_decode, task, work.lossy)))
        elif task.is_clip:
            runs.setdefault((task.uri, task.content_type), []).append(work)
        elif storage.parse_uri(task.uri).is_local:
            chunk.ready.append((work, partial(read_mask, task)))
        else:
            remote.append(work)
    for run in runs.values():
        run.sort(key=lambda work: getattr(work.task, "at_ms", 0))
        follow = _read_clip if isinstance(run[0].task, Reading) else _read_bytes
        pool.submit(_guarded, follow, run, pool)
    if remote:
        pool.submit(_guarded, _fetch, remote, pool)
    for _ in range(min(workers, len(chunk.ready))):
        pool.submit(_work_off, chunk, stop)


def _work_off(chunk: _Chunk, stop: threading.Event) -> None:
    """Take one item after the other until none is left, as all workers do."""
    while not stop.is_set():
        try:
            work, function = chunk.ready.popleft()
        except IndexError:
            return
        work.run(function)


def _guarded(
    follow: Callable[[list[_Work], ThreadPoolExecutor], None], works: list[_Work], pool: ThreadPoolExecutor
) -> None:
    """What ends a run ends every item of it that has no answer yet: nobody waits for ever."""
    try:
        follow(works, pool)
    except BaseException as error:  # noqa: BLE001 - it is raised again where the items are handed out
        for work in works:
            work.settle(error)


def _decode(job: MaskJob, policy: Lossy) -> LabelMap:
    return decode_mask(
        job.content,
        job.legend,
        content_type=job.content_type,
        at_ms=job.at_ms,
        lossy=policy,
        scheme=job.scheme,
    )


def _read_clip(run: list[_Work], pool: ThreadPoolExecutor) -> None:
    """One forward pass on this thread; labels that cost more than the pictures go to the others."""
    readings = [work.task for work in run if isinstance(work.task, Reading)]
    for work, (_reading, ready) in zip(run, read_run(readings), strict=True):
        if isinstance(ready, (DecodeError, LabelMap)):
            work.settle(ready)
        else:
            pool.submit(work.run, ready)


def _read_bytes(run: list[_Work], pool: ThreadPoolExecutor) -> None:
    """The same for a clip that is in memory."""
    jobs = [work.task for work in run if isinstance(work.task, MaskJob)]
    with codecs.open_clip(jobs[0].content, content_type=jobs[0].content_type) as clip:
        for work, job in zip(run, jobs, strict=True):
            try:
                raster = clip.at(job.at_ms)
            except DecodeError as error:
                work.settle(error)
                continue
            label = partial(decode_raster, raster, job.legend, lossy=work.lossy, scheme=job.scheme)
            pool.submit(work.run, label)


def _fetch(works: list[_Work], pool: ThreadPoolExecutor) -> None:
    """Remote files, many requests at a time; each is decoded by whoever is free."""
    readings = [work.task for work in works if isinstance(work.task, Reading)]
    for work, reading, got in zip(works, readings, storage.fetch_many([r.uri for r in readings]), strict=True):
        if isinstance(got, OSError):
            work.settle(got)
        else:
            pool.submit(work.run, partial(read_mask, reading, got))
