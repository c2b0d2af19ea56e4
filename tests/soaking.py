"""Counts of the long runs (`make soak`), kept as data beside the results of the benchmarks."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["record"]

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "soak.json"


def record(run: str, **counts: Any) -> None:
    """Put the counts of one run into `benchmarks/results/soak.json`, beside those of the other runs."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    machine = {"python": platform.python_version(), "system": platform.platform(), "processors": os.cpu_count()}
    kept[run] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **machine, **counts}
    RESULTS.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
    print(f"\n{run}: {', '.join(f'{name} {value}' for name, value in counts.items())}")
