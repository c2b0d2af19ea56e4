"""Other people's layouts against their bars: python benchmarks/formats.py [--images N] [--quick].

Import of COCO instances against Datumaro (its interpreter in $SMALTI_DATUMARO_PYTHON; left out without), panoptic PNG →
segments against the published NumPy way, polygons → masks against pycocotools. Seeded; nothing is downloaded.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bars import Bar, save
from clock import machine
from smalti.convert import ids_to_samples, panoptic_segments, png_bytes
from smalti.formats import choose, load
from smalti.polygons import rasterise_many, runs_of_polygons

OBJECTS = 7
CATEGORIES = 80

_DATUMARO = """
import sys, time
import datumaro
start = time.perf_counter()
found = datumaro.Dataset.import_from(sys.argv[1], "coco_instances")
count = objects = 0
for item in found:
    count += 1
    objects += len(item.annotations)
seconds = time.perf_counter() - start
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(count, objects, seconds, peak.split()[1])
"""


def star(draw: np.random.Generator, size_hw: tuple[int, int]) -> list[float]:
    """A polygon of 12 to 60 corners around a centre, as people draw them."""
    corners = int(draw.integers(12, 60))
    centre = draw.random(2) * (size_hw[1], size_hw[0])
    angles = np.sort(draw.random(corners) * 2 * np.pi)
    radii = (draw.random() * 70 + 12) * (0.7 + 0.3 * draw.random(corners))
    points = np.stack([centre[0] + radii * np.cos(angles), centre[1] + radii * np.sin(angles)], axis=1)
    return np.round(points.clip(0, (size_hw[1], size_hw[0])), 2).ravel().tolist()


def write_coco(folder: Path, images: int) -> Path:
    """COCO instances with `images` pictures that do not exist and seven objects each."""
    draw = np.random.default_rng(0)
    shapes = [star(draw, (480, 640)) for _ in range(2000)]
    rows: list[dict[str, Any]] = []
    for number in range(images * OBJECTS):
        ring = shapes[number * 31 % len(shapes)]
        box = [min(ring[0::2]), min(ring[1::2]), max(ring[0::2]) - min(ring[0::2]), max(ring[1::2]) - min(ring[1::2])]
        rows.append(
            {
                "id": number + 1,
                "image_id": number * 7919 % images + 1,
                "category_id": number % CATEGORIES + 1,
                "segmentation": [ring],
                "area": box[2] * box[3],
                "bbox": box,
                "iscrowd": 0,
            }
        )
    listed = [{"id": i + 1, "file_name": f"{i + 1:012d}.jpg", "height": 480, "width": 640} for i in range(images)]
    names = [{"id": i + 1, "name": f"thing{i:02d}", "supercategory": ""} for i in range(CATEGORIES)]
    path = folder / "annotations" / "instances_train.json"
    path.parent.mkdir(parents=True)
    (folder / "images" / "train").mkdir(parents=True)  # Datumaro wants the folder, if not the pictures
    path.write_text(
        json.dumps({"info": {}, "licenses": [], "images": listed, "annotations": rows, "categories": names})
    )
    return path


def imports(images: int) -> list[dict[str, Any]]:
    """Seconds and peak memory of the import, ours and Datumaro's, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_coco(Path(folder), images)
        runs = [("smalti", [sys.executable, __file__, "--read", folder])]
        rival = os.environ.get("SMALTI_DATUMARO_PYTHON")
        if rival:
            runs.append(("datumaro", [rival, "-c", _DATUMARO, folder]))
        found = []
        for name, command in runs:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            frames, objects, seconds, kilobytes = done.stdout.split()[-4:]
            found.append(
                {
                    "who": name,
                    "frames": int(frames),
                    "objects": int(objects),
                    "s": float(seconds),
                    "peak_mb": int(kilobytes) / 1024,
                }
            )
        return found


def read(folder: str) -> None:
    """What the child process does."""
    start = time.perf_counter()
    seen = choose(Path(folder))
    frames = objects = 0
    for frame in load(seen.format).read(seen.path):
        frames += 1
        objects += len(frame.record.rois)
    seconds = time.perf_counter() - start
    # Not ru_maxrss: a child inherits the peak of the process that started it.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(frames, objects, seconds, peak.split()[1])


def best(work: Callable[[], Any], times: int = 7) -> float:
    """Milliseconds of processor time of the quickest of several runs: one thread, whoever else is on the machine."""
    shortest = float("inf")
    for _ in range(times):
        start = time.process_time()
        work()
        shortest = min(shortest, time.process_time() - start)
    return shortest * 1000


def panoptic() -> dict[str, float]:
    """A 1024×2048 panoptic PNG of 60 segments → ids, areas and boxes."""
    import io

    from PIL import Image

    draw = np.random.default_rng(0)
    seeds = draw.random((60, 2)) * (1024, 2048)
    rows, columns = np.mgrid[0:1024:4, 0:2048:4]
    nearest = ((rows[..., None] - seeds[:, 0]) ** 2 + (columns[..., None] - seeds[:, 1]) ** 2).argmin(axis=2)
    ids = draw.integers(1, 1 << 24, 60).astype(np.uint32)[np.kron(nearest, np.ones((4, 4), np.int64))]
    samples = ids_to_samples(ids, "coco")
    data = png_bytes(samples)

    def published() -> Any:
        pixels = np.array(Image.open(io.BytesIO(data)), dtype=np.uint32)
        packed = pixels[:, :, 0] + 256 * pixels[:, :, 1] + 256 * 256 * pixels[:, :, 2]
        return np.unique(packed, return_counts=True)

    return {"rgb2id + unique (ms)": best(published), "smalti, with boxes (ms)": best(lambda: panoptic_segments(data))}


def polygons() -> dict[str, float]:
    """2000 polygons, seven to a picture of 480×640, into masks and into run lengths."""
    from pycocotools import mask as coco

    draw = np.random.default_rng(0)
    groups = [[[star(draw, (480, 640))] for _ in range(OBJECTS)] for _ in range(2000 // OBJECTS)]

    def theirs() -> None:
        for group in groups:
            for rings in group:
                coco.decode(coco.merge(coco.frPyObjects(rings, 480, 640)))

    def their_runs() -> None:
        for group in groups:
            for rings in group:
                coco.merge(coco.frPyObjects(rings, 480, 640))

    return {
        "pycocotools masks (ms)": best(theirs, 5),
        "smalti masks (ms)": best(lambda: [rasterise_many(g, (480, 640)) for g in groups], 5),
        "pycocotools run lengths (ms)": best(their_runs, 5),
        "smalti run lengths (ms)": best(lambda: [runs_of_polygons(g, (480, 640)) for g in groups], 5),
    }


def bars(rows: list[dict[str, Any]], ids: dict[str, float], rings: dict[str, float]) -> list[Bar]:
    """What the issue of layouts asks."""
    ours, theirs = rows[0], next((row for row in rows if row["who"] == "datumaro"), None)
    ratio = None if theirs is None else theirs["s"] / ours["s"] * ours["frames"] / theirs["frames"]
    note = "" if theirs else "SMALTI_DATUMARO_PYTHON names an interpreter that has it"
    return [
        Bar(f"import of {ours['frames']:,} COCO pictures' annotations against Datumaro", ratio, 3, unit="×", note=note),
        Bar("peak memory of that import", ours["peak_mb"], unit="MB", at_least=False, decimals=0),
        Bar(
            "panoptic PNG → segments against rgb2id + np.unique",
            ids["rgb2id + unique (ms)"] / ids["smalti, with boxes (ms)"],
            5,
            unit="×",
        ),
        *(
            Bar(
                f"polygons → {what} against pycocotools",
                rings[f"pycocotools {what} (ms)"] / rings[f"smalti {what} (ms)"],
                1,
                unit="×",
            )
            for what in ("masks", "run lengths")
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--quick", action="store_true", help="A tenth of the images; nothing is written.")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(given.read)
        return
    start = machine()
    rows, ids, rings = imports(given.images // 10 if given.quick else given.images), panoptic(), polygons()
    save(
        "formats",
        "Other people's layouts",
        bars(rows, ids, rings),
        quick=given.quick,
        about="Seeded data; the quickest of several runs, processor time.",
        machine=start,
        **{"import": rows, "panoptic": ids, "polygons": rings},
    )


if __name__ == "__main__":
    main()
