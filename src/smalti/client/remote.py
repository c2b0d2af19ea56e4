"""What datasets and versions behind a server have in common: a row that the server keeps, and changes that it checks."""

from abc import ABC, abstractmethod
from typing import Any

from smalti.client.http import Http
from smalti.errors import VersionError

__all__ = ["Remote", "only_there"]


class Remote(ABC):
    """Something that the server knows by an id."""

    http: Http

    def __init__(self, row: dict[str, Any]) -> None:
        self._row = row

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and (other.http.base, other.id) == (self.http.base, self.id)

    def __hash__(self) -> int:
        return hash((self.http.base, self.id))

    @property
    @abstractmethod
    def path(self) -> str:
        """Below which its routes lie."""

    @property
    def row(self) -> dict[str, Any]:
        """What the server says now."""
        self._row = self.http.ask("GET", self.path)
        return self._row

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
        return str(self._row["id"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._row["name"])

    @property
    def description(self) -> str:
        """Free text."""
        return str(self._row["description"])

    @property
    def tags(self) -> list[str]:
        """Free words."""
        return list(self._row["tags"])

    def rename(self, name: str) -> None:
        """Give it another name; its id stays."""
        self._change(name=name)

    def _describe(self, **changes: Any) -> None:
        self._change(**{key: value for key, value in changes.items() if value is not None})

    def _change(self, **changes: Any) -> None:
        self._row = self.http.ask("PATCH", self.path, changes, etag=self.row["etag"])


def only_there(what: str, instead: str) -> VersionError:
    """The error of something that needs the store itself."""
    return VersionError(f"{what} works only where the store is; run {instead} there")
