"""Two versions of a server compared: see `smalti.store.diff.VersionDiff`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from smalti.client.http import segment
from smalti.errors import VersionError

if TYPE_CHECKING:
    from smalti.client.version import RemoteVersion
    from smalti.store.diff import FrameDiff

__all__ = ["RemoteDiff"]


class RemoteDiff:
    """What it takes to get from version `a` to version `b`, as of the call.

    Attributes:
        added, removed, changed: sorted frame ids.
        legends: mask id → the legends before and after, of those that differ.
    """

    def __init__(self, a: "RemoteVersion", b: "RemoteVersion") -> None:
        from smalti.store.diff import legends_between

        self.a, self.b = a, b
        found: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
        for item in a.http.pages("GET", f"{a.path}/diff/{segment(b.id)}", limit=1000):
            found[item["kind"]].append(item["id"])
        self._legends = a.get_masks_labels() or None, b.get_masks_labels() or None
        self.legends = legends_between(*self._legends)
        self.added, self.removed, self.changed = (sorted(found[kind]) for kind in ("added", "removed", "changed"))

    def __len__(self) -> int:
        return len(self.added) + len(self.removed) + len(self.changed)

    def __repr__(self) -> str:
        counts = f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"
        return f"RemoteDiff({self.a.name} → {self.b.name}: {counts})"

    def frame(self, frame_id: str) -> "FrameDiff":
        """What differs in one frame; nothing for a frame that is the same, or in neither version."""
        found = list(self._compared([frame_id]))
        if not found:
            raise VersionError(f"neither {self.a.name!r} nor {self.b.name!r} has a frame {frame_id!r}")
        return found[0]

    def frames(self) -> "Iterator[FrameDiff]":
        """Every changed frame with what differs in it."""
        for start in range(0, len(self.changed), 256):
            yield from self._compared(self.changed[start : start + 256])

    def _compared(self, ids: list[str]) -> "Iterator[FrameDiff]":
        from smalti.store.diff import FrameDiff

        before, after = ({record.id: record for record in side.get_many(ids)} for side in (self.a, self.b))
        for id_ in ids:
            if id_ in before or id_ in after:
                yield FrameDiff(before.get(id_), after.get(id_), self._legends)
