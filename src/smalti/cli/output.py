"""What every verb prints with: tables and progress for people, JSON for programs."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "agreed",
    "answer",
    "as_json",
    "check_output",
    "is_terminal",
    "json_object",
    "json_option",
    "note",
    "progress",
    "say",
    "table",
]

json_option = click.option("--json", "as_json_text", is_flag=True, help="Print JSON for programs.")


def say(text: str = "") -> None:
    """A line for people, on standard output."""
    click.echo(text)


def note(text: str) -> None:
    """A remark for people on standard error, so that it stays out of what programs read."""
    click.echo(f"note: {text}", err=True)


def _plain(found: Any) -> Any:
    """JSON of what msgspec does not know: paths and numpy's numbers."""
    if isinstance(found, os.PathLike):
        return os.fspath(found)
    if hasattr(found, "item"):
        return found.item()
    raise NotImplementedError(f"{type(found).__name__} has no JSON")


def as_json(found: Any) -> None:
    """One JSON document on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(found, enc_hook=_plain), indent=2).decode())


def answer(found: Any, as_json_text: bool, *lines: str) -> None:
    """What a verb found: as JSON for programs, else these lines for people."""
    if as_json_text:
        as_json(found)
        return
    for line in lines:
        say(line)


def json_object(text: str | None) -> dict[str, Any] | None:
    """The JSON object that an option holds, None without one.

    Raises:
        UsageError: it is something else.
    """
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.UsageError(f'--metadata is no JSON object: {error}; write e.g. \'{{"city": "bremen"}}\'') from None


def check_output(path: str, endings: Sequence[str] = (), what: str = "it") -> None:
    """Refuse a place that cannot be written to before any work is done for it.

    Args:
        path: the file to be written.
        endings: what it may end in, lower case with the dot; none = anything.
        what: what is written, for the message.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: with the path and what to do.
        UsageError: the ending is another.
    """
    place = Path(path)
    if endings and place.suffix.lower() not in endings:
        raise click.UsageError(f"{path}: {what} is written as {' or '.join(endings)}; change the ending")
    if place.is_dir():
        raise IsADirectoryError(f"{path}: this is a folder; name the file to write in it")
    if not place.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {place.parent}; make it first")
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        raise PermissionError(f"{path}: this place cannot be written to; choose another with -o")


def is_terminal() -> bool:
    """Whether a person is watching."""
    return sys.stderr.isatty()


def agreed(question: str) -> bool:
    """Whether a person at the terminal says yes; False where nobody can be asked."""
    return sys.stdin.isatty() and is_terminal() and click.confirm(question, err=True)


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
