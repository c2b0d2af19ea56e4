"""DataView: which frames, what their labels mean, in which order they come. Runs on a list as well as on a store."""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, TextIO

import msgspec

from smalti.chosen import Chosen, ClipRun, Counts, Run, choose, count_frames, names_of, warn_of_lacking
from smalti.errors import QueryError
from smalti.explain import Explanation, explain
from smalti.iterate import ClipIterator, Served, ViewIterator
from smalti.mapping import ClassTable, LabelMapping, LabelSource, MappingRule
from smalti.order import Position, Shard
from smalti.parts import Parts, sample_spec, split_specs
from smalti.query.rules import EVERY, FilterRule, LabelRule, checked_weight, label_query, label_rule
from smalti.split import class_weights, counted
from smalti.stored import StoredView, look_up
from smalti.tables import ListTable, Table, table_of
from smalti.viewspec import Iteration, Jump, ViewEntry, ViewSpec, checked_count, read_spec, write_spec

__all__ = ["DataView", "Position", "Served", "Shard", "ViewIterator"]

Lookup = Callable[[str, str | None, str | None], Any]
"""(dataset id or name, version id or name or None, project or None) → a version or a table."""


class DataView(StoredView):
    """A complete, reproducible description of a training set.

    Args:
        frames_or_version: a list of frames, a version, or anything with `scan`; more come with `add_query`.
        query: the one-string form: `label:car AND meta.city:bremen`.
        name: what a stored view is called.
        iteration_order: "sequential" (by context, timestamp, id) or "random".
        iteration_infinite: start again at the end, mixing the queries by weight.
        maximum_number_of_frames: at most so many.
        facts: for a list: frame id → stored facts of its masks.
        mask_labels: for a list: legends for masks that a frame does not explain itself.
    """

    RoiQuery: ClassVar[Callable[..., LabelRule]] = LabelRule
    lookup: ClassVar[Lookup | None] = staticmethod(look_up)
    """How names of datasets are found: in the default store."""

    def __init__(
        self,
        frames_or_version: Any = None,
        query: str = "",
        *,
        name: str | None = None,
        iteration_order: str = "sequential",
        iteration_infinite: bool = False,
        maximum_number_of_frames: int | None = None,
        facts: Mapping[str, Any] | None = None,
        mask_labels: Any = None,
    ) -> None:
        self.name = name
        self.tags = []
        self._tables: list[Table] = []
        self._spec = ViewSpec()
        self._chosen: Chosen | None = None
        self._has_warned = False
        if frames_or_version is not None:
            self.add_version(frames_or_version, facts=facts, mask_labels=mask_labels)
        if query:
            self._add(FilterRule(query=query))
        self.set_iteration_parameters(iteration_order, iteration_infinite, maximum_number_of_frames)

    # ------------------------------------------------------------------------------------------------- what is in
    def add_version(self, source: Any, *, facts: Mapping[str, Any] | None = None, mask_labels: Any = None) -> Self:
        """Read these frames too: a version, a table, or a list of frames."""
        table = table_of(source, facts=facts, mask_labels=mask_labels)
        same = [t for t in self._tables if (t.dataset, t.version) == (table.dataset, table.version)]
        if same and isinstance(table, ListTable) and table not in same:
            table.version = f"{table.version}-{len(self._tables) + 1}"
        elif same:
            return self
        self._tables.append(table)
        self._change(versions=(*self._spec.versions, ViewEntry(table.dataset, table.version)))
        return self

    def add_query(  # the wire's signature
        self,
        query: str | None = None,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        version_id: str | None = None,
        version_name: str | None = None,
        dataset_project: str | None = None,
        roi_query: str | Sequence[str] | None = None,
        frame_query: str | None = None,
        source_query: str | None = None,
        weight: float | None = None,
        name: str | None = None,
        filter_by_roi: Literal["label_rules", "no_rois", "disabled"] = "label_rules",
    ) -> Self:
        """Add a filter; the frames of all filters together are the view's.

        Args:
            query: the one-string form.
            dataset_id, dataset_name, version_id, version_name, dataset_project: which version; "*" or nothing = all
                that the view already reads. A dataset without a version means its newest.
            roi_query: a label, Lucene over one ROI, or a list of labels that one ROI must have all; "*" = no condition.
            frame_query, source_query: Lucene over the frame, or over one source.
            weight: how often this filter serves in relation to others.
            name: of the filter.
            filter_by_roi: "no_rois" = only frames without ROIs; "disabled" = whatever the ROIs.

        Raises:
            QueryError: a text cannot be read.
        """
        rules = () if roi_query in (None, "*") else (LabelRule(label_query(roi_query or "")),)
        where = (dataset_id or dataset_name, version_id or version_name, dataset_project)
        texts = {"query": query, "frame_query": frame_query, "sources_query": source_query}
        return self._filter(rules, where, weight, name=name, filter_by_roi=filter_by_roi, **texts)

    def add_multi_query(  # the wire's signature
        self,
        *,
        roi_queries: Sequence[LabelRule | Mapping[str, Any]],
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        version_id: str | None = None,
        version_name: str | None = None,
        dataset_project: str | None = None,
        frame_query: str | None = None,
        source_query: str | None = None,
        weight: float | None = None,
        name: str | None = None,
    ) -> Self:
        """Add a filter with several ROI rules; all must hold, each may be satisfied by other ROIs."""
        rules = tuple(label_rule(rule) for rule in roi_queries)
        where = (dataset_id or dataset_name, version_id or version_name, dataset_project)
        return self._filter(rules, where, weight, name=name, frame_query=frame_query, sources_query=source_query)

    def _filter(
        self, rules: tuple[LabelRule, ...], where: tuple[Any, ...], weight: float | None, **fields: Any
    ) -> Self:
        dataset, version = self._place(*where)
        fields |= {"dataset": dataset, "version": version, "label_rules": rules}
        return self._add(FilterRule(weight=checked_weight(weight), **fields))

    def get_queries(self) -> list[FilterRule]:
        """The filters, in order."""
        return list(self._spec.filters)

    def _place(self, dataset: str | None, version: str | None, project: str | None) -> tuple[str, str]:
        """Ids of a version that a filter names, which the view reads from now on."""
        dataset, version = dataset or EVERY, version or EVERY
        if dataset == EVERY:
            return dataset, version
        known = [t for t in self._tables if dataset in names_of(t)[0] and version in (EVERY, *names_of(t)[1])]
        if known:
            return known[0].dataset, EVERY if version == EVERY else known[0].version
        if DataView.lookup is None:
            raise QueryError(f"the view does not read {dataset}@{version}, and no store is open to look it up in")
        table = table_of(DataView.lookup(dataset, None if version == EVERY else version, project))
        self.add_version(table)
        return table.dataset, table.version

    def _add(self, rule: FilterRule) -> Self:
        rule.tree()  # a text that cannot be read is refused here, where it was written
        self._change(filters=(*self._spec.filters, rule))
        return self

    def _change(self, **fields: Any) -> None:
        if self.status == "published":
            raise QueryError(f"view {self.name or self.id} is published and cannot change; clone it")
        self._spec = msgspec.structs.replace(self._spec, **fields)
        self._chosen, self._has_warned = None, False

    @property
    def tables(self) -> list[Table]:
        """The lists and versions that the view reads."""
        return list(self._tables)

    def clone(self, name: str | None = None) -> "DataView":
        """Another view that is as this one is, not stored and free to change."""
        other = self._like()
        other.name = name
        return other

    def _like(self, *, spec: ViewSpec | None = None, **fields: Any) -> "DataView":
        """Another view of the same frames, with another spec or some things changed."""
        other = DataView()
        other._tables = list(self._tables)
        other._spec = spec or msgspec.structs.replace(self._spec, **fields)
        other.name, other.description, other.tags, other.project = (
            self.name,
            self.description,
            list(self.tags),
            self.project,
        )
        return other

    # ------------------------------------------------------------------------------------------------ what it means
    def map_labels(
        self,
        classes: Mapping[Any, int],
        void: int = 255,
        *,
        hidden: Iterable[str] = (),
        rules: Sequence[MappingRule] = (),
    ) -> Self:
        """Give labels (or stored numbers, or colours) their class numbers, all at once; everything else is `void`."""
        mapping = self._spec.mapping
        self._change(
            mapping=LabelMapping(
                rules=(*mapping.rules, *rules),
                numbers=dict(classes),
                void=void,
                hidden=mapping.hidden | frozenset(hidden),
            )
        )
        return self

    def set_labels(self, labels: Mapping[str, int] | None = None, **more: int) -> Self:
        """ClearML's enumeration: label → number; labels without one, and void, are -1."""
        return self.map_labels({**(labels or {}), **more}, void=-1)

    def add_mapping_rule(
        self,
        from_labels: str | Sequence[str],
        to_label: str,
        *,
        dataset_name: str = EVERY,
        version_name: str = EVERY,
        dataset_id: str | None = None,
        version_id: str | None = None,
    ) -> Self:
        """Call ROIs that have all of `from_labels` something else, in one version or in all. Comes after filtering."""
        labels = (from_labels,) if isinstance(from_labels, str) else tuple(from_labels)
        source = LabelSource(labels, dataset_id or dataset_name, version_id or version_name)
        rules = (*self._spec.mapping.rules, MappingRule(source, to_label))
        self._change(mapping=dataclasses.replace(self._spec.mapping, rules=rules))
        return self

    @property
    def mapping(self) -> LabelMapping:
        """Rules, class numbers, void and hidden labels."""
        return self._spec.mapping

    def class_table(self, legend: Any, dataset: str = EVERY, version: str = EVERY) -> ClassTable:
        """The one table for masks with this legend, in a version of the view (all of its names count)."""
        for table in self._tables:
            datasets, versions = names_of(table)
            if dataset in datasets and version in versions:
                return self._spec.mapping.table(legend, datasets, versions)
        return self._spec.mapping.table(legend, (dataset,), (version,))

    def explain(self, file: TextIO | None = None, *, limit: int | None = None) -> Explanation:
        """Print which value of which mask of which version becomes which class, and return it.

        Args:
            file: where to print, by default standard output.
            limit: look at so many frames of each version only.
        """
        found = explain(self._spec, self.chosen(), limit)
        (sys.stdout if file is None else file).write(found)
        return found

    # ------------------------------------------------------------------------------------------------- in which order
    def set_iteration_parameters(
        self,
        order: Any = None,
        infinite: bool | None = None,
        maximum_number_of_frames: int | None = None,
        random_seed: int | None = None,
        *,
        min_sequence: float | None = None,
        jump: float | None = None,
    ) -> Self:
        """Change what is given.

        Args:
            order: "sequential" or "random" (or an enum with that value).
            infinite: start again at the end, mixing filters by weight.
            maximum_number_of_frames: at most so many.
            random_seed: decides random orders.
            min_sequence: length of clips in milliseconds; in random order their frames stay together.
            jump: a pause of more milliseconds ends a clip.
        """
        name = getattr(order, "value", order)
        if name not in (None, "sequential", "random"):
            raise QueryError(f"the order is {name!r}; allowed: 'sequential', 'random'")
        given = {
            "order": name,
            "infinite": infinite,
            "limit": checked_count("maximum_number_of_frames", maximum_number_of_frames),
            "random_seed": random_seed,
            "min_sequence": min_sequence,
            "jump": None if jump is None else Jump(jump),
        }
        known = {key: value for key, value in given.items() if value is not None}
        self._change(iteration=msgspec.structs.replace(self._spec.iteration, **known))
        return self

    @property
    def iteration(self) -> Iteration:
        """Order, length and seed."""
        return self._spec.iteration

    def chosen(self) -> Chosen:
        """The distinct frames, looked up once for each state of the view."""
        if self._chosen is None:
            self._chosen = choose(self._spec, self._tables)
            self._warn(self._chosen.lacking)
        return self._chosen

    def reads_only(self, chosen: Chosen) -> None:
        """Read these frames, which were looked up before, from the tables that they bring along."""
        self._tables, self._chosen = list(chosen.tables), chosen

    def refresh(self) -> Self:
        """Look the frames up again, for drafts that have changed."""
        self._chosen = None
        return self

    def run(self, epoch: int = 0) -> Run:
        """The order of one epoch: which frame comes at which position."""
        return Run(self.chosen(), self._spec, epoch)

    def iterate(
        self,
        *,
        epoch: int = 0,
        resume: str | Position | None = None,
        shard: Shard | None = None,
        output: str | Sequence[str] = "handles",
    ) -> ViewIterator:
        """Go through one epoch, or a share of it, from the start or from a token.

        Args:
            epoch: each has its own random order; a token brings its own.
            resume: what `state()` of an iterator gave, or `Position.merge` of several; shares may be cut differently.
            shard: the share of one worker of one rank.
            output: "handles", "records" (with dataset, version and filter), or dotted paths of dicts.

        Raises:
            QueryError: the token belongs to another view.
        """
        start = Position.read(resume) if isinstance(resume, str) else resume
        run = self.run(epoch if start is None else start.epoch)
        return ViewIterator(self._spec, run, shard=shard or Shard(), resume=start, output=output)

    def __iter__(self) -> Iterator[Any]:
        return self.iterate()

    def __len__(self) -> int:
        """How many frames one epoch delivers.

        Raises:
            QueryError: the view never ends.
        """
        total = self.run().total
        if total is None:
            raise QueryError("this view never ends; give it a maximum_number_of_frames")
        return total

    def clips(
        self,
        frames: int,
        *,
        step: int | None = None,
        epoch: int = 0,
        resume: str | Position | None = None,
        shard: Shard | None = None,
    ) -> ClipIterator:
        """Windows of consecutive frames of one context, in the view's order; limits and tokens count windows.

        Args:
            frames: length of a window; what is left of a context that is too short for one is passed over.
            step: from the start of one window to the next; default: they do not overlap.
            epoch: of a random order; a token brings its own.
            resume: what `state()` of such an iterator gave, or `Position.merge` of several.
            shard: the share of one worker of one rank.

        Raises:
            QueryError: the token belongs to another view, or to windows of another length.
        """
        start = Position.read(resume) if isinstance(resume, str) else resume
        run = ClipRun(self.run(epoch if start is None else start.epoch), frames, frames if step is None else step)
        return ClipIterator(run, shard=shard or Shard(), resume=start)

    # ------------------------------------------------------------------------------------------------------ results
    def count(self) -> int:
        """How many distinct frames the view has, whatever its iteration."""
        return self._counted(each=False).frames

    def get_count(self) -> tuple[int, list[int]]:
        """All distinct frames, and those of each filter."""
        found = self._counted(each=True)
        return found.frames, found.members

    def _counted(self, *, each: bool) -> Counts:
        if self._chosen is not None:
            return Counts(len(self._chosen), [len(member) for member in self._chosen.members], self._chosen.lacking)
        found = count_frames(self._spec, self._tables, each=each)
        self._warn(found.lacking)
        return found

    def _warn(self, lacking: int) -> None:
        """Once for each state of the view."""
        if not self._has_warned:
            warn_of_lacking(lacking)
        self._has_warned = self._has_warned or lacking > 0

    def get_iterator(self, projection: Sequence[str] | None = None, **options: Any) -> ViewIterator:
        """The frames one by one; with a projection as dicts. Options as in `iterate`."""
        return self.iterate(output="handles" if projection is None else list(projection), **options)

    def to_list(self, allow_repetition: bool = False) -> list[Any]:
        """All frames of one epoch; with `allow_repetition` of a synthetic one, in which every filter has its share."""
        return list(self.synthetic_epoch() if allow_repetition else self.iterate())

    def to_dict(self, projection: Sequence[str] = ("*",)) -> list[dict[str, Any]]:
        """All frames of one epoch as dicts, or those parts of them that dotted paths name."""
        return list(self.iterate(output=list(projection)))

    def synthetic_epoch(self) -> "DataView":
        """The view with as many frames as it takes to see the largest filter once, the others repeated by weight."""
        counts = [len(member) for member in self.chosen().members]
        if len(self._spec.filters) < 2 or not any(counts):
            return self._like()
        weights = [rule.weight for rule in self._spec.filters]
        total = math.fsum(w for w, n in zip(weights, counts, strict=True) if n)
        largest = counts.index(max(counts))
        limit = math.ceil(counts[largest] / (weights[largest] / total))
        return self._like(iteration=msgspec.structs.replace(self._spec.iteration, infinite=True, limit=limit))

    def split(self, shares: Mapping[str, float], by: str = "context_id", *, seed: int = 0) -> Parts:
        """Views of parts of the frames: a frame's part depends on its value of `by` and on the seed, on nothing else.

        Frames that are added later do not move others, and frames of one context never fall into two parts. Parts that
        should have frames and have none are named in `notes` of what is returned.
        """
        specs = split_specs(self._spec, self.chosen, shares, by, seed)
        return Parts({name: self._like(spec=spec) for name, spec in specs.items()}, shares, by)

    def sample(
        self,
        weights: str | Mapping[str, float] | None = None,
        seed: int = 0,
        *,
        size: int | None = None,
        replace: bool | None = None,
    ) -> "DataView":
        """A view of drawn frames: see `smalti.split.frame_weights` for the weights.

        Args:
            weights: None, "label", "pixels", the name of a field, or {label: weight}.
            seed: decides the draw.
            size: how many; default: as many as there are.
            replace: whether a frame may be drawn twice; default: yes where there are weights and no size.
        """
        return self._like(spec=sample_spec(self._spec, self.chosen, weights, seed, size, replace))

    def class_weights(self, method: str = "inverse", *, beta: float = 0.9999) -> dict[Any, float]:
        """A weight per class (per label without class numbers) from stored facts: see `smalti.split.class_weights`."""
        return class_weights(counted(self.chosen()), self._spec.mapping, method, beta=beta)

    # --------------------------------------------------------------------------------------------------------- JSON
    @property
    def spec(self) -> ViewSpec:
        """Everything that the view is, apart from its frames and its name."""
        return self._spec

    def to_spec(self) -> dict[str, Any]:
        """The view as JSON, in the wire's shape."""
        return write_spec(self._spec)

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], sources: Iterable[Any] = ()) -> "DataView":
        """A view from its JSON.

        Args:
            spec: what `to_spec` gave, or a dataview of the wire.
            sources: the versions (or lists) that it reads; those that are missing are looked up in the default store.
        """
        view = cls()
        view._tables = [table_of(source) for source in sources]
        read = read_spec(spec)
        for entry in read.versions:
            fits = (entry.dataset in names_of(t)[0] and entry.version in names_of(t)[1] for t in view._tables)
            if not any(fits) and DataView.lookup is not None:
                view._tables.append(table_of(DataView.lookup(entry.dataset, entry.version, None)))
        entries = tuple(ViewEntry(table.dataset, table.version) for table in view._tables)
        view._spec = msgspec.structs.replace(read, versions=read.versions or entries)
        return view

    def __repr__(self) -> str:
        places = ", ".join(f"{names_of(t)[0][-1]}@{names_of(t)[1][-1]}" for t in self._tables) or "nothing yet"
        filters = f"{len(self._spec.filters)} filter{'s' if len(self._spec.filters) != 1 else ''}"
        return f"DataView of {places}: {filters}, {self._spec.iteration.order}"
