"""Comparisons that say what differs: frames by id and JSON path, label maps by label and place."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti import wire
from smalti.labelmap import LabelMap
from smalti.records import Frame

__all__ = ["assert_same_frames", "assert_same_labels"]

_SHOWN = 5
_MISSING = object()


def assert_same_frames(found: Iterable[Any], expected: Iterable[Any]) -> None:
    """Fail unless both have the same frames, whatever their order.

    Args:
        found, expected: handles, records or JSON objects; a version or a view is one of these iterables too.

    Raises:
        AssertionError: with the ids that are missing or too many, and the JSON paths that differ.
    """
    ours, theirs = _by_id(found, "found"), _by_id(expected, "expected")
    said = [f"missing: {id_}" for id_ in theirs if id_ not in ours]
    said += [f"not expected: {id_}" for id_ in ours if id_ not in theirs]
    for id_ in theirs:
        if id_ in ours:
            said += [f"frame {id_}: {text}" for text in _differences(ours[id_], theirs[id_], "$")]
    if said:
        more = [f"… {len(said) - _SHOWN} more"] if len(said) > _SHOWN else []
        raise AssertionError("\n".join([f"{len(said)} difference(s) between frames", *said[:_SHOWN], *more]))


def _by_id(items: Iterable[Any], side: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        record = getattr(item, "record", item)
        plain = wire.to_dict(record if isinstance(record, Frame) else wire.from_dict(record))
        id_ = str(plain.get("id"))
        if id_ in found:
            raise AssertionError(f"{side}: two frames have the id {id_!r}")
        found[id_] = plain
    return found


def _differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in {**theirs, **ours}:
            yield from _differences(ours.get(key, _MISSING), theirs.get(key, _MISSING), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for position, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(one, other, f"{path}[{position}]")
    elif type(ours) is not type(theirs) or ours != theirs:
        yield f"{path} is {_said(ours)}, expected {_said(theirs)}"


def _said(value: Any) -> str:
    text = "not there" if value is _MISSING else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def assert_same_labels(found: LabelMap, expected: LabelMap | ArrayLike, *, allowed: int = 0) -> None:
    """Fail unless a label map says what is expected of each pixel.

    Args:
        found: a label map.
        expected: another one, compared by label; or an (H, W) array of its legend's numbers, 0 = void.
        allowed: how many pixels may differ, as after a lossy codec.

    Raises:
        AssertionError: with how many pixels differ, between which labels, and where the first is.
    """
    ours = _names(found)[np.asarray(found)]
    if isinstance(expected, LabelMap):
        theirs = _names(expected)[np.asarray(expected)]
    else:
        numbers, names = np.asarray(expected), _names(found)
        if numbers.size and not 0 <= int(numbers.min()) <= int(numbers.max()) < len(names):
            raise AssertionError(f"expected has the number {numbers.max()}; the legend's are 0 to {len(names) - 1}")
        theirs = names[numbers]
    if ours.shape != theirs.shape:
        raise AssertionError(f"the map is {_size(ours)}, expected {_size(theirs)}")
    wrong = ours != theirs
    count = int(wrong.sum())
    if count <= allowed:
        return
    pairs, counts = np.unique(np.stack([theirs[wrong], ours[wrong]]).astype(str), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_SHOWN]
    said = "; ".join(f"{counts[i]} of {pairs[0, i]} are {pairs[1, i]}" for i in order)
    y, x = np.argwhere(wrong)[0].tolist()
    raise AssertionError(
        f"{count} of {ours.size} pixels differ (allowed: {allowed}): {said}; the first at x={x}, y={y}"
    )


def _names(labels: LabelMap) -> NDArray[Any]:
    return np.array(["void", *(", ".join(entry.labels) for entry in labels.legend.entries)], object)


def _size(array: NDArray[Any]) -> str:
    return "×".join(map(str, array.shape))
