"""How it is measured: contestants take turns in one loop, medians of CPU time, and a word about the machine.

CPU time of the process (all of its threads) and not the time on the wall: other work on the machine makes what runs
long wait and what runs short not, which would flatter the faster. Both are kept in the results.
"""

import math
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["Times", "machine", "race", "versions"]

Times = dict[str, dict[str, float]]
"""By contestant: `cpu_ms` and `wall_ms`, medians, and `runs`."""

_BUDGET_S = 0.3
_BURST_S = 0.003
_TURNS = (2, 15)


def race(contestants: Mapping[str, Callable[[], Any]], *, budget_s: float = _BUDGET_S) -> Times:
    """Run all in turn, again and again, the order shuffled each time; short ones in bursts, as in a loop over files.

    A slow one drops out when it has used its budget, after two turns.
    """
    cpu: dict[str, list[float]] = {name: [] for name in contestants}
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    bursts = {name: max(1, math.ceil(_BURST_S / _once(run))) for name, run in contestants.items()}
    order = list(contestants)
    shuffled = random.Random(7)
    for turn in range(_TURNS[1]):
        shuffled.shuffle(order)
        for name in order:
            run, burst = contestants[name], bursts[name]
            if turn >= _TURNS[0] and sum(wall[name]) * burst / 1e3 > budget_s:
                continue
            start, start_cpu = time.perf_counter(), time.process_time()
            for _ in range(burst):
                run()
            cpu[name].append((time.process_time() - start_cpu) / burst * 1e3)
            wall[name].append((time.perf_counter() - start) / burst * 1e3)
    return {
        name: {
            "cpu_ms": statistics.median(cpu[name]),
            "wall_ms": statistics.median(wall[name]),
            "runs": len(cpu[name]) * bursts[name],
        }
        for name in contestants
    }


def _once(run: Callable[[], Any]) -> float:
    """Seconds of the second run; the first compiles loops and loads libraries."""
    start = time.perf_counter()
    run()
    if (first := time.perf_counter() - start) > 1:
        return first
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def machine() -> dict[str, Any]:
    """Cores, CPU family, system and Python: enough to compare, nothing that tells whose machine it is."""
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":", 1)[1].strip() if lines else model
    return {
        "cores": os.cpu_count(),
        "cpu": model,
        "system": platform.system(),
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Of the package and of everything that it is compared with."""
    names = ("smalti", "numpy", "pillow", "av", "opencv-python-headless", "numba", "imagecodecs", "pyspng", "kornia-rs")
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if "smalti" not in found:
        import smalti

        found["smalti"] = smalti.__version__
    return found
