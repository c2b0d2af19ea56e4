"""A request's body, read field by field: what has another type than the protocol says is refused, not guessed."""

from typing import Any

from smalti.server.clearml.envelope import Fault

__all__ = ["Asked"]


class Asked:
    """The JSON object of one request. Unknown keys do no harm; null means not given."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body

    def __contains__(self, key: str) -> bool:
        return self.body.get(key) is not None

    def _of(self, key: str, kinds: tuple[type, ...], what: str) -> Any:
        found = self.body.get(key)
        if found is None:
            return None
        if not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds):
            raise Fault(400, f"field {key!r} is a {type(found).__name__}; give {what}")
        return found

    def text(self, key: str, default: str | None = None) -> str | None:
        """A string."""
        found: str | None = self._of(key, (str,), "a string")
        return default if found is None else found

    def needed(self, key: str) -> str:
        """A string that must be there and not be empty."""
        found = self.text(key)
        if not found:
            raise Fault(400, f"field {key!r} is missing; give a string")
        return found

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        found: bool | None = self._of(key, (bool,), "true or false")
        return default if found is None else found

    def whole(self, key: str, *, low: int = 0, high: int = 2**53) -> int | None:
        """A whole number within bounds."""
        found = self._of(key, (int, float), "a whole number")
        if found is None:
            return None
        if isinstance(found, float) and not found.is_integer():
            raise Fault(400, f"field {key!r} is {found}; give a whole number")
        if not low <= found <= high:
            raise Fault(400, f"field {key!r} is {found}; allowed: {low} to {high}")
        return int(found)

    def object(self, key: str) -> dict[str, Any]:
        """A JSON object, {} where there is none."""
        return self._of(key, (dict,), "an object") or {}

    def items(self, key: str) -> list[Any]:
        """A list, [] where there is none."""
        return self._of(key, (list,), "a list") or []

    def texts(self, key: str) -> list[str] | None:
        """A list of strings; one string stands for a list of one."""
        found = self._of(key, (list, str), "a list of strings")
        if found is None:
            return None
        items = [found] if isinstance(found, str) else found
        if any(not isinstance(item, str) for item in items):
            raise Fault(400, f"field {key!r} holds something that is not a string; give a list of strings")
        return list(items)
