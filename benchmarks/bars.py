"""Bars and the file of results that every benchmark writes: one shape, so that `report.py` can show them all.

    from bars import Bar, is_quick, save

    save(
        "query",
        "Asking",
        [Bar("label:car over 1,000,000 frames", value=3.1, must=50, aim=10, at_least=False, unit="ms")],
        quick=is_quick(),
        about="Seeded frames, one process.",
        times={...},  # whatever else is worth keeping
    )

`scripts/bench.sh` runs every script beside this one that imports `save`, as `python benchmarks/NAME.py`, with `--quick`
where it was given that. A script that lacks a library exits with `CANNOT_RUN` after saying what it lacks.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clock import machine, versions

__all__ = ["CANNOT_RUN", "RESULTS", "Bar", "is_quick", "save"]

RESULTS = Path(__file__).resolve().parent / "results"
CANNOT_RUN = 77


@dataclass(frozen=True)
class Bar:
    """One line of a table of bars.

    Attributes:
        what: in words, with sizes and the rival's name.
        value: what was measured; None where it could not be, then `note` says why.
        must, aim: what it is held against; None where nobody said.
        at_least: whether more is better.
        unit: "ms", "×", "frames/s", …
        decimals: of the value, in the table.
        note: a few words for the table, such as what misses.
    """

    what: str
    value: float | None
    must: float | None = None
    aim: float | None = None
    at_least: bool = True
    unit: str = ""
    decimals: int = 2
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the must is reached; None where that cannot be said."""
        if self.value is None or self.must is None:
            return None
        return self.value >= self.must if self.at_least else self.value <= self.must

    def __str__(self) -> str:
        said = (
            "not measured" if self.value is None else f"{self.value:.{self.decimals}f}{self.unit and ' ' + self.unit}"
        )
        sign = "≥" if self.at_least else "≤"
        must = "" if self.must is None else f"  (must {sign} {self.must:g}: {'met' if self.is_met else 'MISSED'})"
        return f"{self.what}: {said}{must}{self.note and '  ' + self.note}"


def is_quick() -> bool:
    """Whether the command line asks for a short run, which shows that everything works and is not kept."""
    return "--quick" in sys.argv[1:]


def save(name: str, title: str, bars: Sequence[Bar], *, quick: bool = False, about: str = "", **rest: Any) -> None:
    """Print the bars and write results/NAME.json; a quick run is only printed.

    Args:
        name: of the script, without .py.
        title: the heading in docs/performance.md.
        bars: what was measured, in the order of the table.
        quick: as `is_quick` says.
        about: a sentence or two under the heading: the data, what takes turns with what.
        rest: what else is kept; JSON values.
    """
    for bar in bars:
        print(bar)
    if quick:
        return
    found = {"title": title, "about": about, "machine": machine(), "versions": versions()}
    found |= {"bars": [asdict(bar) for bar in bars], **rest}
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
