"""Flat JSON objects to `key=value` tokens."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.kernels.checks import as_texts

__all__ = ["flat_tokens"]

_MOST_KEYS = 64
_PAIR = re.compile(
    rb'"(?P<key>[^"\\=\x00-\x1f\x80-\xff]*)":'
    rb'(?:"(?P<text>[^"\\\x00-\x1f\x80-\xff]*)"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?))(?P<next>[,}])'
)


def flat_tokens(
    text: NDArray[np.uint8], offsets: NDArray[Any], longest: int
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]:
    """Flat JSON objects as tokens `key=value`, in the order of the keys.

    Objects are taken that have up to 64 keys, ASCII strings without escapes, no "=" in a key, no spaces, whole numbers
    of up to 18 digits, and fractions of up to 15 digits that are sure to be in their shortest form; `2.0` becomes `2`.

    Args:
        text: (n,) uint8, the JSON of all objects.
        offsets: (rows + 1,) ascending, where each begins.
        longest: bytes of a string that go into its token.

    Returns:
        (m,) uint8, the tokens; (k,) int32, where each ends; (rows,) int32, how many each object has, -1 = not taken.
    """
    text, offsets = as_texts(text, offsets, longest)
    whole = text.tobytes()
    tokens: list[bytes] = []
    counts = np.empty(len(offsets) - 1, np.int32)
    for row, (start, stop) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        found = _tokens(whole[start:stop], longest)
        counts[row] = -1 if found is None else len(found)
        tokens += found or ()
    ends = np.cumsum([len(token) for token in tokens], dtype=np.int32) if tokens else np.zeros(0, np.int32)
    return np.frombuffer(b"".join(tokens), np.uint8), ends, counts


def _tokens(text: bytes, longest: int) -> list[bytes] | None:
    if text == b"{}":
        return []
    if not text.startswith(b"{"):
        return None
    found: dict[bytes, bytes] = {}
    at = 1
    while True:
        pair = _PAIR.match(text, at)
        if pair is None or pair["key"] in found or len(found) == _MOST_KEYS:
            return None
        if pair["number"] is not None and not _is_plain(pair["number"]):
            return None
        found[pair["key"]] = pair["text"][:longest] if pair["number"] is None else pair["number"].removesuffix(b".0")
        at = pair.end()
        if pair["next"] == b"}":
            return [key + b"=" + value for key, value in found.items()] if at == len(text) else None


def _is_plain(number: bytes) -> bool:
    whole, point, part = number.lstrip(b"-").partition(b".")
    if not point:
        return len(whole) <= 18 and number != b"-0"
    if part == b"0":  # 2.0 is the whole number 2
        return len(whole) <= 15 and not (whole == b"0" and number.startswith(b"-"))
    is_tiny = whole == b"0" and len(part) > 3 and part.startswith(b"000")
    return not part.endswith(b"0") and len(whole) + len(part) <= 15 and not is_tiny
