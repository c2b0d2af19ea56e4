"""Parts of a view as views: what a split makes of a limit and of a draw, and what is refused because it says nothing."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from smalti.chosen import Chosen
from smalti.errors import QueryError
from smalti.query.values import walk
from smalti.split import split_parts
from smalti.viewspec import Narrowed, SampleRecipe, ViewSpec, checked_count

__all__ = ["Parts", "sample_spec", "split_specs"]

_ALWAYS = ("id", "context_id", "timestamp")
_LOOKED_AT = 200


class Parts(dict[str, Any]):
    """The parts of a view by name; `notes` says what may not have been meant."""

    def __init__(self, parts: Mapping[str, Any], shares: Mapping[str, float], by: str) -> None:
        super().__init__(parts)
        self._shares, self._by = dict(shares), by

    @property
    def notes(self) -> tuple[str, ...]:
        """Parts that should have frames and have none. Asked for apart, because frames must be counted for it."""
        counts = {name: view.count() for name, view in self.items()}
        empty = [name for name, count in counts.items() if not count and self._shares[name] > 0]
        if not empty or not any(counts.values()):
            return ()
        why = "" if self._by == "id" else f"; frames with the same {self._by} stay together: by='id' deals them singly"
        return (f"{' and '.join(empty)} got no frames of {sum(counts.values())}{why}",)


def split_specs(
    spec: ViewSpec, chosen: Callable[[], Chosen], shares: Mapping[str, float], by: str, seed: int
) -> dict[str, ViewSpec]:
    """The specs of the parts of a view: together they have what the view has, each frame in one of them at most.

    Raises:
        QueryError: the shares are none; no frame has the field; which frames a limit leaves depends on the epoch.
    """
    parts = split_parts(shares, by, seed)
    if by not in _ALWAYS:
        _check_field(chosen(), by)
    of = _narrowed(spec, chosen, "it cannot be split", "split")
    iteration = spec.iteration
    if of is not None and of.limit is not None:
        iteration = msgspec.structs.replace(iteration, limit=None)
    return {
        name: msgspec.structs.replace(
            spec,
            splits=(*spec.splits, msgspec.structs.replace(part, of=of)),
            sample=None,
            iteration=iteration,
        )
        for name, part in parts.items()
    }


def sample_spec(
    spec: ViewSpec,
    chosen: Callable[[], Chosen],
    weights: str | Mapping[str, float] | None,
    seed: int,
    size: int | None,
    replace: bool | None,
) -> ViewSpec:
    """The spec of a drawn part of a view.

    Raises:
        QueryError: the size is no number of frames; no frame has the field that frames are weighed by; which frames a
            limit leaves depends on the epoch.
    """
    size = checked_count("size", size)
    if isinstance(weights, str) and weights not in ("label", "pixels"):
        _check_field(chosen(), weights)
    by = dict(weights) if isinstance(weights, Mapping) else weights
    again = (weights is not None and size is None) if replace is None else replace
    of = _narrowed(spec, chosen, "none can be drawn from it", "draw from")
    iteration = spec.iteration
    if iteration.limit is not None and ((of is not None and of.limit is not None) or iteration.limit < (size or 0)):
        # The limit is of the frames that are drawn from; a draw with repetition may be larger.
        iteration = msgspec.structs.replace(iteration, limit=None)
    return msgspec.structs.replace(spec, sample=SampleRecipe(by, seed, size, again, of), iteration=iteration)


def _narrowed(spec: ViewSpec, chosen: Callable[[], Chosen], refused: str, instead: str) -> Narrowed | None:
    """What the view is narrowed to by a draw and by a limit that leaves frames out; None if it has them all.

    Raises:
        QueryError: which frames the limit leaves depends on the epoch.
    """
    iteration = spec.iteration
    limit = None if iteration.limit is None or iteration.limit >= len(chosen()) else iteration.limit
    if limit is not None and (iteration.infinite or iteration.order == "random"):
        raise QueryError(
            f"the view is limited to {limit} of {len(chosen())} frames, and which those are changes with each epoch of "
            f"its {'endless' if iteration.infinite else 'random'} order, so {refused}; draw the frames first: "
            f"clear the limit and {instead} view.sample(size={limit})"
        )
    return None if spec.sample is None and limit is None else Narrowed(spec.sample, limit)


def _check_field(chosen: Chosen, field: str) -> None:
    """Refuse a field of which no frame has a value: all frames would be alike in it.

    Raises:
        QueryError: it lists fields that frames have.
    """
    if field in _ALWAYS or not len(chosen) or any(value is not None for value in chosen.column(field)):
        return
    records = chosen.take(np.arange(min(len(chosen), _LOOKED_AT)))
    paths = dict.fromkeys(f"meta.{path}" for record in records for path, _ in walk(record.meta))
    known = [*_ALWAYS, *sorted(paths)]
    near = difflib.get_close_matches(field, known, n=3) or [path for path in known if path.endswith(f".{field}")]
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    raise QueryError(f"no frame of this view has a {field}; fields are {listed}", completions=near)
