"""Legend files that people have, read into entries.

- `label_colors.txt` (CamVid): `R G B<TAB>name` a line; blanks and several TABs are fine, the last line may lack its end.
- `class_dict.csv`, `*_legend.csv`: a header with `name` (or `label`, `class`) and `r`, `g`, `b`, and maybe `id` or
  `index`; other columns are ignored.
- `labelmap.txt` (CVAT, VOC): `name:R,G,B:parts:actions`; lines that begin with # are comments.
- `labels.txt`, `class_names.txt`: one name a line, the first is index 0; `__ignore__` is 255 and does not count.
- JSON: COCO categories; `{"name": [r, g, b]}`; `{"7": "road"}`; `{"r,g,b": "car"}`; `[{"value": …, "labels": …}]`, bare
  or under `_all_`; `label_map` and `label_colors` of a `dataset_meta.json`.
"""

import csv
import io
import re
from pathlib import Path
from typing import Any

import msgspec

from smalti.errors import LegendError
from smalti.legend import Entry, Kind

__all__ = ["read_entries"]

_NAME_COLUMNS = ("name", "label", "class", "class_name", "category", "label_name")
_CODE_COLUMNS = ("id", "index", "class_id", "value", "label_id", "code")
_MAX_BYTES = 16 << 20


def read_entries(path: Path) -> tuple[list[Entry], Kind]:
    """The entries of a legend file, in its order, and whether it speaks of colours, indices or ids."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise LegendError(f"{path} has {path.stat().st_size} bytes; a legend file has at most {_MAX_BYTES}")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such legend file; check the name") from None
    except IsADirectoryError:
        raise IsADirectoryError(f"{path}: this is a folder; name a legend file (.txt, .csv or .json) in it") from None
    except UnicodeDecodeError as error:
        raise LegendError(f"{path} is not text (byte {error.start}); name a .txt, .csv or .json legend") from None
    if path.suffix.lower() == ".json" or (text.lstrip()[:1] in "[{" and text.strip()):
        entries = _from_json(text, path)
    elif path.suffix.lower() in (".csv", ".tsv") or _looks_like_header(text):
        entries = _from_csv(text, path)
    else:
        entries = _from_lines(text, path)
    if not entries:
        raise LegendError(f"{path} has no entries; expected lines such as '64 0 128<TAB>Car' or 'name,r,g,b'")
    kind: Kind = "colors" if any(entry.color is not None for entry in entries) else "indices"
    return entries, kind


def _looks_like_header(text: str) -> bool:
    first = text.split("\n", 1)[0].lower()
    columns = [column.strip() for column in re.split(r"[,;\t]", first)]
    return {"r", "g", "b"} <= set(columns) or {"red", "green", "blue"} <= set(columns)


def _from_csv(text: str, path: Path) -> list[Entry]:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
    if not rows:
        return []
    header = [name.lower() for name in rows[0][1]]
    short = {"red": "r", "green": "g", "blue": "b"}
    columns = {short.get(name, name): position for position, name in reversed(list(enumerate(header)))}
    name_at = next((columns[name] for name in _NAME_COLUMNS if name in columns), None)
    code_at = next((columns[name] for name in _CODE_COLUMNS if name in columns), None)
    color_at = [columns[c] for c in "rgb"] if all(c in columns for c in "rgb") else None
    if name_at is None or (color_at is None and code_at is None):
        raise LegendError(
            f"{path}:1: the header is {', '.join(header)}; needed: a column {' or '.join(_NAME_COLUMNS[:3])}, "
            "and r, g, b or an id column"
        )
    entries = []
    for line, row in rows[1:]:
        where = f"{path}:{line}"
        if len(row) <= max([name_at, *(color_at or []), *([code_at] if code_at is not None else [])]):
            raise LegendError(f"{where}: {len(row)} cells where the header has {len(header)}")
        color = _color([row[i] for i in color_at], where) if color_at else None
        code = _whole(row[code_at], where) if code_at is not None else None
        entries.append(Entry((row[name_at],), color=color, code=code))
    return entries


def _from_lines(text: str, path: Path) -> list[Entry]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if lines and all(":" in line and "," in line for _, line in lines):
        return [_labelmap_line(line, f"{path}:{number}") for number, line in lines]
    if lines and all(re.match(r"\d+\s+\d+\s+\d+\s+\S", line) for _, line in lines):
        return [_colors_line(line, f"{path}:{number}") for number, line in lines]
    if lines and all(re.match(r"\d+\s*[:,\t ]\s*[^\d\s]", line) for _, line in lines):
        pairs = [re.split(r"\s*[:,\t ]\s*", line, maxsplit=1) for _, line in lines]
        return [Entry((name,), code=int(number)) for number, name in pairs]
    for number, line in lines:
        if re.match(r"\d+[\s,;]", line):
            raise LegendError(
                f"{path}:{number}: {line[:60]!r} is neither 'R G B name', 'name:R,G,B::' nor a plain name"
            )
    names = [line for _, line in lines]
    ignored = [Entry((name,), code=255) for name in names if name == "__ignore__"]
    return [Entry((name,), code=i) for i, name in enumerate(n for n in names if n != "__ignore__")] + ignored


def _colors_line(line: str, where: str) -> Entry:
    red, green, blue, name = re.split(r"\s+", line, maxsplit=3)
    return Entry((name.strip(),), color=_color([red, green, blue], where))


def _labelmap_line(line: str, where: str) -> Entry:
    name, color = line.split(":")[:2]
    channels = color.split(",")
    if len(channels) != 3:
        raise LegendError(f"{where}: {color!r} is not a colour; expected name:R,G,B:parts:actions")
    return Entry((name.strip(),), color=_color(channels, where))


def _whole(cell: Any, where: str) -> int:
    try:
        if isinstance(cell, bool) or float(cell) != int(float(cell)):
            raise ValueError
        return int(float(cell))
    except (TypeError, ValueError, OverflowError):
        raise LegendError(f"{where}: {cell!r} is not a whole number") from None


def _color(cells: Any, where: str) -> tuple[int, int, int]:
    channels = [_whole(cell, where) for cell in cells]
    if len(channels) != 3 or not all(-1 <= c <= 255 for c in channels):
        raise LegendError(f"{where}: {list(cells)} is not a colour; allowed: three channels 0..255 (-1 = any)")
    return channels[0], channels[1], channels[2]


def _from_json(text: str, path: Path) -> list[Entry]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise LegendError(f"{path} is not JSON: {error}") from None
    if isinstance(found, dict):
        if isinstance(found.get("mask_labels"), dict):
            found = found["mask_labels"]  # what is exported beside JSON-lines
        for key in ("categories", "_all_", "label_colors", "labels", "entries"):
            if isinstance(found.get(key), (list, dict)) and key != "label_colors":
                return _json_rows(found[key], path)
        if isinstance(found.get("label_map"), dict):
            return _dataset_meta(found, path)
    return _json_rows(found, path)


def _dataset_meta(found: dict[str, Any], path: Path) -> list[Entry]:
    colors = found.get("label_colors") or found.get("segmentation_colors") or []
    entries = []
    for position, (code, name) in enumerate(found["label_map"].items()):
        color = _color(colors[position], f"{path}: label {name}") if position < len(colors) else None
        entries.append(Entry((str(name),), color=color, code=_whole(code, f"{path}: label {name}")))
    return entries


def _json_rows(found: Any, path: Path) -> list[Entry]:
    if isinstance(found, list):
        return [_json_row(row, f"{path}: entry {position}", position) for position, row in enumerate(found)]
    if isinstance(found, dict):
        return [_json_pair(key, value, f"{path}: {key!r}") for key, value in found.items()]
    raise LegendError(f"{path} holds {type(found).__name__}; expected a list of entries or an object")


def _json_row(row: Any, where: str, position: int) -> Entry:
    if isinstance(row, str):
        return Entry((row,), code=position)
    if not isinstance(row, dict):
        raise LegendError(f"{where} is {row!r}; expected an object with a name and a color or an id")
    labels = row.get("labels", row.get("name", row.get("label")))
    names = (labels,) if isinstance(labels, str) else tuple(str(label) for label in labels or ())
    if not names:
        raise LegendError(f"{where} has no name; it has {', '.join(row)}")
    color = row.get("color", row.get("rgb"))
    code = row.get("id", row.get("index"))
    value = row.get("value")
    if isinstance(value, list):
        color, code = (value, code) if len(value) == 3 else (color, value[0] if value else None)
    elif value is not None:
        code = value
    if isinstance(color, str):
        color = _hex(color, where)
    if color is None and code is None:
        raise LegendError(f"{where} has neither a color nor an id; it has {', '.join(row)}")
    return Entry(
        names,
        color=_color(color, where) if color is not None else None,
        code=_whole(code, where) if code is not None else None,
    )


def _json_pair(key: str, value: Any, where: str) -> Entry:
    numbers = re.fullmatch(r"[\[(]?\s*(-?\d+)\s*,\s*(-?\d+)\s*,\s*(-?\d+)\s*[\])]?", key)
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
    if numbers and names and all(isinstance(n, str) for n in names):
        return Entry(names, color=_color(numbers.groups(), where))
    if re.fullmatch(r"#[0-9a-fA-F]{6}", key) and names and all(isinstance(n, str) for n in names):
        return Entry(names, color=_color(_hex(key, where), where))
    if re.fullmatch(r"-?\d+", key) and names and all(isinstance(n, str) for n in names):
        return Entry(names, code=int(key))
    if isinstance(value, list):
        return Entry((key,), color=_color(value, where))
    if isinstance(value, str) and value.startswith("#"):
        return Entry((key,), color=_color(_hex(value, where), where))
    if isinstance(value, int) and not isinstance(value, bool):
        return Entry((key,), code=value)
    raise LegendError(f"{where} is {value!r}; expected name: [r, g, b], name: id, 'r,g,b': name or id: name")


def _hex(text: str, where: str) -> list[int]:
    if not re.fullmatch(r"#?[0-9a-fA-F]{6}", text):
        raise LegendError(f"{where}: {text!r} is not a colour; expected #rrggbb")
    return list(bytes.fromhex(text.lstrip("#")))
