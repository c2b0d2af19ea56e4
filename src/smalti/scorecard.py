"""The page of an evaluation: scores, confusion, and the worst frames with what is wrong in them."""

import base64
import html
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.evaluate import Scores
from smalti.labelmap import LabelMap
from smalti.plots import bar_chart, heat_map, page

__all__ = ["differences", "scorecard"]

Pictures = Callable[[str], Sequence[tuple[str, NDArray[np.uint8]]]]
_WIDEST = 640
_WRONG, _MISSED = (230, 40, 60), (250, 170, 30)
_STYLE = (
    ".row{display:flex;flex-wrap:wrap;gap:8px}.row div{flex:1 1 300px;max-width:540px}.row img{width:100%;display:block;"
    "border-radius:4px;background:var(--box)}.row span{font-size:.85em;color:var(--soft)}"
    ".totals{display:flex;flex-wrap:wrap;gap:1.6em;margin:1em 0}.totals b{display:block;font-size:1.5em}"
)
_TITLES = {
    "miou": "mIoU",
    "accuracy": "pixel accuracy",
    "weighted_iou": "frequency-weighted IoU",
    "mean_dice": "mean Dice",
    "boundary_miou": "boundary mIoU",
    "panoptic_quality": "panoptic quality",
}


def scorecard(scores: Scores, pictures: Pictures, *, worst: int = 12, title: str = "Evaluation") -> str:
    """An HTML page that needs no other file, light and dark.

    Args:
        scores: what is shown.
        pictures: frame id → (caption, (H, W, 3) uint8 RGB) of each picture of a frame; asked for the worst frames only.
        worst: how many frames are shown.
        title: the heading.
    """
    facts = scores.to_dict(worst)
    totals = "".join(
        f"<div><b>{_percent(facts[key])}</b>{said}</div>" for key, said in _TITLES.items() if facts.get(key) is not None
    )
    ranked = sorted(
        ((row["label"], row["iou"] * 100) for row in facts["classes"] if row["iou"] is not None),
        key=lambda bar: -bar[1],
    )
    parts = [
        f'<p class="note">{facts["frames"]:,} frames, {int(scores.true_pixels.sum()):,} pixels. '
        "Void and ignored pixels of the truth count nowhere.</p>",
        f'<div class="totals">{totals}</div>',
        f"<figure>{bar_chart('IoU per class', ranked, unit='%')}</figure>",
        "<h2>Classes</h2>",
        _classes(facts["classes"]),
    ]
    if facts.get("panoptic"):
        parts += ["<h2>Panoptic quality</h2>", _panoptic(facts["panoptic"])]
    parts += [f"<figure>{_confusion(scores)}</figure>", "<h2>Worst frames</h2>"]
    for frame in scores.frames[:worst]:
        shown = "".join(
            f'<div><img alt="{html.escape(name)}" src="{_inline(picture)}"><span>{html.escape(name)}</span></div>'
            for name, picture in pictures(frame.frame_id)
        )
        said = f"{html.escape(frame.frame_id)}: mIoU {_percent(frame.miou)}, accuracy {_percent(frame.accuracy)}"
        parts.append(f'<figure><div class="row">{shown}</div><figcaption>{said}</figcaption></figure>')
    return page(title, "".join(parts), _STYLE)


def differences(truth: LabelMap, predicted: LabelMap, base: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: a dimmed picture with wrong pixels in red and unlabelled ones in orange.

    Args:
        truth, predicted: of one size.
        base: (H, W, 3) the image below; default: the colours of the truth.
    """
    names = {label: i for i, label in enumerate([*truth.legend.labels, *predicted.legend.labels], 1)}
    sides = []
    for found in (truth, predicted):
        table = [0, *(names[entry.labels[0]] if entry.labels else 0 for entry in found.legend.entries)]
        sides.append(np.array(table, np.int32)[found.data])
    below = truth.colors() if base is None or base.shape[:2] != truth.size_hw else base
    grey = below.mean(axis=2, keepdims=True) * 0.45 + 40
    shown = np.broadcast_to(grey, below.shape).astype(np.uint8)
    counted = sides[0] != 0
    shown[counted & (sides[0] != sides[1])] = _WRONG
    shown[counted & (sides[1] == 0)] = _MISSED
    return shown


def _classes(rows: Sequence[dict[str, Any]]) -> str:
    columns = [("IoU", "iou"), ("Dice", "dice"), ("boundary IoU", "boundary_iou")]
    used = [(said, key) for said, key in columns if any(key in row for row in rows)]
    head = ["class", *(said for said, _ in used), "true pixels", "predicted pixels"]
    body = [
        [
            row["label"],
            *(_percent(row[key]) for _, key in used),
            f"{row['true_pixels']:,}",
            f"{row['predicted_pixels']:,}",
        ]
        for row in rows
    ]
    return _table(head, body)


def _panoptic(rows: Sequence[dict[str, Any]]) -> str:
    head = ["category", "PQ", "SQ", "RQ", "matched", "false positives", "false negatives"]
    body = [
        [row["label"], *(_percent(row[key]) for key in ("pq", "sq", "rq"))]
        + [f"{row[key]:,}" for key in ("matched", "false_positives", "false_negatives")]
        for row in rows
    ]
    return _table(head, body)


def _table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in body)
    return f"<figure><table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>{rows}</table></figure>"


def _confusion(scores: Scores) -> str:
    seen = np.flatnonzero(scores.true_pixels + scores.confusion.sum(axis=0))
    matrix = np.concatenate([scores.confusion[seen][:, seen], scores.missed[seen][:, None]], axis=1)
    names = [scores.names[i] for i in seen.tolist()]
    shares = matrix / np.maximum(scores.true_pixels[seen][:, None], 1)
    note = "Of 100 pixels of the row's class, so many were predicted as the column's."
    if not scores.missed.any():
        return heat_map("Confusion", names, shares[:, :-1].tolist(), note=note)
    return heat_map("Confusion", names, shares.tolist(), columns=[*names, "nothing"], note=note)


def _percent(share: float | None) -> str:
    return "–" if share is None or np.isnan(share) else f"{share:.1%}"


def _inline(picture: NDArray[np.uint8]) -> str:
    from PIL import Image

    shown = Image.fromarray(picture)
    if shown.width > _WIDEST:
        shown = shown.resize((_WIDEST, max(1, round(shown.height * _WIDEST / shown.width))))
    buffer = io.BytesIO()
    shown.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
