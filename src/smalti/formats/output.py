"""Files of an export: pictures, images that are linked or copied, and JSON that is written as it comes."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti import kernels, storage
from smalti.convert import png_bytes
from smalti.errors import FrameError
from smalti.formats.content import Item, Painted, image_uri, is_void, painted, single_frames
from smalti.formats.losses import Ledger
from smalti.formats.protocol import Writing
from smalti.frames import FrameGroup, SingleFrame
from smalti.legend import Legend, voc_color
from smalti.parallel import ordered_map
from smalti.pixels import is_clip

__all__ = [
    "JsonLists",
    "Names",
    "each_painted",
    "fresh_folder",
    "place_image",
    "run",
    "safe_name",
    "voc_palette",
    "wanted_number",
    "write_legend",
    "write_png",
]


def safe_name(text: str) -> str:
    """A file name for a frame id: slashes and characters that file systems refuse become underscores."""
    kept = "".join(c if c.isalnum() or c in "-_. @+" else "_" for c in text).strip(" .")
    return kept[:180] or "frame"


def write_png(path: Path, samples: NDArray[Any], palette: NDArray[np.uint8] | None = None) -> None:
    """Write samples exactly as they are; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(samples, palette))


def voc_palette() -> NDArray[np.uint8]:
    """(256, 3) the VOC colours."""
    return np.array([voc_color(i) for i in range(256)], np.uint8)


def place_image(frame: SingleFrame, target: Path, how: str, ledger: Ledger) -> Path | None:
    """The image of a frame beside its masks: linked, copied, or left; `target` has no ending yet.

    Returns:
        Where it is now, or None where the frame names no image or it is left where it is.
    """
    uri = image_uri(frame)
    if not uri or how == "none":
        return None
    if is_clip(uri, frame.source_record.content_type):
        ledger.add("video", f"frame {frame.id}: {uri}")
        path = target.with_name(target.name + ".png")
        write_png(path, frame.image())
        return path
    ending = Path(uri.split("?", 1)[0]).suffix or ".png"
    path = target.with_name(target.name + ending)
    path.parent.mkdir(parents=True, exist_ok=True)
    local = Path(uri.removeprefix("file://"))
    if "://" not in uri.removeprefix("file://") and not local.exists():
        return None  # a frame may name an image that is not on this machine
    if path.is_symlink() or path.exists():
        if path.resolve() == local.resolve():
            return path
        path.unlink()
    if how == "link" and "://" not in uri.removeprefix("file://"):
        os.symlink(local.resolve(), path)
    elif "://" in uri.removeprefix("file://"):
        path.write_bytes(storage.fetch(uri))
    else:
        shutil.copyfile(local, path)
    return path


class Names:
    """Numbers for labels, given out as labels are met; or only those of a fixed list.

    Args:
        first: the first number to give out.
        fixed: label → number, and no others.
        void: the number for pixels without a label; it is given to none.
        most: the largest number that the target stores.
    """

    def __init__(
        self, first: int = 1, fixed: Mapping[str, int] | None = None, *, void: int = 0, most: int = 0xFFFF
    ) -> None:
        self.numbers: dict[str, int] = dict(fixed or {})
        self.colors: dict[str, tuple[int, int, int]] = {}
        self.things: set[str] = set()
        self.void, self._most = void, most
        self._is_open = fixed is None
        self._next = first
        self._taken = set(self.numbers.values())

    @classmethod
    def of(cls, legend: Legend | None, first: int = 1, *, void: int = 0, most: int = 0xFFFF) -> "Names":
        """Those of a legend with codes, and no others; without a legend, open."""
        if legend is None:
            return cls(first, void=void, most=most)
        fixed = {
            label: entry.code if entry.code is not None else first + i
            for i, entry in enumerate(legend)
            for label in entry.labels
        }
        names = cls(first, fixed, void=void, most=most)
        names.colors = {label: e.color for e in legend if e.color is not None for label in e.labels}
        return names

    def take(self, item: Item, wanted: int | None = None) -> int | None:
        """The number of an item's first label: `wanted` if it is free; None where the list is fixed or full."""
        found = self.numbers.get(item.label)
        if found is None and self._is_open:
            if wanted is None or wanted in self._taken or not 0 <= wanted <= self._most or wanted == self.void:
                while self._next == self.void or self._next in self._taken:
                    self._next += 1
                wanted = self._next
            if wanted > self._most:
                return None
            found = self.numbers[item.label] = wanted
            self._taken.add(wanted)
        if item.color is not None:
            self.colors.setdefault(item.label, item.color)
        if item.is_thing:
            self.things.add(item.label)
        return found

    def table(self, found: Painted, ledger: Ledger, where: str) -> NDArray[np.uint32]:
        """(items + 1,) numbers for the numbers of a painted picture, void first. A label that has none is a loss."""
        numbers = [self.void]
        occurs = kernels.count(found.data, len(found.items) + 1).tolist()
        for position, item in enumerate(found.items, 1):
            number = None
            if not is_void(item.label) or item.label in self.numbers:
                number = self.take(item, wanted_number(item))
                if number is None and occurs[position]:
                    ledger.add("labels", f"{where}: {item.label!r}")
            numbers.append(self.void if number is None else number)
        return np.array(numbers, np.uint32)


def wanted_number(item: Item) -> int | None:
    """The number that the source gave the class of an item: COCO's category, an id's category, the index of a mask."""
    told = item.roi.meta.get("category_id") if item.roi is not None else None
    if isinstance(told, int):
        return told
    return item.category if item.category >= 0 else None


def each_painted(
    frames: Iterable[SingleFrame | FrameGroup],
    options: Writing,
    ledger: Ledger,
    *,
    prefer: Literal["classes", "ids"] = "classes",
) -> Iterator[tuple[SingleFrame, Painted]]:
    """Every frame with its picture of items, decoded several at a time; what the target cannot say is counted."""

    def read(frame: SingleFrame) -> tuple[SingleFrame, Painted]:
        return frame, painted(frame, prefer=prefer, mask_id=options.mask_id)

    for frame, found in ordered_map(read, single_frames(frames), workers=options.workers):
        ledger.look(frame)
        where = f"frame {frame.id}"
        if found.covered and "overlap" not in ledger.says:
            ledger.add("overlap", f"{where}: {found.covered} pixels", found.covered)
        if found.kind == "shapes" and found.items:
            ledger.add("pixels", f"{where}: {len(found.items)} shapes are painted")
        if any(item.instance for item in found.items) and "instances" not in ledger.says:
            ledger.add("instances", where)
        written = {found.mask_id} | ({"class", "object"} if found.kind == "ids" else set())
        if others := [m.id for m in frame.source_record.masks if m.id not in written]:
            ledger.add("masks", f"{where}: {', '.join(others)}", len(others))
        yield frame, found


def run(jobs: Iterable[Callable[[], None]], workers: int | None = None) -> None:
    """Do jobs (encoding and writing files) several at a time, drawn as there is room."""
    for _ in ordered_map(lambda job: job(), jobs, workers=workers):
        pass


def write_legend(path: Path, names: Names) -> None:
    """labelmap.txt: `name:R,G,B::` a line, in order of numbers; the colour is the VOC colour of the number."""
    lines = ["# label:color_rgb:parts:actions"]
    for label, number in sorted(names.numbers.items(), key=lambda row: row[1]):
        r, g, b = voc_color(number)
        lines.append(f"{label.replace(':', ' ')}:{r},{g},{b}::")
    r, g, b = voc_color(255)
    lines.append(f"ignored:{r},{g},{b}::")  # other readers refuse masks with a color that no line declares
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


class JsonLists:
    """A JSON object with long lists, written while they grow; nothing but the current item is held in memory."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._parts: dict[str, IO[bytes]] = {}
        self._counts = dict.fromkeys(names, 0)
        self._encoder = msgspec.json.Encoder()

    def __enter__(self) -> "JsonLists":
        return self

    def __exit__(self, *_: object) -> None:
        for part in self._parts.values():
            part.close()

    def _part(self, name: str) -> IO[bytes]:
        if name not in self._parts:
            self._parts[name] = SpooledTemporaryFile(1 << 22)  # noqa: SIM115  # closed on the way out
        return self._parts[name]

    def add(self, name: str, item: Any) -> None:
        """Append to one of the lists."""
        part = self._part(name)
        part.write(b",\n" if self._counts[name] else b"")
        part.write(self._encoder.encode(item))
        self._counts[name] += 1

    def __len__(self) -> int:
        return sum(self._counts.values())

    def save(self, path: Path, **small: Any) -> None:
        """Write the object: the small values first, then the lists."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(b"{")
            for name, value in small.items():
                file.write(self._encoder.encode(name) + b": " + self._encoder.encode(value) + b",\n")
            for position, name in enumerate(self._names):
                part = self._part(name)
                file.write((b",\n" if position else b"") + self._encoder.encode(name) + b": [")
                part.seek(0)
                shutil.copyfileobj(part, file)
                file.write(b"]")
            file.write(b"}\n")

    def save_list(self, name: str, path: Path) -> None:
        """Write one of the lists alone."""
        self._copy(name, path, b"[", b"]\n", lines=False)

    def save_lines(self, name: str, path: Path) -> None:
        """Write one of the lists as JSON-lines."""
        self._copy(name, path, b"", b"\n", lines=True)

    def _copy(self, name: str, path: Path, before: bytes, after: bytes, *, lines: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = self._part(name)
        part.seek(0)
        with path.open("wb") as file:
            file.write(before)
            for line in part:
                file.write(line.removesuffix(b",\n") + b"\n" if lines and line.endswith(b",\n") else line)
            file.write(after)


@contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """The folder of an export; an old export in it is not written over.

    Raises:
        FrameError: there is something in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FrameError(f"{folder} is not empty; name a new folder, exports never write over what is there")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
