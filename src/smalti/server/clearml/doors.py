"""The viewer's way to what was uploaded: a URI of our own file server is read from the shelf, not over the network."""

from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from smalti.server.clearml.envelope import Fault
from smalti.server.clearml.files import Shelf
from smalti.server.safe_io import Doors
from smalti.server.security import host_is_allowed

__all__ = ["ShelfDoors"]


class ShelfDoors(Doors):
    """Doors that know the shelf; everything else is as it was.

    Args:
        doors: whose policy holds.
        shelf: the files.
        prefix: the path below which the file server is.
        names: what the server may be called, as in its settings.
    """

    def __init__(self, doors: Doors, shelf: Shelf, prefix: str, names: tuple[str, ...]) -> None:
        super().__init__(doors.policy)
        self._shelf, self._prefix, self._names = shelf, prefix, names

    def _ours(self, uri: str) -> str:
        """The content that a URI of ours stands for, as a URI that the policy allows; any other URI as it is."""
        if not uri.startswith(("http://", "https://")):
            return uri
        try:
            parts = urlsplit(uri)
            is_ours = host_is_allowed(parts.netloc, self._names) and parts.path.startswith(f"{self._prefix}/")
            item = self._shelf.find(unquote(parts.path.removeprefix(self._prefix))) if is_ours else None
        except (ValueError, Fault):
            return uri
        if item is None:
            return uri
        relative = f"files/{self._shelf.relative(item.sha256)}"
        return relative if self.policy.base is not None else f"{self._shelf.uri.removesuffix('files')}{relative}"

    def read(self, uri: str) -> bytes:
        """See `Doors.read`."""
        return super().read(self._ours(uri))

    def open(self, uri: str) -> BinaryIO:
        """See `Doors.open`."""
        return super().open(self._ours(uri))

    def stamp(self, uri: str) -> tuple[object, ...] | None:
        """See `Doors.stamp`."""
        return super().stamp(self._ours(uri))
