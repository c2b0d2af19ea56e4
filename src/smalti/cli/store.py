"""`smalti store`: maintain, verify, backup, restore, purge, audit."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from smalti.cli.output import answer, as_json, json_option, progress, say, table
from smalti.cli.picking import local
from smalti.cli.stores import complete_datasets, opened, store_option
from smalti.errors import VersionError

if TYPE_CHECKING:
    from smalti.store.catalog import Catalog

__all__ = ["store"]


@click.group()
def store() -> None:
    """The store as a whole."""


@store.command()
@store_option
@json_option
def maintain(store_uri: str | None, as_json_text: bool) -> None:
    """Compact and index drafts, forget old history, sweep what crashes left."""
    with opened(store_uri) as found, progress("maintaining"):
        done = found.maintain()
    answer(
        msgspec.to_builtins(done),
        as_json_text,
        *(f"tidied {name}" for name in done.tidied),
        *(f"skipped {name}: {why}" for name, why in done.skipped.items()),
        *(f"swept {name}" for name in done.swept),
        f"freed {done.bytes_freed:,} bytes of old history",
    )


@store.command()
@click.option("--files", is_flag=True, help="Also look whether the files are there that frames point to.")
@store_option
@json_option
def verify(files: bool, store_uri: str | None, as_json_text: bool) -> int:
    """Read everything back and compare it with hashes, counts and references. Exits with 1 when something is wrong."""
    with opened(store_uri) as found, progress("reading everything back"):
        verdict = found.verify(files=files)
    if not as_json_text and verdict.frames:
        table(("version", "frames"), list(verdict.frames.items()))
    looked = [] if verdict.files is None else [f"looked for {verdict.files} files"]
    orphans = f"{len(verdict.orphans)} branch(es) without a version: smalti store maintain sweeps them"
    answer(
        {**msgspec.to_builtins(verdict), "sound": verdict.is_sound},
        as_json_text,
        *(f"WRONG {problem}" for problem in verdict.problems),
        *([orphans] if verdict.orphans else []),
        *looked,
        "sound" if verdict.is_sound else "NOT sound",
    )
    return 0 if verdict.is_sound else 1


def _copied(source: str | None, target: str, place: str, as_json_text: bool) -> None:
    with opened(source) as found, progress("copying"):
        copied = found.backup(target)
    answer(copied, as_json_text, f"copied {sum(copied.values())} frames in {len(copied)} versions {place}")


@store.command()
@click.argument("target")
@store_option
@json_option
def backup(target: str, store_uri: str | None, as_json_text: bool) -> None:
    """Copy everything into a new store at TARGET."""
    _copied(store_uri, target, f"to {target}", as_json_text)


@store.command()
@click.argument("source")
@store_option
@json_option
def restore(source: str, store_uri: str | None, as_json_text: bool) -> None:
    """Copy everything from the store at SOURCE into this one, which must be empty."""
    with opened(store_uri, may_be_new=True) as mine:
        target = mine.uri
    _copied(source, target, f"from {source}", as_json_text)


@store.command()
@click.option("--dataset", "name", shell_complete=complete_datasets, help="Only what was done to this dataset.")
@click.option("--what", help="Only this, e.g. purge.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@store_option
@json_option
def audit(name: str | None, what: str | None, limit: int, store_uri: str | None, as_json_text: bool) -> None:
    """Show who did what and why, newest first: purges, deletions, publishes, edits over a server."""
    with opened(store_uri) as found:
        catalog = local(found, "the audit trail is read").catalog
        dataset = None if name is None else found[name].id
        names = {row.uuid: row.name for row in catalog.list_datasets()}
        rows: list[dict[str, Any]] = [
            {
                "when": str(row.when),
                "who": row.who,
                "what": row.what,
                "dataset": names.get(row.dataset or "", row.dataset),
                "version": row.version and _version_name(catalog, row.version),
                "detail": row.detail,
            }
            for row in catalog.audit(dataset=dataset, what=what, limit=limit)
        ]
    if as_json_text:
        as_json(rows)
    elif rows:
        cells = [
            (
                r["when"][:19],
                r["who"],
                r["what"],
                "@".join(filter(None, (r["dataset"], r["version"]))),
                _details(r["detail"]),
            )
            for r in rows
        ]
        table(("when", "who", "what", "where", "details"), cells)
    else:
        say("nothing was written down")


def _version_name(catalog: "Catalog", uuid: str) -> str:
    """The name of a version, deleted ones too; its id where nothing is known any more."""
    try:
        return catalog.get_version(uuid).name
    except VersionError:
        return uuid


def _details(detail: dict[str, Any]) -> str:
    """What is noted beside an entry, on one line; of lists the first few."""
    said = []
    for key, value in detail.items():
        shown = [*value[:3], f"… {len(value) - 3} more"] if isinstance(value, list) and len(value) > 4 else value
        said.append(f"{key}: {shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()}")
    return ", ".join(said)


@store.command()
@click.argument("frame_ids", nargs=-1, required=True)
@click.option("--who", required=True, help="Who asked for it; kept in the audit trail.")
@click.option("--why", required=True, help="The reason; kept in the audit trail.")
@store_option
@json_option
def purge(frame_ids: tuple[str, ...], who: str, why: str, store_uri: str | None, as_json_text: bool) -> None:
    """Erase frames from every version, published ones too, with their history on disk."""
    with opened(store_uri) as found, progress("erasing"):
        erased = found.purge(frame_ids, who=who, why=why)
    if erased and not as_json_text:
        table(("version", "erased"), list(erased.items()))
    else:
        answer(erased, as_json_text, "no version has them")
