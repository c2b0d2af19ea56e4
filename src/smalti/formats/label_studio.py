"""Label Studio: a JSON export of tasks with polygons, brushes and rectangles, in percent of the image.

Brushes are run lengths of Label Studio's own kind: of the RGBA bytes of the picture, bit-packed; alpha above 0 is
inside. They are nothing like COCO's.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from smalti.codecs.limits import DEFAULT_LIMITS
from smalti.codecs.rle import encode_rle
from smalti.errors import FrameError
from smalti.formats.building import box_roi, frame_of, polygon_roi, rle_roi
from smalti.formats.content import Shape, shapes, single_frames, size_of
from smalti.formats.files import Stems, contains, decode_json, first, raw_bytes, walk
from smalti.formats.losses import Ledger
from smalti.formats.output import JsonLists, fresh_folder, place_image, safe_name
from smalti.formats.protocol import AnyFrame, Detection, Reading, Writing, Written
from smalti.frames import SingleFrame
from smalti.parallel import ordered_map
from smalti.records import Roi

__all__ = ["LOOKS_LIKE", "SAYS", "decode_brush", "detect", "encode_brush", "read", "write"]

LOOKS_LIKE = "a JSON list of tasks with data, annotations and results in percent"
SAYS = frozenset({"instances", "ids", "overlap", "holes", "multi-label"})
_RLE_SIZES = (3, 4, 8, 16)


class _Result(msgspec.Struct):
    type: str
    value: dict[str, Any]
    id: str | None = None
    original_width: int | None = None
    original_height: int | None = None
    score: float | None = None


class _Annotation(msgspec.Struct):
    result: list[_Result] = []
    was_cancelled: bool = False


class _Task(msgspec.Struct):
    data: dict[str, Any]
    id: int | None = None
    annotations: list[_Annotation] = []
    predictions: list[_Annotation] = []


def _files(path: Path) -> Iterator[Path]:
    for file in [path] if path.is_file() else walk(path, (".json",)):
        if file.suffix == ".json" and contains(file, b'"result"', b'"data"') and _is_list(file):
            yield file


def _is_list(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(256).lstrip()[:1] == b"["


def detect(path: Path) -> Detection | None:
    """By the keys of a JSON list."""
    file = first(_files(path))
    return (
        None
        if file is None
        else Detection("label-studio", path, 0.9, (f"{file.name} is a list of tasks with results",))
    )


def read(path: Path, options: Reading | None = None) -> Iterator[SingleFrame]:
    """A frame per task, with the first annotation that was not cancelled; tasks are parsed one by one."""
    options = options or Reading()
    root = path if path.is_dir() else path.parent
    images: Stems | None = None
    decoder = msgspec.json.Decoder(_Task)
    for file in _files(path):
        images = images or Stems([options.images or root])
        for position, raw in enumerate(decode_json(file, list[msgspec.Raw], raw_bytes(file))):
            try:
                task = decoder.decode(raw)
            except msgspec.ValidationError as error:
                raise FrameError(f"{file}: task {position}: {error}") from None
            yield _frame(task, position, images, options)


def _frame(task: _Task, position: int, images: Stems, options: Reading) -> SingleFrame:
    uri = next((str(v) for k, v in task.data.items() if k in ("image", "img", "url") and v), "")
    name = _name_of(uri) or f"task-{task.id or position}"
    told = next((a for a in [*task.annotations, *task.predictions] if not a.was_cancelled), _Annotation())
    size = next(
        ((r.original_height, r.original_width) for r in told.result if r.original_height and r.original_width), None
    )
    rois = []
    for result in told.result:
        roi = _roi(result, name, options)
        if roi is not None:
            rois.append(roi)
    stem = name.rpartition(".")[0] or name
    meta: dict[str, Any] = {"file_name": name}
    return frame_of(stem, images.get(name) or uri, rois=rois, size_hw=size, meta=meta)


def _name_of(uri: str) -> str:
    """The file name in a URL of Label Studio: /data/local-files/?d=x/y.jpg, /data/upload/1/y.jpg, s3://…"""
    parts = urlsplit(uri)
    told = parse_qs(parts.query).get("d", [parts.path])[0]
    return unquote(told).rpartition("/")[2]


def _roi(result: _Result, name: str, options: Reading) -> Roi | None:
    value = result.value
    labels = next((v for k, v in value.items() if k.endswith("labels") and isinstance(v, list)), [])
    height, width = result.original_height or 0, result.original_width or 0
    facts: dict[str, Any] = {"roi_id": result.id, "confidence": result.score}
    if "points" in value and height:
        # A percentage is no pixel: 28.7 must not come back as 28.699999…, which the pixel rule rounds the other way.
        ring = [round(float(p[i]) * (height if i else width) / 100, 6) for p in value["points"] for i in (0, 1)]
        return polygon_roi([ring], labels, **facts) if len(ring) >= 6 else None
    if value.get("format") == "rle" and height:
        alpha = decode_brush(value["rle"], (height, width), where=name)
        inside = (alpha > 0).astype(np.uint8)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        box = (0.0, 0.0, 0.0, 0.0)
        if len(rows):
            box = (columns[0].item(), rows[0].item(), np.ptp(columns).item() + 1, np.ptp(rows).item() + 1)
        return rle_roi(encode_rle(inside), box, labels, **facts)
    if {"x", "y", "width", "height"} <= value.keys() and height:
        x, y, w, h = (
            float(value[k]) * s / 100 for k, s in (("x", width), ("y", height), ("width", width), ("height", height))
        )
        return box_roi((x, y, w, h), labels, **facts)
    if labels or "choices" in value:
        return Roi(label=list(labels or value["choices"]), id=result.id, meta={"_type": "im"})
    options.skip(f"{name}: a result of type {result.type} has no shape that is read")
    return None


def decode_brush(rle: Iterable[int], size_hw: tuple[int, int], *, where: str = "brush") -> NDArray[np.uint8]:
    """Label Studio's bytes → (H, W) uint8 alpha.

    Raises:
        FrameError: the bytes end early or are of another picture.
    """
    try:
        packed = np.array(list(rle), np.uint8)
    except (OverflowError, ValueError, TypeError) as error:
        raise FrameError(f"{where}: the run lengths are not bytes ({error})") from None
    bits = np.unpackbits(packed).tobytes()
    text = bits.translate(_TO_DIGITS).decode("ascii")
    if len(text) < 53:
        raise FrameError(f"{where}: the run lengths have {len(packed)} bytes; the header alone needs 7")
    total, word = int(text[:32], 2), int(text[32:37], 2) + 1
    sizes = [int(text[37 + 4 * i : 41 + 4 * i], 2) + 1 for i in range(4)]
    height, width = size_hw
    if total != height * width * 4:
        raise FrameError(
            f"{where}: the run lengths are of {total} bytes, {height}×{width} RGBA has {height * width * 4}"
        )
    DEFAULT_LIMITS.check_pixels(width, height, content_type="brush run lengths")
    flat = np.zeros(total, np.uint8)
    at, done = 53, 0
    try:
        while done < total:
            is_run, kind = text[at] == "1", int(text[at + 1 : at + 3], 2)
            at += 3 + sizes[kind]
            count = int(text[at - sizes[kind] : at], 2) + 1
            if is_run:
                flat[done : done + count] = int(text[at : at + word], 2) & 255
                at += word
            else:
                end = at + word * count
                flat[done : done + count] = [int(text[i : i + word], 2) & 255 for i in range(at, end, word)]
                at = end
            done += count
    except (IndexError, ValueError):
        raise FrameError(f"{where}: the run lengths end after {done} of {total} bytes") from None
    return np.ascontiguousarray(flat.reshape(height, width, 4)[..., 3])


_TO_DIGITS = bytes([48, 49]) + bytes(range(2, 256))


def encode_brush(mask: NDArray[Any]) -> list[int]:
    """(H, W) mask → Label Studio's bytes, as its converter writes them: every pixel is four bytes of 0 or 255."""
    flat = np.repeat((np.asarray(mask) != 0).reshape(-1), 4)
    edges = (
        np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]]) if flat.size else np.array([0])
    )
    parts = [f"{flat.size:032b}{7:05b}", *(f"{size - 1:04b}" for size in _RLE_SIZES)]
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        value = f"{255 if flat[begin] else 0:08b}"
        length = end - begin
        while length > 0:
            count = min(length, 1 << 16)
            kind = next(i for i, size in enumerate(_RLE_SIZES) if count <= 1 << size)
            parts.append(f"1{kind:02b}{count - 1:0{_RLE_SIZES[kind]}b}{value}")
            length -= count
    text = "".join(parts)
    text += "0" * (8 - len(text) % 8)
    return np.packbits(np.frombuffer(text.encode("ascii"), np.uint8) - 48).tolist()


def write(frames: Iterable[AnyFrame], folder: Path, options: Writing | None = None) -> Written:
    """Write tasks.json and `images/`: polygons of one ring as polygons, everything else as brushes."""
    options = options or Writing()
    written = Written(folder, 0, Ledger(SAYS))

    def one(frame: SingleFrame) -> tuple[SingleFrame, list[dict[str, Any]]]:
        found = list(shapes(frame, mask_id=options.mask_id))
        size = found[0].size_hw if found else size_of(frame)
        return frame, [_result(shape, size, i) for i, shape in enumerate(found)]

    with fresh_folder(folder), JsonLists(("tasks",)) as lists:
        for frame, results in ordered_map(one, single_frames(frames), workers=options.workers):
            written.losses.look(frame)
            stem = safe_name(frame.id)
            image = place_image(frame, folder / "images" / stem, options.images, written.losses)
            uri = image.relative_to(folder).as_posix() if image is not None else frame.source_record.uri
            uri = uri or f"images/{stem}.jpg"
            lists.add("tasks", {"id": written.frames + 1, "data": {"image": uri}, "annotations": [{"result": results}]})
            written.frames += 1
        lists.save_list("tasks", folder / "tasks.json")
    return written


def _result(shape: Shape, size: tuple[int, int], position: int) -> dict[str, Any]:
    height, width = size
    told = shape.roi.id if shape.roi is not None and shape.roi.mask is None else None
    number = str(shape.item.id) if shape.item is not None and shape.item.instance else None
    common: dict[str, Any] = {
        "id": told or number or f"r{position}",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
    }
    if len(shape.rings) == 1:
        ring = shape.rings[0]
        points = [[x * 100 / width, y * 100 / height] for x, y in zip(ring[0::2], ring[1::2], strict=True)]
        value: dict[str, Any] = {"points": points, "closed": True, "polygonlabels": list(shape.labels)}
        return {**common, "type": "polygonlabels", "value": value}
    value = {"format": "rle", "rle": encode_brush(shape.mask()), "brushlabels": list(shape.labels)}
    return {**common, "type": "brushlabels", "value": value}
