"""`smalti evaluate`: predictions against truth, as a table, JSON and a page with the worst frames."""

import base64
import html
import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from smalti.cli.legends import read_legend
from smalti.cli.output import as_json, json_option, progress, say, table
from smalti.cli.stores import opened, store_option
from smalti.errors import DecodeError
from smalti.evaluate import Scores, evaluate
from smalti.formats.folder import read_folder
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.plots import bar_chart
from smalti.reading import read_frames

__all__ = ["evaluate_command"]

Maps = dict[str, Callable[[], LabelMap]]


@click.command("evaluate")
@click.argument("predictions")
@click.argument("truth")
@click.option("--mask", "mask_id", help="Mask id of the predictions.")
@click.option("--truth-mask", "truth_mask_id", help="Mask id of the truth; default: as --mask.")
@click.option("--legend", type=click.Path(), help="For folders: the legend of both.")
@click.option("--ignore", multiple=True, help="A label of the truth whose pixels count nowhere; void never counts.")
@click.option("--boundary", is_flag=True, help="Also boundary IoU.")
@click.option("--html", "page", type=click.Path(), help="Write a page with plots and the worst frames.")
@store_option
@json_option
def evaluate_command(
    predictions: str,
    truth: str,
    mask_id: str | None,
    truth_mask_id: str | None,
    legend: str | None,
    ignore: tuple[str, ...],
    boundary: bool,
    page: str | None,
    store_uri: str | None,
    as_json_text: bool,
) -> None:
    """PREDICTIONS and TRUTH: folders of masks, frame files, or DATASET@VERSION; frames are matched by id (or file stem)."""
    known = read_legend(legend)
    found = _maps(predictions, mask_id, known, store_uri)
    true = _maps(truth, truth_mask_id or mask_id, known, store_uri)
    shared = [frame_id for frame_id in true if frame_id in found]
    if not shared:
        raise DecodeError(
            f"{predictions} and {truth} have no frame in common ({len(found)} and {len(true)}); ids or file stems must agree"
        )
    with progress("evaluating", len(shared)) as advance:
        scores = evaluate(_pairs(shared, true, found, advance), ignore=ignore, boundary=boundary)
    facts = {
        **scores.to_dict(),
        "only_in_truth": len(true) - len(shared),
        "only_in_predictions": len(found) - len(shared),
    }
    if page:
        Path(page).write_text(_page(scores, true, found), encoding="utf-8")
    if as_json_text:
        as_json(facts)
        return
    rows = [
        (
            row["label"],
            _percent(row["iou"]),
            _percent(row["dice"]),
            *([_percent(row["boundary_iou"])] if boundary else []),
            row["true_pixels"],
        )
        for row in facts["classes"]
    ]
    table(("class", "IoU", "Dice", *(["boundary IoU"] if boundary else []), "true pixels"), rows)
    say(
        f"{len(shared)} frames: mIoU {scores.miou:.2%}, accuracy {scores.accuracy:.2%}, weighted IoU {scores.weighted_iou:.2%}"
    )
    say("worst: " + ", ".join(f"{f.frame_id} ({f.miou:.1%})" for f in scores.frames[:5]))
    if facts["only_in_truth"]:
        say(f"{facts['only_in_truth']} frames of the truth have no prediction")
    if page:
        say(f"wrote {page}")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _maps(what: str, mask_id: str | None, legend: Legend | None, store_uri: str | None) -> Maps:
    """Frame id → how to decode its mask."""
    if Path(what).is_dir():
        listed = read_folder(Path(what), masks=".", legend=legend)
        return {frame.id: partial(frame.label_map, None, legend=listed.legend) for frame in listed.frames}
    if "@" in what and not Path(what).exists():
        with opened(store_uri) as store:
            return {
                frame.id: partial(frame.label_map, mask_id, legend=legend) for frame in store.version(what).frames()
            }
    return {frame.id: partial(frame.label_map, mask_id, legend=legend) for frame in read_frames(what)}


def _pairs(
    shared: list[str], true: Maps, found: Maps, advance: Callable[[int], None]
) -> Iterator[tuple[str, LabelMap, LabelMap]]:
    for number, frame_id in enumerate(shared, 1):
        yield frame_id, true[frame_id](), found[frame_id]()
        advance(number)


def _page(scores: Scores, true: Maps, found: Maps, worst: int = 12) -> str:
    facts = scores.to_dict()
    bars = [(row["label"], (row["iou"] or 0.0) * 100) for row in facts["classes"]]
    figures = []
    for frame in scores.frames[:worst]:
        sides = [true[frame.frame_id](), found[frame.frame_id]()]
        pictures = "".join(
            f'<img alt="{name}" src="{_inline(seg)}">' for name, seg in zip(("truth", "prediction"), sides, strict=True)
        )
        figures.append(
            f"<figure>{pictures}<figcaption>{html.escape(frame.frame_id)}: mIoU {frame.miou:.1%}</figcaption></figure>"
        )
    style = "body{font:15px system-ui;max-width:1100px;margin:2em auto;padding:0 1em;color-scheme:light dark}"
    style += "img{width:48%;margin:.5%}figure{margin:1em 0}"
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>smalti: evaluation</title><style>{style}</style>"
    line = f"<p>{len(scores.frames)} frames: mIoU {scores.miou:.2%}, accuracy {scores.accuracy:.2%}</p>"
    return f"{head}<h1>Evaluation</h1>{line}{bar_chart('IoU per class', bars, unit='%')}<h2>Worst frames</h2>{''.join(figures)}</html>"


def _inline(seg: LabelMap) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    step = max(1, max(seg.size_hw) // 520)
    colors: Any = seg.colors()[::step, ::step]
    Image.fromarray(colors).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
