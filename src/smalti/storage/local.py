"""Files of this machine: read plainly, written whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from smalti.errors import AccessDenied, StorageError
from smalti.storage.uri import Place

__all__ = ["delete", "exists", "list_keys", "open_file", "path_of", "put", "read", "size", "stamp"]

_TEMPORARY = ".smalti-part"


@contextmanager
def _explained(place: Place) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise FileExistsError(f"{place.uri}: there is a file of that name already; choose another") from None
    except StorageError:
        raise
    except OSError as fault:
        raise _explain(place, fault) from None


def _explain(place: Place, fault: OSError) -> OSError:
    uri = place.uri
    if isinstance(fault, FileNotFoundError):
        path = Path(place.key)
        spelled = "" if path.is_absolute() else f" (looked in {Path.cwd()})"
        nearest = next((p for p in path.absolute().parents if p.is_dir()), None)
        hint = "" if nearest in (None, path.absolute().parent) else f"; the nearest folder that exists is {nearest}"
        return FileNotFoundError(f"{uri}: there is no such file{spelled}; check the name{hint}")
    if isinstance(fault, IsADirectoryError):
        return StorageError(f"{uri}: this is a directory, not a file; name a file in it", uri=uri)
    if isinstance(fault, PermissionError):
        return AccessDenied(f"{uri}: permission denied; check who owns it and its mode", uri=uri)
    if isinstance(fault, NotADirectoryError):
        return FileNotFoundError(f"{uri}: there is no such file: a part of the path is a file, not a directory")
    if fault.errno == errno.ENOSPC:
        return StorageError(f"{uri}: the disk is full", uri=uri)
    return StorageError(f"{uri}: {fault.strerror or fault}; check the path", uri=uri)


def _check_size(place: Place, found: int, max_bytes: int | None) -> None:
    if max_bytes is not None and found > max_bytes:
        raise StorageError(
            f"{place.uri}: {found} bytes, but at most {max_bytes} are allowed (max_bytes)", uri=place.uri
        )


def _open(place: Place) -> BinaryIO:
    """Open without blocking: a named pipe must not hang us; then only regular files are taken."""
    import stat

    descriptor = os.open(place.key, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory", place.key)
    raise StorageError(f"{place.uri}: neither a file nor a directory but a device, pipe or socket", uri=place.uri)


def open_file(place: Place, max_bytes: int | None = None) -> BinaryIO:
    """The file, open for reading."""
    with _explained(place):
        file = _open(place)
        try:
            _check_size(place, os.fstat(file.fileno()).st_size, max_bytes)
        except StorageError:
            file.close()
            raise
        return file


def read(place: Place, max_bytes: int | None = None) -> bytes:
    """All bytes of the file."""
    with open_file(place, max_bytes) as file, _explained(place):
        return file.read()


def size(place: Place) -> int:
    """Length of the file in bytes."""
    with open_file(place) as file:
        return os.fstat(file.fileno()).st_size


def stamp(place: Place) -> tuple[int, int, int]:
    """Size in bytes, modification time in ns and inode of the file."""
    with open_file(place) as file:
        found = os.fstat(file.fileno())
        return (found.st_size, found.st_mtime_ns, found.st_ino)


def exists(place: Place) -> bool:
    """True if there is a regular file; a directory is not an object."""
    return os.path.isfile(place.key)


def path_of(place: Place) -> Path:
    """The file itself, known to be readable."""
    open_file(place).close()
    return Path(place.key)


def put(place: Place, data: bytes, *, overwrite: bool = True) -> None:
    """Write the file: readers see the old bytes or the new, never a part, also after a power cut."""
    path = Path(place.key)
    with _explained(place):
        if path.is_dir() or place.key.endswith("/"):
            raise IsADirectoryError(errno.EISDIR, "is a directory", place.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}{_TEMPORARY}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if overwrite:
                os.replace(temporary, path)
            else:
                os.link(temporary, path)  # unlike a rename, it fails if the name is taken
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def delete(place: Place) -> None:
    """Remove the file; one that is not there is fine, as object stores have it."""
    with _explained(place):
        if Path(place.key).is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory", place.key)
        Path(place.key).unlink(missing_ok=True)


def list_keys(place: Place) -> list[str]:
    """Paths of all files below the folder, relative to it, sorted; empty if there is no such folder."""
    top = Path(place.key)
    found: list[str] = []

    def stop(fault: OSError) -> None:
        if not isinstance(fault, FileNotFoundError | NotADirectoryError):
            raise fault

    with _explained(place):
        for folder, _, names in os.walk(top, onerror=stop):
            inside = Path(folder).relative_to(top)
            found += [(inside / n).as_posix() for n in names if not n.endswith(_TEMPORARY)]
    return sorted(found)
