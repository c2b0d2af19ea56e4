"""ClearML's own client against our server: frames registered and iterated a second, from end to end.

The server is `smalti serve --clearml` as a user starts it, the client the unmodified package, each in a process of its
own; so both share the cores. What the client alone needs of them is kept beside: no server makes it faster than that.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bars import CANNOT_RUN, Bar, is_quick, save

HERE = Path(__file__).resolve().parent
FRAMES, TURNS, RUNS = 10_000, 3, 3


def main() -> None:
    if importlib.util.find_spec("clearml") is None:
        print("the client is missing: pip install clearml==2.1.12")
        raise SystemExit(CANNOT_RUN)
    quick = is_quick()
    runs = [run(1000 if quick else FRAMES) for _ in range(1 if quick else RUNS)]
    count = 1000 if quick else FRAMES

    def rates(name: str, which: int = 0) -> list[float]:
        return [count / took[which] for each in runs for step, took in each["client"].items() if step.startswith(name)]

    registered, iterated = rates("register"), rates("iterate")
    save(
        "clearml",
        "ClearML's client",
        [
            Bar(f"registration of {count:,} frames", statistics.median(registered), 2000, unit="frames/s", decimals=0),
            Bar(f"iteration over {count:,} frames", statistics.median(iterated), 5000, unit="frames/s", decimals=0),
            Bar(
                "the same, what the client's own CPU time allows",
                statistics.median(rates("iterate", 1)),
                unit="frames/s",
                decimals=0,
                note="no server makes it faster",
            ),
        ],
        quick=quick,
        about=f"The unmodified package, version {version()}, in a process of its own against `smalti serve --clearml` in "
        "another. A frame has a picture, a mask, three annotations and metadata. Medians of all runs.",
        runs=runs,
    )


def version() -> str:
    from importlib import metadata

    return metadata.version("clearml")


def run(count: int) -> dict[str, Any]:
    """Both processes once: the client's times, and the CPU seconds of the server."""
    with tempfile.TemporaryDirectory(prefix="smalti-bench-clearml-") as name:
        folder = Path(name)
        with serving(folder) as (variables, server):
            config = folder / "client.conf"
            config.write_text("sdk { development { report_use_subprocess: false } }")
            kept = {key: value for key, value in os.environ.items() if not key.startswith(("CLEARML", "TRAINS"))}
            own = {"CLEARML_CONFIG_FILE": str(config), "CLEARML_CACHE_DIR": str(folder / "cache")}
            command = [sys.executable, "-P", str(HERE / "clearml_client.py"), str(count), str(TURNS)]
            done = subprocess.run(
                command, env={**kept, **variables, **own}, cwd=folder, stdout=subprocess.PIPE, text=True, check=True
            )
            return {"client": json.loads(done.stdout.splitlines()[-1]), "server_cpu_s": cpu_of(server)}


@contextmanager
def serving(folder: Path) -> Iterator[tuple[dict[str, str], int]]:
    """The variables that a server prints, and its process id."""
    code = "import sys; from smalti.cli import main; main(sys.argv[1:])"
    options = ["--port", "0", "--no-browser", "--clearml"]
    command = [sys.executable, "-P", "-c", code, "serve", str(folder / "store"), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    found: dict[str, str] = {}
    try:
        for line in process.stdout:
            name, is_set, value = line.strip().removeprefix("export ").partition("=")
            if is_set and name.startswith("CLEARML_"):
                found[name] = value
            if len(found) == 5:
                break
        yield found, process.pid
    finally:
        process.terminate()
        process.communicate(timeout=30)


def cpu_of(process: int) -> float:
    """CPU seconds that a process has used so far; 0 where the system does not say."""
    stat = Path(f"/proc/{process}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
