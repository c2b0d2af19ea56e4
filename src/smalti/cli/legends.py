"""The legend that `--legend` names: a file, or a URI that storage can read."""

from smalti.legend import Legend
from smalti.storage import local_path

__all__ = ["read_legend"]


def read_legend(named: str | None, scheme: str | None = None) -> Legend | None:
    """The legend of a path or URI; without one an id scheme stands for itself; None without either.

    Raises:
        LegendError, FileNotFoundError, StorageError: it cannot be read; the message names the file.
    """
    if named is not None:
        return Legend.read(local_path(named) if "://" in named else named, shared="merge", scheme=scheme)
    return Legend(scheme=scheme) if scheme is not None else None
