"""Hypothesis strategies: JSON, valid frames, legends, and masks of colours with what they say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import MissingExtra
from smalti.legend import Legend
from smalti.records import Frame, Mask, Roi, RoiMask, Source

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise MissingExtra("smalti.testing.strategies", "dev") from error

__all__ = ["frames", "json_objects", "json_values", "legends", "masks"]

_NAMES = st.text(min_size=1, max_size=8)


def json_values() -> st.SearchStrategy[Any]:
    """Values that JSON can say, nested a little; whole numbers as far as every reader keeps them exactly."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )


def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    """Free metadata."""
    return st.dictionaries(st.text(), json_values(), max_size=3)


@st.composite
def frames(draw: st.DrawFn, *, with_ids: bool = False) -> Frame:
    """Valid frames of up to three sources, in every corner of the format; keys of others too, all named `x_…`.

    Args:
        with_ids: give every frame an id; otherwise some have none.
    """
    extra = st.dictionaries(st.text(min_size=1, max_size=6).map(lambda key: "x_" + key), json_values(), max_size=2)
    meta = json_objects()
    ids = draw(st.lists(_NAMES, min_size=1, max_size=3, unique=True))
    sources = [
        Source(
            id=name,
            uri=draw(st.text(max_size=8)),
            timestamp=draw(st.integers(0, 10**12)),
            masks=[Mask(id=i, uri="m", extra=draw(extra)) for i in draw(st.lists(_NAMES, max_size=2, unique=True))],
            meta=draw(meta),
            extra=draw(extra),
        )
        for name in ids
    ]
    roi = st.builds(
        Roi,
        label=st.lists(_NAMES, max_size=2, unique=True),
        poly=st.lists(st.integers(0, 999) | st.floats(0, 999), max_size=6),
        mask=st.none() | st.builds(RoiMask, id=_NAMES, value=st.lists(st.integers(-1, 255), min_size=3, max_size=3)),
        confidence=st.none() | st.floats(0, 1),
        sources=st.lists(st.sampled_from(ids), max_size=2, unique=True),
        meta=meta,
        extra=extra,
    )
    return Frame(
        sources=sources,
        id=draw(_NAMES if with_ids else st.none() | _NAMES),
        timestamp=draw(st.none() | st.integers(0, 10**12)),
        rois=draw(st.lists(roi, max_size=3)),
        meta=draw(meta),
        meta_blob=draw(meta),
        extra=draw(extra),
    )


def _colors(most: int) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    channel = st.integers(0, 255)
    return st.lists(st.tuples(channel, channel, channel), min_size=1, max_size=most, unique=True)


def _legend(colors: list[tuple[int, int, int]]) -> Legend:
    return Legend({color: f"label {number}" for number, color in enumerate(colors)})


def legends(most: int = 8) -> st.SearchStrategy[Legend]:
    """Legends of colours, each with a label of its own; black may be one of them."""
    return _colors(most).map(_legend)


@st.composite
def masks(draw: st.DrawFn, most_hw: int = 12) -> tuple[NDArray[np.uint8], Legend, NDArray[np.uint8]]:
    """(H, W, 3) uint8 RGB mask, its legend, and the (H, W) uint8 numbers that it stands for; 0 = a colour of none."""
    colors = draw(_colors(8))
    stranger = next(found for n in range(len(colors) + 1) if (found := (n, 255 - n, n)) not in colors)
    height, width = draw(st.integers(1, most_hw)), draw(st.integers(1, most_hw))
    numbers = draw(st.lists(st.integers(0, len(colors)), min_size=height * width, max_size=height * width))
    labels = np.array(numbers, np.uint8).reshape(height, width)
    return np.array([stranger, *colors], np.uint8)[labels], _legend(colors), labels
