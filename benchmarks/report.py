"""Write the tables of docs/performance.md and README.md from results/*.json.

Whatever stands between the markers is replaced; nothing else is touched. Numbers in prose would go stale.
"""

import json
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
FIRST = ("masks", "again", "clips", "lossy_masks")
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


def bar_row(bar: dict[str, Any]) -> list[str]:
    """One line of a table of bars; a miss is said."""
    value, sign = bar["value"], "≥" if bar["at_least"] else "≤"
    unit = bar["unit"] if bar["unit"] in ("", "×", "%") else f" {bar['unit']}"
    marks = ["–" if mark is None else f"{sign} {mark:g}{unit}" for mark in (bar["must"], bar["aim"])]
    measured = "not measured" if value is None else f"{value:,.{bar['decimals']}f}{unit}"
    if bar["note"]:
        measured += f" ({bar['note']})"
    if value is None or bar["must"] is None:
        verdict = "–"
    else:
        verdict = MET if (value >= bar["must"] if bar["at_least"] else value <= bar["must"]) else MISSED
    return [bar["what"], *marks, measured, verdict]


def bars_tables() -> str:
    """A table for each file of results that has bars: masks first, then by name."""
    names = sorted(path.stem for path in (HERE / "results").glob("*.json"))
    text = ""
    for name in sorted(names, key=lambda name: ((*FIRST, name).index(name), name)):
        found = read(name)
        if isinstance(found, dict) and found.get("bars"):
            about = f"{found['about']}\n\n" if found.get("about") else ""
            rows = [bar_row(bar) for bar in found["bars"]]
            head = ["what", "must", "aim", "measured", "must is"]
            text += f"\n### {found['title']}\n\n{about}{table(head, rows)}"
    return text


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
    text += f"\n### Many masks at once\n\n`decode_masks` on {again['machine']['cores']} cores: "
    text += f"{threads['per_s']['1']:.0f} masks of 2048×1024 a second with one thread, {threads['per_s']['2']:.0f} with two: "
    text += (
        f"{threads['scaling']:.2f}× as the median of paired runs, without the time that other work on the machine took "
    )
    text += (
        f"of the cores; with it {threads['wall_scaling']:.2f}×, {threads['best_wall_scaling']:.2f}× in the best pair, "
    )
    text += f"at a load average of {threads['load']}.\n"
    known = again["imports"]
    text += "\n### Import, CPU time beyond the interpreter's own start\n\n"
    names = (
        ("numpy_ms", "import numpy"),
        ("smalti_ms", "import smalti"),
        ("smalti_decode_mask_ms", "import smalti; smalti.decode_mask"),
    )
    text += table(["", "time"], [[f"`{line}`", f"{known[key]:.0f} ms"] for key, line in names])
    for clip in clips["clips"]:
        times, frames = clip["times"], clip["frames"]
        height, width = clip["size_hw"]
        text += f"\n### Mask video, {clip['name']}, {width}×{height}, H.264 4:2:0 crf 18, {frames} pictures, one thread, nearest\n\n"
        rows = [[n, f"{cpu(times, n) / frames:.2f} ms", f"{cpu(times, ALONE) / cpu(times, n):.2f}"] for n in times]
        text += table(["", "a picture", "share of the speed of decoding alone"], rows)
        agree = ", ".join(f"{name} {share:.2%}" for name, share in clip["agree"].items())
        text += f"\nPixels that agree with smalti (conversions to RGB round differently): {agree}.\n"
    return text


def performance(masks: dict[str, Any], again: dict[str, Any], clips: dict[str, Any]) -> str:
    """What stands between the markers of docs/performance.md."""
    told, same = masks["machine"], [s for s in masks["sets"] if not s["found"]]
    libraries = ", ".join(f"{name} {version}" for name, version in masks["versions"].items())
    text = f"Machine: {told['cores']} cores, {told['cpu']}, {told['system']}, Python {told['python']}; {libraries}. "
    text += "One thread; contestants take turns in one loop and the medians of their CPU time are compared, so that "
    text += "other work on the machine counts little. Every answer was checked to be the same before it was timed "
    text += "(of lossy clips: nearly the same).\n\n"
    text += "## Bars\n" + bars_tables()
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
