"""A view as JSON: the wire's dataview, and under the key `smalti` what the wire has no words for."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from smalti.errors import QueryError
from smalti.mapping import LabelMapping, MappingRule
from smalti.query.rules import FilterRule

__all__ = [
    "Iteration",
    "Jump",
    "Narrowed",
    "SampleRecipe",
    "SplitPart",
    "ViewEntry",
    "ViewSpec",
    "checked_count",
    "read_spec",
    "write_spec",
]

DEFAULT_SEED = 1337
"""The seed of a random order that names none: the same for all who ask, so that workers agree."""


class Jump(msgspec.Struct, frozen=True, omit_defaults=True):
    """A clip ends where `time` milliseconds pass without a frame."""

    time: float | None = None


class Iteration(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """In which order, how often and how many.

    Attributes:
        order: "sequential" = by (context, timestamp, id); "random" = a permutation for each pass.
        infinite: start again at the end, and mix the filters in proportion to their weights.
        limit: at most so many frames.
        random_seed: None = 1337.
        min_sequence: length of a clip in milliseconds; in random order, clips are shuffled and their frames are not.
        jump: what else ends a clip.
    """

    order: Literal["sequential", "random"] = "sequential"
    infinite: bool = False
    limit: int | None = None
    random_seed: int | None = None
    min_sequence: float | None = None
    jump: Jump | None = None

    @property
    def seed(self) -> int:
        """The seed that holds."""
        return DEFAULT_SEED if self.random_seed is None else self.random_seed


def checked_count(name: str, count: Any) -> int | None:
    """A number of frames (or of an epoch) that a caller gave.

    Raises:
        QueryError: it is negative, or no whole number.
    """
    if count is not None and (isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < 0):
        raise QueryError(f"{name} is {count!r}; allowed: a whole number from 0")
    return None if count is None else int(count)


class ViewEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version that a view reads, by ids (or names, in a view that was written by hand)."""

    dataset: str
    version: str
    merge_with: str | None = None


class SampleRecipe(msgspec.Struct, frozen=True, omit_defaults=True):
    """A drawn part of the frames: see `DataView.sample`.

    Attributes:
        by, seed, size, replace: as they were given.
        of: what the view had been narrowed to when it was drawn from; those frames alone are drawn.
    """

    by: str | dict[str, float] | None = None
    seed: int = 0
    size: int | None = None
    replace: bool = False
    of: "Narrowed | None" = None


class Narrowed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some of the frames of a view: those of a draw, and of these the first `limit` in sequence."""

    sample: SampleRecipe | None = None
    limit: int | None = None


class SplitPart(msgspec.Struct, frozen=True):
    """The frames whose hash, by the value of a field, falls into a part of 0..1: see `DataView.split`.

    Attributes:
        by: the field.
        start, stop: the part.
        seed: decides the hash.
        of: what the view had been narrowed to when it was split; the hash is asked of those frames alone.
    """

    by: str
    start: float
    stop: float
    seed: int = 0
    of: Narrowed | None = None


class ViewSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a view is, apart from the frames below it."""

    versions: tuple[ViewEntry, ...] = ()
    filters: tuple[FilterRule, ...] = ()
    iteration: Iteration = Iteration()
    output_rois: Literal["all_in_frame", "only_filtered", "frame_per_roi"] = "all_in_frame"
    mapping: LabelMapping = LabelMapping()
    labels: Literal["either", "written"] = "either"
    splits: tuple[SplitPart, ...] = ()
    sample: SampleRecipe | None = None
    augmentation: Any = None

    def order_key(self) -> list[Any]:
        """What decides which frames come, and in which order; label mapping does not."""
        parts = (self.filters, self.iteration, self.splits, self.sample, self.labels, self.output_rois)
        return [_full(part) for part in parts]


def _full(value: Any) -> Any:
    """A record with all its fields: what is written may leave out a default or not, depending on where it came from."""
    if isinstance(value, msgspec.Struct):
        # `of` came later: where it says nothing it is left out, so that orders are what they were.
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        return {name: _full(each) for name, each in fields.items() if name != "of" or each is not None}
    return [_full(item) for item in value] if isinstance(value, tuple) else value


def write_spec(spec: ViewSpec) -> dict[str, Any]:
    """The wire's JSON of a view; what is at its default is left out, except what the wire always says."""
    plain = msgspec.to_builtins
    mapping = spec.mapping
    found: dict[str, Any] = {
        "versions": [plain(entry) for entry in spec.versions],
        "filters": [_write_filter(rule) for rule in spec.filters],
        "iteration": {"order": "sequential", "infinite": False, **plain(spec.iteration)},
        "output_rois": spec.output_rois,
    }
    named = {key: number for key, number in mapping.numbers.items() if isinstance(key, str)}
    raw = [[key, number] for key, number in mapping.numbers.items() if not isinstance(key, str)]
    if named:
        found["labels_enumeration"] = named
    if mapping.rules:
        found["mapping"] = {"rules": [_write_rule(rule) for rule in mapping.rules]}
    if spec.augmentation is not None:
        found["augmentation"] = spec.augmentation
    ours: dict[str, Any] = {
        "void": mapping.void if mapping.void != (-1 if named else 255) else None,
        "numbers": raw,
        "hidden": sorted(mapping.hidden),
        "labels": spec.labels if spec.labels != "either" else None,
        "splits": [plain(part) for part in spec.splits],
        "sample": plain(spec.sample) if spec.sample else None,
        "queries": [rule.query for rule in spec.filters] if any(rule.query for rule in spec.filters) else None,
    }
    ours = {key: value for key, value in ours.items() if value not in (None, [])}
    whole: dict[str, Any] = msgspec.json.decode(msgspec.json.encode({**found, "smalti": ours} if ours else found))
    return whole


def _write_filter(rule: FilterRule) -> dict[str, Any]:
    found = {"dataset": rule.dataset, "version": rule.version, "filter_by_roi": rule.filter_by_roi}
    plain = msgspec.to_builtins(rule)
    plain.pop("query", None)
    return {**found, "label_rules": [], "weight": rule.weight, **plain}


def _write_rule(rule: MappingRule) -> dict[str, Any]:
    source = rule.source
    return {
        "source": {"labels": list(source.labels), "dataset": source.dataset, "version": source.version},
        "target": rule.target,
    }


def read_spec(found: Mapping[str, Any]) -> ViewSpec:
    """The view that the wire's JSON describes; unknown keys are ignored, null means not given.

    Raises:
        QueryError: a value is not what the format allows; the message says where.
    """
    clean = _without_none(found)
    ours = clean.get("smalti", {})
    queries: Sequence[str | None] = ours.get("queries") or ()
    rules = clean.get("mapping", {}).get("rules", ())
    enumeration = clean.get("labels_enumeration", {})
    numbers = {**enumeration, **{_key(key): number for key, number in ours.get("numbers", ())}}
    # ClearML gives labels without a number -1, so that is what an enumeration means where nothing else is said.
    void = ours.get("void", -1 if enumeration else 255)
    filters = _convert(list(clean.get("filters", ())), tuple[FilterRule, ...], "$.filters")
    if queries:
        texts = [*queries, *[None] * len(filters)]
        filters = tuple(msgspec.structs.replace(f, query=text) for f, text in zip(filters, texts, strict=False))
    return ViewSpec(
        versions=_convert(list(clean.get("versions", ())), tuple[ViewEntry, ...], "$.versions"),
        filters=filters,
        iteration=_convert(clean.get("iteration", {}), Iteration, "$.iteration"),
        output_rois=_convert(
            clean.get("output_rois", "all_in_frame"),
            Literal["all_in_frame", "only_filtered", "frame_per_roi"],
            "$.output_rois",
        ),
        mapping=LabelMapping(
            rules=tuple(_read_rule(rule, i) for i, rule in enumerate(rules)),
            numbers=numbers,
            void=void,
            hidden=frozenset(ours.get("hidden", ())),
        ),
        labels=ours.get("labels", "either"),
        splits=_convert(list(ours.get("splits", ())), tuple[SplitPart, ...], "$.smalti.splits"),
        sample=_convert(ours["sample"], SampleRecipe, "$.smalti.sample") if "sample" in ours else None,
        augmentation=found.get("augmentation"),
    )


def _read_rule(rule: Mapping[str, Any], position: int) -> MappingRule:
    converted: MappingRule = _convert(dict(rule), MappingRule, f"$.mapping.rules[{position}]")
    return converted


def _key(key: Any) -> str | int | tuple[int, ...]:
    return tuple(key) if isinstance(key, list) else key


def _convert(found: Any, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise QueryError(f"{where} of the view: {error}") from None


def _without_none(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {key: _without_none(value) for key, value in found.items() if value is not None}
    return [_without_none(item) for item in found] if isinstance(found, list | tuple) else found
