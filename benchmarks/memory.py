"""Memory beyond input and result while one mask is read, each contestant in a process of its own. Linux only.

    python benchmarks/memory.py             all, as JSON

The kernel keeps the highest resident size of a process and can be asked to forget it (/proc/self/clear_refs). A small
mask is read first, so that libraries are loaded and loops are compiled; then the difference is taken over one big one.
"""

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import rivals
from data import scene_tasks
from masks import OURS, our_way

CONTESTANTS = ("smalti", "opencv_numba", "kornia_numba", "pillow_compare", "pillow_unique")
SIZE_HW = (2160, 4096)


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def measure(name: str) -> dict[str, Any]:
    """Bytes of one contestant, in this process."""
    small, big = next(scene_tasks(((64, 64),))), next(scene_tasks((SIZE_HW,)))
    if name == "smalti":
        label, warm, run = OURS, our_way(small), our_way(big)
    else:
        module = next(iter(rivals.load((name,)).values()))
        first, state = module.setup(small), module.setup(big)
        label, warm, run = module.label, lambda: module.run(first, small.data), lambda: module.run(state, big.data)
    warm()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    answer = run()
    peak = _status("VmHWM") - before
    result = answer.data.nbytes if name == "smalti" else answer.nbytes
    height, width = SIZE_HW
    inflated = height * (1 + 3 * width)
    return {
        "label": label,
        "extra_bytes": peak - result,
        "inflated_bytes": inflated,
        "beyond_inflated_bytes": peak - result - inflated,
    }


def measure_all() -> list[dict[str, Any]]:
    """Every contestant that is installed and where the system can tell; empty elsewhere."""
    found = []
    for name in CONTESTANTS:
        child = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=False)
        if child.returncode == 0:
            found.append(json.loads(child.stdout.splitlines()[-1]))
        else:
            print(f"memory of {name} is not known: {(child.stderr.strip().splitlines() or ['?'])[-1]}")
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1]) if sys.argv[1:] else measure_all()))
