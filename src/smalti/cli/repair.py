"""`smalti repair`: damaged masks into clean ones in a new folder or version, never in place."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from smalti import wire
from smalti.cli.exporting import frames_of
from smalti.cli.legends import read_legend
from smalti.cli.output import as_json, json_option, progress, say, table
from smalti.cli.stores import complete_what
from smalti.formats.building import explained
from smalti.frames import SingleFrame
from smalti.repairing import MaskRepair, repair_frames

__all__ = ["repair_command"]

SHOWN = 12


@click.command("repair")
@click.argument("what", shell_complete=complete_what)
@click.argument("out", type=click.Path())
@click.option("--legend", type=click.Path(exists=True), help="A legend file; fills in what the frames do not say.")
@click.option("--shift", is_flag=True, help="Let indices that fit only when moved by one be moved.")
@click.option("--keep-size", is_flag=True, help="Do not cut or extend masks that miss their image by a pixel or two.")
@click.option("--store", "store_uri", help="The store of DATASET@VERSION; default: $SMALTI_STORE or the user's own.")
@click.option("--to", "target", help="Name of a new version (a child of WHAT) for the frames with clean masks.")
@json_option
def repair_command(
    what: str,
    out: str,
    legend: str | None,
    shift: bool,
    keep_size: bool,
    store_uri: str | None,
    target: str | None,
    as_json_text: bool,
) -> int:
    """Write clean copies of the damaged masks of WHAT into the new folder OUT, with frames.jsonl and report.json.

    WHAT is a frame file, a folder or DATASET@VERSION. What nothing explains keeps its value; ids are left alone.
    """
    folder = Path(out).resolve()
    rows: list[MaskRepair] = []
    read = read_legend(legend)
    with progress("repairing") as advance:
        repaired = repair_frames(
            frames_of(what, store_uri, None)(),
            folder,
            legend=read,
            shift=shift,
            fit_size=not keep_size,
            progress=advance,
        )
        written = _keep(repaired, folder, rows, (what, store_uri, target))
    facts = summary(rows) | {"frames": written, "folder": str(folder)}
    report = {**facts, "masks": [row.to_dict() for row in rows]}
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    if as_json_text:
        as_json(report)
    else:
        _print(rows, facts)
    return 1 if any(row.note and not row.explained_after for row in rows) else 0


def _keep(
    repaired: Iterator[tuple[SingleFrame, list[MaskRepair]]],
    folder: Path,
    rows: list[MaskRepair],
    where: tuple[str, str | None, str | None],
) -> int:
    what, store_uri, target = where
    written = 0

    def frames() -> Iterator[Any]:
        nonlocal written
        for frame, found in repaired:
            rows.extend(found)
            written += 1
            yield frame

    if target is None:
        folder.mkdir(parents=True, exist_ok=True)
        lines = frames()
        first = next(lines, None)
        with (folder / "frames.jsonl").open("wb") as file:
            for frame in [first] if first is not None else []:
                file.write(wire.dump_line(explained(frame).record))
            for frame in lines:
                file.write(wire.dump_line(explained(frame).record))
        return written
    from smalti.store import open_store

    version = open_store(store_uri).version(what).child(target)
    version.add_frames(frame.record for frame in frames())
    return written


def summary(rows: list[MaskRepair]) -> dict[str, Any]:
    """Counts by fault, and shares of pixels before and after, over the masks that were repaired."""
    done = [row for row in rows if row.output is not None]
    count = max(len(done), 1)
    return {
        "repaired": len(done),
        "clean": sum(not row.faults and not row.note for row in rows),
        "left": sum(bool(row.note) for row in rows),
        "faults": dict(Counter(fault for row in done for fault in row.faults)),
        "exact_before": sum(row.exact_before for row in done) / count if done else 1.0,
        "explained_after": sum(row.explained_after for row in done) / count if done else 1.0,
    }


def _print(rows: list[MaskRepair], facts: dict[str, Any]) -> None:
    done = [row for row in rows if row.output is not None]
    if done:
        cells = [
            (r.frame, r.mask, ", ".join(r.faults), f"{r.exact_before:.2%}", f"{r.explained_after:.2%}", r.changed)
            for r in done[:SHOWN]
        ]
        table(("frame", "mask", "faults", "exact before", "explained after", "pixels changed"), cells)
        if len(done) > SHOWN:
            say(f"… {len(done) - SHOWN} more in report.json")
    for row in [row for row in rows if row.note][:SHOWN]:
        say(f"left: frame {row.frame}, mask {row.mask}: {row.note}")
    said = ", ".join(f"{n} {fault}" for fault, n in facts["faults"].items()) or "no faults"
    say(
        f"{facts['repaired']} masks repaired ({said}), {facts['clean']} clean, {facts['left']} left; "
        f"exact {facts['exact_before']:.2%} before, explained {facts['explained_after']:.2%} after"
    )
    say(f"wrote {facts['folder']}")
