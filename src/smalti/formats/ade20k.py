"""ADE20K: full annotation (`*_seg.png`: class = R / 10 * 256 + G, instance = B) and the scene parsing challenge.

Full: images, masks, `*_atr.txt` (2017) or JSON (2021) lie side by side; parts are `*_parts_N.png`. The names come from
the JSON (name_ndx is the class) or from the rows of the text, whose number is that of the instance. The mask per object
(`<stem>/instance_NNN_<stem>.png`, 255 = seen, 128 = hidden) says nothing else about what is seen and is not read. Challenge:
`annotations/**/ADE_*.png` are indices 0..150, `images/` beside.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti import kernels
from smalti.convert import ids_to_samples, samples_to_ids
from smalti.formats import published
from smalti.formats.building import frame_of, mask_of
from smalti.formats.content import Painted
from smalti.formats.files import Stems, decode_json, first, png_mode, walk
from smalti.formats.losses import Ledger
from smalti.formats.output import Names, each_painted, fresh_folder, place_image, run, safe_name, write_png
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.legend import Entry, Legend
from smalti.parallel import ordered_map
from smalti.polygons import area_of_ring, outline

__all__ = ["LOOKS_LIKE", "SAYS", "detect", "read", "write"]

LOOKS_LIKE = "masks *_seg.png with *_atr.txt or JSON beside them, or annotations/**/ADE_*.png with images beside"
SAYS = frozenset({"instances", "ids"})


class _Parts(msgspec.Struct):
    part_level: int = 0


class _Object(msgspec.Struct):
    id: int
    name: str
    name_ndx: int = 0
    raw_name: str = ""
    parts: _Parts | None = None


class _Annotation(msgspec.Struct):
    object: list[_Object] = []
    scene: list[str] | str | None = None


class _File(msgspec.Struct):
    annotation: _Annotation


def detect(path: Path) -> Detection | None:
    """By the names of masks and what lies beside them."""
    if not path.is_dir():
        return None
    full = first(p for p in walk(path, ("_seg.png",)) if _beside(p) is not None)
    if full is not None:
        told = _beside(full)
        return Detection("ade20k", path, 0.97, (f"{full.name} and {told.name if told else ''}: the full annotation",))
    mask = first(p for p in walk(path, (".png",)) if p.name.startswith("ADE_") and "annotations" in p.parts)
    if mask is not None:
        return Detection("ade20k", path, 0.95, (f"{mask.parent.name}/{mask.name}: indices of the challenge",))
    return None


def _beside(mask: Path) -> Path | None:
    stem = mask.name.removesuffix("_seg.png")
    return next((p for p in (mask.with_name(f"{stem}_atr.txt"), mask.with_name(f"{stem}.json")) if p.is_file()), None)


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per annotated picture; parts of objects are further masks."""
    options = options or Reading()
    masks = (p for p in walk(options.masks or path, ("_seg.png",)) if _beside(p) is not None)
    some = False
    for frame in ordered_map(lambda mask: _full(mask, options), masks, workers=options.workers):
        some = True
        if options.split in (None, frame.metadata.get("split")):
            yield frame
    if not some:
        yield from _challenge(path, options)


def _challenge(path: Path, options: Reading) -> Iterator[SingleFrame]:
    images = Stems([options.images or (path / "images" if (path / "images").is_dir() else path)])
    legend = options.legend or published.ade20k_challenge()
    for mask in walk(options.masks or path, (".png",)):
        if not mask.name.startswith("ADE_") or "annotations" not in mask.parts:
            continue
        split = _split_of(mask)
        if options.split not in (None, split):
            continue
        mode = png_mode(mask)
        image = images.get(f"{mask.stem}.jpg")
        yield frame_of(
            mask.stem,
            image if image != mask else None,
            masks=[mask_of(mask, "seg", "index", mode.size_hw if mode else None)],
            legends={"seg": legend},
            size_hw=mode.size_hw if mode else None,
            meta={"split": split} if split else None,
        )


def _split_of(mask: Path) -> str | None:
    return next((part for part in reversed(mask.parts[:-1]) if part in ("training", "validation", "test")), None)


def _full(mask: Path, options: Reading) -> SingleFrame:
    stem = mask.name.removesuffix("_seg.png")
    told = _beside(mask)
    meta: dict[str, Any] = {}
    if (split := _split_of(mask)) is not None:
        meta["split"] = split
    folder = options.images or mask.parent
    image = next((p for e in (".jpg", ".png", ".jpeg") if (p := folder / f"{stem}{e}").is_file()), None)
    if image is None:
        options.skip(f"{mask.name}: no image {stem}.jpg was found")
    if next((mask.parent / stem).glob("instance_*.png"), None) is not None:
        options.skip(f"{mask.name}: what is hidden of its objects ({stem}/instance_*.png) is not read")
    parts = sorted(mask.parent.glob(f"{stem}_parts_*.png"))
    mode = png_mode(mask)
    size = mode.size_hw if mode else None
    masks = [mask_of(mask, "seg", "ade20k", size)]
    masks += [mask_of(p, p.stem.removeprefix(f"{stem}_"), "ade20k", size) for p in parts]
    legends: dict[str, Legend] = {}
    if told is not None and told.suffix == ".json":
        rows, scene = _from_json(told)
        if scene:
            meta["scene"] = scene
        legends = {m.id: rows for m in masks if len(rows)}
    elif told is not None:
        legends = {m.id: _from_text(told, Path(m.uri), level) for level, m in enumerate(masks)}
        legends = {key: legend for key, legend in legends.items() if len(legend)}
    return frame_of(stem, image, masks=masks, legends=legends, size_hw=size, meta=meta)


def _from_json(path: Path) -> tuple[Legend, list[str]]:
    found = decode_json(path, _File).annotation
    rows = {
        o.name_ndx: Entry((o.name, o.raw_name) if o.raw_name and o.raw_name != o.name else (o.name,), code=o.name_ndx)
        for o in found.object
    }
    scene = [found.scene] if isinstance(found.scene, str) else list(found.scene or ())
    return Legend.from_entries(rows.values(), kind="ids", scheme="ade20k"), scene


def _from_text(path: Path, mask: Path, level: int) -> Legend:
    """The rows `instance # part level # occluded # class # name # "attributes"` of one level, by the ids in the mask."""
    names: dict[int, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        cells = [cell.strip() for cell in line.split("#")]
        if len(cells) >= 5 and cells[0].isdigit() and cells[1].isdigit() and int(cells[1]) == level:
            names[int(cells[0])] = cells[4]
    from PIL import Image

    with Image.open(mask) as picture:
        ids = samples_to_ids(np.asarray(picture.convert("RGB")), "ade20k")
    found = [(i, names[i & 255]) for i in np.unique(ids).tolist() if i & 255 in names]
    return Legend.from_entries([Entry((name,), code=i) for i, name in found], kind="ids", scheme="ade20k")


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write the full annotation: `<stem>_seg.png`, `<stem>.json` and the image side by side."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))
    names = Names.of(options.legend, first=1, most=25 * 256 + 255)
    with fresh_folder(folder):
        run(_jobs(frames, folder, options, written, names), options.workers)
    return written


def _jobs(
    frames: Iterable[AnyFrame], folder: Path, options: Writing, written: Written, names: Names
) -> Iterator[Callable[[], None]]:
    for frame, found in each_painted(frames, options, written.losses, prefer="ids"):
        split = {"train": "training", "val": "validation"}.get(str(frame.metadata.get("split") or options.split))
        place = folder / "images" / "ADE" / (split or safe_name(str(frame.metadata.get("split") or options.split)))
        stem = safe_name(frame.id)
        ids, objects = _ids(found, names, frame, written.losses)
        place_image(frame, place / stem, options.images, written.losses)
        text = {"annotation": {"filename": f"{stem}.jpg", "imsize": [*found.size_hw, 3], "object": objects}}
        yield partial(_save, place / f"{stem}_seg.png", ids, found, text)
        written.frames += 1


def _save(path: Path, ids: NDArray[np.uint32], found: Painted, text: dict[str, Any]) -> None:
    write_png(path, ids_to_samples(ids, "ade20k")[:, 0][found.data])
    _, boxes = kernels.count_boxes(found.data, len(found.items) + 1)
    for row in text["annotation"]["object"]:
        position = row.pop("position")
        x, y, w, h = boxes[position].tolist()
        crop = found.data[y : y + h, x : x + w] == position
        rings = [outer for outer, _ in outline(crop)] or [[0.0, 0.0]]
        largest = max(rings, key=area_of_ring)
        row["polygon"] = {"x": [x + v for v in largest[0::2]], "y": [y + v for v in largest[1::2]]}
    beside = path.with_name(path.name.removesuffix("_seg.png") + ".json")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(text), indent=1))


def _ids(found: Painted, names: Names, frame: SingleFrame, ledger: Ledger) -> tuple[Any, list[dict[str, Any]]]:
    """(items + 1, 1) ids class * 256 + instance, and the JSON of the objects."""
    table = names.table(found, ledger, f"frame {frame.id}")
    ids = np.zeros((len(found.items) + 1, 1), np.uint32)
    objects: list[dict[str, Any]] = []
    used: set[int] = set()
    for position, item in enumerate(found.items, 1):
        code = int(table[position])
        if not code:
            continue
        wanted = item.instance & 255 if item.instance < 256 else 0
        if item.instance and (not wanted or code << 8 | wanted in used):
            wanted = next((n for n in range(1, 256) if code << 8 | n not in used), 0)
            topic = "ids" if wanted else "size"
            ledger.add(topic, f"frame {frame.id}: {item.id} becomes instance {wanted} of {item.label!r}")
        used.add(code << 8 | wanted)
        ids[position] = code << 8 | wanted
        told = item.labels[1] if len(item.labels) > 1 else item.label
        name = {
            "id": len(objects),
            "name": item.label,
            "name_ndx": code,
            "raw_name": told,
            "attributes": [],
            "crop": "0",
        }
        parts = {"hasparts": [], "ispartof": [], "part_level": 0}
        objects.append({**name, "occluded": [], "parts": parts, "position": position})
    return ids, objects
