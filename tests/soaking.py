"""Counts of the long runs (`make soak`), kept as data beside the results of the benchmarks, and in their shape."""

import json
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["record"]

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "soak.json"


def record(run: str, *, wrong: dict[str, int], of: str) -> None:
    """Put the counts of one run into `benchmarks/results/soak.json`, in place of those of its last time.

    Args:
        run: what was done.
        wrong: what must not happen → how often it did.
        of: out of how much, in words.
    """
    kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"bars": []}
    new = [
        {
            "what": f"{run}: {what}",
            "value": count,
            "must": 0,
            "aim": None,
            "at_least": False,
            "unit": "",
            "decimals": 0,
            "note": of,
        }
        for what, count in wrong.items()
    ]
    bars = [bar for bar in kept["bars"] if not bar["what"].startswith(f"{run}: ")] + new
    machine = {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
    kept = {
        "title": "Safety of the store: the long runs",
        "about": "`make soak`: processes are killed with SIGKILL at random moments, or race on one draft.",
        "machine": machine,
        "bars": sorted(bars, key=lambda bar: str(bar["what"])),
    }
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    print(f"\n{run}: {', '.join(f'{count} {what}' for what, count in wrong.items())}, of {of}")
