"""`smalti stats`: pixels and frames per label, as a table and a plot."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import click

from smalti.cli.output import as_json, check_output, json_option, progress, say, table
from smalti.errors import MaskReferenceError
from smalti.formats.folder import read_folder
from smalti.plots import bar_chart
from smalti.reading import read_frames
from smalti.stats import AnyFrame, count_labels

__all__ = ["stats"]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--mask", "mask_id", help="Count only masks with this id.")
@click.option("--legend", type=click.Path(), help="For folders: the legend file.")
@click.option("--plot", type=click.Path(), help="Write the pixels per label as an SVG.")
@click.option("--workers", type=click.IntRange(1), help="Threads; default: one per core.")
@json_option
def stats(
    paths: tuple[str, ...],
    mask_id: str | None,
    legend: str | None,
    plot: str | None,
    workers: int | None,
    as_json_text: bool,
) -> int:
    """Count pixels and frames per label in PATHS: frame files or folders."""
    if plot:
        check_output(plot, (".svg",), "the plot")
    frames = chain.from_iterable(_frames(path, legend) for path in paths)
    with progress("counting") as advance:
        totals = count_labels(_counted(frames, advance), mask_id=mask_id, workers=workers)
    found = totals.to_dict()
    if plot:
        bars = [(row["label"], row["pixel_share"] * 100) for row in found["labels"]]
        Path(plot).write_text(bar_chart("Pixels per label", bars, unit="%"), encoding="utf-8")
    if as_json_text:
        as_json(found)
        return 1 if totals.failed else 0
    rows = [
        (r["label"], r["pixels"], f"{r['pixel_share']:.2%}", r["frames"], f"{r['mean_share']:.2%}")
        for r in found["labels"]
    ]
    if mask_id is not None and not totals.masks:
        raise MaskReferenceError(
            f"none of the {totals.frames} frames has a mask {mask_id!r}; leave --mask out, or name one that exists",
            mask_id=mask_id,
        )
    table(("label", "pixels", "of all", "frames", "mean share"), rows)
    say(f"{totals.frames} frames, {totals.masks} masks, {totals.pixels} pixels, {totals.void} void")
    if plot:
        say(f"wrote {plot}")
    for frame_id, error in totals.failed:
        click.echo(f"not counted: frame {frame_id}: {error}", err=True)
    return 1 if totals.failed else 0


def _frames(path: str, legend: str | None) -> Iterable[AnyFrame]:
    return read_folder(Path(path), legend=legend).annotated() if Path(path).is_dir() else read_frames(path)


def _counted(frames: Iterable[AnyFrame], advance: Callable[[int], None]) -> Iterator[AnyFrame]:
    for number, frame in enumerate(frames, 1):
        yield frame
        advance(number)
