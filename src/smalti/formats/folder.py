"""Folder of images + folder of masks + legend file, of any shape: the layout that most people have.

Masks are found by the name of their folder, else by their own names (`1_mask.png` beside `1.png`), else by what is in
them. Images and masks are paired by file stem, after what tools put before and after it is taken off (see
`folder_names`). Nothing is copied.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smalti.annotations import MaskAnnotation
from smalti.errors import FrameError
from smalti.formats.files import png_mode
from smalti.formats.folder_names import (
    LEGEND_FILES,
    MASK_FOLDERS,
    is_image_folder,
    is_mask_folder,
    looks_like_labels,
    says_mask,
    stem_of,
)
from smalti.frames import SingleFrame
from smalti.ids import encoding_kind
from smalti.legend import Legend

__all__ = ["Folder", "Unpaired", "find_legend", "read_folder"]

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
CLIPS = (".mp4", ".mkv", ".webm", ".avi", ".mov")


@dataclass(frozen=True, slots=True)
class Unpaired:
    """A file without its partner."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder turned out to be.

    Attributes:
        pairs: (image or None, mask) in order of stems.
        legend: what the values mean, or None; `legend_path` is where it was read.
        encoding: how the masks store values (see `smalti.records.ENCODINGS`), None = by their colours.
        why: sentences that say what was recognised and how.
    """

    pairs: tuple[tuple[Path | None, Path], ...]
    legend: Legend | None
    legend_path: Path | None
    encoding: str | None
    why: tuple[str, ...]

    @property
    def frames(self) -> Iterator[SingleFrame]:
        """One frame per mask, without ROIs: the legend explains the values (see `annotated`)."""
        for image, mask in self.pairs:
            frame = SingleFrame(
                str(image) if image else "", id=mask.stem, masks_source={"seg": str(mask)}, context_id=str(mask.parent)
            )
            frame.source_record.masks[0].encoding = self.encoding
            yield frame

    def annotated(self) -> Iterator[SingleFrame]:
        """One frame per mask, with a ROI per legend entry: frames that explain themselves."""
        for frame in self.frames:
            for entry in self.legend.entries if self.legend is not None else ():
                value = entry.color if entry.color is not None and self.encoding in (None, "rgb") else None
                if value is None and entry.code is not None and entry.code >= 0:
                    value = (entry.code,)  # type: ignore[assignment]
                if value is not None:
                    frame.annotations.append(MaskAnnotation(value, mask_id="seg", labels=list(entry.labels)))
            yield frame


def read_folder(
    root: Path,
    *,
    images: str | Path | None = None,
    masks: str | Path | None = None,
    legend: str | Path | Legend | None = None,
    encoding: str | None = None,
    unpaired: list[Unpaired] | None = None,
) -> Folder:
    """Recognise a folder of images and masks.

    Args:
        root: the folder.
        images, masks: subfolders (or glob patterns) under `root`, or paths; None = by name.
        legend: a legend file or a Legend; None = by name, in `root` and beside the masks.
        encoding: how the masks store values, e.g. "index" or an id scheme; None = look.
        unpaired: filled with the files that have no partner.

    Raises:
        FrameError: no masks were found; the message says what was looked for.
        LegendError: the legend file cannot be read.
    """
    mask_files, image_files = _found(root, images, masks)
    if not mask_files:
        said = (
            f"no pictures match {str(masks)!r}"
            if masks is not None
            else f"no subfolder is called {', '.join(MASK_FOLDERS[:6])}, … and no pictures look like label maps"
        )
        raise FrameError(f"{root}: {said}; name the folder (or a pattern) of the masks")
    read, path = _legend_of(root, mask_files[0].parent, legend)
    kind = encoding or _encoding_of(mask_files[0], read)
    if encoding is not None and read is not None and (meant := encoding_kind(encoding)) and meant[0] == "indices":
        read = read.as_kind("indices")
    pairs, loose = _pair(image_files, mask_files)
    if unpaired is not None:
        unpaired += loose
    where = image_files[0].parent if image_files else None
    why = (
        f"{len(mask_files)} masks in {mask_files[0].parent}",
        f"{len(image_files)} images in {where}" if where else "no images",
        f"legend {path} with {len(read)} entries" if path is not None and read is not None else "no legend file",
        f"values are read as {kind or 'colors'}",
        f"{sum(image is not None for image, _ in pairs)} pairs by file stem",
    )
    return Folder(tuple(pairs), read, path, kind, why)


def _found(root: Path, images: str | Path | None, masks: str | Path | None) -> tuple[list[Path], list[Path]]:
    """The files of the masks and of the images: as named, by their folders, side by side, or by their content."""
    found = _files(root, masks) if masks is not None else _guess(root)
    if images is not None:
        return found or _by_content(root), _files(root, images)
    if found or masks is not None:
        return found, _best_images(root, found)
    pictures = _pictures(root)
    found = [path for path in pictures if says_mask(path)]
    if found:
        return found, [path for path in pictures if not says_mask(path)]
    found = _by_content(root)
    return found, _best_images(root, found)


def _by_content(root: Path) -> list[Path]:
    """The pictures with the few values of a label map: of the folder itself, with a legend of that below it with most."""
    listed = [_pictures(folder) for folder in (_subfolders(root) if find_legend(root) is not None else [root])]
    listed.sort(key=len, reverse=True)
    return next((pictures for pictures in listed if looks_like_labels(pictures)), [])


def find_legend(folder: Path) -> Path | None:
    """The legend file of a folder by its usual names, or None."""
    names = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()} if folder.is_dir() else {}
    for name in LEGEND_FILES:
        if name in names:
            return names[name]
    return next(
        (path for name, path in names.items() if re.search(r"(legend|label_colors|class_dict)\.(csv|txt|json)$", name)),
        None,
    )


def _legend_of(root: Path, mask_folder: Path, given: str | Path | Legend | None) -> tuple[Legend | None, Path | None]:
    if isinstance(given, Legend):
        return given, None
    if given is not None:
        path = Path(given) if Path(given).exists() else root / given
        return Legend.read(path, shared="merge"), path
    found = find_legend(root) or find_legend(mask_folder) or find_legend(mask_folder.parent)
    return (Legend.read(found, shared="merge"), found) if found is not None else (None, None)


def _encoding_of(mask: Path, legend: Legend | None) -> str | None:
    """Grey masks whose legend numbers its entries store indices, and so do grey and palette masks without a legend."""
    mode = png_mode(mask)
    if legend is None:
        return "index" if mode is not None and mode.kind in ("grey", "palette") else None
    if not legend.has_codes():
        return None
    return "index" if legend.kind == "indices" or (mode is not None and mode.kind in ("grey", "grey+alpha")) else None


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES + CLIPS and path.is_file())


def _files(root: Path, named: str | Path) -> list[Path]:
    for candidate in (root / named, Path(named)):
        if candidate.is_dir():
            return _pictures(candidate) or sorted(
                p for p in candidate.rglob("*") if p.suffix.lower() in PICTURES + CLIPS
            )
        if candidate.is_file():
            return [candidate]
    return (
        sorted(p for p in root.glob(str(named)) if p.suffix.lower() in PICTURES + CLIPS)
        if not Path(named).is_absolute()
        else []
    )


def _subfolders(root: Path) -> list[Path]:
    return [root, *sorted(path for path in root.rglob("*") if path.is_dir() and not path.name.startswith("."))]


def _guess(root: Path) -> list[Path]:
    for name in MASK_FOLDERS:
        found = [p for folder in _subfolders(root) if folder.name.lower() == name for p in _files(folder, ".")]
        if found:
            return sorted(set(found))
    return [path for folder in _subfolders(root)[1:] if is_mask_folder(folder.name) for path in _pictures(folder)]


def _best_images(root: Path, masks: list[Path]) -> list[Path]:
    """The pictures of folders that hold partners: those named like images, else those that hold no label maps."""
    taken = {path.parent for path in masks}
    wanted = {stem_of(path) for path in masks}
    ranked = []
    for folder in _subfolders(root):
        pictures = [] if folder in taken else _pictures(folder)
        partners = [path for path in pictures if stem_of(path) in wanted]
        if partners and (is_image_folder(folder.name) or not looks_like_labels(partners)):
            ranked.append((not is_image_folder(folder.name), -len(partners), folder.as_posix(), pictures))
    ranked.sort(key=lambda row: row[:3])
    if ranked and not ranked[0][0]:
        ranked = [row for row in ranked if not row[0]]
    return [path for row in ranked for path in row[3]]


def _pair(images: Iterable[Path], masks: Iterable[Path]) -> tuple[list[tuple[Path | None, Path]], list[Unpaired]]:
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for image in images:
        by_stem[stem_of(image)].append(image)
    pairs: list[tuple[Path | None, Path]] = []
    loose: list[Unpaired] = []
    met: set[str] = set()
    for mask in masks:
        stem = stem_of(mask)
        partners = by_stem.get(stem, [])
        met.add(stem)
        if not partners and by_stem:
            loose.append(Unpaired(mask, f"mask {mask.name} has no image with the stem {stem!r}"))
        pairs.append((partners[0] if partners else None, mask))
    for stem, partners in by_stem.items():
        if stem not in met:
            loose += [Unpaired(image, f"image {image.name} has no mask with the stem {stem!r}") for image in partners]
    return pairs, loose
