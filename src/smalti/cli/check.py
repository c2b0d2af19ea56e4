"""`smalti check`: the verdict, for people and for programs."""

from itertools import groupby

import click

from smalti.cli.legends import read_legend
from smalti.cli.output import check_output, json_option, progress, say
from smalti.lint import CODES, Report, check

__all__ = ["check_command", "print_report"]

SHOWN = 5


@click.command("check")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--legend", type=click.Path(), help="A legend file; fills in what frames do not say.")
@click.option("--workers", type=click.IntRange(1), help="Threads; default: one per core.")
@click.option("--all", "show_all", is_flag=True, help="Print every finding, not the first few of each kind.")
@click.option("-o", "--output", type=click.Path(), help="Also write the report as JSON.")
@json_option
def check_command(
    paths: tuple[str, ...],
    legend: str | None,
    workers: int | None,
    show_all: bool,
    output: str | None,
    as_json_text: bool,
) -> int:
    """Check PATHS: frame files (JSON, JSON-lines) or folders of images, masks and a legend.

    Exits with 1 when there are errors.
    """
    if output:
        check_output(output)
    read = read_legend(legend)
    with progress("checking") as advance:
        report = check(list(paths), legend=read, workers=workers, progress=advance)
    if output:
        with open(output, "w", encoding="utf-8") as file:
            file.write(report.to_json())
    if as_json_text:
        click.echo(report.to_json())
    else:
        print_report(report, None if show_all else SHOWN, rest="--all shows them")
    return 0 if report.ok else 1


def print_report(report: Report, most: int | None = SHOWN, *, rest: str = "--json lists them") -> None:
    """The findings by code, worst first; `most` of each.

    Args:
        rest: how the verb that prints shows the others.
    """
    marks = {
        "error": click.style("error", fg="red", bold=True),
        "warning": click.style("warning", fg="yellow"),
        "info": "info",
    }
    for code, group in groupby(report.findings, key=lambda f: f.code):
        findings = list(group)
        say(f"{marks[findings[0].severity]} {click.style(code, bold=True)}: {CODES[code][1]} ({len(findings)})")
        for finding in findings[:most]:
            say(f"  {finding.where}")
            say(f"    {finding.message}")
        if most is not None and len(findings) > most:
            say(f"  … {len(findings) - most} more ({rest})")
        say(f"  → {findings[0].hint}")
    say(repr(report))
