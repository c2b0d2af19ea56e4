"""The command line: `smalti VERB`. Each verb lives in a module that is imported when it is called."""

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from smalti import __version__
from smalti.errors import SmaltiError

__all__ = ["main"]

# verb → (module, command, one line of help): the list shows without importing what the verbs need.
_VERBS = {
    "look": ("smalti.cli.look", "look", "Show a frame's mask over its image."),
    "decode": ("smalti.cli.look", "decode", "Write a frame's label map as PNG or .npy."),
    "check": ("smalti.cli.check", "check_command", "Check frames, files and masks."),
    "stats": ("smalti.cli.stats", "stats", "Count pixels, frames and ROIs per label, with plots."),
    "import": ("smalti.cli.importing", "import_command", "Read a folder or file of any known layout into frames."),
    "export": ("smalti.cli.exporting", "export_command", "Write frames in another layout, and prove what was kept."),
    "repair": ("smalti.cli.repair", "repair_command", "Write clean copies of damaged masks."),
    "dataset": ("smalti.cli.dataset", "dataset", "Datasets: create, list, show, rename, describe, declare, delete."),
    "version": (
        "smalti.cli.version",
        "version",
        "Versions: create, list, tree, show, publish, snapshot, diff, merge, delete.",
    ),
    "frames": ("smalti.cli.frames", "frames", "Frames of a version: add, list, show, export, delete, facts."),
    "store": ("smalti.cli.store", "store", "Stores: maintain, verify, backup, restore, purge, audit."),
    "query": ("smalti.cli.query", "query", "Which frames of a version match."),
    "view": ("smalti.cli.view", "view", "Stored views: list, show, save, clone, export, explain, publish, delete."),
    "split": ("smalti.cli.query", "split", "Deal frames into train, val, test."),
    "evaluate": (
        "smalti.cli.evaluate",
        "evaluate_command",
        "Compare predictions with truth: IoU, Dice, boundary IoU, PQ.",
    ),
    "serve": ("smalti.cli.serve", "serve", "Browse and edit a store in the browser."),
    "users": ("smalti.cli.serve", "users", "Who may log in to a shared server."),
    "pull": ("smalti.cli.pull", "pull", "Take datasets over from a server of ClearML's protocol."),
    "cache": ("smalti.cli.cache", "cache", "Show or clear the local cache."),
    "doctor": ("smalti.cli.doctor", "doctor", "Say what is installed and which kernels run."),
    "completion": ("smalti.cli.completion", "completion", "Print what bash, zsh or fish need to complete smalti."),
    "demo": ("smalti.cli.demo", "demo", "Make a small street scene and run everything on it."),
}


class _Verbs(click.Group):
    """A group that imports a verb when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb for verb, (module, _, _) in _VERBS.items() if module]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module, name, _ = _VERBS[cmd_name]
        found: click.Command = getattr(importlib.import_module(module), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, _, text) in _VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no verb {args[0]!r}; verbs are {', '.join(_VERBS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="smalti")
def cli() -> None:
    """Frames, their segmentation masks, and what the colours mean."""


_ADVICE = {
    errno.ENOENT: "there is no such file or folder; check the name",
    errno.EISDIR: "this is a folder; name a file",
    errno.ENOTDIR: "a part of this path is a file where a folder is needed; check the path",
    errno.EACCES: "access is denied; check who may read and write it",
    errno.EPERM: "access is denied; check who may read and write it",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOSPC: "the disk is full; make room and run it again",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
}


def _sentence(error: Exception) -> str:
    """What to tell people: errors of the operating system name the file first and say what to do."""
    if isinstance(error, SmaltiError):
        return error.on_command_line
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    said = _ADVICE.get(error.errno, (error.strerror or str(error)).lower())
    return f"{os.fsdecode(error.filename)}: {said}" if isinstance(error.filename, (str, bytes)) else said


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run the command line; errors that smalti raises on purpose become one sentence and exit code 2."""
    try:
        result = cli.main(
            args=list(arguments) if arguments is not None else None, prog_name="smalti", standalone_mode=False
        )
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `smalti … | head`: the reader has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - Python flushes it at exit
        sys.exit(141)
    except (SmaltiError, OSError) as error:
        click.echo(f"smalti: {_sentence(error)}", err=True)
        sys.exit(2)
    sys.exit(result if isinstance(result, int) else 0)
