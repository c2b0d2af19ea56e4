"""`smalti dataset`: create, list, show, declare, delete."""

import click

from smalti.cli.output import as_json, json_option, say, table
from smalti.cli.stores import dataset_row, opened, store_option, version_row

__all__ = ["dataset"]


@click.group()
def dataset() -> None:
    """Datasets: named trees of versions."""


@dataset.command()
@click.argument("name")
@click.option("--project", help="What groups datasets.")
@click.option("--description", default="")
@click.option("--tag", "tags", multiple=True)
@store_option
@json_option
def create(
    name: str, project: str | None, description: str, tags: tuple[str, ...], store_uri: str | None, as_json_text: bool
) -> None:
    """Create the dataset NAME."""
    with opened(store_uri) as store:
        made = store.create_dataset(name, project)
        if description or tags:
            made.describe(description=description, tags=list(tags))
        if as_json_text:
            as_json(dataset_row(made))
        else:
            say(f"created dataset {made.name}; go on with: smalti version create {made.name}@v1")


@dataset.command("list")
@click.option("--project", help="Only this project.")
@store_option
@json_option
def list_(project: str | None, store_uri: str | None, as_json_text: bool) -> None:
    """List the datasets."""
    with opened(store_uri) as store:
        rows = [dataset_row(found) for found in store.datasets(project)]
    if as_json_text:
        as_json(rows)
    elif rows:
        table(
            ("name", "project", "versions", "tags", "updated"),
            [(r["name"], r["project"] or "", r["versions"], ", ".join(r["tags"]), r["updated"][:19]) for r in rows],
        )
    else:
        say("no datasets yet; make one: smalti dataset create NAME")


@dataset.command()
@click.argument("name")
@store_option
@json_option
def show(name: str, store_uri: str | None, as_json_text: bool) -> None:
    """Show a dataset and its versions."""
    with opened(store_uri) as store:
        found = store[name]
        facts = {
            **dataset_row(found),
            "declared": found.declared,
            "tree": [{**version_row(v), "depth": d} for d, v in found.tree()],
        }
    if as_json_text:
        as_json(facts)
        return
    say(f"{facts['name']} ({facts['id']})" + (f" in {facts['project']}" if facts["project"] else ""))
    if facts["description"]:
        say(str(facts["description"]))
    for row in facts["tree"]:
        say(f"{'  ' * (row['depth'] + 1)}{row['name']}  {row['state']}, {row['frames']} frames")


@dataset.command()
@click.argument("name")
@click.argument("path")
@click.argument("kind")
@store_option
def declare(name: str, path: str, kind: str, store_uri: str | None) -> None:
    """Promote the metadata PATH (e.g. meta.city) to a typed column, filled in for every version.

    KIND is string, int, float, bool, timestamp, or vector[768] for dense vectors (see `smalti query --near`).
    """
    with opened(store_uri) as store:
        store[name].declare(path, kind)
    say(f"{path} is a {kind} column of {name}")


@dataset.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also where versions are published.")
@store_option
def delete(name: str, force: bool, store_uri: str | None) -> None:
    """Delete a dataset with all of its versions."""
    with opened(store_uri) as store:
        store.delete_dataset(name, force=force)
    say(f"deleted dataset {name}")
