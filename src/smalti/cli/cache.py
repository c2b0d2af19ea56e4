"""`smalti cache`: what is kept of remote files, and of decoded masks."""

import click

from smalti import kept, storage
from smalti.cli.output import as_json, json_option, say
from smalti.storage import CacheInfo

__all__ = ["cache"]


@click.group()
def cache() -> None:
    """The local cache of remote files, and the label maps that are kept (SMALTI_KEPT)."""


@cache.command()
@json_option
def show(as_json_text: bool) -> None:
    """Where both are and how much they hold."""
    maps = kept.in_use()
    _tell(storage.cache_info(), maps.info() if maps is not None else None, as_json_text, "")


@cache.command()
@json_option
def clear(as_json_text: bool) -> None:
    """Delete everything in both; they fill again as files are read."""
    maps = kept.in_use()
    _tell(storage.clear_cache(), maps.clear() if maps is not None else None, as_json_text, "cleared ")


def _tell(files: CacheInfo | None, maps: CacheInfo | None, as_json_text: bool, done: str) -> None:
    """`files` stand at the top of the JSON object, `maps` under "kept_maps": null where they are switched off."""
    if as_json_text:
        as_json({**_fields(files), "kept_maps": maps})
        return
    say("there is no cache of files: it is switched off" if files is None else done + _line(files, "files"))
    say(
        "label maps are not kept: set SMALTI_KEPT to `on` or to a folder"
        if maps is None
        else done + _line(maps, "label maps")
    )


def _fields(info: CacheInfo | None) -> dict[str, object]:
    names = ("folder", "files", "bytes", "max_bytes")
    return {name: getattr(info, name, None) for name in names}


def _line(info: CacheInfo, what: str) -> str:
    return f"{info.folder}: {info.files} {what}, {info.bytes / 1e6:,.1f} MB (at most {info.max_bytes / 1e6:,.0f} MB)"
