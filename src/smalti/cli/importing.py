"""`smalti import`: other people's layouts into frames, with the check on the way."""

from collections.abc import Iterator
from pathlib import Path

import click

from smalti import wire
from smalti.cli.check import print_report
from smalti.cli.output import as_json, json_option, progress, say
from smalti.formats.folder import Folder, Unpaired, read_folder
from smalti.frames import SingleFrame
from smalti.lint import check

__all__ = ["import_command"]


@click.command("import")
@click.argument("path", type=click.Path(exists=True))
@click.option("--format", "layout", type=click.Choice(["folder"]), default="folder", show_default=True)
@click.option("--images", help="Subfolder or pattern of the images; default: found by name.")
@click.option("--masks", help="Subfolder or pattern of the masks; default: found by name.")
@click.option("--legend", help="Legend file; default: found by name.")
@click.option("--encoding", help="How masks store values: rgb, index, or an id scheme; default: look.")
@click.option("-o", "--output", default="frames.jsonl", show_default=True, type=click.Path())
@click.option("--no-check", is_flag=True, help="Do not look at the files.")
@json_option
def import_command(
    path: str,
    layout: str,
    images: str | None,
    masks: str | None,
    legend: str | None,
    encoding: str | None,
    output: str,
    no_check: bool,
    as_json_text: bool,
) -> int:
    """Read the folder PATH into frames, written as JSON-lines. Nothing is copied; URIs are absolute paths."""
    loose: list[Unpaired] = []
    found = read_folder(
        Path(path).resolve(), images=images, masks=masks, legend=legend, encoding=encoding, unpaired=loose
    )
    if not as_json_text:
        say(f"{layout}: " + "; ".join(found.why))
    written = _write(found, output)
    facts = {"output": output, "frames": written, "unpaired": len(loose), "why": list(found.why)}
    if no_check:
        if as_json_text:
            as_json(facts)
        else:
            say(f"wrote {written} frames to {output}")
        return 0
    with progress("checking", written) as advance:
        report = check(found.annotated(), progress=advance)
    if as_json_text:
        as_json({**facts, "check": report.to_dict()})
    else:
        print_report(report)
        for one in loose[:5]:
            say(f"unpaired: {one.reason}")
        say(
            f"wrote {written} frames to {output}; look at one: smalti look {output} --frame {_first_id(found)} -o overlay.png"
        )
    return 0 if report.ok else 1


def _write(found: Folder, output: str) -> int:
    written = 0
    with open(output, "wb") as file:
        for line in _lines(found.annotated()):
            file.write(line)
            written += 1
    return written


def _lines(frames: Iterator[SingleFrame]) -> Iterator[bytes]:
    for frame in frames:
        yield wire.dump_line(frame.record)


def _first_id(found: Folder) -> str:
    return next((frame.id for frame in found.frames), "ID")
