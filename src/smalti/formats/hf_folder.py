"""Hugging Face image folder with masks: metadata.jsonl (or .csv) with `file_name` and `<something>_file_name` columns.

Columns whose name speaks of masks, labels, annotations or segmentation become masks; id2label.json names the indices.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from smalti.errors import FrameError
from smalti.formats.building import frame_of, mask_of
from smalti.formats.files import first, png_mode, walk
from smalti.formats.losses import Ledger
from smalti.formats.output import JsonLists, Names, each_painted, fresh_folder, place_image, run, safe_name, write_png
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import Legend

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "metadata.jsonl or metadata.csv with file_name and a column of mask files"
SAYS = frozenset({"metadata"})
_MASK = re.compile(r"^(.*(mask|label|annotation|segment|semantic|instance|panoptic)[^/]*?)_?file_name$", re.IGNORECASE)
_NAMES = ("metadata.jsonl", "metadata.csv")


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    if file.suffix == ".csv":
        with file.open(newline="", encoding="utf-8-sig") as opened:
            yield from csv.DictReader(opened)
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError as error:
                raise FrameError(f"{file}:{number}: {error}") from None


def _tables(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Metadata files with columns of masks, and the names of these."""
    for file in walk(path, (".jsonl", ".csv")):
        if file.name in _NAMES:
            try:
                row = first(_rows(file))
            except (FrameError, UnicodeDecodeError):
                continue
            masks = [key for key in row or {} if key != "file_name" and _MASK.match(key)]
            if row is not None and "file_name" in row and masks:
                yield file, masks


def detect(path: Path) -> Detection | None:
    """By the columns of metadata.jsonl or metadata.csv."""
    found = first(_tables(path)) if path.is_dir() else None
    if found is None:
        return None
    return Detection("hf", path, 0.95, (f"{found[0].relative_to(path)} has file_name and {', '.join(found[1])}",))


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per row; other columns become metadata."""
    options = options or Reading()
    for file, masks in _tables(path):
        split = file.parent.name if file.parent != path else None
        if options.split not in (None, split):
            continue
        legend = options.legend or _legend(file.parent, path)
        for row in _rows(file):
            yield _frame(row, file.parent, masks, legend, split)


def _legend(*folders: Path) -> Legend | None:
    file = first(f / "id2label.json" for f in folders if (f / "id2label.json").is_file())
    return Legend.read(file, kind="indices", shared="merge") if file is not None else None


def _frame(
    row: dict[str, Any], folder: Path, columns: list[str], legend: Legend | None, split: str | None
) -> SingleFrame:
    name = str(row["file_name"])
    listed, legends, size = [], {}, None
    for column in columns:
        if not row.get(column):
            continue
        mask = folder / str(row[column])
        found = _MASK.match(column)
        mask_id = found[1] if found is not None else column
        mode = png_mode(mask)
        size = mode.size_hw if mode else size
        is_index = mode is not None and mode.kind in ("grey", "palette")
        encoding = (
            ("palette" if mode is not None and mode.kind == "palette" else "index")
            if is_index and legend is not None
            else None
        )
        listed.append(mask_of(mask, mask_id, encoding, mode.size_hw if mode else None))
        if legend is not None:
            legends[mask_id] = legend
    meta = {key: value for key, value in row.items() if key != "file_name" and key not in columns}
    meta |= {"file_name": name} | ({"split": split} if split else {})
    stem = name.rpartition(".")[0] or name
    return frame_of(
        f"{split}/{stem}" if split else stem, folder / name, masks=listed, legends=legends, size_hw=size, meta=meta
    )


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write `SPLIT/*.jpg`, `SPLIT/masks/*.png` (indices), `SPLIT/metadata.jsonl` and id2label.json."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    names = Names.of(options.legend, first=1)
    tables: dict[str, JsonLists] = {}
    with fresh_folder(folder), ExitStack() as opened:
        run(_jobs(frames, folder, options, written, (names, tables, opened)), options.workers)
        for part, rows in tables.items():
            rows.save_lines("rows", folder / part / "metadata.jsonl")
        text = {str(number): label for label, number in sorted(names.numbers.items(), key=lambda r: r[1])}
        (folder / "id2label.json").write_bytes(msgspec.json.format(msgspec.json.encode(text), indent=1))
    return written


def _jobs(
    frames: Iterable[AnyFrame],
    folder: Path,
    options: Writing,
    written: Written,
    made: tuple[Names, dict[str, JsonLists], ExitStack],
) -> Iterator[Callable[[], None]]:
    names, tables, opened = made
    for frame, found in each_painted(frames, options, written.losses):
        table = names.table(found, written.losses, f"frame {frame.id}")
        dtype = np.uint8 if int(table.max(initial=0)) < 256 else np.uint16
        part, stem = safe_name(str(frame.metadata.get("split") or options.split)), safe_name(frame.id)
        image = place_image(frame, folder / part / stem, options.images, written.losses)
        own = {key: value for key, value in frame.metadata.items() if key not in ("split", "file_name")}
        row = {
            "file_name": image.name if image is not None else f"{stem}.jpg",
            "mask_file_name": f"masks/{stem}.png",
            **own,
        }
        if part not in tables:
            tables[part] = opened.enter_context(JsonLists(("rows",)))
        tables[part].add("rows", row)
        yield partial(write_png, folder / part / "masks" / f"{stem}.png", table.astype(dtype)[found.data])
        written.frames += 1
