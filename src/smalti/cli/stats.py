"""`smalti stats`: pixels, frames, sizes and neighbours of labels, as a table, CSV, JSON and plots."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smalti.cli.output import as_json, check_output, json_option, progress, say, table
from smalti.cli.picking import view_of
from smalti.cli.stores import complete_what, store_option
from smalti.errors import MaskReferenceError
from smalti.plots import page

if TYPE_CHECKING:
    from smalti.breakdown import Breakdown
    from smalti.view import DataView

__all__ = ["stats"]

_COLUMNS = ("label", "pixels", "pixel_share", "frames", "mean_share", "share_p10", "share_p50", "share_p90", "rois")


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="WHAT... [QUERY]", shell_complete=complete_what)
@click.option("--query", "text", default="", help="Only frames that match.")
@click.option("--mask", "mask_id", help="Count only masks with this id.")
@click.option("--legend", type=click.Path(), help="For folders: the legend file.")
@click.option("--plot", type=click.Path(), help="Write the pixels per label as an SVG.")
@click.option(
    "--plots", type=click.Path(file_okay=False), help="Write all plots into this folder, with a page of them."
)
@click.option("--csv", "csv_path", type=click.Path(), help="Write the table as CSV.")
@click.option("--workers", type=click.IntRange(1), help="Threads; default: one per core.")
@store_option
@json_option
def stats(
    what: tuple[str, ...],
    text: str,
    mask_id: str | None,
    legend: str | None,
    plot: str | None,
    plots: str | None,
    csv_path: str | None,
    workers: int | None,
    store_uri: str | None,
    as_json_text: bool,
) -> int:
    """Count pixels, frames and ROIs per label in WHAT: frame files or folders, DATASET@VERSION, or a stored view.

    A query may follow DATASET@VERSION. Masks are opened only where nothing is stored about them. A view that maps
    labels is counted by its classes.
    """
    for path, endings, name in ((plot, (".svg",), "the plot"), (csv_path, (".csv",), "the table")):
        if path:
            check_output(path, endings, name)
    from smalti.survey import survey

    with _view_of(what, text, legend, store_uri) as view, progress("counting") as advance:
        counted = survey(view, mask_id=mask_id, workers=workers, progress=advance)
    totals = counted.totals
    if mask_id is not None and not totals.masks:
        raise MaskReferenceError(
            f"none of the {totals.frames} frames has a mask {mask_id!r}; leave --mask out, or name one that exists",
            mask_id=mask_id,
        )
    found = counted.to_dict()
    written = _write(counted, found["labels"], plot, plots, csv_path)
    if as_json_text:
        as_json(found)
    else:
        _print(found, written)
    for frame_id, error in totals.failed:
        click.echo(f"not counted: frame {frame_id}: {error}", err=True)
    return 1 if totals.failed else 0


def _print(found: dict[str, Any], written: Sequence[str]) -> None:
    rows = [
        (r["label"], r["pixels"], f"{r['pixel_share']:.2%}", r["frames"], f"{r['mean_share']:.2%}", r["rois"])
        for r in found["labels"]
    ]
    table(("label", "pixels", "of all", "frames", "mean share", "ROIs"), rows)
    say(f"{found['frames']} frames, {found['masks']} masks, {found['pixels']} pixels, {found['void']} void")
    if found["masks_opened_in"]:
        say(f"the masks of {found['masks_opened_in']} frames were opened, for nothing is stored about them")
    for path in written:
        say(f"wrote {path}")


def _write(
    counted: "Breakdown", rows: Sequence[dict[str, Any]], plot: str | None, plots: str | None, csv_path: str | None
) -> list[str]:
    written = []
    drawn = counted.plots() if plot or plots else {}
    if plot:
        if "pixels" not in drawn:
            raise MaskReferenceError("nothing can be plotted: no mask has a pixel of any label")
        Path(plot).write_text(drawn["pixels"], encoding="utf-8")
        written.append(plot)
    if plots:
        folder = Path(plots)
        folder.mkdir(parents=True, exist_ok=True)
        for name, svg in drawn.items():
            (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        (folder / "index.html").write_text(_page(counted, drawn), encoding="utf-8")
        written.append(f"{plots} ({', '.join([*(f'{name}.svg' for name in drawn), 'index.html'])})")
    if csv_path:
        with open(csv_path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows([{name: row[name] for name in _COLUMNS} for row in rows])
        written.append(csv_path)
    return written


def _page(counted: "Breakdown", drawn: dict[str, str]) -> str:
    totals = counted.totals
    line = f"<p>{totals.frames:,} frames, {totals.masks:,} masks, {totals.pixels:,} pixels, {totals.void:,} void</p>"
    return page("Statistics", line + "".join(f"<figure>{svg}</figure>" for svg in drawn.values()))


# ------------------------------------------------------------------------------------------------------ what is meant
@contextmanager
def _view_of(what: Sequence[str], text: str, legend: str | None, store_uri: str | None) -> "Iterator[DataView]":
    """The frames that are meant, as one view."""
    from smalti.view import DataView

    if all(Path(path).exists() for path in what):
        yield DataView([frame for path in what for frame in _frames(path, legend)], text)
        return
    first, *more = what
    if Path(first).exists() or len(more) > 1 or (more and text):
        missing = next(path for path in what if not Path(path).exists())
        raise FileNotFoundError(f"{missing}: no such file or folder; check the name")
    with view_of(first, more[0] if more else text, store_uri) as view:
        yield view


def _frames(path: str, legend: str | None) -> Iterable[Any]:
    from smalti.formats.folder import read_folder
    from smalti.reading import read_frames

    return read_folder(Path(path), legend=legend).annotated() if Path(path).is_dir() else read_frames(path)
