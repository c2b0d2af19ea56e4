"""The store against its bars: python benchmarks/store.py [--frames N] [--quick] [--folder DIR].

Synthetic frames with five ROIs each: 30 labels with Zipf's frequencies, every third ROI with two labels, half of the
ROIs in a mask. The rival is DuckDB, which inserts the very same Arrow batches into a file of its own and checkpoints it;
the two take turns in one run. DuckDB is asked for less: no unique ids, no rules to check, no columns for queries, no
versions. How fast it is depends on the size of the batches, so three sizes are measured and the bar is held against each:
small ones, those in which pyarrow reads Parquet, and DuckDB's own row groups. Other figures, without a bar, give DuckDB the
rows that our table holds, ready made with the columns that queries use, or a primary key; and one shows how fast the
engine alone writes those rows to files, which is as fast as a load could be that does nothing else.
"""

import argparse
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bars import CANNOT_RUN, Bar, save
from smalti import wire
from smalti.parallel import available_cores
from smalti.records import Frame, Mask, Roi, RoiMask, Source
from smalti.store import open_store
from smalti.store.adopt import made_rows
from smalti.store.schema import TRUTH, to_rows

MILLION = 1_000_000
QUICK = 40_000
CHUNK = 1 << 16
"""Rows of a batch, as pyarrow reads Parquet."""
SIZES = {"small": 16_384, "usual": CHUNK, "large": 122_880}
"""Rows of a batch: the last are DuckDB's own row groups, which it writes as they come."""
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
    """Truth rows: 65,536 different frames, again and again under new ids and contexts."""
    pattern = to_rows(frames(0, min(count, CHUNK)))
    for start in range(0, count, CHUNK):
        rows = pattern.slice(0, min(CHUNK, count - start))
        numbers = range(start, start + len(rows))
        rows = rows.set_column(0, TRUTH.field(0), pa.array([f"frame-{n:012d}" for n in numbers]))
        yield rows.set_column(1, TRUTH.field(1), pa.array([f"drive-{n // 1000:06d}" for n in numbers]))


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the action returned."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def times_ms(action: Callable[[], Any], times: int = 9) -> list[float]:
    """Several runs, in milliseconds, sorted."""
    return sorted(timed(action)[0] * 1000 for _ in range(times))


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# --------------------------------------------------------------------------------------------------------- loads
def loads(store: Any, count: int, folder: Path, turns: int) -> dict[str, float]:
    """Arrow batches into a version of ours and into DuckDB, in turns; the last version is kept as data@v1."""
    given = list(batches(count))
    tables = {
        "": pa.Table.from_batches(given).combine_chunks(),
        "_whole": pa.Table.from_batches([_whole(rows) for rows in given]).combine_chunks(),
    }
    found: dict[str, float] = {}
    for name, size in sorted(SIZES.items(), key=lambda item: item[1] == CHUNK):
        rows = tables[""].to_batches(size)
        times: dict[str, list[float]] = {}
        for turn in range(turns):
            is_last = size == CHUNK and turn == turns - 1
            version = store.create_dataset("data" if is_last else f"{name}{turn}").create_version("v1")
            _add(times, "arrow", lambda version=version, rows=rows: version.add_arrow(rows))
            if len(version) != count:
                raise RuntimeError(f"{count - len(version)} frames are missing")
            if name == "large":
                _add(times, "engine", lambda version=version: _engine(version, tables["_whole"]))
            for kind, table in tables.items():
                again = table.to_batches(size)
                _add(times, f"duckdb{kind}", lambda again=again: _duckdb(again, folder / "rival.duckdb"))
            if not is_last:
                version.dataset.delete(force=True)
        found |= {f"load_{what}_of_{name}_batches_s": statistics.median(times[what]) for what in times}
    found["load_duckdb_with_key_s"] = timed(lambda: _duckdb(rows, folder / "key.duckdb", key=True))[0]
    return found


def _whole(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows as our table holds them, with the columns that queries use."""
    made, failed = made_rows(rows)
    if made is None or failed:
        raise RuntimeError(f"{len(failed)} frames failed")
    return made


def _engine(version: Any, whole: pa.Table) -> None:
    """Our rows, ready made, to files that no version ever has: the engine's part of a load, in as many threads."""
    with version.writing() as branch, ThreadPoolExecutor(available_cores() + 1) as pool:
        list(pool.map(lambda rows: branch.write_files([rows]), whole.to_batches(CHUNK)))


def _add(times: dict[str, list[float]], what: str, action: Callable[[], Any]) -> None:
    """Seconds on the wall, and of the processor."""
    cpu = time.process_time()
    seconds, failed = timed(action)
    if failed:
        raise RuntimeError(f"{len(failed)} frames failed")
    times.setdefault(what, []).append(seconds)
    times.setdefault(f"{what}_cpu", []).append(time.process_time() - cpu)


def _duckdb(rows: list[pa.RecordBatch], path: Path, *, key: bool = False) -> None:
    import duckdb

    connection = duckdb.connect(str(path))
    connection.register("rows", pa.Table.from_batches(rows))
    connection.execute("CREATE TABLE frames AS SELECT * FROM rows LIMIT 0")
    if key:
        connection.execute("ALTER TABLE frames ADD PRIMARY KEY (id)")
    connection.execute("INSERT INTO frames SELECT * FROM rows")
    connection.execute("CHECKPOINT")
    connection.close()
    path.unlink()


_LOAD_LINES = """
import json, resource, sys, time
from smalti.parallel import available_cores
from smalti.store import open_store
version = open_store(sys.argv[1]).create_dataset("lines").create_version("v1")
start = time.perf_counter()
failed = version.import_file(sys.argv[2])
seconds = time.perf_counter() - start
if failed or len(version) != int(sys.argv[3]):
    sys.exit(f"{len(failed)} lines failed")
own = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss: that of a new process begins with the size of the process that started it.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
read = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = own.ru_utime + own.ru_stime + read.ru_utime + read.ru_stime
peak = int(status["VmHWM"].split()[0]) + min(4, available_cores()) * read.ru_maxrss
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak / 1024}))
"""


def lines(count: int, folder: Path) -> dict[str, float]:
    """JSON-lines through records, in a fresh process: speed, and peak memory of it and its workers together."""
    path = folder / "frames.jsonl"
    with path.open("wb") as file:
        file.writelines(_texts(count))
    command = [sys.executable, "-c", _LOAD_LINES, str(folder / "lines"), str(path), str(count)]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    path.unlink()
    found = msgspec.json.decode(said)
    return {
        "load_jsonl_frames_per_s": count / found["seconds"],
        "load_jsonl_cpu_us": found["cpu"] / count * 1e6,
        "load_jsonl_peak_mb": found["peak_mb"],
    }


def _texts(count: int) -> Iterator[bytes]:
    """The frames of `batches` as lines: the same texts again and again under new ids and contexts."""
    kept = []
    for frame in frames(0, min(count, CHUNK)):
        line = wire.dump_line(frame)
        kept.append((line, f'"{frame.id}"'.encode(), f'"{frame.context_id}"'.encode()))
    for number in range(count):
        line, id_, context = kept[number % len(kept)]
        yield line.replace(id_, b'"frame-%012d"' % number, 1).replace(context, b'"drive-%06d"' % (number // 1000), 1)


# ---------------------------------------------------------------------------------------------------- everything else
def children(data: Any, folder: Path, count: int, edited: int) -> dict[str, float]:
    """Children of a published version, edits in one of them, the diff, and saves of single frames."""
    names = iter(f"child{number}" for number in range(100))
    data["v1"].child(next(names))
    before = size_of(folder)
    child_ms = times_ms(lambda: data["v1"].child(next(names)))
    found = {"child_ms": statistics.median(child_ms), "child_bytes": (size_of(folder) - before) / len(child_ms)}
    child = data["child0"]
    draw = random.Random(1)
    ids = [f"frame-{number:012d}" for number in draw.sample(range(count), edited)]
    changed = [msgspec.structs.replace(frame, blob="edited") for frame in data["v1"].get_many(ids)]
    found["upsert_1000_s"] = timed(lambda: child.add_frames(changed))[0]
    found["diff_1000_ms"] = statistics.median(times_ms(lambda: data.diff("v1", "child0"), 15))
    if len(data.diff("v1", "child0").changed) != edited:
        raise RuntimeError("the diff is wrong")
    saves = sorted(timed(lambda frame=frame: child.update_frame(frame))[0] * 1000 for frame in changed[:100])
    return found | {"save_p50_ms": saves[50], "save_p95_ms": saves[95]}


def reads(version: Any, count: int) -> dict[str, float]:
    """Full frames by id, many and one, and all in order."""
    draw = random.Random(2)
    picks = [[f"frame-{number:012d}" for number in draw.sample(range(count), 1000)] for _ in range(7)]
    many = statistics.median(timed(lambda ids=ids: version.get_many(ids))[0] for ids in picks)
    some = min(20_000, count)
    ordered = timed(lambda: [frame for frame, _ in zip(version.records(), range(some), strict=False)])[0]
    return {
        "read_1000_frames_per_s": 1000 / many,
        "read_one_ms": statistics.median(times_ms(lambda: version.get_record(picks[0][0]))),
        "records_per_s": some / ordered,
    }


def opening(folder: Path) -> dict[str, float]:
    """A store with 200 datasets opened and listed: after import, and in a fresh process with all imports."""
    store = open_store(folder / "many")
    for number in range(200):
        store.create_dataset(f"set{number:03d}")
    store.close()
    after = statistics.median(times_ms(lambda: len(open_store(folder / "many").datasets()), 5))
    code = "import sys, smalti.store; print(len(smalti.store.open_store(sys.argv[1]).datasets()))"
    command = [sys.executable, "-c", code, str(folder / "many")]
    cold = statistics.median(times_ms(lambda: subprocess.run(command, check=True, capture_output=True), 5))
    bare = statistics.median(times_ms(lambda: subprocess.run([sys.executable, "-c", ""], check=True), 5))
    return {"open_and_list_200_ms": after, "open_and_list_200_with_imports_ms": cold - bare}


def run(count: int, folder: Path, turns: int) -> dict[str, float]:
    """All measurements, by name."""
    found = opening(folder)
    store = open_store(folder / "store")
    found |= loads(store, count, folder, turns)
    data = store["data"]
    found["publish_s"] = timed(data["v1"].publish)[0]
    found["bytes_per_frame"] = size_of(folder / "store") / count
    found |= children(data, folder / "store", count, min(1000, count // 2))
    found |= reads(data["v1"], count)
    small = open_store(folder / "small").create_dataset("data")
    small.create_version("v1").add_arrow(batches(10_000))
    small["v1"].publish()
    few = children(small, folder / "small", 10_000, 1000)
    found |= {f"{name}_of_10k": few[name] for name in ("child_ms", "child_bytes", "diff_1000_ms")}
    found |= lines(count, folder)
    found["peak_mb_of_this_process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def bars(found: dict[str, float], count: int) -> list[Bar]:
    """What the bars say of the measurements."""
    size = f"{count:,} frames"

    def over(name: str, kind: str, must: float | None = None) -> Bar:
        ours, rival = (found[f"load_{what}_of_{name}_batches_s"] for what in ("arrow", f"duckdb{kind}"))
        columns = "rows ready made as our table holds them" if kind else "the same rows"
        what = f"the same over DuckDB's insert of {columns}, batches of {SIZES[name]:,}"
        return Bar(what, rival / ours, must, unit="×", note=f"{count / ours:,.0f}/s, DuckDB {count / rival:,.0f}/s")

    arrow, key = found["load_arrow_of_usual_batches_s"], found["load_duckdb_with_key_s"]
    alone, large = found["load_engine_of_large_batches_s"], found["load_duckdb_of_large_batches_s"]

    def most(what: str, name: str, must: float | None, unit: str, scale: float = 1) -> Bar:
        return Bar(what, found[name] / scale, must, at_least=False, unit=unit, decimals=1)

    return [
        Bar(f"load of {size} from Arrow", count / arrow, 200_000, unit="frames/s", decimals=0),
        over("small", "", 2),
        over("usual", "", 2),
        over("large", "", 2),
        over("small", "_whole"),
        over("usual", "_whole"),
        over("large", "_whole"),
        Bar("the same over DuckDB's insert of the same rows with a primary key", key / arrow, unit="×"),
        Bar(
            f"files of ready made rows by the engine alone over DuckDB's insert of the same rows, batches of {SIZES['large']:,}",
            large / alone,
            unit="×",
            note=f"{count / alone:,.0f}/s",
        ),
        Bar(f"load of {size} from JSON-lines", found["load_jsonl_frames_per_s"], 40_000, unit="frames/s", decimals=0),
        most("peak memory of that, with its workers", "load_jsonl_peak_mb", 1024, "MB"),
        most("disk, with indices", "bytes_per_frame", 700, "bytes/frame"),
        most(f"child of a version of {size}", "child_ms", 20, "ms"),
        most("child of a version of 10,000 frames", "child_ms_of_10k", 20, "ms"),
        most("what a child takes on disk", "child_bytes", 64, "KB", 1024),
        most(f"diff of 1,000 changes in {size}", "diff_1000_ms", 50, "ms"),
        most("save of one frame with fsync, p95", "save_p95_ms", 150, "ms"),
        Bar("1,000 random full frames", found["read_1000_frames_per_s"], 4000, unit="frames/s", decimals=0),
        most("open a store and list 200 datasets", "open_and_list_200_ms", 150, "ms"),
        most("the same in a fresh process, with all imports", "open_and_list_200_with_imports_ms", None, "ms"),
    ]


def main() -> None:
    """Measure, print and keep; exit code 0 whatever the figures are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=MILLION, help="other than a million: nothing is kept")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} frames and one turn; nothing is kept")
    parser.add_argument("--turns", type=int, default=3, help="loads of each side; medians count")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    given = parser.parse_args()
    try:
        import duckdb  # noqa: F401
    except ImportError:
        print("benchmarks/store.py compares with DuckDB: install requirements/bench.txt")
        raise SystemExit(CANNOT_RUN) from None
    count = QUICK if given.quick else given.frames
    folder = Path(tempfile.mkdtemp(prefix="smalti-bench-", dir=given.folder))
    try:
        found = run(count, folder, 1 if given.quick else given.turns)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, value in found.items():
        print(f"{name:34} {value:14,.1f}")
    save(
        "store",
        "The store",
        bars(found, count),
        quick=given.quick or count != MILLION,
        about="Synthetic frames with 5 ROIs each. DuckDB inserts the same Arrow batches into a file and checkpoints it; its speed "
        "depends on their size, so the bar is held against three. Loads take turns, medians count. Times are on the wall.",
        results=found,
    )


if __name__ == "__main__":
    main()
