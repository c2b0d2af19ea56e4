"""`smalti evaluate`: predictions against truth, as tables, JSON and a page with the worst frames."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from smalti.blend import overlay
from smalti.cli.legends import read_legend
from smalti.cli.output import as_json, check_output, json_option, progress, say, table
from smalti.cli.picking import view_of
from smalti.cli.stores import complete_what, store_option
from smalti.errors import DecodeError, SmaltiError
from smalti.evaluate import Scores, evaluate
from smalti.formats.folder import read_folder
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.parallel import ordered_map
from smalti.reading import read_frames
from smalti.scorecard import differences, scorecard

__all__ = ["evaluate_command"]


@dataclass(frozen=True, slots=True)
class _Side:
    """Frames by id, and which of their masks is meant."""

    frames: dict[str, Any]
    mask_id: str | None
    legend: Legend | None

    def map(self, frame_id: str) -> LabelMap:
        found: LabelMap = self.frames[frame_id].label_map(self.mask_id, legend=self.legend)
        return found


@click.command("evaluate")
@click.argument("predictions", shell_complete=complete_what)
@click.argument("truth", shell_complete=complete_what)
@click.option(
    "--in",
    "where",
    metavar="WHAT",
    shell_complete=complete_what,
    help="PREDICTIONS and TRUTH are ids of masks of these frames.",
)
@click.option("--mask", "mask_id", help="Mask id of the predictions.")
@click.option("--truth-mask", "truth_mask_id", help="Mask id of the truth; default: as --mask.")
@click.option("--legend", type=click.Path(), help="For folders: the legend of both.")
@click.option("--ignore", multiple=True, help="A label of the truth whose pixels count nowhere; void never counts.")
@click.option("--boundary", is_flag=True, help="Also boundary IoU.")
@click.option("--panoptic/--no-panoptic", default=None, help="Panoptic quality; default: where both store ids.")
@click.option("--html", "page", type=click.Path(), help="Write a page with plots and the worst frames.")
@click.option("--worst", type=click.IntRange(1), default=12, show_default=True, help="How many frames to show.")
@store_option
@json_option
def evaluate_command(
    predictions: str,
    truth: str,
    where: str | None,
    mask_id: str | None,
    truth_mask_id: str | None,
    legend: str | None,
    ignore: tuple[str, ...],
    boundary: bool,
    panoptic: bool | None,
    page: str | None,
    worst: int,
    store_uri: str | None,
    as_json_text: bool,
) -> None:
    """PREDICTIONS and TRUTH: folders of masks, frame files, DATASET@VERSION or stored views, matched by frame id.

    Masks in folders are matched by file stem. With --in both are ids of masks of the same frames:
    smalti evaluate predicted seg --in drive@v1
    """
    if page:
        check_output(page, (".html", ".htm"), "the page")
    known = read_legend(legend)
    if where is not None:
        if mask_id or truth_mask_id:
            raise click.UsageError("with --in the two arguments are the ids of the masks; leave --mask out")
        both = _frames(where, known, store_uri)
        found, true = _Side(both[0], predictions, both[1]), _Side(both[0], truth, both[1])
    else:
        one, two = _frames(predictions, known, store_uri), _frames(truth, known, store_uri)
        found, true = _Side(one[0], mask_id, one[1]), _Side(two[0], truth_mask_id or mask_id, two[1])
    shared = [frame_id for frame_id in true.frames if frame_id in found.frames]
    if not shared:
        counts = f"({len(found.frames)} and {len(true.frames)})"
        raise DecodeError(f"{predictions} and {truth} have no frame in common {counts}; ids or file stems must agree")
    with progress("evaluating", len(shared)) as advance:
        scores = _scores(_pairs(shared, true, found, advance), ignore, boundary, panoptic)
    facts = {
        **scores.to_dict(worst),
        "only_in_truth": len(true.frames) - len(shared),
        "only_in_predictions": len(found.frames) - len(shared),
    }
    if page:
        shown = scorecard(scores, lambda frame_id: _pictures(frame_id, true, found), worst=worst)
        Path(page).write_text(shown, encoding="utf-8")
    if as_json_text:
        as_json(facts)
        return
    _print(facts, worst)
    if page:
        say(f"wrote {page}")


def _scores(
    pairs: Iterator[tuple[str, LabelMap, LabelMap]], ignore: Sequence[str], boundary: bool, panoptic: bool | None
) -> Scores:
    first = next(pairs)
    asked = first[1].legend.kind == first[2].legend.kind == "ids" if panoptic is None else panoptic
    return evaluate(chain([first], pairs), ignore=ignore, boundary=boundary, panoptic=asked)


def _print(facts: dict[str, Any], worst: int) -> None:
    has_bands = any("boundary_iou" in row for row in facts["classes"])
    rows = [
        (
            row["label"],
            _percent(row["iou"]),
            _percent(row["dice"]),
            *([_percent(row["boundary_iou"])] if has_bands else []),
            row["true_pixels"],
        )
        for row in facts["classes"]
    ]
    table(("class", "IoU", "Dice", *(["boundary IoU"] if has_bands else []), "true pixels"), rows)
    if facts.get("panoptic"):
        say()
        kept = [
            (r["label"], *(_percent(r[key]) for key in ("pq", "sq", "rq")), r["matched"], r["false_positives"], r["false_negatives"])
            for r in facts["panoptic"]
        ]  # fmt: skip
        table(("category", "PQ", "SQ", "RQ", "matched", "false positives", "false negatives"), kept)
    say()
    rows = [(row["frame"], _percent(row["miou"]), _percent(row["accuracy"])) for row in facts["worst"][:worst]]
    table(("worst frames", "mIoU", "accuracy"), rows)
    said = [
        f"mIoU {_percent(facts['miou'])}",
        f"accuracy {_percent(facts['accuracy'])}",
        f"weighted IoU {_percent(facts['weighted_iou'])}",
        f"mean Dice {_percent(facts['mean_dice'])}",
    ]
    said += [f"boundary mIoU {_percent(facts['boundary_miou'])}"] if has_bands else []
    said += [f"PQ {_percent(facts['panoptic_quality'])}"] if facts.get("panoptic") else []
    say(f"{facts['frames']} frames: {', '.join(said)}")
    if facts["only_in_truth"]:
        say(f"{facts['only_in_truth']} frames of the truth have no prediction")
    if facts["only_in_predictions"]:
        say(f"{facts['only_in_predictions']} predictions have no truth")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _frames(what: str, legend: Legend | None, store_uri: str | None) -> tuple[dict[str, Any], Legend | None]:
    """Frames by id, and the legend of their masks where the frames do not have it."""
    if Path(what).is_dir():
        listed = read_folder(Path(what), masks=".", legend=legend)
        return {str(frame.id): frame for frame in listed.frames}, listed.legend
    if Path(what).exists():
        return {str(frame.id): frame for frame in read_frames(what)}, legend
    with view_of(what, "", store_uri) as view:
        return {str(frame.id): frame for frame in view.refresh().iterate()}, legend


def _pairs(
    shared: list[str], true: _Side, found: _Side, advance: Callable[[int], None]
) -> Iterator[tuple[str, LabelMap, LabelMap]]:
    def both(frame_id: str) -> tuple[str, LabelMap, LabelMap]:
        return frame_id, true.map(frame_id), found.map(frame_id)

    for number, pair in enumerate(ordered_map(both, shared), 1):
        yield pair
        advance(number)


def _pictures(frame_id: str, true: _Side, found: _Side) -> list[tuple[str, NDArray[np.uint8]]]:
    """The truth, the prediction and what differs, over the image where there is one."""
    seg, predicted = true.map(frame_id), found.map(frame_id)
    image = next((each for side in (true, found) if (each := _image(side.frames[frame_id], seg)) is not None), None)
    if image is None:
        shown = [("truth", seg.colors()), ("prediction", predicted.colors())]
    else:
        shown = [("truth", overlay(image, seg, 0.6)), ("prediction", overlay(image, predicted, 0.6))]
    return [*shown, ("wrong in red, predicted as nothing in orange", differences(seg, predicted, image))]


def _image(frame: Any, seg: LabelMap) -> NDArray[np.uint8] | None:
    if not getattr(frame, "source", None):
        return None
    try:
        image: NDArray[np.uint8] = frame.image()
    except (SmaltiError, OSError, ValueError):
        return None  # a page without this image is better than none
    return image if image.shape[:2] == seg.size_hw else None
