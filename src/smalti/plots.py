"""Plots as SVG text: no plotting library, readable in light and dark.

Every plot is a whole SVG document with its own style, so it can be a file or stand in an HTML page as it is.
"""

import html
import math
from collections.abc import Iterable, Sequence

__all__ = ["COLORS", "bar_chart", "heat_map", "line_chart", "page", "range_chart"]

_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#222}.title{font-size:15px;font-weight:600}.note{fill:#666}"
    ".bar{fill:#3b7dd8}.cell{fill:#3b7dd8}.grid{stroke:#ccc}.back{fill:#fff}.mark{fill:#222}.soft{fill:#3b7dd8;opacity:.45}"
    "@media(prefers-color-scheme:dark){.back{fill:#1c1c1c}text{fill:#eee}.note{fill:#aaa}.grid{stroke:#555}"
    ".bar,.cell,.soft{fill:#6ea8fe}.mark{fill:#eee}}</style>"
)
_ROW, _LEFT, _WIDTH, _TOP, _RIGHT = 20, 180, 460, 40, 80
COLORS = ("#3b7dd8", "#d9822b", "#2f9e63", "#c2405a", "#8a63d2", "#9a7b4f", "#d070b0", "#6f8790")
"""Line colours, legible on white and on dark grey."""


def bar_chart(
    title: str, bars: Sequence[tuple[str, float]], *, unit: str = "", colors: Sequence[str] | None = None
) -> str:
    """Horizontal bars with their values, in the order given.

    Args:
        title: stands above.
        bars: (name, value ≥ 0).
        unit: written behind each value.
        colors: a CSS colour per bar; default: one colour for all.
    """
    top = max((value for _, value in bars), default=0) or 1
    height = _TOP + _ROW * len(bars) + 12
    parts = []
    for position, (name, value) in enumerate(bars):
        y = _TOP + _ROW * position
        length = value / top * _WIDTH
        fill = f' style="fill:{html.escape(colors[position])}"' if colors else ' class="bar"'
        parts.append(_name(name, y))
        parts.append(f'<rect{fill} x="{_LEFT}" y="{y + 2}" width="{length:.1f}" height="{_ROW - 5}"/>')
        parts.append(f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{_number(value)}{html.escape(unit)}</text>')
    parts.append(_axis(_LEFT, _TOP, height - 12))
    return _drawing(title, _LEFT + _WIDTH + _RIGHT, height, parts)


def range_chart(title: str, rows: Sequence[tuple[str, float, float, float]], *, unit: str = "") -> str:
    """A band from low to high per row, with a mark between them: quantiles, in the order given.

    Args:
        title: stands above.
        rows: (name, low, middle, high), each from 0.
        unit: written behind each value.
    """
    top = max((high for _, _, _, high in rows), default=0) or 1
    height = _TOP + _ROW * len(rows) + 12
    parts = []
    for position, (name, low, middle, high) in enumerate(rows):
        y = _TOP + _ROW * position
        start, mark, end = (_LEFT + value / top * _WIDTH for value in (low, middle, high))
        parts.append(_name(name, y))
        parts.append(
            f'<rect class="soft" x="{start:.1f}" y="{y + 4}" width="{max(end - start, 1):.1f}" height="{_ROW - 9}"/>'
        )
        parts.append(f'<rect class="mark" x="{mark - 1:.1f}" y="{y + 1}" width="2" height="{_ROW - 3}"/>')
        parts.append(f'<text x="{end + 6:.1f}" y="{y + 13}">{_number(middle)}{html.escape(unit)}</text>')
    parts.append(_axis(_LEFT, _TOP, height - 12))
    return _drawing(title, _LEFT + _WIDTH + _RIGHT, height, parts)


def heat_map(
    title: str,
    names: Sequence[str],
    cells: Sequence[Sequence[float]],
    *,
    columns: Sequence[str] | None = None,
    note: str = "",
) -> str:
    """A table of shares 0..1, the darker the larger; cells that round to nothing stay empty.

    Args:
        title: stands above.
        names: of the rows.
        cells: row by row.
        columns: names of the columns; default: those of the rows.
        note: a line below the title that says how to read it.
    """
    across = names if columns is None else columns
    side = max(14, min(34, _WIDTH // max(len(across), 1)))
    slanted = 8 + 6 * max((min(len(name), 18) for name in across), default=0)
    top = _TOP + (18 if note else 0) + slanted
    parts = [f'<text class="note" x="8" y="{_TOP + 4}">{html.escape(note)}</text>'] if note else []
    for column, name in enumerate(across):
        x = _LEFT + side * column + side / 2 + 4
        parts.append(f'<text transform="translate({x:.1f} {top - 6}) rotate(-55)">{_shown(name, 18)}</text>')
    for row, name in enumerate(names):
        y = top + side * row
        parts.append(f'<text x="{_LEFT - 8}" y="{y + side / 2 + 4:.1f}" text-anchor="end">{_shown(name, 26)}</text>')
        for column, value in enumerate(cells[row]):
            if value < 0.005:
                continue
            said = f"{_plain(name)} / {_plain(across[column])}: {value:.1%}"
            parts.append(
                f'<rect class="cell" x="{_LEFT + side * column + 1}" y="{y + 1}" width="{side - 2}" height="{side - 2}" '
                f'style="opacity:{0.08 + 0.92 * value:.2f}"><title>{html.escape(said)}</title></rect>'
            )
            if side >= 28:
                middle = _LEFT + side * column + side / 2
                light = ' style="fill:#fff"' if value > 0.55 else ""
                parts.append(
                    f'<text x="{middle:.1f}" y="{y + side / 2 + 4:.1f}" text-anchor="middle"{light}>{value * 100:.0f}</text>'
                )
    width = _LEFT + side * len(across) + max(_RIGHT, slanted)
    return _drawing(title, width, top + side * len(names) + 12, parts)


def line_chart(title: str, lines: Sequence[tuple[str, Sequence[float]]], *, unit: str = "", note: str = "") -> str:
    """Lines over equal steps from left to right, with their names at the right.

    Args:
        title: stands above.
        lines: (name, values ≥ 0), all of one length; at most as many as there are `COLORS` are drawn.
        unit: written behind the values of the axis.
        note: a line below the title that says what a step is.
    """
    drawn = lines[: len(COLORS)]
    top_value = _round_up(max((value for _, values in drawn for value in values), default=0))
    left, height, top = 60, 220, _TOP + (18 if note else 0)
    width = _WIDTH + _LEFT - left
    parts = [f'<text class="note" x="8" y="{_TOP + 4}">{html.escape(note)}</text>'] if note else []
    for part in range(5):
        y = top + height - height * part / 4
        parts.append(f'<line class="grid" x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        said = f"{_number(top_value * part / 4)}{html.escape(unit)}"
        parts.append(f'<text class="note" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{said}</text>')
    for color, (name, values) in zip(COLORS, drawn, strict=False):
        step = width / max(len(values) - 1, 1)
        points = [(left + step * i, top + height - height * value / top_value) for i, value in enumerate(values)]
        if len(points) == 1:
            points.append((left + width, points[0][1]))
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" stroke-linejoin="round">'
            f"<title>{html.escape(_plain(name))}</title></polyline>"
        )
    for position, (name, _) in enumerate(drawn):
        y = top + 8 + _ROW * position
        parts.append(
            f'<rect x="{left + width + 14}" y="{y - 9}" width="10" height="10" style="fill:{COLORS[position]}"/>'
        )
        parts.append(f'<text x="{left + width + 30}" y="{y}">{_shown(name, 22)}</text>')
    bottom = max(top + height, top + _ROW * len(drawn))
    return _drawing(title, left + width + 190, bottom + 16, parts)


def _round_up(value: float) -> float:
    """The next number that reads well on an axis."""
    if value <= 0:
        return 1.0
    unit: float = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 3, 4, 5, 6, 8, 10, 20) if step * unit >= value)


def _drawing(title: str, width: float, height: float, parts: Iterable[str]) -> str:
    said = html.escape(title)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{said}">'
    )
    back = f'<rect class="back" width="100%" height="100%"/><text class="title" x="8" y="24">{said}</text>'
    return f"{head}{_STYLE}{back}{''.join(parts)}</svg>"


def _axis(x: float, top: float, bottom: float) -> str:
    return f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'


def _name(name: str, y: float) -> str:
    return f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{_shown(name, 26)}</text>'


def _shown(name: str, most: int) -> str:
    return html.escape(_plain(name if len(name) <= most else name[: most - 1] + "…"))


def _plain(name: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in name)  # XML has no control characters


def _number(value: float) -> str:
    """Two decimals at most; what would round to nothing is said to be less."""
    if 0 < value < 0.01:
        return "&lt;0.01"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value < 1000 else f"{value:,.0f}"


_PAGE = (
    ":root{color-scheme:light dark;--line:#ddd;--soft:#666;--box:#f6f6f4}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;background:#fff;color:#222}"
    "h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em}figure{margin:1.2em 0;overflow-x:auto}svg{max-width:100%;height:auto}"
    "figcaption{color:var(--soft);font-size:.9em}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "td,th{padding:.25em .8em;border-bottom:1px solid var(--line);text-align:right}"
    "td:first-child,th:first-child{text-align:left}p.note{color:var(--soft)}"
    "@media(prefers-color-scheme:dark){:root{--line:#444;--soft:#aaa;--box:#262626}body{background:#1c1c1c;color:#eee}}"
)


def page(title: str, body: str, style: str = "") -> str:
    """A whole HTML page that needs no other file, light and dark.

    Args:
        title: plain text, also the first heading.
        body: HTML, after the heading.
        style: more CSS.
    """
    said = html.escape(title)
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
    )
    return f"{head}<title>smalti: {said}</title><style>{_PAGE}{style}</style><h1>{said}</h1>{body}</html>\n"
