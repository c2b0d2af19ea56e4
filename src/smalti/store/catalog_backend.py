"""What a backend of the catalog must do: eight small operations on rows; every rule and message is in `Catalog`.

Also here: how a row becomes plain values. JSON is ASCII text, so that it survives every database, NUL and lone
surrogates included; a time is an integer number of microseconds since 1970 in UTC.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from smalti.errors import VersionError
from smalti.store.rows import KINDS, DatasetRow, LeaseRow, Row, VersionRow

__all__ = [
    "Backend",
    "Field",
    "InUse",
    "Orphan",
    "Taken",
    "checked",
    "fields",
    "from_plain",
    "micros",
    "to_plain",
    "unique_name",
]

R = TypeVar("R", bound=Row)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Taken(Exception):
    """The key, or the name, of a row is there already."""


class Orphan(Exception):
    """The row belongs to a dataset, version or user that is not there."""


class InUse(Exception):
    """A dataset still has versions that are not deleted."""


class Backend(Protocol):
    """Rows in one place. Every call is atomic and safe between threads and processes."""

    def now(self) -> datetime:
        """The time by which leases are judged."""

    def insert(self, row: Row) -> None:
        """Keep a new row; raises `Taken` or `Orphan`."""

    def get(self, kind: type[R], key: str) -> R | None:
        """The row with this key."""

    def select(
        self,
        kind: type[R],
        where: Mapping[str, Any],
        *,
        since: datetime | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[R]:
        """Rows whose fields equal `where`, in the kind's order; `since` bounds that order from below."""

    def update(
        self, kind: type[R], key: str, changes: Mapping[str, Any], expect: Mapping[str, Collection[Any]]
    ) -> R | None:
        """Change fields if each field of `expect` has one of its values; the new row, or None if it was not changed."""

    def delete(self, kind: type[Row], key: str, expect: Mapping[str, Collection[Any]]) -> bool:
        """Remove a row and what belongs to it; whether it was removed. Raises `InUse` for a dataset."""

    def claim(self, row: LeaseRow, now: datetime) -> LeaseRow:
        """Put a lease if there is none or its time is over; the lease that stands afterwards."""

    def close(self) -> None:
        """Let go of connections."""


class Field:
    """One field of a row: its type, whether it may be None, and how it is written down."""

    def __init__(self, name: str, hint: Any) -> None:
        members = get_args(hint) if get_origin(hint) in (UnionType,) else (hint,)
        inner = [m for m in members if m is not NoneType]
        self.name = name
        self.hint = hint
        self.optional = len(inner) < len(members) or hint is Any
        self.form: Literal["text", "json", "time", "int", "float"] = _form(inner[0])


def _form(hint: Any) -> Literal["text", "json", "time", "int", "float"]:
    if hint is datetime:
        return "time"
    if hint is int:
        return "int"
    if hint is float:
        return "float"
    if hint is str or get_origin(hint) is Literal:
        return "text"
    return "json"


@cache
def fields(kind: type[Row]) -> dict[str, Field]:
    """The fields of a kind of row, in the order of its definition."""
    hints = get_type_hints(kind)
    return {name: Field(name, hints[name]) for name in kind.__struct_fields__}


def checked(kind: type[Row], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they will be read back: types checked, JSON made plain (tuples are lists), times in UTC.

    Raises:
        VersionError: a value is not of its field's type, or JSON cannot say it.
        TypeError: the row has no such field.
    """
    known = fields(kind)
    result: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise TypeError(f"{kind.__name__} has no field {name!r}; it has {', '.join(known)}")
        field = known[name]
        where = f"{KINDS[kind].table}.{name}"
        try:
            plain = msgspec.to_builtins(value, str_keys=True)
            if field.form == "json":
                plain = json.loads(json.dumps(plain, allow_nan=False))
            result[name] = _sound(msgspec.convert(plain, field.hint))
        except (msgspec.ValidationError, TypeError, ValueError, RecursionError) as error:
            raise VersionError(f"{where} is {_short(value)}: {error}; give a value of the type {field.hint}") from error
    return result


def _sound(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs its zone")
        return value.astimezone(UTC)
    if isinstance(value, str):
        value.encode()  # a lone surrogate is a ValueError here, not in the middle of a transaction
        if "\0" in value:
            raise ValueError("the character NUL is not allowed")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("beyond 64 bits")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def micros(time: datetime) -> int:
    """Microseconds since 1970: exact, which `timestamp()` is not."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def to_plain(kind: type[Row], values: Mapping[str, Any], *, text: bool) -> dict[str, Any]:
    """Checked values → what is stored: times as microseconds; JSON as ASCII text if `text`, else as it is."""
    known = fields(kind)
    result = {}
    for name, value in values.items():
        form = known[name].form
        if form == "time" and value is not None:
            value = micros(value)
        elif form == "json" and text:
            value = json.dumps(value, separators=(",", ":"))
        result[name] = value
    return result


def from_plain(kind: type[R], values: Mapping[str, Any], *, text: bool) -> R:
    """What is stored → the row. A field that is missing takes its default."""
    result = {}
    for name, field in fields(kind).items():
        if name not in values:
            continue
        value = values[name]
        if field.form == "time" and value is not None:
            value = _EPOCH + timedelta(microseconds=value)
        elif field.form == "json" and text:
            value = json.loads(value)
        result[name] = value
    return kind(**result)


def unique_name(kind: type[Row], values: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What no two rows of a kind may share besides the key; None if this row may share it."""
    if kind is DatasetRow:
        return (values["project"] or "", values["name"])
    if kind is VersionRow and values["state"] != "deleted":
        return (values["dataset"], values["name"])
    return None
