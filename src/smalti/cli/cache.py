"""`smalti cache`: what is kept of remote files."""

import click

from smalti import storage
from smalti.cli.output import as_json, json_option, say

__all__ = ["cache"]


@click.group()
def cache() -> None:
    """The content-addressed local cache of remote files."""


@cache.command()
@json_option
def show(as_json_text: bool) -> None:
    """Where the cache is and how much it holds."""
    info = storage.cache_info()
    if as_json_text:
        as_json(info)
    elif info is None:
        say("there is no cache: it is switched off")
    else:
        say(f"{info.folder}: {info.files} files, {info.bytes / 1e6:,.1f} MB (at most {info.max_bytes / 1e6:,.0f} MB)")


@cache.command()
@json_option
def clear(as_json_text: bool) -> None:
    """Delete everything in it; it fills again as files are read."""
    info = storage.clear_cache()
    if as_json_text:
        as_json(info)
    else:
        say(
            "there is no cache"
            if info is None
            else f"cleared {info.folder}: {info.files} files, {info.bytes / 1e6:,.1f} MB went"
        )
