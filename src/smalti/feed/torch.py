"""Views in PyTorch: map-style and iterable datasets, and a loader whose place in the epoch is one token."""

import logging
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from smalti.errors import DecodeError, MissingExtra, QueryError
from smalti.feed.ambience import Ambience
from smalti.feed.samples import Failure, Sample, SampleOptions, Samples, dealt
from smalti.order import Position, Shard

try:
    import torch
    from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate, get_worker_info
except ImportError:
    raise MissingExtra("smalti.feed.torch", "torch") from None

if TYPE_CHECKING:
    from smalti.view import DataView

__all__ = ["Loader", "MapDataset", "StreamDataset", "loader"]

Pair = tuple[Any, Any]
Transform = Callable[[Any, Any], Pair]
_LOG = logging.getLogger("smalti.feed")
_OWN = {option.name for option in fields(SampleOptions)}


class MapDataset(Dataset[Pair]):
    """Position → (uint8 (3, H, W) image, int64 (H, W) class map); of clips (T, 3, H, W) and (T, H, W).

    The image of a sample is stored with its channels last and only seen as (3, H, W): nothing is moved before a batch is
    put together.

    Args:
        view: what to read.
        transform: (image, mask) → (image, mask), both as tensors.
        **options: see `smalti.feed.samples.SampleOptions`; `dtype` is that of masks: numpy.int64 (what losses want) or
            another that holds the class numbers, such as numpy.uint8 (an eighth of the bytes).
    """

    def __init__(self, view: "DataView", *, transform: Transform | None = None, **options: Any) -> None:
        self.samples = Samples(view, **{"dtype": np.int64, **options})
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, position: int) -> Pair:
        return self.tensors(self.samples[position])

    def __getitems__(self, positions: Sequence[int]) -> list[Pair]:
        """Several at once, as PyTorch's own DataLoader asks for them.

        Raises:
            DecodeError: a frame cannot be read, and nothing replaces it: positions cannot be left out here.
        """
        found = self.samples.load_many(positions)
        for item in found:
            if isinstance(item, Failure):
                raise DecodeError(f"frame {item.frame_id}: {item.error}")
        return [self.tensors(item) for item in found if isinstance(item, Sample)]

    def tensors(self, sample: Sample, dtype: Any = None) -> Pair:
        """A sample as tensors, the mask in another dtype where one is given.

        The mask is a torchvision Mask where torchvision is installed.
        """
        numbers = sample.mask if dtype is None else sample.mask.astype(dtype, copy=False)
        image = torch.from_numpy(_writable(sample.image)).movedim(-1, -3)
        mask = _as_mask(torch.from_numpy(_writable(numbers)))
        return self.transform(image, mask) if self.transform is not None else (image, mask)


class StreamDataset(IterableDataset[Pair]):
    """An epoch in order, dealt to the workers of a DataLoader and to `rank` of `ranks`; frames that fail are skipped or raise.

    Args:
        view: what to read; it may be endless.
        rank, ranks: which share.
        transform, **options: as in `MapDataset`.
    """

    def __init__(
        self, view: "DataView", *, rank: int = 0, ranks: int = 1, transform: Transform | None = None, **options: Any
    ) -> None:
        self._map = MapDataset(view, transform=transform, **options)
        self.rank, self.ranks = rank, ranks

    def __iter__(self) -> Iterator[Pair]:
        worker = get_worker_info()
        shard = Shard(self.rank, self.ranks, worker.id if worker else 0, worker.num_workers if worker else 1)
        return map(self._map.tensors, self._map.samples.stream(shard))


class Loader:
    """Batches of a view, and the place in the epoch.

    Iterate it for (uint8 (B, 3, H, W), int64 (B, H, W)). Once it was gone through, the next pass is the next epoch, with the
    same workers; a pass that was broken off begins again. `state()` is the token of the batches that were
    delivered, not of what workers have read ahead; `loader(view, resume=token)` goes on from there with any number of
    workers or ranks.

    Attributes:
        failed: the frames that were skipped, with their errors.
    """

    def __init__(
        self, dataset: MapDataset, *, batch_size: int, shard: Shard, start: Position, options: dict[str, Any]
    ) -> None:
        self._dataset, self._batch, self._shard, self._start = dataset, batch_size, shard, start
        self._delivered, self._is_through = 0, False
        self.failed: list[Failure] = []
        self._dtype = torch.from_numpy(np.zeros(1, dataset.samples.options.dtype)).dtype
        self._feed: Any = DataLoader(
            _Batches(dataset), batch_size=None, sampler=_Requests(weakref.ref(self)), collate_fn=_as_it_is, **options
        )
        self._workers = int(options.get("num_workers", 0))

    @property
    def epoch(self) -> int:
        """The epoch that the next pass goes through."""
        return self._next().epoch

    def set_epoch(self, epoch: int) -> None:
        """Go through this epoch next, from its start."""
        self._begin(Position(self._start.view, epoch))

    def _begin(self, start: Position) -> None:
        self._start, self._delivered, self._is_through = start, 0, False

    def _next(self) -> Position:
        """Where the next pass begins."""
        total = self._total()
        is_over = self._is_through or (total is not None and 0 < total <= len(self._start))
        return Position(self._start.view, self._start.epoch + 1) if is_over else self._start

    def __len__(self) -> int:
        """How many batches are left of this rank's share, from where the next pass begins."""
        left = len(self._dataset) - len(self._next())
        return -(-len(range(self._shard.rank, left, self._shard.world_size)) // self._batch)

    def requests(self) -> Iterator["_Request"]:
        """What the workers are asked for, batch by batch; each is told what it will be asked for after that."""
        positions = dealt(self._shard, self._total(), self._start)
        waiting: list[list[int]] = []
        for batch in _batched(positions, self._batch):
            waiting.append(batch)
            if len(waiting) > max(1, self._workers):
                yield _Request(self._start.epoch, waiting.pop(0), batch)
        for batch in waiting:
            yield _Request(self._start.epoch, batch, [])

    def __iter__(self) -> Iterator[Pair]:
        self._begin(self._next())
        skipped = 0
        for count, failed, pair in self._feed:
            self._delivered += count
            self.failed += failed
            skipped += len(failed)
            if pair is not None:
                yield self._wide(pair)
        if skipped:
            _LOG.warning("epoch %d: %d of %d were skipped", self._start.epoch, skipped, self._delivered)
        self._is_through = True

    def _wide(self, pair: Pair) -> Pair:
        """What workers have sent in few bytes: new shared memory costs more than all that is written to it."""
        return (pair[0], pair[1].to(self._dtype)) if self._dataset.samples.is_narrow else pair

    def _total(self) -> int | None:
        return self._dataset.samples.run_of(self._start.epoch).total

    def _position(self) -> Position:
        return self._start.in_step(self._shard, self._delivered, self._total())

    def state(self) -> str:
        """The token of what was delivered, if all ranks have come as far: what a training loop in step saves."""
        return str(self._position())

    def own_state(self) -> str:
        """The token of what this rank alone has delivered; join those of all ranks with `Position.merge`."""
        mine = islice(dealt(self._shard, self._total(), self._start), self._delivered)
        return str(self._start.add(mine))


class _Request(NamedTuple):
    """One batch to be made, and the one that the same worker will be asked for next."""

    epoch: int
    positions: list[int]
    upcoming: list[int]


class _Requests:
    """The sampler of a DataLoader: what its Loader asks for in the pass that begins."""

    def __init__(self, of: "weakref.ref[Loader]") -> None:
        self._of = of  # not the Loader itself: workers end when it is let go of, and not at some later time

    def __iter__(self) -> Iterator[_Request]:
        found = self._of()
        return iter(()) if found is None else found.requests()


class _Batches(Dataset[Any]):
    """Request → (frames, failures, batch): failures travel to the main process, which counts them."""

    def __init__(self, dataset: MapDataset) -> None:
        self._dataset = dataset

    def __getitem__(self, request: _Request) -> tuple[int, list[Failure], Pair | None]:
        samples = self._dataset.samples
        found = samples.load_many(request.positions, epoch=request.epoch, upcoming=request.upcoming)
        failed = [item for item in found if isinstance(item, Failure)]
        good = [item for item in found if isinstance(item, Sample)]
        kind = _small(good) if samples.is_narrow and good else None
        pairs = [self._dataset.tensors(item, kind) for item in good]
        return len(found), failed, _together(pairs) if pairs else None


def loader(
    view: "DataView",
    *,
    batch_size: int = 1,
    crop: Sequence[int] | int | None = None,
    workers: int = 0,
    resume: str | None = None,
    rank: int = 0,
    ranks: int = 1,
    **options: Any,
) -> Loader:
    """Batches of a view for training.

    Args:
        view: frames, their mapping to class numbers, and their order.
        batch_size: the last batch of an epoch may be smaller.
        crop: (height, width) of random windows, or one number for squares; without it all pictures of a batch must have
            one size.
        workers: processes (spawned, never forked) that decode; 0 = this one. They stay for the next epochs.
        resume: a token of `Loader.state()`; it brings its epoch.
        rank, ranks: which share of the epoch this process trains on.
        **options: transform as in `MapDataset`, and everything of `smalti.feed.samples.SampleOptions` (crop_on, clip, seed,
            on_error, dtype, kept, ...); the rest goes to torch's DataLoader (pin_memory, prefetch_factor, ...).

    Raises:
        QueryError: the token belongs to another view.
        MissingExtra: PyTorch is not installed.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; allowed: from 1")
    position = Position.read(resume) if resume is not None else None
    own = {key: options.pop(key) for key in (*_OWN, "transform") if key in options}
    if position is not None:
        own["epoch"] = position.epoch
    dataset = MapDataset(view, crop=crop, **own)
    # A transform sees the masks as they are handed out, and pinned memory is not written to twice.
    dataset.samples.is_narrow = bool(workers) and dataset.transform is None and not options.get("pin_memory")
    run = dataset.samples.run
    if position is not None and position.view != run.key:
        raise QueryError(
            f"this token is of view {position.view}, here is view {run.key}: the frames, filters, order or seed have changed",
            text=str(resume),
        )
    if workers:
        options = {"multiprocessing_context": "spawn", "persistent_workers": True, **options, "num_workers": workers}
        options["worker_init_fn"] = Ambience(then=options.get("worker_init_fn"))
    start = position or Position(run.key, run.epoch)
    return Loader(dataset, batch_size=batch_size, shard=Shard(rank, ranks), start=start, options=options)


def _batched(positions: Iterator[int], size: int) -> Iterator[list[int]]:
    while batch := list(islice(positions, size)):
        yield batch


def _as_it_is(found: Any) -> Any:
    return found


def _together(pairs: list[Pair]) -> Pair:
    """One batch; in a worker it is put together in shared memory, where the main process finds it."""
    sizes = {tuple(getattr(mask, "shape", ())) for _, mask in pairs}
    if len(sizes) > 1:
        raise DecodeError(
            f"a batch has pictures of sizes {sorted(sizes)} (H, W); give crop=(height, width), or batch_size=1"
        )
    images, masks = zip(*pairs, strict=True)
    return default_collate([_plain(i) for i in images]), default_collate([_plain(m) for m in masks])


def _small(samples: Sequence[Sample]) -> Any:
    """The smallest signed dtype, or uint8, that holds the masks of all: torch does little with other unsigned ones."""
    kind = np.result_type(*(sample.mask.dtype for sample in samples))
    return kind if kind == np.uint8 else np.result_type(kind, np.int8)


def _plain(found: Any) -> Any:
    """A tensor without the name of what it shows: a transform may hand out anything that can be collated."""
    return found.as_subclass(torch.Tensor) if isinstance(found, torch.Tensor) else found


def _writable(pixels: Any) -> Any:
    return pixels if pixels.flags.writeable else pixels.copy()


@cache
def _mask_type() -> Any:
    """torchvision's Mask, looked for once: where its build does not fit PyTorch's, each try takes long."""
    try:
        from torchvision import tv_tensors
    except (ImportError, RuntimeError):
        return None
    return tv_tensors.Mask


def _as_mask(mask: Any) -> Any:
    """A torchvision Mask, so that its transforms resize it by nearest; a plain tensor where torchvision is not installed."""
    kind = _mask_type()
    return mask if kind is None else kind(mask)
