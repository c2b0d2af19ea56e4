"""Folder of images + folder of masks + legend file, of any shape, as a format: see `smalti.formats.folder`."""

from collections.abc import Iterator
from pathlib import Path

from smalti.errors import FrameError, LegendError
from smalti.formats.folder import Unpaired, read_folder
from smalti.formats.protocol import Detection, Reading
from smalti.frames import SingleFrame

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read"]

LOOKS_LIKE = "a folder of masks (masks, labels, annotations, gt, …), of images, and maybe a legend file"
SAYS = frozenset({"multi-label"})


def detect(path: Path) -> Detection | None:
    """By folder names and by endings of names; the surer, the more of masks, images and legend there is."""
    if not path.is_dir():
        return None
    try:
        found = read_folder(path)
    except (FrameError, LegendError):
        return None
    sureness = 0.2 + 0.2 * (found.legend is not None) + 0.1 * any(image is not None for image, _ in found.pairs)
    return Detection("folder", path, sureness, found.why)


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per mask; without images where none has the mask's stem."""
    options = options or Reading()
    loose: list[Unpaired] = []
    found = read_folder(
        path,
        images=options.images,
        masks=options.masks,
        legend=options.legend,
        encoding=options.encoding,
        unpaired=loose,
    )
    for one in loose:
        options.skip(one.reason)
    for frame in found.frames:
        if found.legend is not None:
            frame.mask_labels = {"seg": found.legend}
        yield frame
