"""`smalti export`: frames into other people's layouts, with the proof of what was kept."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smalti.cli.legends import read_legend
from smalti.cli.output import as_json, json_option, progress, say, table
from smalti.cli.picking import view_row
from smalti.cli.stores import complete_what
from smalti.errors import ExportLoss, VersionError
from smalti.formats import FORMATS
from smalti.formats.losses import TOPICS
from smalti.formats.protocol import Writing
from smalti.roundtrip import Proof, export, losses_of

if TYPE_CHECKING:
    from smalti.legend import Legend
    from smalti.store import Store
    from smalti.view import DataView

__all__ = ["export_command", "frames_of"]


def frames_of(what: str, store_uri: str | None, query: str | None) -> Callable[[], Iterable[Any]]:
    """What gives the frames of a frame file, of DATASET@VERSION, or of a stored view (by name or id).

    Raises:
        FileNotFoundError, FrameError: there is no such thing.
    """
    path = Path(what)
    if path.is_file():
        from smalti.reading import read_frames

        if query:
            from smalti.view import DataView

            def selected() -> Iterable[Any]:
                return DataView(list(read_frames(path)), query)

            return selected
        return lambda: read_frames(path)
    if path.is_dir():
        from smalti.formats import choose, load
        from smalti.formats.protocol import Reading

        seen = choose(path.resolve())
        return lambda: load(seen.format).read(seen.path, Reading())
    if "@" in what:
        version = _open(store_uri).version(what)
        if query:
            view = version.view(query)
            return lambda: view
        return version.frames
    from smalti.mapped import is_mapped, mapped_frames

    view = _stored(what, store_uri, query)
    return lambda: mapped_frames(view) if is_mapped(view.mapping) else iter(view)


def _open(store_uri: str | None) -> "Store":
    from smalti.store import open_store

    store = open_store(store_uri)
    store.check_made()
    return store


def _stored(what: str, store_uri: str | None, query: str | None) -> "DataView":
    """A stored view."""
    from smalti.view import DataView

    store = _open(store_uri)
    try:
        row = view_row(store, what)
    except VersionError as error:
        raise FileNotFoundError(
            f"{what} is neither a frame file, a folder, DATASET@VERSION, nor a stored view: {error}"
        ) from None
    if query:
        raise VersionError(f"{what} is a stored view, which has its queries; export a version instead: DATASET@VERSION")
    return DataView.get(row.uuid, store=store)


def _numbers(what: str, store_uri: str | None) -> "Legend | None":
    """The class numbers of a stored view, as a legend."""
    if Path(what).exists() or "@" in what:
        return None
    from smalti.mapped import class_legend

    return class_legend(_stored(what, store_uri, None).mapping)


@click.command("export")
@click.argument("what", shell_complete=complete_what)
@click.argument("out", type=click.Path())
@click.option("--format", "layout", type=click.Choice(list(FORMATS)), required=True, help="The layout to write.")
@click.option("--query", help="Only the frames that this query selects.")
@click.option(
    "--store", "store_uri", help="The store of DATASET@VERSION or the view; default: $SMALTI_STORE or the user's own."
)
@click.option("--images", type=click.Choice(["link", "copy", "none"]), default="link", show_default=True)
@click.option("--split", default="train", show_default=True, help="The part, where a frame does not name its own.")
@click.option("--mask", "mask_id", help="Write this mask; default: the one that fits the layout.")
@click.option("--legend", type=click.Path(exists=True), help="Names and numbers to use; default: those of the frames.")
@click.option("--strict", is_flag=True, help="Fail (exit 3) on anything that is lost.")
@click.option("--allow", multiple=True, type=click.Choice(list(TOPICS)), help="With --strict: a loss to accept.")
@click.option("--no-verify", is_flag=True, help="Do not read the output back.")
@click.option("-o", "--report", type=click.Path(), help="Also write the proof as JSON.")
@json_option
def export_command(
    what: str,
    out: str,
    layout: str,
    query: str | None,
    store_uri: str | None,
    images: Any,
    split: str,
    mask_id: str | None,
    legend: str | None,
    strict: bool,
    allow: tuple[str, ...],
    no_verify: bool,
    report: str | None,
    as_json_text: bool,
) -> int:
    """Write WHAT (a frame file, a folder, DATASET@VERSION, a stored view) into the new folder OUT, and prove it by reading it back.

    A stored view is written with its label mapping applied: classes by their names, what is void left out.

    The proof lists, per label, the IoU of what went in and what came back, and everything that the layout cannot say.
    """
    options = Writing(
        split=split,
        images=images,
        mask_id=mask_id,
        legend=read_legend(legend) or _numbers(what, store_uri),
    )
    with progress(f"exporting {layout}") as advance:
        proof = export(
            frames_of(what, store_uri, query),
            layout,
            Path(out).resolve(),
            options=options,
            verify=not no_verify,
            progress=advance,
        )
    if report:
        Path(report).write_text(proof.to_json(), encoding="utf-8")
    if as_json_text:
        as_json(proof.to_dict())
    else:
        _print(proof, verified=not no_verify)
    if strict and (lost := losses_of(proof, set(allow))):
        click.echo(f"smalti: {ExportLoss(lost[0], losses=lost)}", err=True)
        return 3
    return 0


def _print(proof: Proof, *, verified: bool) -> None:
    if verified and proof.labels:
        rows = [(r.label, f"{r.iou:.4f}", r.before, r.after) for r in proof.rows()]
        table(("label", "IoU", "pixels in", "pixels back"), rows, title=f"{proof.format} read back")
    if proof.ledger:
        rows_lost = [(row.topic, row.count, row.meaning, row.example) for row in proof.ledger.rows()]
        table(("cannot say", "times", "meaning", "first seen"), rows_lost)
    if verified:
        kept = "every pixel of every label came back" if proof.is_exact else "pixels differ: see the table"
        objects = f", {proof.objects_back} of {proof.objects} numbered objects" if proof.objects else ""
        say(f"{proof.read_back} of {proof.frames} frames{objects}: {kept}")
        for one in proof.missing[:5]:
            say(f"did not come back: frame {one}")
    say(f"wrote {proof.frames} frames to {proof.path}")
