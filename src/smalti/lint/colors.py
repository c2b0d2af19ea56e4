"""What the pixels of one mask say: strays, edges, alpha, void, and codecs that cannot carry a legend."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti import lossy
from smalti.codecs.raster import Raster
from smalti.decode import decode_raster, strange_colors
from smalti.labelmap import LabelMap
from smalti.legend import Legend
from smalti.lint.report import CODES, Finding, Severity

__all__ = ["MaskLook", "find", "look_at"]

OFF_BY = 3
"""Strays this near to an entry (largest channel difference, in levels) say that the legend itself is off."""
CLOSE_LOSSY = 24
"""Entries nearer than this (largest channel difference) are not told apart reliably after 4:2:0 H.264 or JPEG:
flat areas drift by up to a dozen levels each way."""
VOID_SHARE = 0.5
STRAY_ERROR_SHARE = 0.001
"""Above this share of pixels, colours that the legend lacks are an error and not a warning."""


def find(code: str, where: str, message: str, hint: str, severity: Severity | None = None) -> Finding:
    """A finding with the usual severity of its code."""
    return Finding(code=code, severity=severity or CODES[code][0], where=where, message=message, hint=hint)


@dataclass(frozen=True, slots=True)
class MaskLook:
    """What was seen in one mask: findings, the entries that occur (positions in the legend), and the stored mode."""

    findings: list[Finding]
    used: frozenset[int]
    mode: str


def look_at(raster: Raster, legend: Legend | None, scheme: str | None, where: str) -> MaskLook:
    """Everything that can be said of one decoded mask without its frame."""
    findings = [find("content-type", where, note, "correct the record's content_type") for note in raster.notes]
    if legend is None or legend.kind == "ids" or scheme is not None:
        return MaskLook(
            [*findings, *_ids(raster, where, legend is None and scheme is None)], frozenset(), raster.stored_mode
        )
    found = decode_raster(raster, legend, lossy="exact" if not raster.lossy else "auto", scheme=scheme)
    if raster.lossy:
        findings += _lossy(raster, legend, found, where)
    elif found.void:
        findings += _strays(raster, found, where)
    findings += _void(found, where)
    findings += _alpha(raster, found, where)
    used = frozenset(np.flatnonzero(found.entry_counts()[1:]).tolist())
    return MaskLook(findings, used, raster.stored_mode)


def _ids(raster: Raster, where: str, is_bare: bool) -> Iterator[Finding]:
    if raster.lossy:
        yield find(
            "lossy-ids",
            where,
            f"{'no legend explains the mask, so its values are ids' if is_bare else 'the mask stores ids'}, but its codec "
            f"({raster.codec or raster.content_type}) is lossy: neighbouring ids are different objects",
            "name the legend if the values are colors; write id masks losslessly: PNG, or FFV1 or libx264rgb for video",
        )


def _lossy(raster: Raster, legend: Legend, found: LabelMap, where: str) -> Iterator[Finding]:
    settled = ", ".join(f"{n} {step}" for step, n in found.settled.items() if n)
    codec = raster.codec or raster.content_type
    yield find(
        "lossy-colors",
        where,
        f"{codec} is lossy; the colors were read by {found.policy} ({settled} of {found.data.size} pixels)",
        "keep masks lossless (PNG; FFV1 or libx264rgb for video), or check the overlay",
    )
    colors, values = legend.without_wildcards()
    if (worst := _inseparable(raster, colors)) is not None:
        one, two, levels = worst
        names = ["/".join(legend.entries[int(values[i]) - 1].labels) for i in (one, two)]
        yield find(
            "legend-colors-close",
            where,
            f"{names[0]} {tuple(colors[one].tolist())} and {names[1]} {tuple(colors[two].tolist())} are at most {levels} "
            f"levels apart in luma and chroma; {codec} cannot keep them apart",
            f"use colors at least {CLOSE_LOSSY} levels apart, or a lossless codec",
            "error",
        )
    elif len(colors) > 1:
        apart = np.abs(colors[:, None].astype(np.int16) - colors[None]).max(axis=2)
        np.fill_diagonal(apart, 255)
        first, second = (int(i) for i in np.unravel_index(int(apart.argmin()), apart.shape))
        if apart[first, second] < CLOSE_LOSSY:
            names = ["/".join(legend.entries[int(values[i]) - 1].labels) for i in (first, second)]
            yield find(
                "legend-colors-close",
                where,
                f"{names[0]} {tuple(colors[first].tolist())} and {names[1]} {tuple(colors[second].tolist())} are "
                f"{int(apart[first, second])} levels apart; {codec} moves colors by about as much",
                f"use colors at least {CLOSE_LOSSY} levels apart, or a lossless codec",
            )


def _inseparable(raster: Raster, colors: NDArray[np.uint8]) -> tuple[int, int, int] | None:
    """The closest pair of entries that this codec cannot keep apart: (position, position, levels)."""
    pairs = lossy.close_colors(raster, colors) if len(colors) > 1 else []
    return pairs[0] if pairs else None


def _strays(raster: Raster, found: LabelMap, where: str) -> Iterator[Finding]:
    rows = strange_colors(raster, found)
    total = found.void
    share = total / found.data.size
    near = [row for row in rows if row[3] is not None and row[3] <= OFF_BY]
    if near and sum(row[1] for row in near) > 0.9 * total:
        worst = max(int(row[3] or 0) for row in near)
        said = "; ".join(f"mask {c}, legend {n}" for c, _, n, _ in near[:4])
        yield find(
            "legend-off",
            where,
            f"the legend is off by {worst}: {said} ({total} pixels, {share:.2%}, match nothing exactly)",
            f"correct the legend, or decode with lossy='nearest', tolerance={worst}",
        )
        return
    listed = "; ".join(
        f"{c} on {n} px"
        + (f", nearest {_name(found.legend, near_to)} {near_to}, {d} levels off" if near_to is not None else "")
        for c, n, near_to, d in rows[:5]
    )
    if len(rows) > 3 * max(len(found.legend), 4) and _on_edges(found) > 0.9:
        yield find(
            "anti-aliased",
            where,
            f"{total} pixels ({share:.2%}) in {len(rows)} colors lie on edges and are in no entry: {listed}",
            "draw masks without anti-aliasing and resize them by nearest; decode these with lossy='repair'",
        )
        return
    yield find(
        "unknown-colors",
        where,
        f"{total} pixels ({share:.2%}) in {len(rows)}{'+' if len(rows) == 1000 else ''} colors are in no entry: {listed}",
        "add the colors to the legend, or decode with lossy='nearest' or 'repair' if they are damage",
        "error" if share >= STRAY_ERROR_SHARE else "warning",
    )


def _name(legend: Legend, color: tuple[int, int, int]) -> str:
    return next(("/".join(e.labels) for e in legend if e.color == color), "")


def _on_edges(found: LabelMap) -> float:
    """Share of the void pixels that have labelled pixels within two pixels."""
    labelled = found.data > 0
    wide = np.pad(labelled, 2)
    height, width = labelled.shape
    near: NDArray[np.bool_] = np.zeros_like(labelled)
    for y in range(5):
        for x in range(5):
            near |= wide[y : y + height, x : x + width]
    void = ~labelled
    return float((near & void).sum() / max(void.sum(), 1))


def _void(found: LabelMap, where: str) -> Iterator[Finding]:
    share = found.void / max(found.data.size, 1)
    if share == 1:
        yield find(
            "empty-mask",
            where,
            "no pixel of the mask is in the legend",
            "check that this legend belongs to this mask",
            "error",
        )
    elif share > VOID_SHARE:
        yield find(
            "void-share",
            where,
            f"{share:.1%} of the mask is void",
            "name the background in the legend, or accept it as void",
        )


def _alpha(raster: Raster, found: LabelMap, where: str) -> Iterator[Finding]:
    if raster.alpha is None:
        return
    hidden = int(((raster.alpha == 0) & (found.data > 0)).sum())
    if hidden:
        few = hidden < 0.001 * found.data.size
        yield find(
            "alpha-hides-labels",
            where,
            f"{hidden} labelled pixels ({hidden / found.data.size:.3%}) have alpha 0{': it looks like noise' if few else ''}",
            "labels are read whatever the alpha; drop the channel, or say encoding='alpha' or an id scheme if it is data",
        )
