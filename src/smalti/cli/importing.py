"""`smalti import`: other people's layouts into frames, with the check on the way."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from smalti import wire
from smalti.cli.check import print_report
from smalti.cli.filling import INSTEAD, waiting
from smalti.cli.legends import read_legend
from smalti.cli.output import as_json, json_option, progress, say, table
from smalti.cli.stores import complete_versions
from smalti.errors import FrameError
from smalti.formats import FORMATS, Detection, choose, detect, load
from smalti.formats.building import explained
from smalti.formats.output import safe_name
from smalti.formats.protocol import Reading
from smalti.frames import SingleFrame
from smalti.lint import check

__all__ = ["import_command"]

SHOWN = 5


@dataclass(slots=True)
class _Facts:
    """What went by."""

    output: str
    format: str
    why: list[str]
    frames: int = 0
    masks: int = 0
    annotations: int = 0
    first_id: str = ""
    failed: list[str] = field(default_factory=list)


@click.command("import")
@click.argument("path", type=click.Path())
@click.option("--format", "layout", type=click.Choice(["auto", *FORMATS]), default="auto", show_default=True)
@click.option("--images", type=click.Path(), help="Where the images are; default: where the layout has them.")
@click.option("--masks", type=click.Path(), help="Where the masks are; default: where the layout has them.")
@click.option("--legend", help="Legend file; default: found by name, or published with the layout.")
@click.option("--encoding", help="How masks store values: rgb, index, or an id scheme; default: look.")
@click.option("--split", help="Only this part: train, val, …")
@click.option("-o", "--output", type=click.Path(), help="JSON-lines file; default: frames.jsonl.")
@click.option("--to", "target", shell_complete=complete_versions, help="DATASET@VERSION of a store instead of a file.")
@click.option("--store", "store_uri", help="The store of --to; default: $SMALTI_STORE or the user's own.")
@click.option(
    "--copy-masks", type=click.Path(), help="Copy mask files into this folder; default: they stay where they are."
)
@click.option("--facts", "counts", is_flag=True, help="With --to: count the pixels of every mask on the way.")
@click.option("--no-check", is_flag=True, help="Do not look at the files.")
@click.option("--detect", "only_detect", is_flag=True, help="Only say what it looks like.")
@json_option
def import_command(
    path: str,
    layout: str,
    images: str | None,
    masks: str | None,
    legend: str | None,
    encoding: str | None,
    split: str | None,
    output: str | None,
    target: str | None,
    store_uri: str | None,
    copy_masks: str | None,
    counts: bool,
    no_check: bool,
    only_detect: bool,
    as_json_text: bool,
) -> int:
    """Read PATH, a folder or an annotation file in any known layout, into frames.

    Says what the layout is and why, then writes JSON-lines (-o) or fills a version of a dataset (--to). Frames point
    to the files where they are, by absolute paths; only --copy-masks copies anything.
    """
    where = Path(path).resolve()
    if only_detect:
        return _say_what_it_is(where, as_json_text)
    if target is not None and output is not None:
        raise click.UsageError("-o and --to were both given; frames go to a file or to a version")
    if counts and target is None:
        raise click.UsageError("--facts was given without --to; a file has no place for counts, a version has")
    chosen = _choose(where, layout, named=any((images, masks, legend)))
    options = Reading(
        images=_place(where, images),
        masks=_place(where, masks),
        legend=read_legend(legend if legend is None or "://" in legend else str(_place(where, legend))),
        encoding=encoding,
        split=split,
    )
    facts = _Facts(output=target or output or "frames.jsonl", format=chosen.format, why=list(chosen.reasons))
    if not as_json_text:
        say(f"{where} is {chosen.format}: {'; '.join(chosen.reasons)}")
    frames = _seen(load(chosen.format).read(chosen.path, options), facts)
    folder = Path(copy_masks).resolve() if copy_masks is not None else None
    if target is not None:
        reread = _into_store(frames, target, store_uri, facts, folder, counts=counts)
    else:
        reread = _into_file(_copied(frames, folder) if folder else frames, facts.output)
    return _finish(facts, options, reread, no_check, as_json_text)


def _choose(where: Path, layout: str, *, named: bool) -> Detection:
    """The layout to read; what no layout explains is a plain folder if the user says where its parts are."""
    if layout == "folder":
        return Detection("folder", where, 1.0, ("asked for",))
    if layout == "auto" and named and where.is_dir():
        found = detect(where)
        return found[0] if found else Detection("folder", where, 0.1, ("the parts were named",))
    return choose(where, None if layout == "auto" else layout)


def _place(root: Path, named: str | None) -> Path | None:
    """A folder or pattern that a user names: under the path, or as it stands."""
    if named is None:
        return None
    return root / named if (root / named).exists() else Path(named)


def _say_what_it_is(path: Path, as_json_text: bool) -> int:
    found = detect(path)
    if as_json_text:
        as_json([{"format": d.format, "sureness": d.sureness, "path": str(d.path), "why": d.reasons} for d in found])
    elif found:
        table(("format", "sure", "why"), [(d.format, f"{d.sureness:.0%}", "; ".join(d.reasons)) for d in found])
    else:
        say(f"{path} looks like none of {', '.join(FORMATS)}")
    return 0 if found else 1


def _seen(frames: Iterator[SingleFrame], facts: _Facts) -> Iterator[SingleFrame]:
    with progress(f"importing {facts.format}") as advance:
        for frame in frames:
            facts.frames += 1
            facts.masks += len(frame.source_record.masks)
            facts.annotations += len(frame.record.rois)
            facts.first_id = facts.first_id or frame.id
            yield frame
            advance(facts.frames)
    if not facts.frames:
        raise FrameError(f"{facts.format}: no frame was found; {'; '.join(facts.why)}")


def _copied(frames: Iterator[SingleFrame], folder: Path) -> Iterator[SingleFrame]:
    """The frames with their mask files in a folder per mask id."""
    for frame in frames:
        for mask in frame.source_record.masks:
            source = Path(mask.uri)
            target = folder / safe_name(mask.id) / f"{safe_name(frame.id)}{source.suffix}"
            if target.exists():
                raise FrameError(f"{target} is there already; name a new folder, nothing is written over")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            mask.uri = str(target)
        yield frame


def _into_file(frames: Iterator[SingleFrame], output: str) -> Callable[[], Iterator[Any]]:
    with open(output, "wb") as file:
        for frame in frames:
            file.write(wire.dump_line(explained(frame).record))

    def again() -> Iterator[Any]:
        from smalti.reading import read_frames

        return read_frames(Path(output))

    return again


def _into_store(
    frames: Iterator[SingleFrame],
    target: str,
    store_uri: str | None,
    facts: _Facts,
    copy_masks: Path | None,
    *,
    counts: bool,
) -> Callable[[], Iterator[Any]]:
    """Into a version; legends that all frames share become the version's, others stay with their frames."""
    from smalti.store import open_store
    from smalti.store.legends import join

    found = re.fullmatch(r"(?P<dataset>.+)@(?P<version>[^@]+)", target)
    if found is None:
        raise FrameError(f"--to {target!r} is not DATASET@VERSION, e.g. drive@v1")
    store = open_store(store_uri)
    with waiting(frames) as held:  # what cannot be read leaves nothing behind, not even an empty version
        dataset = store[found["dataset"]] if found["dataset"] in store else store.create_dataset(found["dataset"])
        names = {version.name for version in dataset.versions()}
        version = dataset[found["version"]] if found["version"] in names else dataset.create_version(found["version"])
        join(version, [(held.legend(), INSTEAD)])
        ready = _copied(held.frames(), copy_masks) if copy_masks else held.frames()
        with progress("counting masks" if counts else "storing", facts.frames) as advance:
            failed = version.add_frames((frame.record for frame in ready), facts=counts, progress=advance)
    facts.failed = [f"{one.id}: {one.error}" for one in failed]
    return version.frames


def _finish(
    facts: _Facts, options: Reading, reread: Callable[[], Iterator[Any]], no_check: bool, as_json_text: bool
) -> int:
    said = {
        "output": facts.output,
        "format": facts.format,
        "why": facts.why,
        "frames": facts.frames,
        "masks": facts.masks,
        "annotations": facts.annotations,
        "skipped": options.skipped,
        "failed": facts.failed,
        "unpaired": sum("has no " in sentence for sentence in options.skipped),
    }
    report = None
    if not no_check:
        with progress("checking", facts.frames) as advance:
            report = check(reread(), progress=advance)
    if as_json_text:
        as_json({**said, "check": report.to_dict()} if report is not None else said)
    else:
        if report is not None:
            print_report(report)
        for sentence in [*options.skipped[:SHOWN], *facts.failed[:SHOWN]]:
            say(f"left out: {sentence}")
        if len(options.skipped) > SHOWN:
            say(f"left out: … {len(options.skipped) - SHOWN} more (--json lists them)")
        say(
            f"wrote {facts.frames} frames with {facts.masks} masks and {facts.annotations} annotations to {facts.output}"
        )
        if facts.masks and "@" not in facts.output:
            say(f"look at one: smalti look {facts.output} --frame {facts.first_id} -o overlay.png")
    return 1 if facts.failed or (report is not None and not report.ok) else 0
