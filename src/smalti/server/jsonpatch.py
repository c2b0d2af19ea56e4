"""JSON Patch (RFC 6902) on plain JSON."""

import copy
from collections.abc import Sequence
from typing import Any

import msgspec

from smalti.server.payloads.frames import Operation
from smalti.server.problems import Refusal

__all__ = ["apply_patch"]


def apply_patch(document: Any, operations: Sequence[Operation]) -> Any:
    """The document after all operations; the one given is not changed.

    Raises:
        Refusal: 422 with the number of the operation that cannot be done; 409 for a test that fails.
    """
    found = copy.deepcopy(document)
    for number, operation in enumerate(operations):
        try:
            found = _apply(found, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            said = error.args[0] if error.args else type(error).__name__
            path = f"$.patch[{number}]"
            raise Refusal(422, "patch", f"{path}: {operation.op} {operation.path!r}: {said}", path=path) from None
        except _TestFailed:
            path = f"$.patch[{number}]"
            raise Refusal(
                409, "patch-test", f"{path}: {operation.path!r} is not what the test expects", path=path
            ) from None
    return found


class _TestFailed(Exception):
    pass


def _apply(document: Any, operation: Operation) -> Any:
    kind, path = operation.op, _steps(operation.path)
    if kind in ("add", "replace", "test") and operation.value is msgspec.UNSET:
        raise ValueError("it needs a value")
    if kind == "test":
        if not _same(_get(document, path), operation.value):
            raise _TestFailed
        return document
    if kind == "remove":
        return _remove(document, path)[0]
    if kind == "replace":
        if not path:
            return operation.value
        _get(document, path)
        document, _ = _remove(document, path)
        return _add(document, path, operation.value)
    if kind == "add":
        return _add(document, path, copy.deepcopy(operation.value))
    if operation.from_ is msgspec.UNSET:
        raise ValueError("it needs from")
    origin = _steps(operation.from_)
    if kind == "copy":
        return _add(document, path, copy.deepcopy(_get(document, origin)))
    if path[: len(origin)] == origin and path != origin:
        raise ValueError("a value cannot move into itself")
    document, value = _remove(document, origin)
    return _add(document, path, value)


def _same(one: Any, two: Any) -> bool:
    """JSON equality: 1 is 1.0, true is not 1."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_same, one, two))
    return isinstance(one, bool) == isinstance(two, bool) and bool(one == two)


def _steps(pointer: str) -> list[str]:
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise ValueError("a path starts with /")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _index(step: str, size: int) -> int:
    if not step.isdecimal() or not step.isascii() or (len(step) > 1 and step[0] == "0"):
        raise ValueError(f"{step!r} is no position in a list")
    number = int(step)
    if number >= size:
        raise IndexError(f"position {number} lies behind the {size} items")
    return number


def _child(parent: Any, step: str) -> Any:
    if isinstance(parent, list):
        return parent[_index(step, len(parent))]
    if isinstance(parent, dict):
        if step not in parent:
            raise KeyError(f"there is no {step!r}")
        return parent[step]
    raise TypeError(f"{step!r} leads into a value that has no parts")


def _get(document: Any, path: list[str]) -> Any:
    for step in path:
        document = _child(document, step)
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _get(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise TypeError(f"{last!r} leads into a value that has no parts")
    return document


def _remove(document: Any, path: list[str]) -> tuple[Any, Any]:
    if not path:
        return None, document
    parent, last = _get(document, path[:-1]), path[-1]
    value = _child(parent, last)
    if isinstance(parent, list):
        del parent[_index(last, len(parent))]
    else:
        del parent[last]
    return document, value
