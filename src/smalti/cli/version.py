"""`smalti version`: drafts and published versions, from create to delete. A version is DATASET@VERSION."""

from typing import Any

import click
import msgspec

from smalti.cli.check import print_report
from smalti.cli.legends import read_legend
from smalti.cli.output import answer, as_json, json_object, json_option, progress, say, table
from smalti.cli.stores import (
    dataset_argument,
    frames_of,
    opened,
    split_reference,
    store_option,
    version_argument,
    version_row,
    versions_of,
)
from smalti.errors import CheckFailed
from smalti.lint import Report

__all__ = ["version"]


@click.group()
def version() -> None:
    """Versions: drafts that change and published ones that never do."""


@version.command()
@version_argument()
@click.option(
    "--parent",
    "parents",
    multiple=True,
    shell_complete=versions_of("reference"),
    help="A published version to start from; several are merged.",
)
@click.option(
    "--prefer",
    type=click.Choice(["error", "ours", "theirs"]),
    default="error",
    show_default=True,
    help="Where several parents disagree: refuse, the first of them, or the later one.",
)
@click.option("--description", default="")
@store_option
@json_option
def create(
    reference: str,
    parents: tuple[str, ...],
    prefer: str,
    description: str,
    store_uri: str | None,
    as_json_text: bool,
) -> None:
    """Create a draft; the dataset is made if it is not there."""
    dataset, name = split_reference(reference)
    with opened(store_uri, may_be_new=True) as store:
        home = store[dataset] if dataset in store else store.create_dataset(dataset)
        made = home.create_version(name, parents=parents, **({} if prefer == "error" else {"prefer": prefer}))
        if description:
            made.describe(description)
        row = version_row(made)
    answer(row, as_json_text, f"created draft {reference}; go on with: smalti frames add {reference} FRAMES.jsonl")


@version.command("list")
@dataset_argument("dataset")
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
@dataset_argument("dataset")
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
@version_argument()
@store_option
@json_option
def show(reference: str, store_uri: str | None, as_json_text: bool) -> None:
    """Show a version: state, frames, statistics, legend, metadata, and what the checks said at its publish."""
    split_reference(reference)
    with opened(store_uri) as store:
        found = store.version(reference)
        facts: dict[str, Any] = {
            **version_row(found),
            "stats": found.compute_stats(),
            "masks_labels": found.get_masks_labels(),
            "report": _report(found),
        }
    if as_json_text:
        as_json(facts)
        return
    stats, report = facts.pop("stats"), facts.pop("report")
    for key, value in facts.items():
        if value not in (None, [], {}, ""):
            say(f"{key}: {value if isinstance(value, str | int) else _short(value)}")
    say(f"rois: {stats.get('rois', 0)}; frames with mask facts: {stats.get('frames_with_facts', 0)}")
    labels = sorted(stats.get("frames_per_label", {}).items(), key=lambda item: (-item[1], item[0]))
    if labels:
        table(("label", "frames"), labels[:20])
        if len(labels) > 20:
            say(f"… {len(labels) - 20} more (--json lists all)")
    if report is not None:
        counts = ", ".join(f"{count} {code}" for code, count in (report.get("counts") or {}).items())
        say(f"report: {counts or 'nothing found'} (smalti version report {reference})")


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:197]}… (--json has all)"


def _report(found: Any) -> Any:
    kept = getattr(found, "report", None)
    return kept if isinstance(kept, dict) or kept is None else {"text": str(kept)}


@version.command()
@version_argument()
@click.option("--all", "show_all", is_flag=True, help="Print every finding, not the first few of each kind.")
@store_option
@json_option
def report(reference: str, show_all: bool, store_uri: str | None, as_json_text: bool) -> int:
    """Show what the checks said when the version was published, or was refused. Exits with 1 where they found errors."""
    split_reference(reference)
    with opened(store_uri) as store:
        kept = _report(store.version(reference))
    if kept is None or "findings" not in kept:
        answer(kept, as_json_text, (kept or {}).get("text") or f"{reference} has no report: publish it with --check")
        return 0
    found = Report.from_dict(kept)
    if as_json_text:
        as_json(kept)
    else:
        print_report(found, None if show_all else 5, rest="--all shows them")
    return 0 if found.ok else 1


@version.command()
@version_argument()
@click.option(
    "--check", "checked", is_flag=True, help="Look at every mask first and refuse on errors; the report is kept."
)
@click.option("--force", is_flag=True, help="Publish in spite of errors.")
@click.option("--facts", is_flag=True, help="Count the pixels of every mask before.")
@store_option
@json_option
def publish(reference: str, checked: bool, force: bool, facts: bool, store_uri: str | None, as_json_text: bool) -> int:
    """Freeze a draft. With --check, exits with 1 where there are errors, and it stays a draft."""
    split_reference(reference)
    options: dict[str, Any] = {"facts": True} if facts else {}
    with opened(store_uri) as store, progress("publishing"):
        draft = store.version(reference)
        try:
            draft.publish("errors" if checked else None, force=force, **options)
        except CheckFailed as refused:
            if as_json_text:
                as_json({"published": None, "error": str(refused), "report": _report(draft)})
                return 1
            if isinstance(refused.report, Report):
                print_report(refused.report, rest=f"smalti version report {reference} --all shows them")
            click.echo(f"smalti: {refused.on_command_line}", err=True)
            return 1
        row = version_row(draft)
    answer(row, as_json_text, f"published {reference}")
    return 0


@version.command()
@version_argument()
@click.option("--name", help="What the published version is called; default: snapshot and the time.")
@click.option("--child", help="What the draft after it is called; default: the name that the version had.")
@store_option
@json_option
def snapshot(reference: str, name: str | None, child: str | None, store_uri: str | None, as_json_text: bool) -> None:
    """Publish a draft and go on in a working copy."""
    split_reference(reference)
    with opened(store_uri) as store:
        draft = store.version(reference)
        working = draft.snapshot(name, child=child)
        said = f"published {working.parents[0].name}; go on in {working.dataset.name}@{working.name}"
        answer(version_row(working), as_json_text, said)


@version.command()
@version_argument()
@click.argument("name")
@store_option
@json_option
def rename(reference: str, name: str, store_uri: str | None, as_json_text: bool) -> None:
    """Give a version another NAME, published ones too; its id and its frames stay."""
    split_reference(reference)
    with opened(store_uri) as store:
        found = store.version(reference)
        found.rename(name)
        answer(version_row(found), as_json_text, f"{reference} is called {name} now")


@version.command()
@version_argument()
@click.option("--description", help="Free text.")
@click.option("--tag", "tags", multiple=True, help="In place of the tags that it has; several times for several.")
@click.option("--metadata", help="A JSON object in place of the one that it has; only of a draft.")
@click.option("--legend", "legend_file", type=click.Path(), help="A legend file for all masks; only of a draft.")
@store_option
@json_option
def describe(
    reference: str,
    description: str | None,
    tags: tuple[str, ...],
    metadata: str | None,
    legend_file: str | None,
    store_uri: str | None,
    as_json_text: bool,
) -> None:
    """Change what is said about a version; what is not given stays."""
    split_reference(reference)
    given, legend = json_object(metadata), read_legend(legend_file)
    with opened(store_uri) as store:
        found = store.version(reference)
        if given is not None:
            found.set_metadata(given)
        if legend is not None:
            found.set_masks_labels(legend)
        if description is not None or tags:
            found.describe(description, tags=list(tags) or None)
        answer(version_row(found), as_json_text, f"described {reference}")


@version.command()
@version_argument("before")
@click.argument("after", metavar="VERSION", shell_complete=versions_of("before"))
@click.option(
    "--frame",
    "frame_id",
    shell_complete=frames_of("before"),
    help="What changed inside this frame, mask pixels included.",
)
@store_option
@json_option
def diff(before: str, after: str, frame_id: str | None, store_uri: str | None, as_json_text: bool) -> None:
    """Frames added, removed and changed between two versions of a dataset, and legends that differ."""
    dataset, name = split_reference(before)
    with opened(store_uri) as store:
        found = store[dataset].diff(name, after.rpartition("@")[2])
        if frame_id is not None:
            from smalti.cli.changes import frame_changes, say_frame_changes

            inside = found.frame(frame_id)
            if as_json_text:
                as_json(frame_changes(inside))
            else:
                say_frame_changes(inside)
            return
        facts = {"added": list(found.added), "removed": list(found.removed), "changed": list(found.changed)}
        legends = found.legends
    if as_json_text:
        told = {mask_id: {"before": was, "after": now} for mask_id, (was, now) in legends.items()}
        as_json({**facts, "legends": told})
        return
    for mask_id, (was, now) in legends.items():
        say(f"~ legend of {'all masks' if mask_id == '_all_' else f'masks {mask_id!r}'}: {_relabeled(was, now)}")
    for mark, key in (("+", "added"), ("-", "removed"), ("~", "changed")):
        for frame_name in facts[key][:20]:
            say(f"{mark} {frame_name}")
        if len(facts[key]) > 20:
            say(f"{mark} … {len(facts[key]) - 20} more")
    counts = f"{len(facts['added'])} added, {len(facts['removed'])} removed, {len(facts['changed'])} changed"
    say(counts + (f"; {len(legends)} legends differ" if legends else ""))


def _relabeled(was: Any, now: Any) -> str:
    """Which values mean something else, in words."""
    before, after = ({tuple(row["value"]): "/".join(row["labels"]) for row in side or ()} for side in (was, now))
    moved = [value for value in {**before, **after} if before.get(value) != after.get(value)]
    told = [f"{list(v)} {before.get(v, '(nothing)')} → {after.get(v, '(nothing)')}" for v in moved[:5]]
    return ", ".join(told) + (f" and {len(moved) - 5} more" if len(moved) > 5 else "") or "in another order"


@version.command()
@version_argument("ours", "DATASET@OURS")
@click.argument("theirs", shell_complete=versions_of("ours"))
@click.option(
    "--base", shell_complete=versions_of("ours"), help="What both started from; default: their nearest common ancestor."
)
@click.option("--rule", type=click.Choice(["error", "ours", "theirs"]), default="error", show_default=True)
@click.option("--name", help="Of the draft child, where OURS is published.")
@store_option
@json_option
def merge(
    ours: str, theirs: str, base: str | None, rule: Any, name: str | None, store_uri: str | None, as_json_text: bool
) -> None:
    """Take the changes of THEIRS into OURS, per frame and per mask; conflicts are listed."""
    dataset, own = split_reference(ours)
    with opened(store_uri) as store:
        made = store[dataset].merge(own, theirs.rpartition("@")[2], base=base, rule=rule, name=name)
        facts = {**version_row(made), "conflicts": made.row.extra.get("conflicts", [])}
    said = f"{facts['frames']} frames, {len(facts['conflicts'])} conflicts settled by {rule!r}"
    answer(facts, as_json_text, f"merged into {dataset}@{facts['name']}: {said}")


@version.command()
@version_argument()
@click.option("--force", is_flag=True, help="Also a published version.")
@click.option("--with-views", is_flag=True, help="Also one that published views read; they cannot be read any more.")
@store_option
@json_option
def delete(reference: str, force: bool, with_views: bool, store_uri: str | None, as_json_text: bool) -> None:
    """Delete a version without children."""
    dataset, name = split_reference(reference)
    with opened(store_uri) as store:
        store[dataset].delete_version(name, force=force, with_views=with_views)
    answer({"deleted": reference}, as_json_text, f"deleted {reference}")
