"""Cityscapes: `gtFine/<split>/<city>/<stem>_gtFine_{labelIds,instanceIds,labelTrainIds,color}.png`.

instanceIds store class * 1000 + n for things that are counted and the plain class for everything else, in 16 bits.
Images are `leftImg8bit/<split>/<city>/<stem>_leftImg8bit.png`. Files that lie otherwise are found by these endings.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from smalti.formats import published
from smalti.formats.building import frame_of, mask_of
from smalti.formats.files import Stems, first, png_mode, walk
from smalti.formats.protocol import Detection, Reading
from smalti.formats.write_cityscapes import SAYS, write
from smalti.frames import SingleFrame
from smalti.legend import Legend

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = (
    "masks end in _gtFine_labelIds.png, _gtFine_instanceIds.png, _gtFine_labelTrainIds.png or _gtFine_color.png"
)

_MASK = re.compile(
    r"(?P<stem>.+?)_(?P<kind>gtFine|gtCoarse)_(?P<what>labelIds|instanceIds|labelTrainIds|color)\.png$", re.IGNORECASE
)
_WHAT = {"labelids": "labelIds", "instanceids": "instanceIds", "labeltrainids": "labelTrainIds", "color": "color"}
_ENCODINGS = {"labelIds": "index", "instanceIds": "instance16", "labelTrainIds": "index", "color": "rgb"}
_SPLITS = ("train", "val", "test", "train_extra")


def detect(path: Path) -> Detection | None:
    """By the endings of mask names."""
    if not path.is_dir():
        return None
    counts: dict[str, int] = {}
    for mask in walk(path, (".png",)):
        found = _MASK.match(mask.name)
        if found:
            what = _WHAT[found["what"].lower()]
            counts[what] = counts.get(what, 0) + 1
            if sum(counts.values()) >= 20000:
                break
    if not counts:
        return None
    said = ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    return Detection("cityscapes", path, 1.0, (f"mask names end as Cityscapes names them: {said}",))


def legends() -> dict[str, Legend]:
    """What the values of each kind of mask mean, by mask id."""
    return {
        "labelIds": published.cityscapes(),
        "instanceIds": published.cityscapes("ids"),
        "labelTrainIds": published.cityscapes_train(),
        "color": published.cityscapes("colors"),
    }


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per annotated picture, with every kind of mask that is there."""
    options = options or Reading()
    groups: dict[str, dict[str, Path]] = {}
    for mask in walk(options.masks or path, (".png",)):
        found = _MASK.match(mask.name)
        if found:
            groups.setdefault(found["stem"], {})[_WHAT[found["what"].lower()]] = mask
    images = Stems(
        [options.images or path], drop=("_leftImg8bit", "_labelIds", "_instanceIds", "_labelTrainIds", "_color")
    )
    known = legends()
    for stem in sorted(groups):
        parts = groups[stem]
        any_mask = first(iter(parts.values()))
        split = _split_of(any_mask) if any_mask is not None else None
        if options.split is not None and split != options.split:
            continue
        image = images.get(f"{stem}_leftImg8bit.png")
        if image is None or "_leftImg8bit" not in image.name:
            image = None
            options.skip(f"{stem}: no image {stem}_leftImg8bit.* was found; the frame has masks only")
        yield _frame(stem, image, parts, known, split)


def _frame(
    stem: str, image: Path | None, parts: dict[str, Path], known: dict[str, Legend], split: str | None
) -> SingleFrame:
    masks = []
    size = None
    for what in _ENCODINGS:
        if what in parts:
            mode = png_mode(parts[what])
            size = mode.size_hw if mode is not None else size
            encoding = _ENCODINGS[what]
            masks.append(mask_of(parts[what], what, encoding, mode.size_hw if mode else None))
    return frame_of(
        stem,
        image,
        masks=masks,
        legends={mask.id: known[mask.id] for mask in masks},
        size_hw=size,
        context=stem.split("_")[0],
        meta={"split": split} if split else None,
    )


def _split_of(mask: Path) -> str | None:
    return next((part for part in reversed(mask.parts[:-1]) if part in _SPLITS), None)
