"""DataView with the legacy constructor and names, and IterationOrder."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Any, Literal, Self

import numpy as np

from smalti import view as ours
from smalti.allegroai.frames import FrameGroup, Numbers, SingleFrame, adopt
from smalti.allegroai.naming import UsageError, default_store, either
from smalti.chosen import Chosen, names_of
from smalti.errors import LegendError
from smalti.iterate import Served, ViewIterator
from smalti.mapping import LabelMapping
from smalti.order import Position, Shard
from smalti.query.rules import FilterRule, LabelRule

__all__ = ["DataPipe", "DataView", "FrameGroup", "IterationOrder", "SingleFrame"]

_READ_AT_ONCE = 256


class IterationOrder(Enum):
    """In which order a view's frames come."""

    sequential = "sequential"
    random = "random"


class _Frames(ViewIterator):
    """The frames of a view as objects of this package."""

    def __init__(self, *args: Any, chosen: Chosen, mapping: LabelMapping, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        places = {(table.dataset, table.version): names_of(table) for table in chosen.tables}
        self._numbers = {place: _numbers(mapping, *names) for place, names in places.items()} if mapping.numbers else {}

    def _shown(self, served: Served) -> Any:
        found = super()._shown(served)
        place = (served.dataset, served.version)
        return adopt(found, place, self._numbers.get(place)) if self._output == "handles" else found


def _numbers(mapping: LabelMapping, datasets: Sequence[str], versions: Sequence[str]) -> Numbers:
    def number(labels: Sequence[str]) -> int | None:
        try:
            return mapping.number_of(mapping.names_of(labels, datasets, versions))
        except LegendError:
            return None

    return number


class DataPipe:
    """Of the oldest scripts, which import it beside what they use. Nothing of it is left to build on.

    Raises:
        UsageError: it is made.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        raise UsageError("DataPipe is gone; iterate the frames themselves: DataView(...).get_iterator()")


class DataView(ours.DataView):
    """A query over versions of the default store: see `smalti.DataView`."""

    @staticmethod
    def RoiQuery(
        label: str,
        must_not: bool = False,
        count_range: Sequence[int] | None = None,
        conf_range: Sequence[float] | None = None,
    ) -> LabelRule:
        """A rule of `add_multi_query`, with the arguments in the legacy order."""
        count = None if count_range is None else (count_range[0], count_range[1])
        confidence = None if conf_range is None else (conf_range[0], conf_range[1])
        return LabelRule(label, count, confidence, must_not)

    def __init__(
        self,
        name: str | None = None,
        iteration_order: IterationOrder | str = IterationOrder.sequential,
        iteration_infinite: bool = False,
        maximum_number_of_frames: int | None = None,
        auto_connect_with_task: bool = True,
        description: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            name=name,
            iteration_order=iteration_order.value if isinstance(iteration_order, IterationOrder) else iteration_order,
            iteration_infinite=iteration_infinite,
            maximum_number_of_frames=maximum_number_of_frames,
        )
        self.description = description or ""
        self.tags = list(tags or ())
        self._first = 0
        self._last: ViewIterator | None = None

    def _like(self, **fields: Any) -> "DataView":
        other = DataView()
        other.__dict__.update(super()._like(**fields).__dict__)
        return other

    @classmethod
    def get(cls, dataview_id: str | None = None, dataview_name: str | None = None, *, store: Any = None) -> Self:
        """The stored view of that id, or the newest of that name."""
        either("dataview", dataview_id, dataview_name)
        return super().get(dataview_id, dataview_name, store=store)

    unique_names = False  # a script that is run again keeps its view again, under the same name

    def store(self, store: Any = None, *, replace: bool = False) -> Self:
        """Keep the view in the default store."""
        return super().store(store or default_store(), replace=replace)

    def add_query(
        self,
        query: str | None = None,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        version_id: str | None = None,
        version_name: str | None = None,
        roi_query: str | Sequence[str] | None = None,
        frame_query: str | None = None,
        source_query: str | None = None,
        weight: float | None = None,
        dataset_project: str | None = None,
        queries: Iterable[FilterRule] = (),
        name: str | None = None,
        filter_by_roi: Literal["label_rules", "no_rois", "disabled"] = "label_rules",
    ) -> Self:
        """Add a filter; frames of any filter belong to the view: see `smalti.DataView.add_query`.

        Args:
            queries: what `get_queries` of a view gave, instead of all else.
        """
        either("dataset", dataset_id, dataset_name, required=False)
        either("version", version_id, version_name, required=False)
        listed = list(queries)
        for rule in listed:
            self._place(rule.dataset, rule.version, None)
            self._add(rule)
        if listed:
            return self
        return super().add_query(
            query,
            dataset_id=dataset_id,
            dataset_name=dataset_name,
            version_id=version_id,
            version_name=version_name,
            dataset_project=dataset_project,
            roi_query=roi_query,
            frame_query=frame_query,
            source_query=source_query,
            weight=weight,
            name=name,
            filter_by_roi=filter_by_roi,
        )

    def add_multi_query(self, *, roi_queries: Sequence[Any], **named: Any) -> Self:
        """Add a filter with several ROI rules, all of which must hold, each on whatever ROI."""
        either("dataset", named.get("dataset_id"), named.get("dataset_name"), required=False)
        either("version", named.get("version_id"), named.get("version_name"), required=False)
        return super().add_multi_query(roi_queries=roi_queries, **named)

    def add_mapping_rule(self, from_labels: str | Sequence[str], to_label: str, **named: Any) -> Self:
        """Call what has all of `from_labels` something else: see `smalti.DataView.add_mapping_rule`."""
        either("dataset", named.get("dataset_id"), named.get("dataset_name"), required=False)
        either("version", named.get("version_id"), named.get("version_name"), required=False)
        return super().add_mapping_rule(from_labels, to_label, **named)

    def iterate(
        self,
        *,
        epoch: int = 0,
        resume: str | Position | None = None,
        shard: Shard | None = None,
        output: str | Sequence[str] = "handles",
    ) -> ViewIterator:
        """One epoch: see `smalti.DataView.iterate`."""
        start = Position.read(resume) if isinstance(resume, str) else resume
        run = self.run(epoch if start is None else start.epoch)
        if start is None and self._first:
            start = Position(run.key, run.epoch, self._first)
        return _Frames(
            self.spec, run, shard=shard or Shard(), resume=start, output=output, chosen=run.chosen, mapping=self.mapping
        )

    def get_iterator(
        self, projection: Sequence[str] | None = None, query_cache_size: int | None = None, **options: Any
    ) -> ViewIterator:
        """The frames one by one; with a projection as dicts. Reading ahead is smalti's own affair."""
        self._last = super().get_iterator(projection, **options)
        return self._last

    def __iter__(self) -> ViewIterator:
        return self.get_iterator()

    def get_current_iteration(self) -> int:
        """How many positions of the order the newest iterator has behind it."""
        return self._first if self._last is None else len(self._last.start) + self._last.delivered

    def set_initial_iteration(self, iteration: int) -> None:
        """Let iterators start after so many positions of the order."""
        self._first = int(iteration)
        self._last = None

    def prefetch_files(
        self,
        num_workers: int | None = None,
        wait: bool = False,
        query_cache_size: int | None = None,
        get_previews: bool = False,
        get_masks: bool = True,
        force_download: bool = False,
    ) -> None:
        """Start copying the files of all frames into the local cache, and return at once.

        Args:
            num_workers: how many files at a time; default 4.
            wait: return when all is there.
            query_cache_size: of no effect.
            get_previews, get_masks: which files besides the sources.
            force_download: copy again what is there already.
        """
        wanted = (get_previews, get_masks, force_download)
        chosen = self.chosen()

        def work() -> None:
            with ThreadPoolExecutor(num_workers or 4, thread_name_prefix="smalti-prefetch") as pool:
                for start in range(0, len(chosen), _READ_AT_ONCE):
                    places = np.arange(start, min(start + _READ_AT_ONCE, len(chosen)))
                    list(pool.map(lambda record: _fetch(record, *wanted), chosen.take(places)))

        thread = threading.Thread(target=work, name="smalti-prefetch", daemon=True)
        thread.start()
        if wait:
            thread.join()

    def set_labels(self, labels: Mapping[str, int] | None = None, **more: int) -> Self:
        """Label → class number; labels without one are -1. The annotations of frames have theirs as `label_enum`."""
        return super().set_labels(labels, **more)

    def get_labels(self) -> dict[Any, int]:
        """Label → class number, as set."""
        return dict(self.mapping.numbers)


def _fetch(record: Any, previews: bool, masks: bool, force: bool) -> None:
    """Local copies of what a frame points to; what cannot be had is met again, with its reason, when it is read."""
    for source in record.sources:
        frame = SingleFrame.on(record, source.id)
        frame.get_local_source(force_download=force)
        if previews:
            frame.get_local_preview_source(force_download=force)
        if masks:
            frame.get_local_masks_source(force_download=force)
