"""Between us and Lance: it is imported when it is first used, its errors become ours, places are told apart."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from smalti.errors import ConflictError, StorageError
from smalti.parallel import available_cores
from smalti.storage import shown
from smalti.store.catalog_opening import OBJECT_SCHEMES

__all__ = ["VERIFY", "lance", "local_root", "translated"]

VERIFY = "; a purge moves frames: if there was one since this was opened, open it again, else run `smalti store verify`"
"""What to do about something missing; `verify` itself leaves it out of what it says."""


def lance() -> Any:
    """The module. Importing it takes half a second, which a listing of datasets need not wait for."""
    # By itself Lance encodes with all cores but two: with one thread on a machine of two or three.
    os.environ.setdefault("LANCE_CPU_THREADS", str(available_cores()))
    import lance as module

    return module


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Lance's errors as ours: they come as OSError, ValueError or RuntimeError with the reason in the text."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        if isinstance(error, StorageError):
            raise
        text = str(error)
        if "ommit conflict" in text or "preempted" in text:
            raise ConflictError(f"{what}: other writers were faster each time; try again ({_first(text)})") from error
        if re.search(r"not found|No such file|does not exist", text, re.IGNORECASE):
            raise StorageError(f"{what}: something it needs is missing ({_first(text)}){VERIFY}") from error
        hint = next((f"; {hint}" for words, hint in _HINTS.items() if re.search(words, text, re.IGNORECASE)), "")
        raise StorageError(f"{what}: {_first(text)}{hint}") from error


_HINTS = {
    r"No space left|os error 28|quota exceeded|os error 122": (
        "the disk is full: free some space and try again; what was acknowledged before is safe"
    ),
    r"File too large|os error 27": "a limit on the size of files forbids it; what was acknowledged before is safe",
    r"Read-only file system|os error 30": "the disk is read-only; is the right one mounted?",
    r"timed? ?out|error sending request|connection|503|Service Unavailable|SlowDown": (
        "the object store did not answer; try again: what was acknowledged before is safe"
    ),
}
"""Words of the reason → what to do."""


def _first(text: str) -> str:
    """The first line of a reason, without the place in the engine's own sources."""
    line = re.sub(r",? ?/\S+\.rs:\d+(:\d+)?", "", text.strip().partition("\n")[0])
    return line.removeprefix("LanceError(IO): ")[:300] or "no reason given"


def local_root(uri: str) -> Path | None:
    """The folder that a URI names, None for an object store.

    Raises:
        StorageError: its scheme is none of ours; as a path it would become a folder named like `ftp:`.
    """
    scheme, marked, _ = uri.partition("://")
    if uri[:5].lower() == "file:":
        return Path(unquote(urlsplit(uri).path))
    if not marked or not _SCHEME.fullmatch(scheme):
        return Path(uri)
    if scheme.lower() not in OBJECT_SCHEMES:
        raise StorageError(
            f"{shown(uri)}: a store cannot be at {scheme}://; give a folder, or one of "
            f"file://, {', '.join(f'{known}://' for known in OBJECT_SCHEMES)}",
            uri=uri,
        )
    return None


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*", re.ASCII)
