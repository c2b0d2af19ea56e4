"""The store against its bars: python -m benchmarks.store [--frames N] [--json FILE].

Synthetic frames with five ROIs each: 30 labels with Zipf's frequencies, every third ROI with two labels, half of the
ROIs in a mask. One process; the rival (DuckDB) inserts the same Arrow rows in the same run.
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from smalti import wire
from smalti.records import Frame, Mask, Roi, RoiMask, Source
from smalti.store import open_store
from smalti.store.schema import TRUTH, from_rows, to_rows

CHUNK = 16384
LABELS = [f"label{i:02d}" for i in range(30)]
WEIGHTS = [1 / (i + 1) for i in range(30)]


def frames(start: int, count: int, seed: int = 0) -> list[Frame]:
    """Frames number `start` and following; the same for the same seed."""
    draw = random.Random(seed * 1_000_003 + start)
    return [_frame(number, draw) for number in range(start, start + count)]


def _frame(number: int, draw: random.Random) -> Frame:
    place = f"{number // 1000:06d}/{number % 1000:06d}.png"
    mask = Mask(id="seg", uri=f"s3://bucket/masks/{place}", content_type="image/png")
    source = Source(
        id="default",
        uri=f"s3://bucket/front/{place}",
        content_type="image/png",
        width=1920,
        height=1080,
        masks=[mask],
    )
    return Frame(
        id=f"frame-{number:012d}",
        context_id=f"drive-{number // 1000:06d}",
        timestamp=number % 1000 * 33,
        sources=[source],
        rois=[_roi(number, position, draw) for position in range(5)],
        meta={
            "city": draw.choice(("bremen", "ulm", "bonn", "kiel")),
            "date": f"2024-{draw.randrange(1, 13):02d}-{draw.randrange(1, 29):02d}",
            "speed": round(draw.random() * 30, 2),
        },
    )


def _roi(number: int, position: int, draw: random.Random) -> Roi:
    labels = list(dict.fromkeys(draw.choices(LABELS, WEIGHTS, k=1 + (draw.random() < 0.3))))
    common: dict[str, Any] = {"label": labels, "id": f"{number}-{position}", "sources": ["default"]}
    if position % 2:
        value = RoiMask(id="seg", value=[draw.randrange(256) for _ in range(3)])
        return Roi(**common, mask=value, confidence=1, meta={"_type": "mask"})
    corners = [draw.randrange(19200) / 10 for _ in range(8)]
    return Roi(**common, poly=corners, confidence=round(draw.random(), 3), meta={"_type": "p2d"})


def batches(count: int) -> Iterator[pa.RecordBatch]:
    """Truth rows: 50,000 different frames, again and again under new ids and contexts."""
    pattern = [to_rows(frames(start, CHUNK)) for start in range(0, min(count, 3 * CHUNK), CHUNK)]
    for start in range(0, count, CHUNK):
        rows = pattern[start // CHUNK % len(pattern)].slice(0, min(CHUNK, count - start))
        numbers = range(start, start + len(rows))
        rows = rows.set_column(0, TRUTH.field(0), pa.array([f"frame-{n:012d}" for n in numbers]))
        yield rows.set_column(1, TRUTH.field(1), pa.array([f"drive-{n // 1000:06d}" for n in numbers]))


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the action returned."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def median_ms(action: Callable[[], Any], times: int = 7) -> float:
    """The median of several runs, in milliseconds."""
    return statistics.median(timed(action)[0] for _ in range(times)) * 1000


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def run(count: int, folder: Path) -> dict[str, float]:
    """All measurements, by name."""
    found: dict[str, float] = {}
    store = open_store(folder / "store")
    data = store.create_dataset("data")
    first = data.create_version("v1")
    rows = list(batches(count))
    seconds, failed = timed(lambda: first.add_arrow(rows))
    if failed or len(first) != count:
        raise RuntimeError(f"{len(failed)} frames failed, {len(first)} are there")
    found["load_arrow_frames_per_s"] = count / seconds
    found["load_duckdb_frames_per_s"] = count / timed(lambda: _duckdb(rows, folder / "rival.duckdb"))[0]
    found["publish_s"] = timed(first.publish)[0]
    found["bytes_per_frame"] = size_of(folder / "store") / count
    _children(data, count, folder, found)
    _reads(data["v1"], count, found)
    _lines(store, min(count, 200_000), folder, found)
    return found


def _duckdb(rows: list[pa.RecordBatch], path: Path) -> None:
    import duckdb

    connection = duckdb.connect(str(path))
    connection.register("rows", pa.Table.from_batches(rows))
    connection.execute("CREATE TABLE frames AS SELECT * FROM rows")
    connection.execute("CHECKPOINT")
    connection.close()


def _children(data: Any, count: int, folder: Path, found: dict[str, float]) -> None:
    before = size_of(folder / "store")
    names = iter(f"child{number}" for number in range(100))
    found["child_ms"] = median_ms(lambda: data["v1"].child(next(names)))
    found["child_bytes"] = (size_of(folder / "store") - before) / 7
    child = data["child0"]
    draw = random.Random(1)
    ids = [f"frame-{number:012d}" for number in draw.sample(range(count), 1000)]
    edited = [msgspec.structs.replace(frame, blob="edited") for frame in data["v1"].get_many(ids)]
    found["upsert_1000_s"] = timed(lambda: child.add_frames(edited))[0]
    found["diff_1000_ms"] = median_ms(lambda: data.diff("v1", "child0"))
    if len(data.diff("v1", "child0").changed) != 1000:
        raise RuntimeError("the diff is wrong")
    saves = sorted(timed(lambda frame=frame: child.update_frame(frame))[0] for frame in edited[:60])
    found["save_p50_ms"], found["save_p95_ms"] = saves[30] * 1000, saves[57] * 1000


def _reads(version: Any, count: int, found: dict[str, float]) -> None:
    draw = random.Random(2)
    picks = [[f"frame-{number:012d}" for number in draw.sample(range(count), 1000)] for _ in range(4)]
    found["read_1000_frames_per_s"] = 1000 / min(timed(lambda ids=ids: version.get_many(ids))[0] for ids in picks)
    found["read_one_ms"] = median_ms(lambda: version.get_record(picks[0][0]))
    found["records_per_s"] = (
        20_000 / timed(lambda: [f for f, _ in zip(version.records(), range(20_000), strict=False)])[0]
    )


def _lines(store: Any, count: int, folder: Path, found: dict[str, float]) -> None:
    path = folder / "frames.jsonl"
    with path.open("wb") as file:
        for rows in batches(count):
            file.writelines(wire.dump_line(frame) for frame in from_rows(rows))
    version = store.create_dataset("lines").create_version("v1")
    found["load_jsonl_frames_per_s"] = count / timed(lambda: version.import_file(path))[0]
    found["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _opening(folder: Path) -> float:
    store = open_store(folder / "many")
    for number in range(200):
        store.create_dataset(f"set{number:03d}")
    store.close()
    return median_ms(lambda: len(open_store(folder / "many").datasets()), 3)


def main() -> None:
    """Measure and print; exit code 0 whatever the figures are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="smalti-bench-", dir=given.folder))
    try:
        found = run(given.frames, folder) | {"open_and_list_200_ms": _opening(folder)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, value in found.items():
        print(f"{name:28} {value:14,.1f}")
    if given.json:
        about = {
            "frames": given.frames,
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
        given.json.write_text(json.dumps({"about": about, "results": found}, indent=1))


if __name__ == "__main__":
    main()
