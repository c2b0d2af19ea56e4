"""What a process has been told, for the processes that it starts: they are new and would go by the environment alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from smalti import codecs
from smalti.storage import Storage, default_storage, set_default_storage

__all__ = ["Ambience"]


@dataclass(frozen=True)
class Ambience:
    """How stores are reached, and which decoders were registered.

    Attributes:
        storage: the default storage.
        decoders: by content type, those that are not ours; functions must be importable, as all that is pickled.
        then: called afterwards with the worker's number, e.g. a `worker_init_fn` of the user's own.
    """

    storage: Storage = field(default_factory=default_storage)
    decoders: dict[str, Any] = field(default_factory=codecs.registered)
    then: Callable[[int], None] | None = None

    def __call__(self, worker: int = 0) -> None:
        """Take this process there."""
        set_default_storage(self.storage)
        for content_type, decoder in self.decoders.items():
            codecs.register(content_type, decoder)
        if self.then is not None:
            self.then(worker)
