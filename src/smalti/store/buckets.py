"""Index tokens for pixel shares: one token says within 10 % how much of a mask a label covers.

A share rule is the set of tokens that lie within its bounds, and the tokens at the edges are finished exactly: that
reads about one row in a hundred.
"""

import bisect
from collections.abc import Sequence

from smalti.facts import MaskFacts

__all__ = ["ONE_MASK", "bucket_tokens", "buckets"]

_PER_OCTAVE = 8
_LOWEST = 20
"""Shares below 2**-20 share the lowest bucket."""
_EDGES = [2.0 ** (-_LOWEST + i / _PER_OCTAVE) for i in range(_LOWEST * _PER_OCTAVE + 1)]
"""Bucket k holds the shares from `_EDGES[k - 1]` up to, but not including, `_EDGES[k]`; the last holds 1.0 alone."""

ONE_MASK = "#1"
"""The token of a frame with exactly one mask: what is summed over its masks is true of that mask."""


def bucket_tokens(facts: Sequence[MaskFacts]) -> list[str]:
    """The tokens of a frame: `label@k` for its largest share of any mask, and `#1` if there is one mask only."""
    largest: dict[str, float] = {}
    for mask in facts:
        for label, pixels in mask.pixels.items():
            if pixels > 0:
                largest[label] = max(largest.get(label, 0.0), mask.share(label))
    found = [f"{label}@{bisect.bisect_right(_EDGES, share)}" for label, share in sorted(largest.items())]
    return [ONE_MASK, *found] if len(facts) == 1 else found


def buckets(label: str, low: float, *, low_open: bool, sure: bool) -> list[str]:
    """The buckets of shares from `low` (above 0) up to 1: those that touch it, or (`sure`) those wholly within."""
    at = bisect.bisect_right(_EDGES, low)
    is_edge = at > 0 and _EDGES[at - 1] == low and not low_open
    return [f"{label}@{k}" for k in range(at + (sure and not is_edge), len(_EDGES) + 1)]
