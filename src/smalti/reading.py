"""Frame files → handles: one frame, a list of frames, or JSON-lines."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from smalti import storage, wire
from smalti.errors import FrameError
from smalti.frames import FrameGroup, SingleFrame, handle_of
from smalti.records import Frame

__all__ = ["read_frame", "read_frames"]

_LINE_ENDINGS = (".jsonl", ".ndjson", ".jsonlines")


def read_frame(data: bytes | str | Path, *, base: str | None = None) -> SingleFrame | FrameGroup:
    """The frame in a JSON text or file.

    Args:
        data: JSON as bytes or text, or the path or URI of a JSON file with one frame.
        base: what relative URIs are relative to; default: the folder of the file.

    Returns:
        A SingleFrame, or a FrameGroup where the frame has several sources.

    Raises:
        FrameError: not JSON, a wrong type or an id that leads nowhere: with the place and the JSON path.
        FileNotFoundError, StorageError: the file cannot be read.
    """
    raw, where, folder = _text(data)
    found = _frames_in(raw, where)
    if isinstance(found, list):
        if len(found) == 1:
            return handle_of(wire.from_dict(found[0], where=where), base=base or folder)
        raise FrameError(f"{where}: holds {len(found)} frames; read them with read_frames")
    return handle_of(wire.load(raw, where=where), base=base or folder)


def read_frames(
    path: str | Path, *, base: str | None = None, on_error: Callable[[FrameError], None] | None = None
) -> Iterator[SingleFrame | FrameGroup]:
    """The frames in a file, one after another: JSON-lines are streamed; a JSON list or {"frames": [...]} is read whole.

    Args:
        path: path or URI of the file.
        base: what relative URIs are relative to; default: the folder of the file.
        on_error: called with what is wrong with a frame, which is left out; default: it is raised.

    Raises:
        FrameError: with file and line (or position) of the first fault.
    """
    folder = base or _folder(str(path))
    if str(path).lower().endswith(_LINE_ENDINGS):
        with storage.open_uri(str(path)) as file:
            yield from read_lines(file, where=str(path), base=folder, on_error=on_error)
        return
    raw, where, _ = _text(Path(path) if isinstance(path, Path) else str(path), is_path=True)
    found = _frames_in(raw, where)
    if isinstance(found, list):
        for position, item in enumerate(found):
            record = _tried(wire.from_dict, item, f"{where}: frame {position}", on_error)
            if record is not None:
                yield handle_of(record, base=folder)
    else:
        yield handle_of(wire.load(raw, where=where), base=folder)


def read_lines(
    lines: Iterable[bytes],
    *,
    where: str,
    base: str | None = None,
    on_error: Callable[[FrameError], None] | None = None,
) -> Iterator[SingleFrame | FrameGroup]:
    """The frames in lines of JSON, which may come from a pipe; empty lines are passed over.

    Args:
        lines: one frame each.
        where: what messages call the place.
        base: what relative URIs are relative to; default: the working folder.
        on_error: called with what is wrong with a frame, which is left out; default: it is raised.

    Raises:
        FrameError: with the line of the first fault.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = _tried(wire.load, line.strip(), f"{where}:{number}", on_error)
        if record is not None:
            yield handle_of(record, base=base or ".")


def _tried(
    load: Callable[..., Frame], found: Any, where: str, on_error: Callable[[FrameError], None] | None
) -> Frame | None:
    try:
        return load(found, where=where)
    except FrameError as error:
        if on_error is None:
            raise
        on_error(error)
        return None


def _text(data: bytes | str | Path, *, is_path: bool = False) -> tuple[bytes, str, str | None]:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data), "frame", None
    text = str(data)
    if not is_path and isinstance(data, str) and (not text.strip() or any(mark in text for mark in '{"\n')):
        return text.encode(), "frame", None
    return storage.fetch(text), text, _folder(text)


def _folder(uri: str) -> str | None:
    head, slash, _ = uri.rpartition("/")
    return head if slash else "."


def _frames_in(raw: bytes, where: str) -> Any:
    """A list of frame objects where the text holds several, else None: the frame decoder says what is wrong."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    start = raw.lstrip()[:1]
    if start not in (b"[", b"{"):
        return None
    if start == b"{" and b'"frames"' not in raw[:4096]:
        return None
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(found, dict):
        frames = found.get("frames")
        return frames if isinstance(frames, list) and "sources" not in found else None
    if isinstance(found, list) and not found:
        raise FrameError(f"{where}: the list is empty; there is no frame in it")
    return found
