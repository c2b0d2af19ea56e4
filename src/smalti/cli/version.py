"""`smalti version`: create, list, tree, show, publish, snapshot, diff, merge, delete. A version is DATASET@VERSION."""

from typing import Any

import click
import msgspec

from smalti.cli.check import print_report
from smalti.cli.output import as_json, json_option, say, table
from smalti.cli.stores import opened, store_option, version_row
from smalti.errors import CheckFailed, VersionError

__all__ = ["version"]


@click.group()
def version() -> None:
    """Versions: drafts that change and published ones that never do."""


def _split(reference: str) -> tuple[str, str]:
    dataset, at, name = reference.rpartition("@")
    if not at or not dataset or not name:
        raise VersionError(f"{reference!r} is not a version; write DATASET@VERSION")
    return dataset, name


@version.command()
@click.argument("reference", metavar="DATASET@VERSION")
@click.option("--parent", "parents", multiple=True, help="A published version to start from; several are merged.")
@click.option("--description", default="")
@store_option
@json_option
def create(
    reference: str, parents: tuple[str, ...], description: str, store_uri: str | None, as_json_text: bool
) -> None:
    """Create a draft; the dataset is made if it is not there."""
    dataset, name = _split(reference)
    with opened(store_uri) as store:
        home = store[dataset] if dataset in store else store.create_dataset(dataset)
        made = home.create_version(name, parents=parents)
        if description:
            made.describe(description)
        row = version_row(made)
    if as_json_text:
        as_json(row)
    else:
        say(f"created draft {reference}; go on with: smalti frames add {reference} FRAMES.jsonl")


@version.command("list")
@click.argument("dataset")
@store_option
@json_option
def list_(dataset: str, store_uri: str | None, as_json_text: bool) -> None:
    """List the versions of a dataset."""
    with opened(store_uri) as store:
        rows = [version_row(found) for found in store[dataset].versions()]
    if as_json_text:
        as_json(rows)
    else:
        table(
            ("version", "state", "frames", "parents", "created"),
            [(r["name"], r["state"], r["frames"], ", ".join(r["parents"]), r["created"][:19]) for r in rows],
        )


@version.command()
@click.argument("dataset")
@store_option
@json_option
def tree(dataset: str, store_uri: str | None, as_json_text: bool) -> None:
    """Show which version came from which."""
    with opened(store_uri) as store:
        rows = [{**version_row(found), "depth": depth} for depth, found in store[dataset].tree()]
    if as_json_text:
        as_json(rows)
        return
    for row in rows:
        say(f"{'  ' * row['depth']}{row['name']}  {row['state']}, {row['frames']} frames")


@version.command()
@click.argument("reference", metavar="DATASET@VERSION")
@store_option
@json_option
def show(reference: str, store_uri: str | None, as_json_text: bool) -> None:
    """Show a version: state, frames, statistics, legend, metadata."""
    _split(reference)
    with opened(store_uri) as store:
        found = store.version(reference)
        facts: dict[str, Any] = {
            **version_row(found),
            "stats": found.stats,
            "masks_labels": found.get_masks_labels(),
            "metadata": found.metadata,
        }
    if as_json_text:
        as_json(facts)
        return
    for key, value in facts.items():
        if value not in (None, [], {}, ""):
            say(f"{key}: {value}")


@version.command()
@click.argument("reference", metavar="DATASET@VERSION")
@click.option(
    "--check", "checked", is_flag=True, help="Look at every mask first and refuse on errors; the report is kept."
)
@click.option("--force", is_flag=True, help="Publish in spite of errors.")
@click.option("--facts", is_flag=True, help="Count the pixels of every mask before.")
@store_option
def publish(reference: str, checked: bool, force: bool, facts: bool, store_uri: str | None) -> int:
    """Freeze a draft."""
    _split(reference)
    with opened(store_uri) as store:
        try:
            store.version(reference).publish("errors" if checked else None, force=force, facts=facts)
        except CheckFailed as refused:
            if refused.report is not None:
                print_report(refused.report)
            click.echo(f"smalti: {refused}", err=True)
            return 1
    say(f"published {reference}")
    return 0


@version.command()
@click.argument("reference", metavar="DATASET@VERSION")
@click.option("--name", help="What the published version is called; default: snapshot and the time.")
@store_option
def snapshot(reference: str, name: str | None, store_uri: str | None) -> None:
    """Publish a draft and go on in a working copy."""
    _split(reference)
    with opened(store_uri) as store:
        child = store.version(reference).snapshot(name)
        say(f"go on in {child.dataset.name}@{child.name}")


@version.command()
@click.argument("before", metavar="DATASET@VERSION")
@click.argument("after", metavar="VERSION")
@click.option("--frame", "frame_id", help="What changed inside this frame, mask pixels included.")
@store_option
@json_option
def diff(before: str, after: str, frame_id: str | None, store_uri: str | None, as_json_text: bool) -> None:
    """Frames added, removed and changed between two versions of a dataset."""
    dataset, name = _split(before)
    with opened(store_uri) as store:
        found = store[dataset].diff(name, after.rpartition("@")[2])
        if frame_id is not None:
            frame = found.frame(frame_id)
            inside = {key: msgspec.to_builtins(getattr(frame, key)) for key in ("meta", "sources", "rois", "masks")}
            inside["mask_pixels"] = msgspec.to_builtins(frame.mask_pixels())
            as_json({"frame": frame_id, **inside})
            return
        facts = {"added": list(found.added), "removed": list(found.removed), "changed": list(found.changed)}
    if as_json_text:
        as_json(facts)
        return
    for mark, key in (("+", "added"), ("-", "removed"), ("~", "changed")):
        for frame_name in facts[key][:20]:
            say(f"{mark} {frame_name}")
        if len(facts[key]) > 20:
            say(f"{mark} … {len(facts[key]) - 20} more")
    say(f"{len(facts['added'])} added, {len(facts['removed'])} removed, {len(facts['changed'])} changed")


@version.command()
@click.argument("ours", metavar="DATASET@OURS")
@click.argument("theirs")
@click.option("--base", help="What both started from; default: their nearest common ancestor.")
@click.option("--rule", type=click.Choice(["error", "ours", "theirs"]), default="error", show_default=True)
@click.option("--name", help="Of the draft child, where OURS is published.")
@store_option
@json_option
def merge(
    ours: str, theirs: str, base: str | None, rule: Any, name: str | None, store_uri: str | None, as_json_text: bool
) -> None:
    """Take the changes of THEIRS into OURS, per frame and per mask; conflicts are listed."""
    dataset, own = _split(ours)
    with opened(store_uri) as store:
        made = store[dataset].merge(own, theirs.rpartition("@")[2], base=base, rule=rule, name=name)
        facts = {**version_row(made), "conflicts": made.row.extra.get("conflicts", [])}
    if as_json_text:
        as_json(facts)
    else:
        say(
            f"merged into {dataset}@{facts['name']}: {facts['frames']} frames, {len(facts['conflicts'])} conflicts settled by {rule!r}"
        )


@version.command()
@click.argument("reference", metavar="DATASET@VERSION")
@click.option("--force", is_flag=True, help="Also a published version.")
@store_option
def delete(reference: str, force: bool, store_uri: str | None) -> None:
    """Delete a version without children."""
    dataset, name = _split(reference)
    with opened(store_uri) as store:
        store[dataset].delete_version(name, force=force)
    say(f"deleted {reference}")
