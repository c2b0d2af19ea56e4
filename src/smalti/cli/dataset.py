"""`smalti dataset`: create, list, show, rename, describe, declare, delete."""

from typing import TYPE_CHECKING

import click

from smalti.cli.output import agreed, answer, as_json, json_object, json_option, say, table
from smalti.cli.stores import dataset_argument, dataset_row, opened, store_option, version_row
from smalti.errors import VersionError

if TYPE_CHECKING:
    from smalti.store import Dataset

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
    with opened(store_uri, may_be_new=True) as store:
        made = store.create_dataset(name, project)
        if description or tags:
            made.describe(description=description, tags=list(tags))
        go_on = f"go on with: smalti version create {made.name}@v1"
        answer(dataset_row(made), as_json_text, f"created dataset {made.name}; {go_on}")


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
@dataset_argument()
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
@dataset_argument()
@click.argument("new_name", metavar="NAME")
@store_option
@json_option
def rename(name: str, new_name: str, store_uri: str | None, as_json_text: bool) -> None:
    """Give DATASET another name; its id stays."""
    with opened(store_uri) as store:
        found = store[name]
        found.rename(new_name)
        answer(dataset_row(found), as_json_text, f"dataset {name} is called {new_name} now")


@dataset.command()
@dataset_argument()
@click.option("--description", help="Free text.")
@click.option("--tag", "tags", multiple=True, help="In place of the tags that it has; several times for several.")
@click.option("--metadata", help="A JSON object in place of the one that it has.")
@store_option
@json_option
def describe(
    name: str,
    description: str | None,
    tags: tuple[str, ...],
    metadata: str | None,
    store_uri: str | None,
    as_json_text: bool,
) -> None:
    """Change what is said about DATASET; what is not given stays."""
    with opened(store_uri) as store:
        found = store[name]
        found.describe(description, tags=list(tags) or None, metadata=json_object(metadata))
        answer(dataset_row(found), as_json_text, f"described dataset {name}")


@dataset.command()
@dataset_argument()
@click.argument("path")
@click.argument("kind", metavar="TYPE")
@store_option
@json_option
def declare(name: str, path: str, kind: str, store_uri: str | None, as_json_text: bool) -> None:
    """Promote the metadata PATH (e.g. meta.city) to a column of TYPE, filled in for every version.

    Types: string, int, float, bool, timestamp; vector[NUMBERS] for a dense vector.
    """
    with opened(store_uri) as store:
        store[name].declare(path, kind)
        answer(store[name].declared, as_json_text, f"{path} is a {kind} column of {name}")


@dataset.command()
@dataset_argument()
@click.option("--yes", is_flag=True, help="Do not ask before drafts are deleted.")
@click.option("--force", is_flag=True, help="Also where versions are published; does not ask either.")
@click.option("--with-views", is_flag=True, help="Also where published views read them; they cannot be read any more.")
@store_option
@json_option
def delete(name: str, yes: bool, force: bool, with_views: bool, store_uri: str | None, as_json_text: bool) -> None:
    """Delete a dataset with all of its versions."""
    with opened(store_uri) as store:
        found = store[name]
        if not (yes or force):
            _ask(found)
        store.delete_dataset(found, force=force, with_views=with_views)
    answer({"deleted": name}, as_json_text, f"deleted dataset {name}")


def _ask(dataset: "Dataset") -> None:
    """Whether a person agrees to lose the drafts; published versions are refused by the store itself.

    Raises:
        VersionError: nobody agrees.
    """
    versions = dataset.versions()
    if not versions or any(version.state == "published" for version in versions):
        return
    lost = f"dataset {dataset.name!r} has {len(versions)} draft(s) with {sum(map(len, versions))} frame(s)"
    if not agreed(f"{lost}, which cannot be brought back. Delete them?"):
        raise VersionError(f"{lost}, which cannot be brought back; deleting them needs --yes")
