"""Index tokens for pixel shares: one token says between which two marks the share of a label lies, or on which.

The marks are the numbers that people write: every whole per cent, and from there down 1, 1.25, 1.5, 2, 2.5, 3, … of each
power of ten. A share rule is the set of tokens within its bounds. With bounds on marks the index alone answers it; with
others the rows between two marks are finished exactly.
"""

import bisect
from collections.abc import Sequence

from smalti.facts import MaskFacts

__all__ = ["MANY_MASKS", "ONE_MASK", "SMALLEST", "VOID", "bucket_tokens", "buckets"]

_STEPS = ("1", "1.25", "1.5", "2", "2.5", "3", "4", "5", "6", "7", "7.5", "8", "9")
_MARKS = [float(f"{step}e-{power}") for power in range(7, 2, -1) for step in _STEPS]
_MARKS += [float(f"{percent}e-2") for percent in range(1, 101)]
_LAST = 2 * len(_MARKS)

ONE_MASK = "#1"
"""The token of a frame with exactly one mask: what is summed over its masks is true of that mask."""
MANY_MASKS = "#2"
"""The token of a frame with several masks that are counted."""
SMALLEST = 5e-324
"""The least share above none."""
VOID = "#void"
"""Stands among the labels for pixels that no legend entry names."""


def _number(share: float) -> int:
    """2 x i + 1 on the i-th mark, 2 x i between the mark before it and it."""
    return bisect.bisect_left(_MARKS, share) + bisect.bisect_right(_MARKS, share)


def bucket_tokens(facts: Sequence[MaskFacts]) -> list[str]:
    """The tokens of a frame: `label@k` for the largest share of any mask, and whether there is one mask or more."""
    largest: dict[str, float] = {}
    for mask in facts:
        if mask.void > 0:
            largest[VOID] = max(largest.get(VOID, 0.0), mask.void_share)
        for label, pixels in mask.pixels.items():
            if pixels > 0:
                largest[label] = max(largest.get(label, 0.0), mask.share(label))
    found = [f"{label}@{_number(share)}" for label, share in sorted(largest.items())]
    return [ONE_MASK if len(facts) == 1 else MANY_MASKS, *found] if facts else found


def buckets(
    label: str, low: float, *, low_open: bool, sure: bool, high: float | None = None, high_open: bool = False
) -> list[str]:
    """The buckets of shares from `low` (above 0) up to `high`: those that touch the range, or (`sure`) lie within it."""
    at = _number(low)
    # On a mark, the bucket is that one share; between marks it reaches below `low` as well as above.
    skipped = low_open if at % 2 else sure and low > SMALLEST
    end = _LAST if high is None else _number(high)
    cut = 0 if high is None else high_open if end % 2 else sure
    return [f"{label}@{k}" for k in range(at + skipped, end + 1 - cut)]
