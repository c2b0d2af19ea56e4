"""Going through a view: frames one by one, with the place in the order as a token that can be taken up again."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from smalti.chosen import Chosen, ClipRun, Run
from smalti.errors import QueryError
from smalti.order import Position, Shard
from smalti.query.match import Subject
from smalti.records import Frame
from smalti.wire import to_dict

if TYPE_CHECKING:
    from smalti.frames import FrameGroup, SingleFrame
    from smalti.viewspec import ViewSpec

__all__ = ["ClipIterator", "Served", "ViewIterator", "project", "serve"]

_MOST_AT_ONCE = 256


class Served(NamedTuple):
    """A frame as a view hands it out.

    Attributes:
        record: the frame, with the ROIs that the view asks for.
        dataset, version: ids of where it came from.
        rule: which filter let it through (0 for a view without filters).
        rule_name: the filter's name, else its number.
        mask_labels: legends for masks that the frame does not explain itself.
        base: the folder that its relative URIs are meant from; None = the working directory.
    """

    record: Frame
    dataset: str
    version: str
    rule: int
    rule_name: str
    mask_labels: Any = None
    base: str | None = None

    @property
    def handle(self) -> "SingleFrame | FrameGroup":
        """The frame as SingleFrame, or FrameGroup where it has several sources."""
        # Handles bring the decoders along; a server that passes records on never needs them.
        from smalti.frames import handle_of

        return handle_of(self.record, base=self.base, mask_labels=self.mask_labels)


class _Course(Iterator[Any]):
    """One share of an order, and the token of its place.

    Args:
        run: the order.
        shard: which share to deliver.
        resume: a token: deliver what that position has left.
    """

    def __init__(self, run: Run | ClipRun, shard: Shard, resume: str | Position | None) -> None:
        start = Position.read(resume) if isinstance(resume, str) else resume
        if start is not None and (start.view, start.epoch) != (run.key, run.epoch):
            raise QueryError(
                f"this token is of view {start.view}, epoch {start.epoch}; here is view {run.key}, epoch {run.epoch}: "
                "the frames, filters, order or seed have changed, or another epoch is asked for",
                text=str(start),
            )
        self.start = start or Position(run.key, run.epoch)
        self.shard = shard
        self.delivered = 0
        self._total = run.total
        self._fetched = 0
        self._step = 1
        self._ready: deque[list[Any]] = deque()
        self._given = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        while True:
            if not self._ready and not self._fetch():
                raise StopIteration
            items = self._ready[0]
            if self._given < len(items):
                found = items[self._given]
                self._given += 1
                if self._given == len(items):
                    self._advance()
                return found
            self._advance()

    def _advance(self) -> None:
        self._ready.popleft()
        self._given = 0
        self.delivered += 1

    @property
    def left(self) -> int | None:
        """How many frames (or windows) all shares together have left from where this iteration began; None = no end."""
        return None if self._total is None else max(0, self._total - len(self.start))

    def state(self) -> str:
        """The token of this position, if all other shares have come as far: what a training loop in step saves."""
        return str(self.start.in_step(self.shard, self.delivered, self._total))

    def own_state(self) -> str:
        """The token of what this share alone has delivered; join those of all shares with `Position.merge`."""
        return str(self.start.add(self.start.left(self._mine(0, self.delivered))))

    def _mine(self, start: int, count: int) -> NDArray[np.int64]:
        places = self.shard.dealt(start, count)
        return places if self.left is None else places[places < self.left]

    def _fetch(self) -> bool:
        places = self._mine(self._fetched, self._step)
        if not len(places):
            return False
        self._fetched += len(places)
        self._step = min(_MOST_AT_ONCE, self._step * 4)
        self._ready.extend(self._read(self.start.left(places)))
        return True

    @abstractmethod
    def _read(self, positions: NDArray[np.int64]) -> Iterator[list[Any]]:
        """What is handed out for each of these positions."""


class ViewIterator(_Course):
    """The frames of one epoch, or one worker's share of them.

    `state()` is the token of what was delivered so far, not of what was read ahead.

    Args:
        spec: the view.
        run: the order.
        shard: which share to deliver.
        resume: a token: deliver what that position has left.
        output: "handles", "records" (`Served`), or a projection: a sequence of dotted paths.
    """

    def __init__(
        self, spec: "ViewSpec", run: Run, *, shard: Shard, resume: str | Position | None, output: str | Sequence[str]
    ) -> None:
        super().__init__(run, shard, resume)
        self._spec = spec
        self._run = run
        self._output = output
        self._pickers = [rule.roi_trees() for rule in spec.filters] or [[]]

    def _read(self, positions: NDArray[np.int64]) -> Iterator[list[Any]]:
        chosen, rules = self._run.at(positions)
        names = [rule.name for rule in self._spec.filters]
        for place, served in zip(chosen.tolist(), serve(self._run.chosen, chosen, rules, names), strict=True):
            yield [self._shown(each) for each in self._with_filtered_rois(place, served)]

    def _with_filtered_rois(self, place: int, served: Served) -> list[Served]:
        record, rule = served.record, served.rule
        if self._spec.output_rois == "all_in_frame" or not self._pickers[rule]:
            return [served]
        table = self._run.chosen.tables[int(self._run.chosen.part[place])]
        facts = table.facts(self._run.chosen.row[place : place + 1])[0]
        subject = Subject(record, facts, self._spec.labels)
        picked = sorted({roi for tree in self._pickers[rule] for roi in subject.satisfying(tree)})
        groups = [picked] if self._spec.output_rois == "only_filtered" else [[roi] for roi in picked]
        return [served._replace(record=_with_rois(record, group)) for group in groups]

    def _shown(self, served: Served) -> Any:
        if self._output == "records":
            return served
        if self._output == "handles":
            return served.handle
        whole = to_dict(served.record)
        whole["dataset"] = {"id": served.dataset, "version": served.version, **_plain(whole.get("dataset"))}
        return project({**whole, "rule_name": served.rule_name}, self._output)


class ClipIterator(_Course):
    """Windows of consecutive frames, each a list of handles; tokens count windows."""

    def __init__(self, run: ClipRun, *, shard: Shard, resume: str | Position | None) -> None:
        super().__init__(run, shard, resume)
        self._run = run

    def _read(self, positions: NDArray[np.int64]) -> Iterator[list[Any]]:
        for places in self._run.at(positions):
            yield [[served.handle for served in serve(self._run.chosen, places)]]


def serve(
    chosen: Chosen, places: NDArray[np.int64], rules: NDArray[np.int64] | None = None, names: Sequence[str | None] = ()
) -> list[Served]:
    """The frames at these places of a view, with where they came from.

    Args:
        chosen: the frames of the view.
        places: which.
        rules: per place the filter that serves it.
        names: of the filters.
    """
    rules = np.zeros(len(places), np.int64) if rules is None else rules
    records, bases = chosen.take(places), chosen.bases(places)
    found = []
    for part, rule, record, base in zip(chosen.part[places].tolist(), rules.tolist(), records, bases, strict=True):
        table = chosen.tables[part]
        name = (names[rule] if names else None) or str(rule)
        found.append(Served(record, table.dataset, table.version, rule, name, table.mask_labels, base))
    return found


def _plain(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _with_rois(record: Frame, rois: Sequence[int]) -> Frame:
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return Frame(**{**fields, "rois": [record.rois[roi] for roi in rois]})


def project(whole: Any, paths: Sequence[str]) -> Any:
    """The parts of a JSON object that dotted paths name; lists fan out (`sources.uri`); "*" among them = everything."""
    if "*" in paths or not isinstance(whole, dict):
        return whole
    deeper: dict[str, list[str]] = {}
    for path in paths:
        head, _, rest = path.partition(".")
        deeper.setdefault(head, []).append(rest)
    return {
        key: whole[key] if "" in rests else _inside(whole[key], rests) for key, rests in deeper.items() if key in whole
    }


def _inside(value: Any, paths: list[str]) -> Any:
    if isinstance(value, list):
        # `sources.*.uri` and `sources.0.uri` name the same parts as `sources.uri`; a number picks one element.
        numbers = {path.partition(".")[0] for path in paths if path.partition(".")[0].isdigit()}
        rest = [
            tail if head.isdigit() or head == "*" else path for path in paths for head, _, tail in [path.partition(".")]
        ]
        kept = [item for i, item in enumerate(value) if not numbers or str(i) in numbers]
        return kept if "" in rest else [_inside(item, rest) for item in kept]
    return project(value, paths)
