"""A store made from the demo's street, and a server on it: what browser tests and screenshots look at."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

import smalti
from smalti.demo import LEGEND, Street, write_demo
from smalti.records import Frame, Preview
from smalti.server.auth import hash_password
from smalti.store import open_store
from smalti.store.rows import UserRow

__all__ = ["PASSWORD", "STRANGE_COLOR", "TOKEN", "USER", "Scene", "build_store", "served"]

TOKEN = "a-standing-token-for-tests-only-0123456789"
USER, PASSWORD = "ada", "a password for tests only"
STRANGE_COLOR = (12, 200, 90)
"""A colour that no legend explains; it fills a known rectangle of the frame "mixed"."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where things are.

    Attributes:
        folder: images, masks and clips, as `smalti demo` writes them.
        store: URI of the store.
    """

    folder: Path
    store: str

    def labels(self, frame: str) -> np.ndarray:
        """(H, W) uint8 entry numbers of the class mask of a street frame, drawn anew: the truth."""
        number = int(frame.rpartition("_")[2])
        return Street().at(number * 0.8).labels


def build_store(folder: Path) -> Scene:
    """Write the demo, and a store with two datasets on it."""
    scene = Scene(folder / "street", str(folder / "store"))
    write_demo(scene.folder)
    lines = (scene.folder / "frames.jsonl").read_bytes().splitlines()
    frames = [_absolute(smalti.read_frame(line).record, scene.folder) for line in lines]
    for frame in frames:
        shares = np.bincount(scene.labels(frame.id).ravel(), minlength=len(LEGEND) + 1) / scene.labels(frame.id).size
        frame.meta["embedding"] = shares.round(5).tolist()
    frames += [
        _absolute(smalti.read_frame((scene.folder / "clip.json").read_bytes()).record, scene.folder),
        _mixed(scene.folder),
        _group(scene.folder),
    ]
    store = open_store(scene.store)
    street = store.create_dataset(
        "street", "city", description="A synthetic street: cars, people, trees.", tags=["demo", "masks"]
    )
    v1 = street.create_version("v1", description="Eight stills, a clip, a mixed frame and a group.")
    v1.add_frames(frames)
    v1.compute_facts()
    v1.publish("errors", force=True)
    v2 = v1.child("v2")
    v2.set_metadata({"camera": {"height_m": 1.4, "fov": 90}, "reviewed_by": ["ada"], "purpose": "lane changes"})
    changed = v2.get_record("street_03")
    changed.sources[0].masks[0].uri = frames[4].sources[0].masks[0].uri
    changed.rois = changed.rois[:-1]
    v2.update_frames([changed])
    v2.delete_frames(["street_07"])
    lot = store.create_dataset("parking", description="Three frames to begin with.", tags=["demo"])
    lot.create_version("v1").add_frames(frames[:3])
    store.catalog.add_user(UserRow(name=USER, role="annotator", password=hash_password(PASSWORD)))
    store.close()
    return scene


def _absolute(record: Frame, folder: Path) -> Frame:
    for source in record.sources:
        source.uri = str(folder / source.uri)
        for mask in source.masks:
            mask.uri = str(folder / mask.uri)
    return record


def _mixed(folder: Path) -> Frame:
    """Every kind of shape, a colour that the legend lacks, and an alpha mask."""
    moment = Street().at(2.0)
    colors = moment.colors.copy()
    colors[20:60, 30:110] = STRANGE_COLOR
    Image.fromarray(colors).save(folder / "masks" / "mixed.png")
    rows, columns = np.ogrid[: colors.shape[0], : colors.shape[1]]
    glow = np.clip(255 - np.hypot(columns - 420, rows - 150) * 1.2, 0, 255).astype(np.uint8)
    Image.fromarray(glow).save(folder / "masks" / "mixed_alpha.png")
    Image.fromarray(moment.image).save(folder / "images" / "mixed.jpg", quality=90)
    frame = smalti.SingleFrame(
        str(folder / "images" / "mixed.jpg"),
        id="mixed",
        width=640,
        height=360,
        content_type="image/jpeg",
        masks_source={"seg": str(folder / "masks" / "mixed.png"), "glow": str(folder / "masks" / "mixed_alpha.png")},
        context_id="mixed",
        metadata={"city": "Ravenna", "hour": 17, "sensor": {"name": "front", "fov": 90}},
    )
    frame.source_record.masks[1].encoding = "alpha"
    Image.fromarray(moment.image).resize((320, 180)).convert("L").save(folder / "images" / "mixed_preview.jpg")
    frame.source_record.preview = Preview(str(folder / "images" / "mixed_preview.jpg"), content_type="image/jpeg")
    for entry in LEGEND:
        frame.add_annotation(mask_rgb=entry.color, mask_id="seg", labels=list(entry.labels))
    frame.add_annotation(box2d_xywh=[60, 190, 120, 90], labels=["car"], confidence=0.92)
    frame.add_annotation(poly2d_xy=[300, 60, 380, 90, 360, 170, 290, 150], labels=["tree"], confidence=0.55)
    frame.add_annotation(ellipse2d_xyrrt=[480, 240, 70, 30, 0.4], labels=["person"], confidence=0.31)
    frame.add_annotation(points2d_xy=[520, 80, 550, 95, 575, 70], labels=["pole"])
    frame.add_annotation(frame_class=["evening"])
    return frame.record


def _group(folder: Path) -> Frame:
    """Two cameras at one moment."""
    front, rear = (
        msgspec.convert(msgspec.json.decode(line), Frame)
        for line in (folder / "frames.jsonl").read_bytes().splitlines()[1:3]
    )
    front, rear = _absolute(front, folder), _absolute(rear, folder)
    front.sources[0].id, rear.sources[0].id = "front", "rear"
    for roi in front.rois:
        roi.sources = ["front"] if roi.mask is None else []
    return Frame(
        id="rig/0001", context_id="rig", timestamp=0, sources=[front.sources[0], rear.sources[0]], rois=front.rois
    )


@contextmanager
def served(scene: Scene, *, prefix: str = "") -> Iterator[str]:
    """`smalti serve` on a free port, as its own process; gives the origin, e.g. http://localhost:40123."""
    command = [sys.executable, "-c", "from smalti.cli.serve import serve; serve()", scene.store]
    command += ["--port", "0", "--no-browser", "--token", TOKEN, "--allow-root", str(scene.folder)]
    if prefix:
        command += ["--prefix", prefix]
    cache = Path(scene.store).parent / "cache"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": str(cache)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    said: list[str] = []
    drain = threading.Thread(target=lambda: said.extend(process.stderr or []), daemon=True)
    drain.start()
    try:
        origin = ""
        for line in process.stdout or []:
            found = re.search(r"(http://[^/\s]+)", line)
            if found:
                origin = found[1]
                break
        if not origin:
            process.wait(10)
            drain.join(2)
            raise RuntimeError("the server did not start: " + "".join(said)[-2000:])
        yield origin
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        drain.join(2)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
