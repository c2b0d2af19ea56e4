"""Views in Ray Data: frames read by many processes, mapped, and written back to a draft together.

    dataset = read_view(view, crop=(512, 512))          rows with id, frame, image and mask
    results = dataset.map(predict)                       whatever you do with them
    failed = write_frames(results, draft, facts=True)    each task writes its own rows, and counts their masks

The driver deals out positions of the view's order. Each read task gets the frames of its own positions, and no more of
the view than that; pixels are decoded where the task runs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from smalti.errors import FrameError, MissingExtra, SmaltiError
from smalti.feed.ambience import Ambience
from smalti.feed.samples import Failure, Samples
from smalti.frames import FrameGroup, SingleFrame, handle_of
from smalti.iterate import Served, serve
from smalti.wire import from_dict, to_dict

try:
    import ray.data
    from ray.data.block import BlockAccessor, BlockMetadata
    from ray.data.datasource import Datasink, Datasource, ReadTask
except ImportError:
    raise MissingExtra("smalti.feed.ray", "ray") from None

if TYPE_CHECKING:
    from smalti.view import DataView

__all__ = ["frame_of", "read_view", "row_of", "write_frames"]

_ROWS_A_BLOCK = 16
_FRAMES_A_COMMIT = 500
"""Below the number from which a draft takes frames in bulk, under a lease: commits of so many run side by side."""
_PIXELS_GUESSED = 640 * 480
_RECORD_BYTES = 1000


def read_view(
    view: "DataView",
    *,
    pixels: bool = True,
    blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """A `ray.data.Dataset` of one epoch of a view, in its order.

    Args:
        view: what to read.
        pixels: rows have `image` (H, W, 3) uint8 and `mask` (H, W) class numbers besides `id`, `position`, `dataset`,
            `version`, `frame` (its JSON), `base` and `legend` (what its handle needs: see `frame_of`).
        blocks: into how many read tasks to cut; default: as Ray sees fit.
        concurrency: how many of them run at a time.
        ray_remote_args: of the read tasks, such as {"num_cpus": 1}.
        **options: see `smalti.feed.samples.SampleOptions`. With on_error="skip" a frame that cannot be read has no row.

    Raises:
        MissingExtra: Ray is not installed.
        FrameError: the view never ends.
    """
    return ray.data.read_datasource(
        ViewDatasource(Samples(view, **options), pixels),
        override_num_blocks=blocks,
        concurrency=concurrency,
        ray_remote_args=dict(ray_remote_args or {}),
    )


def write_frames(
    dataset: Any,
    version: Any,
    *,
    facts: bool = False,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
) -> list[Any]:
    """Write the frames of a Ray dataset to a draft, as many tasks at a time as there are, and return what was refused.

    A frame whose id is there already is replaced. Tasks commit their rows by themselves: a run that fails halfway leaves
    what was written, and a repeated one replaces it. Rows of one id in several tasks: one of them stays.

    Args:
        dataset: rows with a column `frame` (JSON text, or an object), as `read_view` and `row_of` make them.
        version: a draft of a store that the tasks can reach: an object store or a shared folder.
        facts: count the pixels of every mask as well, in the task.
        concurrency: how many tasks at a time.
        ray_remote_args: of the tasks.

    Raises:
        VersionFrozen: the version is published.
    """
    sink = VersionSink(version, facts)
    dataset.write_datasink(sink, concurrency=concurrency, ray_remote_args=dict(ray_remote_args or {}))
    return sink.failed


def row_of(frame: SingleFrame | FrameGroup, **more: Any) -> dict[str, Any]:
    """A frame as a row: what a mapping function returns for `write_frames`; `more` are further columns."""
    legend = frame.mask_labels
    return {**_columns(frame.to_dict(), frame.base, legend), "id": frame.id, **more}


def frame_of(row: Mapping[str, Any]) -> SingleFrame | FrameGroup:
    """The handle of a row's frame: to edit it, or to read its masks.

    Raises:
        FrameError: the row has no frame.
    """
    found = row.get("frame")
    if found is None:
        raise FrameError(f"the row has columns {sorted(row)}; a column 'frame' with a frame's JSON is needed")
    raw = msgspec.json.decode(found) if isinstance(found, str | bytes) else found
    legend = row.get("legend")
    return handle_of(
        from_dict(raw), base=row.get("base") or None, mask_labels=msgspec.json.decode(legend) if legend else None
    )


def _columns(record: Mapping[str, Any], base: str | None, legend: Any) -> dict[str, Any]:
    try:
        told = "" if legend is None else msgspec.json.encode(legend).decode()
    except TypeError:
        raise FrameError(
            f"the legend of these frames is a {type(legend).__name__}, which cannot be sent; give the version form "
            '{"_all_": [{"value": ..., "labels": [...]}]} as mask_labels'
        ) from None
    return {"frame": msgspec.json.encode(record).decode(), "base": base or "", "legend": told}


# -------------------------------------------------------------------------------------------------------- reading
class ViewDatasource(Datasource):  # type: ignore[misc,unused-ignore]
    """Positions of a view's order, dealt to read tasks in runs."""

    def __init__(self, samples: Samples, pixels: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self._samples, self._pixels = samples, pixels
        self._count = len(samples)

    def get_name(self) -> str:
        """What progress bars call it."""
        return "View"

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all rows; pictures are taken to be as large as the crop, else as VGA."""
        return self._count * self._row_bytes()

    def _row_bytes(self) -> int:
        if not self._pixels:
            return _RECORD_BYTES
        crop = self._samples.crop_hw
        area = _PIXELS_GUESSED if crop is None else crop[0] * crop[1]
        return _RECORD_BYTES + 4 * area * (self._samples.options.clip or 1)

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """One task for each run of positions."""
        around = Ambience()
        tasks = []
        for positions in np.array_split(np.arange(self._count), max(1, min(parallelism, self._count))):
            if per_task_row_limit is not None:
                positions = positions[:per_task_row_limit]
            read = _Read(self._samples.part(positions.tolist()), positions.tolist(), self._pixels, around)
            tasks.append(ReadTask(read, _metadata(len(positions), len(positions) * self._row_bytes())))
        return tasks


def _metadata(rows: int, size: int) -> BlockMetadata:
    """What fields there are depends on Ray's release."""
    told: dict[str, Any] = {
        "num_rows": rows,
        "size_bytes": size,
        "input_files": None,
        "exec_stats": None,
        "schema": None,
    }
    known = {field.name for field in fields(BlockMetadata)}
    return BlockMetadata(**{name: value for name, value in told.items() if name in known})


class _Read:
    """Reads the rows of a run of positions, where the task runs."""

    def __init__(self, samples: Samples, positions: Sequence[int], pixels: bool, around: Ambience) -> None:
        self._samples, self._positions, self._pixels, self._around = samples, positions, pixels, around

    def __call__(self) -> Iterator[Any]:
        self._around()
        for start in range(0, len(self._positions), _ROWS_A_BLOCK):
            rows = list(self._rows(self._positions[start : start + _ROWS_A_BLOCK], start))
            if rows:
                yield BlockAccessor.batch_to_block({name: _column([row[name] for row in rows]) for name in rows[0]})

    def _rows(self, positions: Sequence[int], start: int) -> Iterator[dict[str, Any]]:
        run = self._samples.run
        places = np.asarray(run.at(np.array(positions, np.int64))[0]).reshape(len(positions), -1)[:, 0]
        upcoming = self._positions[start + _ROWS_A_BLOCK : start + 2 * _ROWS_A_BLOCK]
        found: Iterable[Any] = (
            self._samples.load_many(positions, upcoming=upcoming) if self._pixels else [None] * len(positions)
        )
        for position, served, sample in zip(positions, serve(run.chosen, places), found, strict=True):
            if isinstance(sample, Failure):
                continue
            row = _row(served, position)
            yield row if sample is None else {**row, "image": sample.image, "mask": sample.mask}


def _row(served: Served, position: int) -> dict[str, Any]:
    return {
        "id": served.record.id or "",
        "position": position,
        "dataset": served.dataset,
        "version": served.version,
        **_columns(to_dict(served.record), served.base, served.mask_labels),
    }


def _column(values: list[Any]) -> Any:
    """An array of equal pictures, an array of objects where their sizes differ, else as NumPy takes it."""
    if not isinstance(values[0], np.ndarray):
        return np.array(values)
    if len({(value.shape, value.dtype) for value in values}) == 1:
        return np.stack(values)
    column = np.empty(len(values), object)
    column[:] = values
    return column


# -------------------------------------------------------------------------------------------------------- writing
class VersionSink(Datasink[Any]):  # type: ignore[misc,unused-ignore]
    """Rows of every task into one draft; each commit is small enough to go beside those of other tasks."""

    def __init__(self, version: Any, facts: bool) -> None:
        self._version, self._facts, self._around = version, facts, Ambience()
        self.failed: list[Any] = []

    def get_name(self) -> str:
        """What progress bars call it."""
        return "Version"

    def write(self, blocks: Iterable[Any], ctx: Any) -> list[Any]:
        """What was refused of these rows."""
        self._around()
        failed: list[Any] = []
        waiting: list[Any] = []
        for block in blocks:
            rows: Iterable[Any] = BlockAccessor.for_block(block).iter_rows(public_row_format=True)
            for row in rows:
                waiting.append(_readable(row))
                if len(waiting) == _FRAMES_A_COMMIT:
                    failed += self._version.add_frames(waiting, facts=self._facts)
                    waiting = []
        if waiting:
            failed += self._version.add_frames(waiting, facts=self._facts)
        return failed

    def on_write_complete(self, write_result: Any) -> None:
        """Collects what was refused."""
        self.failed = [item for refused in write_result.write_returns for item in refused]


def _readable(row: Mapping[str, Any]) -> Any:
    """The frame of a row; what is none goes on as it is, and is refused with a reason where frames are checked."""
    try:
        return frame_of(row)
    except (SmaltiError, msgspec.DecodeError):
        return row.get("frame", dict(row))
