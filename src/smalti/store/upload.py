"""Uploading what frames point to: local files go to a destination, and the frames point there.

A file is stored under its content hash's first digits and its own name below the version's folder, so two files of one
name never meet, and a file that is there already is not sent again. The hashes are kept with the source
(`meta["hash"]`), as the wire format has them.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from smalti import storage
from smalti.errors import AccessDenied, StorageError
from smalti.records import Frame, Source
from smalti.store.ingest import Failed

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = ["Uploader"]

_TRIES = 5
_FIRST_WAIT_S = 0.1
_WORKERS = 8


class Uploader:
    """Sends the local files of frames to one destination; remembers what it has sent.

    Args:
        version: names the folder below the destination: `<dataset id>/<version id>/`.
        destination: a URI.
        wait: called with seconds between tries.
    """

    def __init__(self, version: "DatasetVersion", destination: str, wait: Callable[[float], None] = time.sleep) -> None:
        self._prefix = f"{destination.rstrip('/')}/{version.dataset.id}/{version.id}"
        self._wait = wait
        self._sent: dict[str, tuple[str, str]] = {}

    def upload(self, frames: Sequence[Frame], failed: list[Failed]) -> Iterator[Frame]:
        """The frames with their local files at the destination; one with a file that cannot be sent is in `failed`."""
        paths = list(dict.fromkeys(uri for frame in frames for uri in _local_uris(frame)))
        with ThreadPoolExecutor(_WORKERS, thread_name_prefix="smalti-upload") as pool:
            troubles = dict(zip(paths, pool.map(self._try_send, paths), strict=True))
        for frame in frames:
            wrong = next((found for uri in _local_uris(frame) if (found := troubles[uri]) is not None), None)
            if wrong is None:
                yield self._moved(frame)
            else:
                failed.append(Failed(frame.id, wrong, "upload"))

    def _try_send(self, uri: str) -> str | None:
        """Send one file; the reason if it cannot be sent."""
        if uri in self._sent:
            return None
        try:
            data = storage.fetch(uri)
            digest = hashlib.sha256(data).hexdigest()
            target = f"{self._prefix}/{digest[:16]}/{PurePath(urlsplit(uri).path or uri).name}"
            self._send(target, data)
        except OSError as error:
            return f"{uri}: {error}"
        self._sent[uri] = target, digest
        return None

    def _send(self, target: str, data: bytes) -> None:
        for number in range(1, _TRIES + 1):
            try:
                if not storage.exists(target):
                    storage.put(target, data)
                return
            except AccessDenied:
                raise
            except StorageError:
                if number == _TRIES:
                    raise
            self._wait(_FIRST_WAIT_S * 2**number * random.uniform(0.5, 1.5))

    def _moved(self, frame: Frame) -> Frame:
        """The frame with every sent URI replaced; the caller's own records stay as they are."""
        return msgspec.structs.replace(frame, sources=[self._moved_source(source) for source in frame.sources])

    def _moved_source(self, source: Source) -> Source:
        replace = msgspec.structs.replace
        hashes: dict[str, Any] = {}
        if source.uri in self._sent:
            hashes["source"] = self._sent[source.uri][1]
        if source.preview is not None and source.preview.uri in self._sent:
            hashes["preview_source"] = self._sent[source.preview.uri][1]
        if any(mask.uri in self._sent for mask in source.masks):
            hashes["mask_source"] = [self._sent.get(mask.uri, ("", ""))[1] for mask in source.masks]
        if not hashes:
            return source
        kept = source.meta.get("hash")
        return replace(
            source,
            uri=self._target(source.uri),
            preview=source.preview and replace(source.preview, uri=self._target(source.preview.uri)),
            masks=[replace(mask, uri=self._target(mask.uri)) for mask in source.masks],
            meta=source.meta | {"hash": (kept if isinstance(kept, dict) else {}) | hashes},
        )

    def _target(self, uri: str) -> str:
        return self._sent[uri][0] if uri in self._sent else uri


def _local_uris(frame: Frame) -> Iterator[str]:
    for source in frame.sources:
        for uri in (source.uri, source.preview.uri if source.preview else "", *(mask.uri for mask in source.masks)):
            if uri and (urlsplit(uri).scheme in ("", "file") or len(urlsplit(uri).scheme) == 1):
                yield uri
