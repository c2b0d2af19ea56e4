"""CamVid: RGB masks in 32 colours (`*_L.png` with label_colors.txt), and SegNet's split `train/ trainannot/ train.txt`.

SegNet's masks are the same colours, or 12 classes as grey indices. label_colors.txt has `R G B<TAB>name` lines.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from smalti.errors import LegendError
from smalti.formats import published
from smalti.formats.building import frame_of, mask_of
from smalti.formats.files import Stems, folders, pictures, png_mode
from smalti.formats.losses import Ledger
from smalti.formats.output import Names, each_painted, fresh_folder, place_image, run, safe_name, write_png
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import Legend, voc_color

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "masks *_L.png with label_colors.txt, or folders train and trainannot"
SAYS: frozenset[str] = frozenset()
_LEGEND = "label_colors.txt"


def _annotated(path: Path) -> list[tuple[str, Path, Path]]:
    """(part, folder of images, folder of masks) of SegNet's layout."""
    found = sorted(p for p in path.iterdir() if p.name.endswith("annot") and p.name != "annot" and p.is_dir())
    return [(p.name.removesuffix("annot"), path / p.name.removesuffix("annot"), p) for p in found if pictures(p)]


def _suffixed(path: Path) -> list[Path]:
    found = [p for folder in folders(path) for p in pictures(folder) if p.stem.endswith("_L")]
    return sorted(found)


def detect(path: Path) -> Detection | None:
    """By trainannot beside train, or by masks that end in _L together with label_colors.txt."""
    if not path.is_dir():
        return None
    parts = _annotated(path)
    if parts:
        return Detection("camvid", path, 0.93, (f"folders {', '.join(m.name for _, _, m in parts)} hold masks",))
    if (path / _LEGEND).is_file() and (masks := _suffixed(path)):
        return Detection("camvid", path, 0.93, (f"{len(masks)} masks end in _L, and there is {_LEGEND}",))
    return None


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per mask, grouped by sequence."""
    options = options or Reading()
    colors = options.legend or _legend_of(path)
    parts = _annotated(path)
    if not parts:
        images = Stems([options.images or path], drop=("_L",))
        for mask in _suffixed(options.masks or path):
            image = images.get(mask.stem.removesuffix("_L") + ".jpg")
            yield _frame(mask, None if image == mask or (image and image.stem.endswith("_L")) else image, None, colors)
        return
    for part, image_folder, mask_folder in parts:
        if options.split not in (None, part):
            continue
        by_stem = {p.stem: p for p in pictures(image_folder)}
        for mask in pictures(mask_folder):
            image = by_stem.get(mask.stem) or by_stem.get(mask.stem.removesuffix("_L"))
            if image is None:
                options.skip(f"mask {mask.name} has no image in {image_folder.name}")
            yield _frame(mask, image, part, colors)


def _legend_of(path: Path) -> Legend:
    try:
        return Legend.read(path / _LEGEND, shared="merge") if (path / _LEGEND).is_file() else published.camvid()
    except LegendError:
        return published.camvid()


def _frame(mask: Path, image: Path | None, part: str | None, colors: Legend) -> SingleFrame:
    mode = png_mode(mask)
    is_grey = mode is not None and mode.kind == "grey"
    stem = mask.stem.removesuffix("_L")
    return frame_of(
        stem,
        image,
        masks=[mask_of(mask, "seg", "index" if is_grey else "rgb", mode.size_hw if mode else None)],
        legends={"seg": published.camvid_index() if is_grey else colors},
        size_hw=mode.size_hw if mode else None,
        context=stem.split("_")[0],
        meta={"split": part} if part else None,
    )


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write SegNet's layout in colours: `train/`, `trainannot/`, `train.txt`, and label_colors.txt."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS | {"context"}))
    names = Names.of(options.legend, first=1)
    lists: dict[str, list[str]] = {}
    with fresh_folder(folder):
        run(_jobs(frames, folder, options, written, (names, lists)), options.workers)
        for part, lines in lists.items():
            (folder / f"{part}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        rows = sorted(names.numbers.items(), key=lambda row: row[1])
        text = "".join("{} {} {}\t{}\n".format(*color_of(names, label, number), label) for label, number in rows)
        (folder / _LEGEND).write_text(text, encoding="utf-8")
    return written


def color_of(names: Names, label: str, number: int) -> tuple[int, int, int]:
    """The colour of a label: its own, unless it is black or another label has it; else one made from its number."""
    own = names.colors.get(label)
    if own is None or own in {color for name, color in names.colors.items() if name != label and name < label}:
        taken = set(names.colors.values()) | {(0, 0, 0)}
        number = number or 1
        while voc_color(number) in taken:
            number += 256
        own = names.colors[label] = (
            voc_color(number) if number < 1 << 24 else (number & 255, number >> 8 & 255, number >> 16 & 255)
        )
    return own


def _jobs(
    frames: Iterable[AnyFrame],
    folder: Path,
    options: Writing,
    written: Written,
    made: tuple[Names, dict[str, list[str]]],
) -> Iterator[Callable[[], None]]:
    names, lists = made
    for frame, found in each_painted(frames, options, written.losses):
        table = names.table(found, written.losses, f"frame {frame.id}")
        by_number = {number: label for label, number in names.numbers.items()}
        colors = np.array(
            [(0, 0, 0) if not n else color_of(names, by_number[n], n) for n in table.tolist()], np.uint8
        ).reshape(-1, 3)
        part, stem = safe_name(str(frame.metadata.get("split") or options.split)), safe_name(frame.id)
        image = place_image(frame, folder / part / stem, options.images, written.losses)
        name = image.name if image is not None else f"{stem}.png"
        lists.setdefault(part, []).append(f"/{part}/{name} /{part}annot/{stem}.png")
        yield partial(write_png, folder / f"{part}annot" / f"{stem}.png", colors[found.data])
        written.frames += 1
