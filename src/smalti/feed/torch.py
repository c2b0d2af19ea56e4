"""Views in PyTorch: map-style and iterable datasets, and a loader whose place in the epoch is one token."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from smalti.errors import DecodeError, MissingExtra, QueryError
from smalti.feed.samples import Failure, Sample, Samples
from smalti.order import Position, Shard

try:
    import torch
    from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info
except ImportError:
    raise MissingExtra("smalti.feed.torch", "torch") from None

if TYPE_CHECKING:
    from smalti.view import DataView

__all__ = ["Loader", "MapDataset", "StreamDataset", "loader"]

Pair = tuple[Any, Any]
Transform = Callable[[Any, Any], Pair]


class MapDataset(Dataset[Pair]):
    """Position → (uint8 (3, H, W) image, int64 (H, W) class map). Options as in `smalti.feed.samples.Samples`."""

    def __init__(self, view: "DataView", *, transform: Transform | None = None, **options: Any) -> None:
        self.samples = Samples(view, **options)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, position: int) -> Pair:
        return self.tensors(self.samples[position])

    def tensors(self, sample: Sample) -> Pair:
        """A sample as tensors; the mask is a torchvision Mask where torchvision is installed."""
        image = torch.from_numpy(np.ascontiguousarray(sample.image.transpose(2, 0, 1)))
        mask = _as_mask(torch.from_numpy(sample.mask.astype(np.int64)))
        return self.transform(image, mask) if self.transform is not None else (image, mask)


class StreamDataset(IterableDataset[Pair]):
    """The epoch in order, dealt to the workers of a DataLoader and to `rank` of `ranks`; frames that fail are skipped or raise."""

    def __init__(
        self, view: "DataView", *, rank: int = 0, ranks: int = 1, transform: Transform | None = None, **options: Any
    ) -> None:
        self._map = MapDataset(view, transform=transform, **options)
        self.rank, self.ranks = rank, ranks

    def __iter__(self) -> Iterator[Pair]:
        worker = get_worker_info()
        shard = Shard(self.rank, self.ranks, worker.id if worker else 0, worker.num_workers if worker else 1)
        for position in _dealt(shard, len(self._map), Position(self._map.samples.run.key, self._map.samples.epoch)):
            found = self._map.samples.load(position)
            if not isinstance(found, Failure):
                yield self._map.tensors(found)


class Loader:
    """Batches of a view, and the place in the epoch.

    Iterate it for (uint8 (B, 3, H, W), int64 (B, H, W)). `state()` is the token of the batches that were delivered, not
    of what workers have read ahead; `loader(view, resume=token)` goes on from there with any number of workers or ranks.

    Attributes:
        failed: the frames that were skipped, with their errors.
    """

    def __init__(
        self, dataset: MapDataset, *, batch_size: int, shard: Shard, start: Position, options: dict[str, Any]
    ) -> None:
        self._dataset, self._batch, self._shard, self._start = dataset, batch_size, shard, start
        self._options = options
        self._delivered = 0
        self.failed: list[Failure] = []

    def __len__(self) -> int:
        """How many batches are left of this rank's share, from where it began."""
        left = sum(1 for _ in _dealt(self._shard, len(self._dataset), self._start))
        return -(-left // self._batch)

    def __iter__(self) -> Iterator[Pair]:
        self._delivered = 0
        total = self._dataset.samples.run.total
        batches = _batched(_dealt(self._shard, total, self._start), self._batch)
        feed = DataLoader(_Positions(self._dataset), batch_sampler=batches, collate_fn=_collate, **self._options)
        for count, failed, pair in feed:
            self._delivered += count
            self.failed += failed
            if pair is not None:
                yield pair

    def state(self) -> str:
        """The token of what was delivered, if all ranks have come as far: what a training loop in step saves."""
        return str(self._start.in_step(self._shard, self._delivered, self._dataset.samples.run.total))


class _Positions(Dataset[Any]):
    """Position → pair or failure: failures travel to the main process, which counts them."""

    def __init__(self, dataset: MapDataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, position: int) -> Any:
        found = self._dataset.samples.load(position)
        return found if isinstance(found, Failure) else self._dataset.tensors(found)


def loader(
    view: "DataView",
    *,
    batch_size: int = 1,
    crop: Sequence[int] | None = None,
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
        crop: (height, width) of random windows; without it all pictures of a batch must have one size.
        workers: processes (spawned, never forked) that decode; 0 = this one.
        resume: a token of `Loader.state()`; it brings its epoch.
        rank, ranks: which share of the epoch this process trains on.
        **options: epoch, mask_id, source, crop_on, seed, on_error and transform as in `MapDataset`; everything else goes
            to torch's DataLoader (pin_memory, prefetch_factor, persistent_workers, ...).

    Raises:
        QueryError: the token belongs to another view.
        MissingExtra: PyTorch is not installed.
    """
    position = Position.read(resume) if resume is not None else None
    own = {
        key: options.pop(key)
        for key in ("epoch", "mask_id", "source", "crop_on", "seed", "on_error", "transform")
        if key in options
    }
    if position is not None:
        own["epoch"] = position.epoch
    dataset = MapDataset(view, crop=crop, **own)
    run = dataset.samples.run
    if position is not None and position.view != run.key:
        raise QueryError(
            f"this token is of view {position.view}, here is view {run.key}: the frames, filters, order or seed have changed",
            text=str(resume),
        )
    start = position or Position(run.key, run.epoch)
    if workers:
        options = {"multiprocessing_context": "spawn", **options, "num_workers": workers}
    return Loader(dataset, batch_size=batch_size, shard=Shard(rank, ranks, 0, 1), start=start, options=options)


_AT_ONCE = 4096


def _dealt(shard: Shard, total: int | None, start: Position) -> Iterator[int]:
    """The positions that a share has left, in order; without end where the view has none."""
    done = 0
    while True:
        places = shard.dealt(done, _AT_ONCE)
        mine = places if total is None else places[places < total - len(start)]
        yield from start.left(mine).tolist()
        done += len(places)
        if len(mine) < len(places) or not len(places):
            return


def _batched(positions: Iterator[int], size: int) -> Iterator[list[int]]:
    while batch := list(islice(positions, size)):
        yield batch


def _collate(items: list[Any]) -> tuple[int, list[Failure], Pair | None]:
    failed = [item for item in items if isinstance(item, Failure)]
    pairs = [item for item in items if not isinstance(item, Failure)]
    if not pairs:
        return len(items), failed, None
    sizes = {tuple(mask.shape) for _, mask in pairs}
    if len(sizes) > 1:
        raise DecodeError(
            f"a batch has pictures of sizes {sorted(sizes)} (H, W); give crop=(height, width), or batch_size=1"
        )
    images, masks = zip(*pairs, strict=True)
    return len(items), failed, (torch.stack(images), torch.stack([m.as_subclass(torch.Tensor) for m in masks]))


def _as_mask(mask: Any) -> Any:
    """A torchvision Mask, so that its transforms resize it by nearest; a plain tensor where torchvision is not installed."""
    try:
        from torchvision import tv_tensors
    except (ImportError, RuntimeError):
        return mask
    return tv_tensors.Mask(mask)
