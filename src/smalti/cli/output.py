"""What every verb prints with: tables and progress for people, JSON for programs."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["as_json", "is_terminal", "json_option", "progress", "say", "table"]

json_option = click.option("--json", "as_json_text", is_flag=True, help="Print JSON for programs.")


def say(text: str = "") -> None:
    """A line for people, on standard output."""
    click.echo(text)


def as_json(found: Any) -> None:
    """One JSON document on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


def is_terminal() -> bool:
    """Whether a person is watching."""
    return sys.stderr.isatty()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table; columns of numbers are right-aligned."""
    from rich.console import Console
    from rich.table import Table

    listed = [[str(cell) for cell in row] for row in rows]
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, name in enumerate(columns):
        numeric = bool(listed) and all(row[position][:1].isdigit() or row[position][:1] in "-<" for row in listed)
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        shown.add_row(*(cell.replace("[", r"\[") for cell in row))
    # A pipe has no width: give it room, so that programs that read the table see whole cells.
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(shown)


@contextmanager
def progress(what: str, total: int | None = None) -> "Iterator[Callable[[int], None]]":
    """A bar on standard error while a person is watching; call the result with the number done so far."""
    if not is_terminal():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
