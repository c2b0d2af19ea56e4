"""YOLO segmentation: a text file per image, `class x y x y …` in shares of the image, and names in data.yaml.

Lines of five numbers are boxes. Labels lie in `labels/` where images lie in `images/`, or beside the images (Darknet:
obj.names). A polygon is one ring; holes and several parts are joined by bridges of no width on the way out.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from smalti.errors import FrameError
from smalti.formats.building import box_roi, frame_of, polygon_roi
from smalti.formats.content import Item, Shape, is_void, shapes, single_frames, size_of
from smalti.formats.files import Stems, first, folders, picture_size, pictures, read_lines, walk
from smalti.formats.losses import Ledger
from smalti.formats.output import Names, fresh_folder, place_image, safe_name, wanted_number
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.geometry import box_of_points
from smalti.parallel import ordered_map
from smalti.polygons import bridged, outline
from smalti.records import Roi

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "data.yaml (or obj.names) and text files with a class and shares of the image"
SAYS = frozenset({"instances", "overlap", "boxes", "holes"})
_LINE = re.compile(r"^\d+(\s+-?\d*\.?\d+(e-?\d+)?){4,}$")


def _names(path: Path) -> tuple[Path, dict[int, str]] | None:
    for file in [*path.glob("*.yaml"), *path.glob("*.yml")]:
        if found := _from_yaml(file):
            return file, found
    for name in ("obj.names", "classes.txt"):
        if (path / name).is_file():
            return path / name, dict(enumerate(read_lines(path / name)))
    return None


def _from_yaml(file: Path) -> dict[int, str]:
    """`names:` of a data.yaml: a list on one line, a list of dashes, or numbers with names."""
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    start = first(i for i, line in enumerate(lines) if re.match(r"names\s*:", line))
    if start is None:
        return {}
    rest = lines[start].split(":", 1)[1].split(" #")[0].strip()
    block = [line.split(" #")[0].rstrip() for line in lines[start + 1 :]]
    if rest.startswith("["):
        text = rest
        for line in block:
            if "]" in text:
                break
            text += " " + line.strip()
        return dict(enumerate(_bare(p) for p in text.strip("[] ").split(",") if p.strip()))
    if rest.startswith("{"):
        pairs = [part.split(":", 1) for part in rest.strip("{} ").split(",") if ":" in part]
        return {int(key): _bare(value) for key, value in pairs if key.strip().isdigit()}
    found: dict[int, str] = {}
    for line in block:
        if dash := re.match(r"\s*-\s+(.+)$", line):
            found[len(found)] = _bare(dash[1])
        elif pair := re.match(r"\s+(\d+)\s*:\s*(.+)$", line):
            found[int(pair[1])] = _bare(pair[2])
        elif line.strip() and not line.startswith(" "):
            break
    return found


def _bare(text: str) -> str:
    return text.strip().strip("'\"").strip()


def detect(path: Path) -> Detection | None:
    """By names of classes, and a text file whose lines are a class and shares."""
    if not path.is_dir():
        return None
    for root in folders(path, depth=1):
        names = _names(root)
        file = first(p for p in walk(root, (".txt",)) if _is_labels(p)) if names is not None else None
        if names is not None and file is not None:
            said = f"{names[0].name} names {len(names[1])} classes, {file.relative_to(root)} has shares of an image"
            return Detection("yolo", root, 0.9, (said,))
    return None


def _is_labels(file: Path) -> bool:
    with file.open("rb") as opened:
        head = opened.read(4096).decode("ascii", errors="replace").splitlines()
    # A polygon may be longer than what was read: its first numbers are enough.
    return bool(head) and _LINE.match(" ".join(head[0].split()[:5])) is not None


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per image that has a label file, and per image without one (nothing to be seen in it)."""
    options = options or Reading()
    found = _names(path)
    names = found[1] if found is not None else {}
    labels = {
        p.stem: p for p in walk(options.masks or path, (".txt",)) if _is_labels(p) or p.parent.parent.name == "labels"
    }
    images = Stems([options.images or path])
    stems = {p.stem: p for folder in folders(options.images or path) for p in pictures(folder)}

    def one(stem: str) -> SingleFrame | None:
        image = images.get(stem) or stems.get(stem)
        if image is None:
            options.skip(f"{stem}.txt: no image was found, so the size of its shares is unknown")
            return None
        return _frame(stem, image, labels.get(stem), names, options)

    for frame in ordered_map(one, sorted({*labels, *stems}), workers=options.workers):
        if frame is not None and options.split in (None, frame.metadata.get("split")):
            yield frame


def _frame(stem: str, image: Path, labels: Path | None, names: dict[int, str], options: Reading) -> SingleFrame:
    size = picture_size(image)
    rois: list[Roi] = []
    if size is not None and labels is not None:
        for number, line in enumerate(read_lines(labels), 1):
            roi = _roi(line, size, names)
            if roi is None:
                options.skip(f"{labels.name}:{number}: {line[:40]!r} is neither a box nor a polygon")
            else:
                rois.append(roi)
    split = image.parent.name if image.parent.parent.name == "images" else None
    return frame_of(stem, image, rois=rois, size_hw=size, meta={"split": split} if split else None)


def _roi(line: str, size: tuple[int, int], names: dict[int, str]) -> Roi | None:
    cells = line.split()
    try:
        code, shares = int(cells[0]), [float(cell) for cell in cells[1:]]
    except ValueError:
        return None
    height, width = size
    label, meta = [names.get(code, str(code))], {"category_id": code}
    if len(shares) == 4:
        x, y, w, h = shares
        return box_roi(((x - w / 2) * width, (y - h / 2) * height, w * width, h * height), label, meta=meta)
    if len(shares) < 6 or len(shares) % 2:
        return None
    # A share of the width is no pixel: 28.7 comes back as 28.699999…, which the pixel rule rounds the other way.
    ring = [round(s * (height if i % 2 else width), 6) for i, s in enumerate(shares)]
    return polygon_roi([ring], label, meta=meta)


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write data.yaml, `images/SPLIT` and `labels/SPLIT`.

    Raises:
        FrameError: images are not written at all, so that nobody could read the shares back.
    """
    options = options or Writing()
    if options.images == "none":
        raise FrameError("YOLO stores shares of an image; write the images, too: --images link or copy")
    written = Written(folder, 0, Ledger(SAYS))
    names, splits = Names.of(options.legend, first=0, void=-1), {}

    def one(frame: SingleFrame) -> tuple[SingleFrame, tuple[int, int], list[tuple[Shape, list[float]]]]:
        found = list(shapes(frame, mask_id=options.mask_id))
        rows = [(s, ring) for s in found if not is_void(s.label) for ring in _single(s)]
        return frame, found[0].size_hw if found else size_of(frame), rows

    with fresh_folder(folder):
        for frame, size, rows in ordered_map(one, single_frames(frames), workers=options.workers):
            written.losses.look(frame)
            if frame.source_record.masks and rows:
                written.losses.add("ids", f"frame {frame.id}")
            split, stem = safe_name(str(frame.metadata.get("split") or options.split)), safe_name(frame.id)
            splits[split] = f"images/{split}"
            if place_image(frame, folder / "images" / split / stem, options.images, written.losses) is None:
                written.losses.add("labels", f"frame {frame.id} has no image, so its shares mean nothing", len(rows))
            lines = []
            for shape, ring in rows:
                item = shape.item or Item(shape.labels, roi=shape.roi)
                code = names.take(item, wanted_number(item))
                if code is None:
                    written.losses.add("labels", f"frame {frame.id}: {shape.label!r}")
                    continue
                lines.append(f"{code} {_shares(ring, size)}")
            for annotation in frame.annotations:
                roi = annotation.roi
                if annotation.get_type() == "b2d" and "rle" not in roi.meta:
                    item = Item(tuple(roi.label), roi=roi)
                    x, y, w, h = box_of_points(roi.poly)
                    lines.append(
                        f"{names.take(item, wanted_number(item))} {_shares([x + w / 2, y + h / 2, w, h], size)}"
                    )
            path = folder / "labels" / split / f"{stem}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            written.frames += 1
        rows_of = "".join(
            f"  {number}: {_quoted(label)}\n" for label, number in sorted(names.numbers.items(), key=lambda r: r[1])
        )
        parts = "".join(f"{split}: {place}\n" for split, place in splits.items())
        (folder / "data.yaml").write_text(f"path: .\n{parts}names:\n{rows_of}", encoding="utf-8")
    return written


def _quoted(label: str) -> str:
    return '"' + label.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _single(shape: Shape) -> Iterator[list[float]]:
    """One ring for an object: its parts and holes joined by bridges."""
    # Parts that overlap would cancel where they are filled even-odd: their common outline does not.
    regions = outline(shape.mask()) if len(shape.rings) > 1 and not shape.has_holes else shape.regions()
    rings = [ring for outer, holes in regions for ring in [outer, *holes]]
    if rings:
        yield rings[0] if len(rings) == 1 else bridged(rings)


def _shares(numbers: list[float], size: tuple[int, int]) -> str:
    height, width = size
    return " ".join(f"{n / (height if i % 2 else width):.12g}" for i, n in enumerate(numbers))
