"""File bytes → class-index map, beside every rival, on real and synthetic masks. Writes results/masks.json.

    python benchmarks/masks.py              everything: three to six minutes
    python benchmarks/masks.py --quick      a few sets; nothing is written
    python benchmarks/masks.py VOC 2048     only sets whose name contains one of the words; nothing is written

Every rival's answer is checked against ours before anything is timed. Ids are compared up to their numbering.
"""

import math
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import groupby
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rivals
import smalti
from bars import Bar, is_quick, save
from clock import Times, machine, race
from data import Task, real_tasks, scene_tasks

OURS = "smalti"
LIMIT = "inflate + write"
BAR_RIVAL = "OpenCV + numba"
COMPARE = "Pillow + compare per colour"
QUICK = ("VOC", "CamVid", "2048×1024, Pillow")


def our_way(task: Task) -> Callable[[], smalti.LabelMap]:
    """The public function with the legend that a user has; where ids have to be found, no legend."""
    if task.scheme is not None:
        return lambda: smalti.decode_mask(task.data, None, scheme=task.scheme)
    if task.kind == "colors":
        legend = smalti.Legend({tuple(color): f"class {n}" for n, color in enumerate(task.colors.tolist())})
    else:
        legend = smalti.Legend({code: f"class {code}" for code in task.codes.tolist()}, kind="indices")
    return lambda: smalti.decode_mask(task.data, legend)


def is_same(task: Task, ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    """Equal; for ids: one to one."""
    if ours.shape != theirs.shape:
        return False
    if task.scheme is None:
        return np.array_equal(ours, theirs)
    pairs = np.unique(ours.astype(np.uint64) << np.uint64(32) | theirs.astype(np.uint64))
    return len(pairs) == len(np.unique(ours)) == len(np.unique(theirs))


def limit_of(task: Task) -> Callable[[], Any] | None:
    """What nobody can beat: libdeflate inflates the pixels into memory that is there, and the answer is written once."""
    try:
        import imagecodecs
    except ImportError:
        return None
    at, packed = 8, b""
    while at < len(task.data):
        size = int.from_bytes(task.data[at : at + 4], "big")
        if task.data[at + 4 : at + 8] == b"IDAT":
            packed += task.data[at + 8 : at + 8 + size]
        at += size + 12
    raw = bytearray(len(zlib.decompress(packed)))
    answer = np.ones(task.size_hw, task.labels.dtype)

    def run() -> Any:
        imagecodecs.deflate_decode(packed, out=raw)
        return answer.copy()

    return run


def measure(tasks: list[Task], others: dict[str, ModuleType]) -> Times:
    """All that can do every file of a set, checked and then timed in turn, each over all files; milliseconds a file."""
    ours = [our_way(task) for task in tasks]
    answers = [run().data for run in ours]
    contestants: dict[str, Callable[[], Any]] = {OURS: lambda: [run() for run in ours]}
    for label, rival in others.items():
        if tasks[0].scheme is not None and not getattr(rival, "finds_ids", False):
            continue  # they would have to be told what they are asked for
        try:
            state = rival.setup(tasks[0])
            theirs = [rival.run(state, task.data) for task in tasks]
        except rivals.Unfit:
            continue
        if not all(is_same(*three) for three in zip(tasks, answers, theirs, strict=True)):
            raise SystemExit(f"{tasks[0].group}: {label} and smalti differ; nothing is timed until they agree")
        contestants[label] = lambda rival=rival, state=state: [rival.run(state, task.data) for task in tasks]
    limits = [limit_of(task) for task in tasks]
    if all(limits):
        contestants[LIMIT] = lambda: [run() for run in limits if run is not None]
    times = race(contestants, budget_s=0.25)
    for found in times.values():
        found["cpu_ms"] /= len(tasks)
        found["wall_ms"] /= len(tasks)
    return times


def run_sets(words: list[str]) -> Iterator[dict[str, Any]]:
    """One row a set."""
    others = rivals.load()
    for group, tasks in groupby((task for make in (real_tasks, scene_tasks) for task in make()), lambda t: t.group):
        if words and not any(word in group for word in words):
            continue
        listed = list(tasks)
        times = measure(listed, others)
        best = min((name for name in times if name not in (OURS, LIMIT)), key=lambda name: times[name]["cpu_ms"])
        row = {
            "set": group,
            "kind": listed[0].kind,
            "found": listed[0].scheme is not None,
            "files": len(listed),
            "size_hw": listed[0].size_hw,
        }
        row |= {"bytes": sum(len(task.data) for task in listed) // len(listed), "best_rival": best, "times": times}
        ours = times[OURS]["cpu_ms"]
        print(
            f"{group:34s} {ours:8.3f} ms  {best} ×{times[best]['cpu_ms'] / ours:.2f}"
            + (f"  {BAR_RIVAL} ×{times[BAR_RIVAL]['cpu_ms'] / ours:.2f}" if BAR_RIVAL in times else "")
            + (f"  over limit {ours / times[LIMIT]['cpu_ms']:.2f}" if LIMIT in times else ""),
            flush=True,
        )
        yield row


def geometric_mean(values: list[float]) -> float:
    """Of ratios."""
    return math.exp(sum(map(math.log, values)) / len(values))


def bars(rows: list[dict[str, Any]]) -> list[Bar]:
    """What the issue of speed asks of sets of files."""

    def over(row: dict[str, Any], name: str) -> float:
        return float(row["times"][name]["cpu_ms"] / row["times"][OURS]["cpu_ms"])

    found = []
    ratios = [over(row, BAR_RIVAL) for row in rows if row["kind"] == "colors" and BAR_RIVAL in row["times"]]
    if ratios:
        what = f"RGB PNG → label map against {BAR_RIVAL}, geometric mean of {len(ratios)} sets"
        found.append(Bar(what, geometric_mean(ratios), 3, 5, unit="×"))
    behind = [(over(row, row["best_rival"]), row["set"]) for row in rows]
    slower = ", ".join(f"{name} ({ratio:.2f}×)" for ratio, name in behind if ratio < 1)
    closest = "closest: {1} ({0:.2f}×)".format(*min(behind))
    what = f"sets slower than the best rival on them, of {len(rows)}"
    found.append(Bar(what, sum(r < 1 for r, _ in behind), 0, 0, at_least=False, decimals=0, note=slower or closest))
    scenes = [row for row in rows if row["set"].startswith("synthetic 2048")]
    if scenes and COMPARE in scenes[0]["times"]:
        what = "against Pillow + compare per colour, 30 labels, 2048×1024"
        found.append(Bar(what, over(scenes[0], COMPARE), 60, 150, unit="×", decimals=0))
    limits = [1 / over(row, LIMIT) for row in scenes if LIMIT in row["times"]]
    if limits:
        what = "time over inflate + write, synthetic 2048×1024, the worst writer"
        found.append(Bar(what, max(limits), 4, 2, at_least=False, unit="×"))
    return found


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--quick"]
    quick = is_quick() or bool(words)
    start = machine()
    rows = list(run_sets(words or (list(QUICK) if quick else [])))
    save("masks", "File bytes → class-index map", bars(rows), quick=quick, machine=start, sets=rows)


if __name__ == "__main__":
    main()
