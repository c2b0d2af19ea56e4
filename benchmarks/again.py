"""Everything but the first reading: kept maps, crops, many at once, memory, import. Writes results/again.json.

python benchmarks/again.py [--quick]
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import memory
import rivals
import smalti
from bars import Bar, is_quick, save
from clock import machine, race
from data import Task, scene_tasks
from masks import BAR_RIVAL, OURS, our_way
from smalti.kept import KeptMaps, using

SIZE_HW = (1024, 2048)
CROPS = "kept crop 512×512"
# All over the map: a crop costs what its part of the picture holds.
BOXES_XYWH = [(x, y, 512, 512) for y in (0, 237, 512) for x in (0, 500, 1001, 1536)]


def kept_maps(task: Task) -> dict[str, Any]:
    """A kept map whole, a crop of it, and the same through a frame, beside decoding the file."""
    folder = Path(tempfile.mkdtemp(prefix="smalti-bench-"))
    try:
        shelf = KeptMaps(folder / "kept")
        decode = our_way(task)
        legend, answer = decode().legend, decode().data
        key = shelf.key(task.data, legend)
        shelf.put(key, decode())
        (folder / "mask.png").write_bytes(task.data)
        frame = smalti.SingleFrame(str(folder / "mask.png"), mask_source=str(folder / "mask.png"))
        old = time.time() - 60  # a file that was written this moment is hashed each time
        os.utime(folder / "mask.png", (old, old))

        def through() -> smalti.LabelMap:
            with using(shelf):
                return frame.label_map(legend=legend)

        assert np.array_equal(_got(shelf.get(key)), answer)
        for x, y, width, height in BOXES_XYWH:
            crop = _got(shelf.get(key, (x, y, width, height)))
            assert np.array_equal(crop, answer[y : y + height, x : x + width])
        assert np.array_equal(through().data, answer)
        contestants: dict[str, Callable[[], Any]] = {
            "kept map": lambda: shelf.get(key),
            CROPS: lambda: [shelf.get(key, box) for box in BOXES_XYWH],
            "kept map through a frame": through,
            OURS: decode,
        }
        for label, rival in rivals.load(("opencv_numba", "kornia_numba")).items():
            state = rival.setup(task)
            assert np.array_equal(rival.run(state, task.data), answer)
            contestants[label] = lambda rival=rival, state=state: rival.run(state, task.data)
        times = race(contestants, budget_s=1.0)
        for spent in ("cpu_ms", "wall_ms"):
            times[CROPS][spent] /= len(BOXES_XYWH)
        return {"size_hw": task.size_hw, "times": times}
    finally:
        shutil.rmtree(folder)


def _got(found: smalti.LabelMap | None) -> Any:
    assert found is not None, "a map that was just put is not there"
    return found.data


def threads(task: Task, count: int = 96, rounds: int = 9) -> dict[str, Any]:
    """Masks a second with one thread and with two, in turn: as a clock on the wall sees it, and with cores of their own.

    The second leaves out what the workers waited for a core that somebody else had, which Linux counts for each thread;
    what the thread that hands out took from them is put back. Waiting for the interpreter or for work counts in both.
    """
    legend = our_way(task)().legend
    spent: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, found in spent.items():
            found.append(_pass(task, legend, workers, count))
    wall = [one[0] / two[0] for one, two in zip(spent[1], spent[2], strict=True)]
    own = [one[1] / two[1] for one, two in zip(spent[1], spent[2], strict=True)]
    return {
        "per_s": {str(workers): count / statistics.median(row[1] for row in found) for workers, found in spent.items()},
        "scaling": statistics.median(own),
        "wall_scaling": statistics.median(wall),
        "best_wall_scaling": max(wall),
        "load": round(os.getloadavg()[0], 1),
    }


def _pass(task: Task, legend: smalti.Legend, workers: int, count: int) -> tuple[float, float]:
    """Seconds for `count` masks on the wall, and with a core for each worker."""
    warm = 8 * workers
    maps = smalti.decode_masks(((task.data, legend) for _ in range(count + 3 * warm)), workers=workers)
    for _ in range(warm):
        next(maps)
    before, start = _by_thread(), time.perf_counter()
    for _ in range(count):
        next(maps)
    wall, after = time.perf_counter() - start, _by_thread()
    for _ in maps:
        pass
    if not after:
        return wall, wall
    waited = [after[n][1] - before[n][1] for n in after if n.startswith("smalti")]
    has_spare_core = workers < (os.cpu_count() or 1)
    handing_out = 0 if has_spare_core else after["MainThread"][0] - before["MainThread"][0]
    return wall, wall - sum(waited) / workers + handing_out / workers


def _by_thread() -> dict[str, tuple[float, float]]:
    """Seconds that each thread of this process has run, and waited for a core; empty where the system cannot tell."""
    found = {}
    for thread in threading.enumerate():
        try:
            fields = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()
        except OSError:
            continue
        found[thread.name] = (int(fields[0]) / 1e9, int(fields[1]) / 1e9)
    return found


def imports(rounds: int = 9) -> dict[str, float]:
    """CPU milliseconds of `import …` in a new interpreter, without the interpreter's own start; medians."""
    lines = {"": "pass", "numpy": "import numpy", "smalti": "import smalti", "use": "import smalti; smalti.decode_mask"}
    spent: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(rounds + 1):
        for name, line in lines.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", line], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent[name].append((after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3)
    middle = {name: statistics.median(values[1:]) for name, values in spent.items()}
    return {
        "numpy_ms": middle["numpy"] - middle[""],
        "smalti_ms": middle["smalti"] - middle[""],
        "smalti_decode_mask_ms": middle["use"] - middle[""],
        "interpreter_ms": middle[""],
    }


def bars(found: dict[str, Any]) -> list[Bar]:
    """What the issue of speed asks of everything but the first reading."""
    kept, threads, imports_ms = found["kept"]["times"], found["threads"], found["imports"]

    def against(one: str, other: str) -> float:
        return float(kept[one]["cpu_ms"] / kept[other]["cpu_ms"])

    lines = []
    if BAR_RIVAL in kept:
        lines.append(Bar(f"kept map against {BAR_RIVAL}", against(BAR_RIVAL, "kept map"), 25, 50, unit="×", decimals=0))
    what = "512×512 crop of a kept 2048×1024 map against the whole"
    lines.append(Bar(what, against("kept map", CROPS), 4, 8, unit="×"))
    what = "masks a second with two threads against one, a core each"
    note = f"{threads['wall_scaling']:.2f} with what others took of the cores, at a load of {threads['load']}"
    lines.append(Bar(what, threads["scaling"], 1.8, 1.8, unit="×", note=note))
    ours = next((m for m in found["memory"] if m["label"] == OURS), None)
    what, rows = "extra memory beyond the inflated stream, 4096×2160, two rows and 64 KiB allowed", 2 * 3 * 4096 + 65536
    if ours is not None:
        beyond = max(0, ours["beyond_inflated_bytes"])
        note = f"streaming: {max(0, ours['extra_bytes']) / 1e6:.1f} MB beyond input and result"
        lines.append(Bar(what, beyond / 1024, rows / 1024, at_least=False, unit="KiB", decimals=0, note=note))
    ratio = imports_ms["smalti_ms"] / imports_ms["numpy_ms"]
    lines.append(Bar("`import smalti` against `import numpy`", ratio, 1.5, 1.2, at_least=False, unit="×"))
    return lines


def main() -> None:
    start, quick = machine(), is_quick()
    task = next(scene_tasks((SIZE_HW,)))
    found = {
        "kept": kept_maps(task),
        "threads": threads(task, rounds=2 if quick else 9),
        "imports": imports(2 if quick else 9),
        "memory": memory.measure_all(),
    }
    save("again", "Reading again, many at once, memory, import", bars(found), quick=quick, machine=start, **found)


if __name__ == "__main__":
    main()
