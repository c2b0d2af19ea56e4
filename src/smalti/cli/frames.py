"""`smalti frames`: add, list, show, export, delete, facts."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import click

from smalti import wire
from smalti.cli.filling import INSTEAD, waiting
from smalti.cli.output import answer, as_json, check_output, json_option, progress, say, table
from smalti.cli.stores import frames_of, opened, store_option, version_argument
from smalti.formats import choose, load
from smalti.formats.protocol import Reading
from smalti.frames import SingleFrame
from smalti.reading import read_frames, read_lines

__all__ = ["frames"]

_TABLES = (".arrow", ".feather", ".parquet")


@click.group()
def frames() -> None:
    """Frames of a version."""


@frames.command()
@version_argument()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--upload-to", help="Copy local files to this URI prefix and name them there.")
@click.option("--facts", is_flag=True, help="Count the pixels of every mask on the way.")
@store_option
@json_option
def add(
    reference: str,
    paths: tuple[str, ...],
    upload_to: str | None,
    facts: bool,
    store_uri: str | None,
    as_json_text: bool,
) -> int:
    """Add the frames in PATHS; same ids are replaced.

    PATHS: JSON, JSON-lines, Arrow or Parquet files, or folders in any layout that `smalti import` knows; - reads
    JSON-lines from standard input. Legends of folders and of exported versions become the version's, and are refused
    where it reads the same masks otherwise.
    """
    with opened(store_uri) as store, progress("adding") as advance:
        version = store.version(reference)
        before = len(version)
        skipped: list[str] = []
        failed = _add(version, paths, advance, skipped, upload_to=upload_to, facts=facts)
        after = len(version)
    rows = [{"id": f.id, "error": f.error, "kind": f.kind} for f in failed]
    if as_json_text:
        as_json({"version": reference, "before": before, "frames": after, "failed": rows, "skipped": skipped})
    else:
        say(f"{reference} has {after} frames ({after - before:+d})")
        for sentence in skipped[:20]:
            click.echo(f"left out: {sentence}", err=True)
        for row in rows[:20]:
            click.echo(f"not added: {row['id'] or 'a frame without id'}: {row['error']}", err=True)
        if len(rows) > 20:
            click.echo(f"… {len(rows) - 20} more (--json lists all)", err=True)
    return 1 if rows else 0


@frames.command("list")
@version_argument()
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0)
@store_option
@json_option
def list_(reference: str, limit: int, offset: int, store_uri: str | None, as_json_text: bool) -> None:
    """List frames in order of context and time."""
    with opened(store_uri) as store:
        version = store.version(reference)
        total = len(version)
        rows = [_row(record) for record in islice(version.records(), offset, offset + limit)]
    if as_json_text:
        as_json({"total": total, "frames": rows})
        return
    table(
        ("id", "context", "timestamp", "sources", "masks", "labels"),
        [
            (r["id"], r["context_id"], r["timestamp"], ", ".join(r["sources"]), r["masks"], ", ".join(r["labels"]))
            for r in rows
        ],
    )
    say(f"{len(rows)} of {total} frames")


def _row(record: Any) -> dict[str, Any]:
    return {
        "id": record.id,
        "context_id": record.context_id,
        "timestamp": record.timestamp,
        "sources": [source.id for source in record.sources],
        "masks": sum(len(source.masks) for source in record.sources),
        "labels": sorted({label for roi in record.rois for label in roi.label}),
    }


@frames.command()
@version_argument()
@click.argument("frame_id", shell_complete=frames_of("reference"))
@store_option
@json_option
def show(reference: str, frame_id: str, store_uri: str | None, as_json_text: bool) -> None:
    """Print a frame as JSON."""
    with opened(store_uri) as store:
        as_json(wire.to_dict(store.version(reference).get_record(frame_id)))


@frames.command()
@version_argument()
@click.argument("output", type=click.Path())
@store_option
@json_option
def export(reference: str, output: str, store_uri: str | None, as_json_text: bool) -> None:
    """Write all frames to OUTPUT: .jsonl, .parquet or .arrow."""
    from smalti.store.transfer import legend_beside

    check_output(output)
    with opened(store_uri) as store, progress("writing"):
        count = store.version(reference).export_file(output)
    beside = legend_beside(Path(output))
    said = f"wrote {count} frames to {output}"
    if not _is_table(output) and beside.exists():
        said += f", and the version's legends to {beside}: keep them together"
    answer({"output": output, "frames": count}, as_json_text, said)


@frames.command()
@version_argument()
@click.argument("ids", nargs=-1, required=True, shell_complete=frames_of("reference"))
@store_option
@json_option
def delete(reference: str, ids: tuple[str, ...], store_uri: str | None, as_json_text: bool) -> int:
    """Delete frames by id from a draft. Exits with 1 where some are not there."""
    with opened(store_uri) as store:
        version = store.version(reference)
        known = {record.id for record in version.get_many(ids)}
        missing = [frame_id for frame_id in dict.fromkeys(ids) if frame_id not in known]
        count = version.delete_frames(ids)
    answer({"deleted": count, "missing": missing}, as_json_text, f"deleted {count} frames")
    if missing and not as_json_text:
        more = f" and {len(missing) - 20} more" if len(missing) > 20 else ""
        click.echo(f"not there: {', '.join(missing[:20])}{more}; smalti frames list {reference} shows ids", err=True)
    return 1 if missing else 0


@frames.command()
@version_argument()
@click.option("--again", is_flag=True, help="Also where facts are stored already.")
@store_option
@json_option
def facts(reference: str, again: bool, store_uri: str | None, as_json_text: bool) -> int:
    """Count the pixels of every mask once and store them: queries and statistics open no mask again."""
    with opened(store_uri) as store, progress("counting"):
        failed = store.version(reference).compute_facts(again=again)
    if as_json_text:
        as_json({"failed": [{"id": f.id, "error": f.error} for f in failed]})
    else:
        say(f"facts of {reference} are stored" + (f"; {len(failed)} frames could not be read" if failed else ""))
        for one in failed[:20]:
            click.echo(f"not counted: {one.id}: {one.error}", err=True)
    return 1 if failed else 0


def _is_bulk(path: str) -> bool:
    return "://" not in path and (_is_table(path) or path.lower().endswith((".jsonl", ".ndjson", ".jsonlines")))


def _is_table(path: str) -> bool:
    return Path(path).suffix.lower() in _TABLES


def _is_folder(path: str) -> bool:
    return Path(path).is_dir()


def _add(
    version: Any, paths: Iterable[str], advance: Callable[[int], None], skipped: list[str], **options: Any
) -> list[Any]:
    from smalti.store import transfer
    from smalti.store.legends import join

    files = [path for path in paths if not _is_folder(path)]
    bulk = [path for path in files if _is_bulk(path)]
    failed: list[Any] = []
    with ExitStack() as stack:
        folders = [stack.enter_context(waiting(_read(path, skipped))) for path in paths if _is_folder(path)]
        legends = [(transfer.legend_of(path), transfer.INSTEAD) for path in bulk]
        join(version, [*((held.legend(), INSTEAD) for held in folders), *legends])
        for held in folders:
            failed += version.add_frames(_counted((frame.record for frame in held.frames()), advance), **options)
    if not any(options.values()):
        for path in bulk:  # their rows go in as they are
            failed += version.import_file(path)
        files = [path for path in files if path not in bulk]
    if files:
        failed += version.add_frames(_counted(_all(files), advance), **options)
    return failed


def _read(path: str, skipped: list[str]) -> Iterator[SingleFrame]:
    chosen = choose(Path(path).resolve())
    return load(chosen.format).read(chosen.path, Reading(skipped=skipped))


def _all(paths: Iterable[str]) -> Iterator[Any]:
    for path in paths:
        if path == "-":
            yield from read_lines(sys.stdin.buffer, where="standard input")
        elif _is_table(path):
            from smalti.store.transfer import records_of

            yield from records_of(path)
        else:
            yield from read_frames(path)


def _counted(listed: Iterable[Any], advance: Callable[[int], None]) -> Iterator[Any]:
    for number, frame in enumerate(listed, 1):
        yield frame
        if number % 100 == 0:
            advance(number)
