"""Finding and opening what a layout is made of: pictures by stem, JSON in pieces, headers without pixels."""

import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from smalti.errors import FrameError

__all__ = [
    "PICTURES",
    "Stems",
    "contains",
    "decode_json",
    "first",
    "folders",
    "picture_size",
    "pictures",
    "png_mode",
    "raw_bytes",
    "read_lines",
    "read_names",
    "walk",
]

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
_PNG = b"\x89PNG\r\n\x1a\n"
_MODES = {0: "grey", 2: "rgb", 3: "palette", 4: "grey+alpha", 6: "rgba"}
Found = TypeVar("Found")


def pictures(folder: Path) -> list[Path]:
    """The pictures directly in a folder, sorted; [] where there is no such folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.lower().endswith(PICTURES) and entry.is_file())
    return [folder / name for name in names]


def walk(root: Path, endings: tuple[str, ...] = PICTURES) -> Iterator[Path]:
    """Files under `root` whose names end so, folder by folder in order of names; hidden folders are passed over."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(endings):
                yield Path(folder, name)


def first(found: Iterator[Found]) -> Found | None:
    """The first item, or None."""
    return next(found, None)


def folders(root: Path, *, depth: int = 3) -> Iterator[Path]:
    """`root` and the folders below it, down to a depth, in order of names."""
    yield root
    if depth and root.is_dir():
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        for name in names:
            yield from folders(root / name, depth=depth - 1)


class Stems:
    """Pictures under some folders by stem, listed once: the image of a mask, wherever it lies."""

    def __init__(self, roots: Iterable[Path], *, drop: tuple[str, ...] = ()) -> None:
        self._by_stem: dict[str, Path] = {}
        self._by_name: dict[str, Path] = {}
        self._drop = drop
        for root in roots:
            for path in walk(root) if root.is_dir() else ():
                self._by_stem.setdefault(self._stem(path.name), path)
                self._by_name.setdefault(path.name, path)

    def _stem(self, name: str) -> str:
        stem = name.rpartition(".")[0] or name
        for ending in self._drop:
            if stem.endswith(ending):
                return stem[: -len(ending)]
        return stem

    def get(self, name: str) -> Path | None:
        """The picture of this file name or stem."""
        base = name.rpartition("/")[2]
        return self._by_name.get(base) or self._by_stem.get(self._stem(base)) or self._by_stem.get(base)

    def __len__(self) -> int:
        return len(self._by_stem)


@dataclass(frozen=True, slots=True)
class PngMode:
    """What the header of a PNG says: "grey", "rgb", "palette", "grey+alpha" or "rgba", bits a sample, and the size."""

    kind: str
    bits: int
    size_hw: tuple[int, int]


def png_mode(path: Path) -> PngMode | None:
    """The header of a PNG; None for anything else. 33 bytes are read."""
    try:
        with path.open("rb") as file:
            head = file.read(33)
    except OSError:
        return None
    if len(head) < 26 or head[:8] != _PNG or head[12:16] != b"IHDR":
        return None
    width, height, bits, color = struct.unpack(">IIBB", head[16:26])
    return PngMode(_MODES.get(color, "?"), bits, (height, width))


def picture_size(path: Path) -> tuple[int, int] | None:
    """(height, width) in pixels as stored, from the header; None where it cannot be told."""
    found = png_mode(path)
    if found is not None:
        return found.size_hw
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except (OSError, ValueError):
        return None


def raw_bytes(path: Path) -> "mmap.mmap | bytes":
    """The bytes of a file, mapped and not read: pages that were used can be dropped again."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def contains(path: Path, *words: bytes) -> bool:
    """Whether a file holds all of these bytes; quick for files of any size."""
    try:
        data = raw_bytes(path)
    except OSError:
        return False
    return all(data.find(word) >= 0 for word in words)


def decode_json(path: Path, kind: type[Found], data: Any = None) -> Found:
    """The JSON of a file as `kind`.

    Raises:
        FrameError: it is not JSON, or not of that shape; with file and place.
    """
    try:
        return msgspec.json.decode(data if data is not None else path.read_bytes(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"{path}: {error}") from None


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty, blanks cut off; [] where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise FrameError(f"{path}: byte {error.start} is not UTF-8 text") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_names(paths: Iterable[Path]) -> dict[str, str]:
    """{name in a list: name of the list} of several files with one name a line, such as train.txt and val.txt."""
    return {line.split()[0]: path.stem for path in paths for line in read_lines(path)}
