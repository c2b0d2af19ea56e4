"""`smalti view`: stored views: list, show, save, explain, clone, export, publish, delete."""

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from smalti.cli.output import answer, as_json, check_output, json_option, note, say, table
from smalti.cli.picking import hinted, local, view_row
from smalti.cli.stores import complete_versions, complete_views, opened, store_option
from smalti.errors import QueryError, VersionError
from smalti.hints import Known, hints_of, unknown_labels

if TYPE_CHECKING:
    from smalti.explain import MaskTable
    from smalti.store.rows import ViewRow
    from smalti.view import DataView

__all__ = ["view"]


@click.group()
def view() -> None:
    """Stored views: a query over versions, with label mapping, order and weights, under a name."""


@view.command("list")
@store_option
@json_option
def list_(store_uri: str | None, as_json_text: bool) -> None:
    """List the stored views."""
    with opened(store_uri) as store:
        rows = [_facts(row) for row in local(store).catalog.list_views()]
    if as_json_text:
        as_json(rows)
    elif rows:
        table(
            ("view", "status", "versions", "filters", "tags", "updated"),
            [
                (r["name"], r["status"], r["versions"], r["filters"], ", ".join(r["tags"]), r["updated"][:19])
                for r in rows
            ],
        )
    else:
        say("no views yet; make one: smalti view save NAME DATASET@VERSION --query QUERY")


@view.command()
@click.argument("name", shell_complete=complete_views)
@store_option
@json_option
def show(name: str, store_uri: str | None, as_json_text: bool) -> None:
    """Show a view: what it reads, and how many frames it has now. NAME may be an id."""
    with opened(store_uri) as store:
        row = view_row(store, name)
        found = _load(store, row)
        with hinted(found):
            total, each = found.get_count()
        facts = {**_facts(row), "frames": total, "frames_per_filter": each, "hints": hints_of(found), "spec": row.spec}
    if as_json_text:
        as_json(facts)
        return
    say(f"{facts['name']} ({facts['id']}), {facts['status']}: {total} frames")
    if facts["description"]:
        say(str(facts["description"]))
    for rule, count in zip(found.get_queries(), each, strict=False):
        texts = (rule.query, rule.frame_query, rule.sources_query, *(_label(r) for r in rule.label_rules))
        said = " AND ".join(text for text in texts if text) or "everything"
        say(f"  {said}: {count} frames, weight {rule.weight:g}")
    say(f"  order {found.iteration.order}, seed {found.iteration.seed}, limit {found.iteration.limit or 'none'}")


@view.command()
@click.argument("name")
@click.argument("references", metavar="DATASET@VERSION...", nargs=-1, shell_complete=complete_versions)
@click.option("--query", "queries", multiple=True, help="A filter in the one-string form; several are joined by OR.")
@click.option("--spec", "spec_path", type=click.Path(exists=True, dir_okay=False), help="A view as JSON, instead.")
@click.option("--label", "labels", multiple=True, metavar="LABEL=NUMBER", help="The class number of a label.")
@click.option("--void", type=int, default=255, show_default=True, help="The class number of everything else.")
@click.option("--order", type=click.Choice(["sequential", "random"]))
@click.option("--seed", type=int, help="Decides random orders.")
@click.option("--limit", type=click.IntRange(1), help="At most so many frames.")
@click.option("--description", default="")
@click.option("--tag", "tags", multiple=True)
@click.option("--replace", is_flag=True, help="Overwrite the draft of that name.")
@store_option
@json_option
def save(
    name: str,
    references: tuple[str, ...],
    queries: tuple[str, ...],
    spec_path: str | None,
    labels: tuple[str, ...],
    void: int,
    order: str | None,
    seed: int | None,
    limit: int | None,
    description: str,
    tags: tuple[str, ...],
    replace: bool,
    store_uri: str | None,
    as_json_text: bool,
) -> None:
    """Keep a view of one or more versions under NAME."""
    if (spec_path is None) == (not references):
        raise click.UsageError("name the versions to read, or give the view as --spec FILE")
    with opened(store_uri) as store:
        known = local(store).catalog.find_views(name=name)
        if known and not replace:
            raise VersionError(f"view {name!r} is there already; choose another name, or give --replace")
        made = _from_file(store, spec_path) if spec_path else _over(store, references)
        for text in queries:
            made.add_query(text)
        if labels:
            made.map_labels(dict(_numbered(label) for label in labels), void)
        made.set_iteration_parameters(order, None, limit, seed)
        made.name, made.description, made.tags = name, description, list(tags)
        made.id = known[-1].uuid if known else None
        targets = {rule.target for rule in made.mapping.rules}
        numbered = [name for name in made.mapping.numbers if isinstance(name, str) and name not in targets]
        unknown = unknown_labels(numbered, Known(made.tables))
        for sentence in unknown:
            note(sentence)
        with hinted(made):
            count = made.count()
        made.store(store)
        hints = [*unknown, *hints_of(made)]
        facts = {**_facts(store.catalog.get_view(made.id)), "frames": count, "hints": hints}
    if as_json_text:
        as_json(facts)
    else:
        say(f"saved view {name}: {count} frames; publish it: smalti view publish {name}")


@view.command()
@click.argument("name", shell_complete=complete_views)
@click.option("--limit", type=click.IntRange(1), help="Look at so many frames of each version only.")
@store_option
@json_option
def explain(name: str, limit: int | None, store_uri: str | None, as_json_text: bool) -> None:
    """Say which value of which mask of which version becomes which class."""
    with opened(store_uri) as store:
        found = _load(store, view_row(store, name)).explain(StringIO(), limit=limit)
    answer({"tables": [_rows(table) for table in found.tables], "notes": found.notes}, as_json_text, found.rstrip("\n"))


def _rows(found: "MaskTable") -> dict[str, Any]:
    columns = ("value", "labels", "names", "class")
    place = {"dataset": found.dataset, "version": found.version, "mask": found.mask, "frames": found.frames}
    return {**place, "rows": [dict(zip(columns, row, strict=True)) for row in found.table.rows()]}


@view.command()
@click.argument("name", shell_complete=complete_views)
@store_option
@json_option
def publish(name: str, store_uri: str | None, as_json_text: bool) -> None:
    """Freeze a view; all versions that it reads must be published."""
    with opened(store_uri) as store:
        row = view_row(store, name)
        _load(store, row).publish(store)
        facts = _facts(store.catalog.get_view(row.uuid))
    answer(facts, as_json_text, f"published view {name}")


@view.command()
@click.argument("name", shell_complete=complete_views)
@click.argument("new_name", metavar="NEW")
@store_option
@json_option
def clone(name: str, new_name: str, store_uri: str | None, as_json_text: bool) -> None:
    """Keep another view that is as NAME is, under the name NEW: a draft, free to change."""
    with opened(store_uri) as store:
        row = view_row(store, name)
        if local(store).catalog.find_views(name=new_name):
            raise VersionError(f"view {new_name!r} is there already; choose another name")
        made = _load(store, row).clone(new_name)
        made.store(store)
        facts = _facts(store.catalog.get_view(made.id))
    if as_json_text:
        as_json(facts)
    else:
        say(f"cloned view {name} as {new_name}, a draft")


@view.command()
@click.argument("name", shell_complete=complete_views)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="A file; default: standard output.")
@store_option
@json_option
def export(name: str, output: str | None, store_uri: str | None, as_json_text: bool) -> None:
    """Write a view as JSON, which `smalti view save NEW --spec FILE` reads."""
    if output:
        check_output(output)
    with opened(store_uri) as store:
        row = view_row(store, name)
    found = {"name": row.name, "description": row.description, "tags": row.tags, **row.spec}
    if output is None:
        as_json(found)
        return
    Path(output).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    answer({"view": row.name, "output": output}, as_json_text, f"wrote {output}")


@view.command()
@click.argument("name", shell_complete=complete_views)
@click.option("--force", is_flag=True, help="Also a published view.")
@store_option
@json_option
def delete(name: str, force: bool, store_uri: str | None, as_json_text: bool) -> None:
    """Forget a view; its frames stay."""
    with opened(store_uri) as store:
        row = view_row(store, name)
        if row.status == "published" and not force:
            raise VersionError(f"view {row.name!r} is published; deleting it needs --force, and cannot be undone")
        store.catalog.delete_view(row.uuid)
    answer({"deleted": name}, as_json_text, f"deleted view {name}")


def _load(store: Any, row: "ViewRow") -> "DataView":
    from smalti.view import DataView

    return DataView.get(row.uuid, store=store)


def _over(store: Any, references: tuple[str, ...]) -> "DataView":
    from smalti.view import DataView

    made = DataView()
    for reference in references:
        made.add_version(store.version(reference))
    return made


def _from_file(store: Any, path: str) -> "DataView":
    from smalti.store.views import look_up
    from smalti.view import DataView

    try:
        spec = msgspec.json.decode(Path(path).read_bytes())
    except msgspec.DecodeError as error:
        raise QueryError(f"{path} is no JSON: {error}") from None
    if not isinstance(spec, dict):
        raise QueryError(
            f"{path} is {type(spec).__name__}; a view is a JSON object, as `smalti view show --json` has it"
        )
    # What `show --json` prints has the view under "spec".
    found = spec["spec"] if isinstance(spec.get("spec"), dict) else spec
    entries = found.get("versions") or ()
    return DataView.from_spec(found, [look_up(e["dataset"], e.get("version"), None, store) for e in entries])


def _numbered(text: str) -> tuple[str, int]:
    label, equals, number = text.rpartition("=")
    if not equals or not label or not number.lstrip("-").isdecimal():
        raise QueryError(f"--label {text!r} is not LABEL=NUMBER; write e.g. --label car=1")
    return label, int(number)


def _label(rule: Any) -> str:
    return f"{'NOT ' if rule.must_not else ''}({rule.label})"


def _facts(row: "ViewRow") -> dict[str, Any]:
    return {
        "id": row.uuid,
        "name": row.name,
        "status": row.status,
        "description": row.description,
        "tags": row.tags,
        "versions": len(row.spec.get("versions", ())),
        "filters": len(row.spec.get("filters", ())),
        "created": str(row.created),
        "updated": str(row.updated),
    }
