"""What it means for a value to equal a word, to match a wildcard, and to lie in a range.

The rules are made so that a store can index them: a scalar equals a word when their canonical texts do, and text holds
a word when its analysed words do.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from smalti.query.nodes import Range

__all__ = [
    "ANY_CHAR",
    "ANY_TEXT",
    "Scalar",
    "analyse",
    "as_number",
    "at_path",
    "below_path",
    "canonical",
    "fold",
    "has_phrase",
    "in_range",
    "instant_span",
    "like",
    "spellings",
    "walk",
]

Scalar = str | int | float | bool
ANY_TEXT = "\ue000"
"""Stands for an unescaped `*` in the text of a wildcard term."""
ANY_CHAR = "\ue001"
"""Stands for an unescaped `?`."""
_ANALYSED_CHARS = 8192
"""Text beyond this many characters is not analysed, neither here nor in an index."""
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)(Z|[+-]\d{2}:?\d{2})?)?)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def canonical(value: Scalar) -> str:
    """The text that stands for a scalar: `3` for 3 and 3.0, `true` for True, a string as it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return msgspec.json.encode(value).decode()


def as_number(text: str) -> int | float | None:
    """The number that a text spells, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)


@lru_cache(maxsize=4096)
def spellings(text: str) -> tuple[str, ...]:
    """The canonical texts that equal a word: the word itself, and the number or truth value that it spells."""
    number = as_number(text)
    if number is not None:
        return tuple(dict.fromkeys((text, canonical(number))))
    return tuple(dict.fromkeys((text, text.lower()))) if text.lower() in ("true", "false") else (text,)


def fold(text: str) -> str:
    """Text without case. Plain lower case, not case folding, because that is what the SQL of a store can do too."""
    return text.lower()


def analyse(text: str) -> list[str]:
    """The words of a text (letters, digits and underscores), without case, in order."""
    return _WORD.findall(fold(text[:_ANALYSED_CHARS]))


def has_phrase(text: str, words: list[str]) -> bool:
    """Whether these words follow one another in the text."""
    if not words:
        return False
    found = analyse(text)
    size = len(words)
    return any(found[i : i + size] == words for i in range(len(found) - size + 1))


def like(text: str, pattern: str) -> bool:
    """Whether the whole text fits a wildcard pattern; takes at most len(text) x len(pattern) steps, no backtracking."""
    at = star = mark = 0
    has_star = False
    position = 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == ANY_TEXT:
            has_star, star, mark = True, at, position
            at += 1
        elif at < len(pattern) and pattern[at] in (ANY_CHAR, text[position]):
            at += 1
            position += 1
        elif has_star:
            mark += 1
            at, position = star + 1, mark
        else:
            return False
    return all(char == ANY_TEXT for char in pattern[at:])


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Scalar]]:
    """Every scalar in a JSON value with its dotted path; elements of a list have the path of the list."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from walk(inner, path)
    elif isinstance(value, str | int | float):
        yield path, value


def at_path(value: Any, path: str) -> Iterator[Any]:
    """Every scalar that `walk` finds at this path. Records (msgspec Structs) are walked like objects."""
    if isinstance(value, list | tuple):
        for inner in value:
            yield from at_path(inner, path)
    elif not path:
        if isinstance(value, str | int | float):
            yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if path == key:
                yield from at_path(inner, "")
            elif path.startswith(f"{key}."):
                yield from at_path(inner, path[len(key) + 1 :])
    elif isinstance(value, msgspec.Struct):
        head, _, tail = path.partition(".")
        if head in value.__struct_fields__:
            yield from at_path(getattr(value, head), tail)
        extra = getattr(value, "extra", None)
        if extra:
            yield from at_path(extra, path)


def below_path(value: Any, path: str) -> bool:
    """Whether any scalar stands at this path or below it."""
    if isinstance(value, list | tuple):
        return any(below_path(inner, path) for inner in value)
    if not path:
        if isinstance(value, Mapping):
            return any(below_path(inner, "") for inner in value.values())
        if isinstance(value, msgspec.Struct):
            return True
        return isinstance(value, str | int | float)
    if isinstance(value, Mapping):
        return any(
            below_path(inner, "" if path == key else path[len(key) + 1 :])
            for key, inner in value.items()
            if path == key or path.startswith(f"{key}.")
        )
    if isinstance(value, msgspec.Struct):
        head, _, tail = path.partition(".")
        if head in value.__struct_fields__ and below_path(getattr(value, head), tail):
            return True
        return below_path(getattr(value, "extra", None) or {}, path)
    return False


_limit = lru_cache(maxsize=1024)(as_number)
"""The number of a bound: the same few are asked for with every value."""


def in_range(value: Scalar, bounds: Range) -> bool:
    """Whether a value lies between the bounds.

    Numbers compare by value, and with dates as milliseconds since 1970 (UTC). Strings that are dates compare as dates
    if the bounds are dates too; a bound without a time spans its whole day (month, year). Strings that are numbers
    compare by value with bounds that are numbers; other strings compare by code points, but never with a number or
    a date. Booleans lie in no range. Without any bound every value is in.
    """
    limits = [bound for bound in (bounds.low, bounds.high) if bound is not None]
    if not limits:
        return True
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        instant = instant_span(value)
        spans = [instant_span(limit) for limit in limits]
        if instant is not None and all(span is not None for span in spans):
            return _fits(instant[0], bounds, _moment_bound)
        numeric = [_limit(limit) for limit in limits]
        if all(number is not None for number in numeric):
            number = as_number(value)
            return number is not None and _fits(number, bounds, _number_bound)
        is_text = all(number is None for number in numeric) and all(span is None for span in spans)
        return is_text and _fits(value, bounds, _text_bound)
    if all(_limit(limit) is not None for limit in limits):
        return _fits(value, bounds, _number_bound)
    if all(instant_span(limit) is not None for limit in limits):
        return _fits(value * 1000, bounds, _moment_bound)
    return False


def _fits(value: Any, bounds: Range, read: Any) -> bool:
    if bounds.low is not None:
        first, last = read(bounds.low)
        if not (value > last if bounds.low_open else value >= first):
            return False
    if bounds.high is not None:
        first, last = read(bounds.high)
        if not (value < first if bounds.high_open else value <= last):
            return False
    return True


def _number_bound(text: str) -> tuple[Any, Any]:
    number = _limit(text)
    return number, number


def _text_bound(text: str) -> tuple[str, str]:
    return text, text


def _moment_bound(text: str) -> tuple[int, int]:
    span = instant_span(text)
    return span if span is not None else (0, 0)


@lru_cache(maxsize=8192)
def instant_span(text: str) -> tuple[int, int] | None:
    """First and last microsecond since 1970 (UTC) that a date or time spans; None if the text is neither."""
    found = _DATE.fullmatch(text)
    if not found:
        return None
    year, month, day, time, zone = found.groups()
    written = f"{year}-{month or '01'}-{day or '01'}T{time or '00:00'}{'+00:00' if zone in (None, 'Z') else zone}"
    try:
        start = datetime.fromisoformat(written)
        micros = (start - _EPOCH) // timedelta(microseconds=1)
        if time:
            length = (
                timedelta(minutes=1) if time.count(":") == 1 else timedelta(microseconds=1 if "." in time else 10**6)
            )
            return micros, micros + length // timedelta(microseconds=1) - 1
        if day:
            return micros, micros + 86_400_000_000 - 1
        if int(year) >= 9999:
            return None
        after = start.replace(year=int(year) + 1) if not month or month == "12" else start.replace(month=int(month) + 1)
        after = after.replace(month=1) if not month or month == "12" else after
    except (ValueError, OverflowError):
        return None
    return micros, (after - _EPOCH) // timedelta(microseconds=1) - 1
