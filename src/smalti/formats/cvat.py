"""CVAT for images: annotations.xml with polygons, masks (run lengths of their box, row by row), boxes, points, ellipses.

CVAT for video: the same shapes in tracks, see `cvat_tracks`. CVAT's segmentation-mask archive is Pascal VOC with
labelmap.txt: the format "voc" reads it.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from smalti.errors import FrameError
from smalti.formats.building import frame_of
from smalti.formats.content import Shape, shapes, single_frames, size_of
from smalti.formats.cvat_shapes import roi_of
from smalti.formats.cvat_tracks import read_tracks
from smalti.formats.files import Stems, contains, first, walk
from smalti.formats.losses import Ledger
from smalti.formats.output import fresh_folder, place_image, safe_name
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.parallel import ordered_map
from smalti.records import Roi

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "an XML file with annotations and image or track elements"
SAYS = frozenset({"instances", "overlap", "holes", "boxes", "ellipses"})


def _files(path: Path, element: bytes) -> Iterator[Path]:
    for file in [path] if path.is_file() else walk(path, (".xml",)):
        if file.suffix == ".xml" and contains(file, b"<annotations>", element):
            yield file


def detect(path: Path) -> Detection | None:
    """By the elements of an XML file."""
    for element, what in ((b"<image ", "annotations of images"), (b"<track ", "tracks of a video")):
        if (file := first(_files(path, element))) is not None:
            return Detection("cvat", path, 0.95, (f"{file.name} has {what}",))
    return None


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per image element; the XML is read as a stream. Then the frames of videos with tracks."""
    options = options or Reading()
    root = path if path.is_dir() else path.parent
    images = [options.images] if options.images is not None else [root]
    known: Stems | None = None
    for file in _files(path, b"<image "):
        for element in _images(file):
            name, subset = element.get("name", ""), element.get("subset")
            if options.split not in (None, subset):
                continue
            # One name may stand in several subsets: the path goes before the bare name.
            at = first(p for base in images for p in _places(base, name, subset) if p.is_file())
            if at is None:
                known = known or Stems(images)
                at = known.get(name)
            if at is None:
                options.skip(f"{file.name}: no image {name} was found")
            yield _frame(element, at, subset, options)
    for file in _files(path, b"<track "):
        yield from read_tracks(file, images[0], options)


def _images(file: Path) -> Iterator[ElementTree.Element]:
    try:
        for _, element in ElementTree.iterparse(file):
            if element.tag == "image":
                yield element
                element.clear()
    except ElementTree.ParseError as error:
        raise FrameError(f"{file}: {error}") from None


def _places(base: Path, name: str, subset: str | None) -> Iterator[Path]:
    for folder in ([base / "images" / subset] if subset else []) + [base / "images", base]:
        yield folder / name


def _frame(element: ElementTree.Element, image: Path | None, subset: str | None, options: Reading) -> SingleFrame:
    name = element.get("name", "")
    size = (int(element.get("height", 0)), int(element.get("width", 0)))
    ordered = sorted(element, key=lambda shape: int(shape.get("z_order", 0) or 0))
    rois = [roi for shape in ordered if (roi := roi_of(shape, size, name, options)) is not None]
    stem = name.rpartition(".")[0] or name
    meta: dict[str, Any] = {"file_name": name}
    if subset:
        meta["split"] = subset
    return frame_of(
        f"{subset}/{stem}" if subset else stem, image, rois=rois, size_hw=size if all(size) else None, meta=meta
    )


def _roll(crop: NDArray[np.uint8]) -> list[int]:
    flat = crop.reshape(-1) != 0
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs: list[int] = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *runs] if flat.size and flat[0] else runs


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write annotations.xml and `images/`: polygons as they are, everything else as masks."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    labels: dict[str, None] = {}
    subsets: dict[str, None] = {}

    def one(frame: SingleFrame) -> tuple[SingleFrame, tuple[int, int], list[Shape], list[str]]:
        found = list(shapes(frame, mask_id=options.mask_id))
        return (
            frame,
            found[0].size_hw if found else size_of(frame),
            found,
            [_element(s, i) for i, s in enumerate(found)],
        )

    # The labels stand before the images and are known after them, so the images wait in a file of their own.
    with fresh_folder(folder), SpooledTemporaryFile(1 << 22, "w+", encoding="utf-8") as file:
        for number, (frame, size, found, lines) in enumerate(
            ordered_map(one, single_frames(frames), workers=options.workers)
        ):
            written.losses.look(frame)
            if any(a.roi.id is not None for a in frame.annotations) or frame.source_record.masks:
                written.losses.add("ids", f"frame {frame.id}")
            labels |= dict.fromkeys(s.label for s in found)
            stem = safe_name(frame.id)
            subset = safe_name(str(frame.metadata.get("split") or options.split))
            subsets[subset] = None
            image = place_image(frame, folder / "images" / subset / stem, options.images, written.losses)
            name = image.name if image is not None else f"{stem}.jpg"
            boxes = [_box(a.roi) for a in frame.annotations if a.get_type() == "b2d" and "rle" not in a.roi.meta]
            file.write(
                f'  <image id="{number}" name={quoteattr(name)} subset={quoteattr(subset)} '
                f'width="{size[1]}" height="{size[0]}">\n{"".join(lines)}{"".join(boxes)}  </image>\n'
            )
            written.frames += 1
        rows = "".join(f"<label><name>{escape(label)}</name></label>" for label in labels)
        file.seek(0)
        with (folder / "annotations.xml").open("w", encoding="utf-8") as whole:
            whole.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
            parts = escape("\n".join(subsets))
            tasks = "".join(f"<task><name>{p}</name><subset>{p}</subset></task>" for p in map(escape, subsets))
            whole.write(
                f"  <meta><project><tasks>{tasks}</tasks><subsets>{parts}</subsets><labels>{rows}</labels></project></meta>\n"
            )
            shutil.copyfileobj(file, whole)
            whole.write("</annotations>\n")
    return written


def _box(roi: Roi) -> str:
    label = quoteattr((roi.label or [""])[0])
    x0, y0, x1, y1 = roi.poly[0], roi.poly[1], roi.poly[4], roi.poly[5]
    return f'    <box label={label} xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}" occluded="0" z_order="0"/>\n'


def _element(shape: Shape, z_order: int) -> str:
    label = quoteattr(shape.label)
    if len(shape.rings) == 1 and (shape.roi is None or shape.roi.meta.get("_type") != "elp"):
        ring = shape.rings[0]
        points = ";".join(f"{x!r},{y!r}" for x, y in zip(ring[0::2], ring[1::2], strict=True))
        return f'    <polygon label={label} points="{points}" occluded="0" z_order="{z_order}"/>\n'
    if shape.roi is not None and shape.roi.meta.get("_type") == "elp":
        cx, cy, rx, ry, angle = shape.roi.poly
        turned = f' rotation="{np.rad2deg(angle)!r}"' if angle else ""
        return f'    <ellipse label={label} cx="{cx}" cy="{cy}" rx="{rx}" ry="{ry}"{turned} occluded="0" z_order="{z_order}"/>\n'
    crop, (x, y) = shape.cropped()
    if not crop.size:
        return ""
    runs = ", ".join(map(str, _roll(crop)))
    box = f'left="{x}" top="{y}" width="{crop.shape[1]}" height="{crop.shape[0]}"'
    return f'    <mask label={label} rle="{runs}" {box} occluded="0" z_order="{z_order}"/>\n'
