"""Queries against their bars: python benchmarks/query.py [--frames N] [--folder DIR] [--quick].

The frames are those of `benchmarks.store`, with pixel counts of one mask each. The rival (DuckDB) holds the same ROIs as
a nested column of its own file, once as they are and once with labels and confidences only; all take turns in one loop,
so that other work on the machine slows all. Every answer is compared with the rival's before it is timed. With --folder the store is kept there
and found again by the next run.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from benchmarks.bars import Bar, save
from benchmarks.clock import race
from benchmarks.store import batches

from smalti.facts import MaskFacts
from smalti.query.match import matches
from smalti.query.parse import parse
from smalti.query.rules import LabelRule
from smalti.store import open_store
from smalti.store.derive import derive, facts_columns
from smalti.store.loading import load_rows
from smalti.store.schema import DERIVED, from_rows
from smalti.view import DataView

SIZE_HW = (1080, 1920)
A, B, RANGED, MASKED = "label02", "label05", "label03", "label04"
PX = [name for name in DERIVED.names if name.startswith("px_")]
FACTS_REPEAT = 5
"""Counts are made for the first batches and used again: what is looked for in them does not care."""

BARS_MS = {"label A and not B in one ROI": 10, "count range and confidence range": 400, "mask share": 50}
FIRST_FRAME_MS, TIMES_RIVAL = 200, 20


def facts(rows: pa.RecordBatch, seed: int) -> list[list[MaskFacts]]:
    """Pixel counts of the one mask of each frame: the labels of its mask ROIs, and what they leave."""
    draw = random.Random(seed)
    total = SIZE_HW[0] * SIZE_HW[1]
    found = []
    for frame in from_rows(rows):
        left, pixels = total, {}
        for roi in frame.rois:
            if roi.mask is not None:
                pixels[roi.label[0]] = draw.randrange(int(left * draw.random() ** 3) + 1)
                left -= pixels[roi.label[0]]
        found.append(
            [MaskFacts(source="default", mask="seg", size_hw=SIZE_HW, mode="P", codec="png", pixels=pixels, void=left)]
        )
    return found


def rows_with_facts(count: int) -> Iterator[pa.RecordBatch]:
    """Whole rows, as the writer makes them."""
    kept: list[list[pa.Array]] = []
    for number, truth in enumerate(batches(count)):
        rows = derive(truth)
        if number < FACTS_REPEAT:
            kept.append(facts_columns(facts(truth, number)))
        for name, column in zip(PX, kept[number % FACTS_REPEAT], strict=True):
            at = rows.schema.get_field_index(name)
            rows = rows.set_column(at, rows.schema.field(at), column.slice(0, len(rows)))
        yield rows


def make(folder: Path, count: int) -> None:
    """The published version `data@v1`, and the rival's file beside it."""
    data = open_store(folder / "store").create_dataset("data")
    version = data.create_version("v1")
    load_rows(version, rows_with_facts(count))
    version.publish()
    made = rival(folder, read_only=False)
    made.register("truth", pa.Table.from_batches(batches(count)).select(["id", "rois"]))
    made.execute("CREATE TABLE whole AS SELECT * FROM truth")
    made.execute(
        "CREATE TABLE lean AS SELECT id, list_transform(rois, lambda r: {label: r.label, confidence: r.confidence}) "
        "AS rois FROM whole"
    )
    made.execute("CHECKPOINT")
    made.close()


def rival(folder: Path, *, read_only: bool = True) -> Any:
    """A connection to DuckDB's own file."""
    import duckdb

    return duckdb.connect(str(folder / "rival.duckdb"), read_only=read_only)


def questions(version: Any) -> dict[str, Callable[[], int]]:
    """What is asked, each time by a new view, as a user's script does."""
    rule = LabelRule(RANGED, count_range=(2, 4), conf_range=(0.5, 1.0))

    def ranged() -> int:
        view = DataView(version)
        return view.add_multi_query(roi_queries=[rule]).count()

    return {
        "label A and not B in one ROI": lambda: version.view(f"(label:{A} AND NOT label:{B})").count(),
        "count range and confidence range": ranged,
        "mask share": lambda: version.view(f"mask.{MASKED}.share:[0.05 TO *]").count(),
        "mask share between marks": lambda: version.view(f"mask.{MASKED}.share:[0.0512 TO 0.3]").count(),
        "label A anywhere": lambda: version.view(f"label:{A}").count(),
        "metadata": lambda: version.view("meta.city:bremen AND meta.speed:>29.9").count(),
    }


RIVALS = {"DuckDB": "whole", "DuckDB, lean": "lean"}
"""The nested column as it is, and one that holds labels and confidences only."""
RIVAL_SQL = {
    "label A and not B in one ROI": "SELECT count(*) FROM {table} WHERE len(list_filter(rois, lambda r: "
    f"list_contains(r.label, '{A}') AND NOT list_contains(r.label, '{B}'))) > 0",
    "count range and confidence range": "SELECT count(*) FROM {table} WHERE len(list_filter(rois, lambda r: "
    f"list_contains(r.label, '{RANGED}') AND r.confidence BETWEEN 0.5 AND 1.0)) BETWEEN 2 AND 4",
}


def check(version: Any, asked: dict[str, Callable[[], int]], connection: Any) -> dict[str, int]:
    """The answers, which the rival must give too."""
    found = {name: ask() for name, ask in asked.items()}
    for name, sql in RIVAL_SQL.items():
        theirs = connection.execute(sql.format(table="whole")).fetchone()[0]
        if theirs != found[name]:
            raise RuntimeError(f"{name}: {found[name]}, the rival says {theirs}")
    tree = parse(f"mask.{MASKED}.share:[0.0512 TO 0.3]")
    ids = version.table.rows.table(["id"], limit=2000).column("id").to_pylist()
    table = version.table
    rows = table.rows.find(ids, ["id"], with_row_id=True).column("_rowid").to_numpy()
    plain = sum(matches(tree, f, each) for f, each in zip(table.take(rows), table.facts(rows), strict=True))
    among = set(ids)
    if plain != sum(frame.id in among for frame in version.scan(tree)):
        raise RuntimeError("mask share: the plain evaluation of 2,000 frames says otherwise")
    return found


def first_frame(version: Any) -> Any:
    """The first frame of a random view that nobody has asked before."""
    view = version.view(f"label:{A}").set_iteration_parameters("random", random_seed=time.perf_counter_ns() % 2**31)
    return next(iter(view))


def run(folder: Path, count: int, budget_s: float) -> dict[str, Any]:
    """All figures."""
    if not (folder / "rival.duckdb").exists():
        make(folder, count)
    version = open_store(folder / "store").version("data@v1")
    asked = questions(version)
    connection = rival(folder)
    answers = check(version, asked, connection)
    found: dict[str, Any] = {}
    for name, ask in asked.items():
        turns: dict[str, Callable[[], Any]] = {"smalti": ask}
        if name in RIVAL_SQL:
            for rival_name, table in RIVALS.items():
                sql = RIVAL_SQL[name].format(table=table)
                turns[rival_name] = lambda sql=sql: connection.execute(sql).fetchone()
        found[name] = race(turns, budget_s=budget_s) | {"hits": answers[name]}
    whole = DataView(version).set_iteration_parameters("random")
    found["first frame of a random view"] = race(
        {"smalti": lambda: first_frame(version), "all frames": lambda: next(iter(whole.clone()))}, budget_s=budget_s
    )
    return found


def bars(found: dict[str, Any]) -> list[Bar]:
    """On the wall's clock, as the bars are."""
    listed = [
        Bar(name, found[name]["smalti"]["wall_ms"], must=must, at_least=False, unit="ms", decimals=1)
        for name, must in BARS_MS.items()
    ]
    one = found["label A and not B in one ROI"]
    for rival_name, must in (("DuckDB", TIMES_RIVAL), ("DuckDB, lean", None)):
        faster = one[rival_name]["wall_ms"] / one["smalti"]["wall_ms"]
        what = "label A and not B against DuckDB on the nested column"
        lean = ", with labels and confidences only" if must is None else ""
        listed.append(Bar(what + lean, faster, must=must, unit="×", decimals=1))
    for name, times in found["first frame of a random view"].items():
        what = f"first frame of a random view, {'filtered' if name == 'smalti' else name}"
        listed.append(Bar(what, times["wall_ms"], must=FIRST_FRAME_MS, at_least=False, unit="ms", decimals=1))
    for name in ("label A anywhere", "mask share between marks", "metadata"):
        listed.append(Bar(name, found[name]["smalti"]["wall_ms"], at_least=False, unit="ms", decimals=1))
    return listed


def main() -> None:
    """Measure and print; exit code 0 whatever the figures are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="keep the store here; default: a temporary folder")
    parser.add_argument("--quick", action="store_true", help="50,000 frames, few turns: whether it runs")
    given = parser.parse_args()
    count = 50_000 if given.quick else given.frames
    folder = given.folder or Path(tempfile.mkdtemp(prefix="smalti-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = run(folder, count, 0.5 if given.quick else 4.0)
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    save(
        "query",
        "Asking",
        bars(found),
        quick=given.quick,
        about=f"{count:,} frames with five ROIs each and the facts of a mask, one process, warm.",
        results=found,
    )


if __name__ == "__main__":
    main()
