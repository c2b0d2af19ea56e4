"""`smalti store`: maintain, verify, backup, restore, purge."""

import click
import msgspec

from smalti.cli.output import as_json, json_option, say
from smalti.cli.stores import opened, store_option

__all__ = ["store"]


@click.group()
def store() -> None:
    """The store as a whole."""


@store.command()
@store_option
@json_option
def maintain(store_uri: str | None, as_json_text: bool) -> None:
    """Compact and index drafts, forget old history, sweep what crashes left."""
    with opened(store_uri) as found:
        done = msgspec.to_builtins(found.maintain())
    if as_json_text:
        as_json(done)
    else:
        say("; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in done.items()))


@store.command()
@store_option
@json_option
def verify(store_uri: str | None, as_json_text: bool) -> int:
    """Read everything back and compare it with hashes, counts and references."""
    with opened(store_uri) as found:
        verdict = found.verify()
    if as_json_text:
        as_json(msgspec.to_builtins(verdict))
    else:
        say("; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in msgspec.to_builtins(verdict).items()))
        say("sound" if verdict.is_sound else "NOT sound")
    return 0 if verdict.is_sound else 1


@store.command()
@click.argument("target")
@store_option
@json_option
def backup(target: str, store_uri: str | None, as_json_text: bool) -> None:
    """Copy everything into a new store at TARGET."""
    with opened(store_uri) as found:
        copied = found.backup(target)
    if as_json_text:
        as_json(copied)
    else:
        say(f"copied {sum(copied.values())} frames in {len(copied)} versions to {target}")


@store.command()
@click.argument("source")
@store_option
@json_option
def restore(source: str, store_uri: str | None, as_json_text: bool) -> None:
    """Copy everything from the store at SOURCE into this one, which must be empty."""
    with opened(store_uri) as mine:
        target = mine.uri
    with opened(source) as found:
        copied = found.backup(target)
    if as_json_text:
        as_json(copied)
    else:
        say(f"copied {sum(copied.values())} frames in {len(copied)} versions from {source}")


@store.command()
@click.argument("frame_ids", nargs=-1, required=True)
@click.option("--who", required=True, help="Who asked for it; kept in the audit trail.")
@click.option("--why", required=True, help="The reason; kept in the audit trail.")
@store_option
@json_option
def purge(frame_ids: tuple[str, ...], who: str, why: str, store_uri: str | None, as_json_text: bool) -> None:
    """Erase frames from every version, published ones too, with their history on disk."""
    with opened(store_uri) as found:
        erased = found.purge(frame_ids, who=who, why=why)
    if as_json_text:
        as_json(erased)
    else:
        say("; ".join(f"{name}: {count}" for name, count in erased.items()) or "no version has them")
