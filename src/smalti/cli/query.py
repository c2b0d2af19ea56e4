"""`smalti query` and `smalti split`: which frames of a version, counted, listed or dealt out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from smalti import wire
from smalti.cli.output import as_json, json_option, note, say, table
from smalti.cli.picking import view_of
from smalti.cli.stores import choice_argument, completed, opened, store_option
from smalti.errors import QueryError
from smalti.hints import hints_of, lacking_of

if TYPE_CHECKING:
    from smalti.store import DatasetVersion

__all__ = ["query", "split"]


def _completed(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """How a query about the version that the line names could go on."""
    from smalti.query import complete
    from smalti.store.words import VersionWords

    def listed(store: Any) -> list[str]:
        words = VersionWords(store.version(context.params["reference"]).table)
        return [begun[: found.start] + found.text for found in complete(begun, words=words)]

    return completed(context, listed, begun)


@click.command()
@choice_argument()
@click.argument("text", metavar="QUERY", default="", shell_complete=_completed)
@click.option("--count", "only_count", is_flag=True, help="Print only how many frames match.")
@click.option("--table", "as_table", is_flag=True, help="Print a table (the default).")
@click.option("--sql", is_flag=True, help="Show what the store is asked and what is left to be evaluated.")
@click.option("--limit", "-k", type=click.IntRange(1), default=50, show_default=True)
@click.option(
    "--near", metavar="FRAME|FILE", help="The most similar first: to a frame, or to the numbers in a JSON file."
)
@click.option("--field", default="meta.vector", show_default=True, help="With --near: where the vectors are.")
@click.option("--metric", type=click.Choice(["cosine", "l2_norm", "dot_product"]), default="cosine", show_default=True)
@store_option
@json_option
def query(  # one verb, several questions about one choice of frames
    reference: str,
    text: str,
    only_count: bool,
    as_table: bool,
    sql: bool,
    limit: int,
    near: str | None,
    field: str,
    metric: str,
    store_uri: str | None,
    as_json_text: bool,
) -> None:
    """The frames of DATASET@VERSION that match QUERY, e.g. 'label:car AND meta.city:bremen AND mask.car.share:[0.05 TO *]'.

    The name of a stored view in place of DATASET@VERSION lists the frames of that view.
    """
    if near is not None or sql:
        with opened(store_uri) as store:
            version = store.version(reference)
            if near is not None:
                _say_nearest(version, text, _vector(near), limit, field, metric, as_json_text)
            else:
                _say_plan(version, text)
        return
    with view_of(reference, text, store_uri) as view:
        total = view.count()
        told = {"count": total, "lacking": lacking_of(view), "hints": hints_of(view)} if as_json_text else {}
        if only_count:
            if as_json_text:
                as_json(told)
            else:
                say(str(total))
            return
        rows = []
        for frame in view:
            rows.append(frame)
            if len(rows) == limit:
                break
    if as_json_text:
        as_json({**told, "frames": [wire.to_dict(frame.record) for frame in rows]})
        return
    table(
        ("id", "context", "timestamp", "labels"),
        [(f.id, f.context_id, f.record.timestamp or 0, ", ".join(_labels(f))) for f in rows],
    )
    say(f"{len(rows)} of {total} matching frames")


def _vector(near: str) -> str | list[float]:
    """The numbers in a file, or the id of a frame."""
    path = Path(near)
    if path.suffix != ".json" or not path.is_file():
        return near
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[float])
    except msgspec.DecodeError as error:
        raise QueryError(f"{near} holds no list of numbers: {error}; give one, e.g. [0.25, -1, 3]") from None


def _say_nearest(
    version: Any, text: str, vector: str | list[float], count: int, field: str, metric: str, as_json_text: bool
) -> None:
    found = version.nearest(vector, count, field, query=text, metric=metric)
    if as_json_text:
        as_json({"frames": [{"id": frame_id, "score": score} for frame_id, score in found]})
    else:
        table(("id", "score"), [(frame_id, f"{score:.6f}") for frame_id, score in found])


def _say_plan(version: "DatasetVersion", text: str) -> None:
    from smalti.query.parse import parse
    from smalti.store.pushdown import plan

    found = plan(parse(text), version.table.columns())
    say(f"rows that may match:    {found.may}")
    say(f"rows that must match:   {found.must}")
    say("the filters answer alone" if found.exact else "rows between the two are evaluated one by one")


def _labels(frame: Any) -> list[str]:
    return sorted({label for roi in frame.record.rois for label in roi.label})[:8]


@click.command()
@choice_argument()
@click.option(
    "--part",
    "parts",
    multiple=True,
    default=("train=0.8", "val=0.2"),
    show_default=True,
    help="NAME=SHARE; give it once per part.",
)
@click.option(
    "--by",
    default="context_id",
    show_default=True,
    help="What must not be torn apart: context_id, id, or a metadata path.",
)
@click.option("--query", "text", default="", help="Only frames that match.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(file_okay=False), help="Write one JSON-lines file per part here.")
@store_option
@json_option
def split(
    reference: str,
    parts: tuple[str, ...],
    by: str,
    text: str,
    seed: int,
    output: str | None,
    store_uri: str | None,
    as_json_text: bool,
) -> None:
    """Deal the frames of DATASET@VERSION, or of a stored view, into parts that stay the same when frames are added."""
    shares = dict(_share(part) for part in parts)
    with view_of(reference, text, store_uri) as view:
        found = view.split(shares, by, seed=seed)
        counts = {name: part.count() for name, part in found.items()}
        for name, part in found.items() if output else ():
            Path(str(output)).mkdir(parents=True, exist_ok=True)
            with (Path(str(output)) / f"{name}.jsonl").open("wb") as file:
                file.writelines(wire.dump_line(frame.record) for frame in part)
        notes = found.notes
    if as_json_text:
        as_json(counts)
    else:
        table(("part", "frames"), counts.items())
    for remark in notes:
        note(remark)


def _share(part: str) -> tuple[str, float]:
    name, equals, share = part.partition("=")
    try:
        return name, float(share) if equals else float("nan")
    except ValueError:
        raise QueryError(f"--part {part!r}: {share!r} is not a number; write NAME=SHARE, e.g. train=0.8") from None
