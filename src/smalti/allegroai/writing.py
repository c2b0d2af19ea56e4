"""Writes as the legacy calls want them: failures with their frames, merges, and changes that are made together."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from smalti import wire
from smalti.allegroai.naming import UsageError
from smalti.errors import FrameError
from smalti.store import DatasetVersion, Failed
from smalti.store.ingest import chunks, record_of

__all__ = ["BulkContext", "add_in_parts", "merged", "report"]

_PART = 16384
"""Frames that are held at a time, so that a failure can be told with its frame."""


def add_in_parts(
    version: DatasetVersion, frames: Iterable[Any], upload_to: str | None, *, keep_unsent: bool
) -> list[dict[str, Any]]:
    """Store frames and list those that were not, each with its frame.

    Args:
        version: a draft.
        frames: read once.
        upload_to: where local files are uploaded to.
        keep_unsent: store a frame whose files could not be sent as it is; it is in the list all the same.
    """
    found: list[dict[str, Any]] = []
    for part in [list(frames)] if isinstance(frames, Sequence) else chunks(frames, _PART):
        failed = report(version.add_frames(part, upload_to=upload_to), part)
        if keep_unsent:
            unsent = [entry["frame"] for entry in failed if entry["error_type"] == "upload"]
            failed += report(version.add_frames(unsent), unsent)
        found += failed
    return found


def report(failed: Sequence[Failed], frames: Sequence[Any]) -> list[dict[str, Any]]:
    """Failures as dicts with the frames that they are about."""
    if not failed:
        return []
    by_id = {_id_of(frame): frame for frame in frames}
    nameless = iter([frame for frame in frames if _own_id(frame) is None and _is_bad(frame)])
    return [
        {
            "frame": by_id.get(each.id) if each.id is not None else next(nameless, None),
            "error": each.error,
            "error_type": each.kind,
        }
        for each in failed
    ]


def _own_id(frame: Any) -> Any:
    return frame.get("id") if isinstance(frame, Mapping) else getattr(getattr(frame, "record", frame), "id", None)


def _id_of(frame: Any) -> str | None:
    try:
        return str(_own_id(frame) or record_of(frame).id)
    except FrameError:
        return None


def _is_bad(frame: Any) -> bool:
    try:
        record_of(frame)
    except FrameError:
        return True
    return False


def merged(version: DatasetVersion, frame: Any, without_fields: Sequence[str]) -> dict[str, Any]:
    """The stored frame with what another one says, except some fields; what that one lacks stays.

    Args:
        version: where it is stored; a frame that is not is taken whole.
        frame: the edited frame.
        without_fields: dotted paths of the wire format that are left as stored.
    """
    new = wire.to_dict(record_of(frame))
    stored = version.get_many([new["id"]])
    return _merge(wire.to_dict(stored[0]), new, tuple(without_fields)) if stored else new


def _merge(old: Mapping[str, Any], new: Mapping[str, Any], left_out: Sequence[str]) -> dict[str, Any]:
    found = dict(old)
    for key, value in new.items():
        if key in left_out or value in (None, [], {}):
            continue
        deeper = [path.partition(".")[2] for path in left_out if path.startswith(f"{key}.")]
        below = found.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            found[key] = _merge(below, value, deeper)
        else:
            found[key] = value
    return found


class BulkContext:
    """Changes that are made together: see `DatasetVersion.get_bulk_context`.

    Attributes:
        failed: what could not be stored so far, as `add_frames` returns it.
    """

    def __init__(
        self, version: DatasetVersion, *, size: int, log: Any, upload_to: str | None, allow_update: bool
    ) -> None:
        self._version = version
        self._size = size
        self._log = log
        self._upload_to = upload_to
        self._allow_update = allow_update
        self._added: dict[str, Any] = {}
        self._deleted: dict[str, None] = {}
        self.is_open = False
        self.failed: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self.is_open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.is_open = False

    def add_frame(self, frame: Any, warn_on_duplicate_frames: bool = False) -> None:
        """Store a frame, in place of one with its id."""
        self._require_open()
        self._deleted.pop(frame.id, None)
        self._added[frame.id] = frame
        self._maybe_flush()

    def update_frame(self, frame: Any) -> None:
        """Store an edited frame."""
        if not self._allow_update:
            raise UsageError("this bulk context was opened without allow_update=True")
        self.add_frame(frame)

    def delete_frame(self, frame: Any, delete_sources: bool = False) -> None:
        """Remove a frame, given itself or by its id."""
        self._require_open()
        if delete_sources:
            raise UsageError("delete_sources=True: smalti never deletes the files that frames point to")
        id_ = frame.id if hasattr(frame, "record") else str(frame)
        self._added.pop(id_, None)
        self._deleted[id_] = None
        self._maybe_flush()

    def flush(self) -> None:
        """Make the changes that wait."""
        added, self._added = list(self._added.values()), {}
        deleted, self._deleted = list(self._deleted), {}
        if deleted:
            self._version.delete_frames(deleted)
        if not added:
            return
        failed = add_in_parts(self._version, added, self._upload_to, keep_unsent=False)
        self.failed += failed
        for entry in failed if self._log is not None else ():
            self._log.warning("%s: %s", entry["error_type"], entry["error"])

    def _require_open(self) -> None:
        if not self.is_open:
            raise UsageError("the bulk context is not open; use it in a with-block")

    def _maybe_flush(self) -> None:
        if len(self._added) + len(self._deleted) >= self._size:
            self.flush()
