"""Write the tables of docs/performance.md and README.md from results/*.json.

Whatever stands between the markers is replaced; nothing else is touched. Numbers in prose would go stale.
"""

import json
import math
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS, LIMIT, ALONE = "smalti", "inflate + write", "PyAV, decoding alone"
RIVAL, COMPARE = "OpenCV + numba", "Pillow + compare per colour"
COLUMNS = (RIVAL, "OpenCV + NumPy table", "kornia-rs + numba", "imagecodecs + numba", "pyspng + numba")
SLOW = (
    "Pillow + NumPy table",
    COMPARE,
    "Pillow + np.unique",
    "kornia-rs + np.unique",
    "datumaro's way (rewritten)",
    "mmsegmentation's way (rewritten)",
)
Bar = tuple[str, str, str, str, str]
MET, MISSED = "met", "**missed**"


def read(name: str) -> dict[str, Any]:
    """One file of results."""
    found: dict[str, Any] = json.loads((HERE / "results" / f"{name}.json").read_text())
    return found


def cpu(times: dict[str, Any], name: str) -> float:
    """Median CPU milliseconds."""
    return float(times[name]["cpu_ms"])


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def ratio(value: float) -> str:
    """Two significant places are what such a measurement holds."""
    return f"{value:.0f}×" if value >= 20 else f"{value:.1f}×" if value >= 2 else f"{value:.2f}×"


def sets_table(sets: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    """Our milliseconds, and how many times longer each of `names` takes."""
    rows = []
    for row in sets:
        times = row["times"]
        others = [ratio(cpu(times, name) / cpu(times, OURS)) if name in times else "–" for name in names]
        limit = ratio(cpu(times, OURS) / cpu(times, LIMIT)) if LIMIT in times else "–"
        rows.append([row["set"], f"{row['files']}", f"{cpu(times, OURS):.2f} ms", limit, *others])
    return table(["set", "files", "smalti", "over the limit", *names], rows)


def bars(masks: dict[str, Any], again: dict[str, Any], clips: dict[str, Any]) -> list[Bar]:
    """(what, must, aim, measured, what became of the must)."""
    sets, kept, found = masks["sets"], again["kept"]["times"], []

    def bar(what: str, must: float, aim: float, value: float, *, at_least: bool = True, decimals: int = 2) -> None:
        sign = "≥" if at_least else "≤"
        met = value >= must if at_least else value <= must
        found.append((what, f"{sign} {must:g}", f"{sign} {aim:g}", f"{value:.{decimals}f}", MET if met else MISSED))

    logs = [
        math.log(cpu(s["times"], RIVAL) / cpu(s["times"], OURS))
        for s in sets
        if s["kind"] == "colors" and RIVAL in s["times"]
    ]
    bar(
        f"RGB PNG → label map against {RIVAL}, geometric mean of {len(logs)} sets",
        3,
        5,
        math.exp(sum(logs) / len(logs)),
    )
    behind = [(s["set"], cpu(s["times"], s["best_rival"]) / cpu(s["times"], OURS)) for s in sets]
    slower = [f"{name} ({value:.2f}×)" for name, value in behind if value < 1]
    what = f"sets slower than the best rival on them, of {len(sets)}"
    found.append(
        (what, "0", "0", f"{len(slower)}" + (f": {', '.join(slower)}" if slower else ""), MISSED if slower else MET)
    )
    first = next(s["times"] for s in sets if s["set"].startswith("synthetic 2048"))
    bar(
        "against Pillow + compare per colour, 30 labels, 2048×1024",
        60,
        150,
        cpu(first, COMPARE) / cpu(first, OURS),
        decimals=0,
    )
    over = [cpu(s["times"], OURS) / cpu(s["times"], LIMIT) for s in sets if s["set"].startswith("synthetic 2048")]
    bar("time over inflate + write, synthetic 2048×1024, the worst writer", 4, 2, max(over), at_least=False)
    bar(f"kept map against {RIVAL}", 25, 50, cpu(kept, RIVAL) / cpu(kept, "kept map"), decimals=0)
    bar(
        "512×512 crop of a kept 2048×1024 map against the whole",
        4,
        8,
        cpu(kept, "kept map") / cpu(kept, "kept crop 512×512"),
    )
    speed = cpu(clips["times"], ALONE) / cpu(clips["times"], OURS)
    bar("mask video, sequential, nearest, as a share of the speed of decoding alone", 0.6, 0.9, speed)
    bar("masks a second with two threads against one", 1.8, 1.8, again["threads"]["scaling"])
    if found[-1][4] == MISSED and again["threads"]["load"] > again["machine"]["cores"]:
        told = f"{found[-1][3]} at a load of {again['threads']['load']}"
        found[-1] = (*found[-1][:3], told, "**not shown**: the machine was busy")
    ours = next((m for m in again["memory"] if m["label"] == OURS), None)
    if ours is not None:
        beyond = ours["beyond_inflated_bytes"]
        told = f"{max(0, ours['extra_bytes']) / 1e6:.1f} MB beyond input and result"
        what = "extra memory beyond the inflated stream, 4096×2160"
        found.append(
            (what, "≤ 2 rows + 64 KiB", "streaming inflate", told, MET if beyond <= 2 * 3 * 4096 + 65536 else MISSED)
        )
    bar(
        "`import smalti` against `import numpy`",
        1.5,
        1.2,
        again["imports"]["smalti_ms"] / again["imports"]["numpy_ms"],
        at_least=False,
    )
    return found


def bars_table(found: list[Bar]) -> str:
    """Bars with what was measured; a miss is said."""
    rows = [list(row) for row in found]
    return table(["what", "must", "aim", "measured", "must is"], rows)


def again_tables(again: dict[str, Any], clips: dict[str, Any]) -> str:
    """Kept maps, memory, threads, import, video."""
    kept = again["kept"]["times"]
    rows = [
        [name, f"{cpu(kept, name):.2f} ms", ratio(cpu(kept, RIVAL) / cpu(kept, name))] for name in kept if name != RIVAL
    ]
    text = "### Kept maps, 2048×1024, 30 labels\n\n" + table(["", "time", f"against {RIVAL}"], rows)
    memory = [[m["label"], f"{max(0, m['extra_bytes']) / 1e6:.1f} MB"] for m in again["memory"]]
    if memory:
        size = again["memory"][0]["inflated_bytes"] / 1e6
        text += f"\n### Memory beyond input and result, one 4096×2160 RGB mask ({size:.1f} MB inflated)\n\n"
        text += (
            table(["", "at its peak"], memory)
            + "\nResident size as the kernel counts it, to a quarter of a megabyte.\n"
        )
    threads = again["threads"]
    text += f"\n### Many masks at once\n\n`decode_masks` on {again['machine']['cores']} cores, time on the wall: "
    text += f"{threads['per_s']['1']:.0f} masks of 2048×1024 a second with one thread, {threads['per_s']['2']:.0f} with two; "
    text += f"{threads['scaling']:.2f}× as the median of paired runs, {threads['best_scaling']:.2f}× in the best pair. "
    text += f"The machine's load average was {threads['load']} then: other work takes from the second thread first.\n"
    known = again["imports"]
    text += "\n### Import, CPU time beyond the interpreter's own start\n\n"
    names = (
        ("numpy_ms", "import numpy"),
        ("smalti_ms", "import smalti"),
        ("smalti_decode_mask_ms", "import smalti; smalti.decode_mask"),
    )
    text += table(["", "time"], [[f"`{line}`", f"{known[key]:.0f} ms"] for key, line in names])
    times, frames = clips["times"], clips["frames"]
    height, width = clips["size_hw"]
    text += f"\n### Mask video, {clips['name']} {width}×{height}, H.264 4:2:0 crf 18, {frames} pictures, one thread, nearest\n\n"
    rows = [[n, f"{cpu(times, n) / frames:.2f} ms", f"{cpu(times, ALONE) / cpu(times, n):.2f}"] for n in times]
    text += table(["", "a picture", "share of the speed of decoding alone"], rows)
    agree = ", ".join(f"{name} {share:.2%}" for name, share in clips["agree"].items())
    return text + f"\nPixels that agree with smalti (conversions to RGB round differently): {agree}.\n"


def performance(masks: dict[str, Any], again: dict[str, Any], clips: dict[str, Any]) -> str:
    """What stands between the markers of docs/performance.md."""
    told, same = masks["machine"], [s for s in masks["sets"] if not s["found"]]
    libraries = ", ".join(f"{name} {version}" for name, version in masks["versions"].items())
    text = f"Machine: {told['cores']} cores, {told['cpu']}, {told['system']}, Python {told['python']}; {libraries}. "
    text += "One thread; contestants take turns in one loop and the medians of their CPU time are compared, so that "
    text += "other work on the machine counts little. Every answer was checked to be the same before it was timed "
    text += "(of lossy clips: nearly the same).\n\n"
    text += "## Bars\n\n" + bars_table(bars(masks, again, clips))
    text += "\n## File bytes → class-index map\n\nMilliseconds a file, and how many times longer the others take "
    text += "(below 1: they are faster). The limit is libdeflate's inflate into memory that is there plus one write of "
    text += "the answer. Tables of 2²⁴ colours are made before the clock starts.\n\n"
    text += sets_table(same, COLUMNS) + "\n" + sets_table(masks["sets"], SLOW)
    text += "\n“Ids found”: nobody is told the ids; they are found in the mask, so lookup tables cannot take part.\n"
    return text + "\n## Reading again\n\n" + again_tables(again, clips)


def measured(masks: dict[str, Any], again: dict[str, Any], clips: dict[str, Any]) -> str:
    """The short table of the README."""
    names = (RIVAL, "kornia-rs + numba", COMPARE)
    some = [
        s
        for s in masks["sets"]
        if not s["found"] and (not s["set"].startswith("synthetic") or s["set"].endswith(", Pillow"))
    ]
    rows = []
    for row in some:
        times = row["times"]
        rows.append(
            [row["set"], f"{cpu(times, OURS):.2f} ms"]
            + [ratio(cpu(times, n) / cpu(times, OURS)) if n in times else "–" for n in names]
        )
    text = "File bytes → class-index map, one thread; how many times longer the others take on the same files:\n\n"
    text += table(["", "smalti", *names], rows)
    return (
        text + "\nAll rivals, the limit, memory, video, and what misses its bar: [performance](docs/performance.md).\n"
    )


def rewrite(path: Path, marker: str, text: str) -> None:
    """Replace what stands between two markers."""
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    page = path.read_text()
    if begin not in page or end not in page:
        raise SystemExit(f"{path.name} has no {begin} … {end}")
    before, rest = page.split(begin, 1)
    path.write_text(f"{before}{begin}\n{text}{end}{rest.split(end, 1)[1]}")


def main() -> None:
    found = read("masks"), read("again"), read("clips")
    rewrite(ROOT / "docs" / "performance.md", "tables", performance(*found))
    rewrite(ROOT / "README.md", "bench", measured(*found))


if __name__ == "__main__":
    main()
