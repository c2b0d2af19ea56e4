"""Plots as SVG text: no plotting library, readable in light and dark."""

import html
from collections.abc import Sequence

__all__ = ["bar_chart"]

_STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#222}.title{font-size:15px;font-weight:600}.bar{fill:#3b7dd8}"
    ".grid{stroke:#ccc}.back{fill:#fff}@media(prefers-color-scheme:dark){.back{fill:#1c1c1c}text{fill:#eee}.grid{stroke:#555}.bar{fill:#6ea8fe}}</style>"
)
_ROW, _LEFT, _WIDTH, _TOP = 20, 180, 460, 40


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
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 80}" height="{height}" role="img" aria-label="{html.escape(title)}">',
        _STYLE,
        '<rect class="back" width="100%" height="100%"/>',
        f'<text class="title" x="8" y="24">{html.escape(title)}</text>',
    ]
    for position, (name, value) in enumerate(bars):
        y = _TOP + _ROW * position
        length = value / top * _WIDTH
        fill = f' style="fill:{html.escape(colors[position])}"' if colors else ' class="bar"'
        shown = name if len(name) <= 26 else name[:25] + "…"
        shown = "".join(c if c.isprintable() else "\ufffd" for c in shown)  # XML has no control characters
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{html.escape(shown)}</text>')
        parts.append(f'<rect{fill} x="{_LEFT}" y="{y + 2}" width="{length:.1f}" height="{_ROW - 5}"/>')
        parts.append(f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{_number(value)}{html.escape(unit)}</text>')
    parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{height - 12}"/></svg>')
    return "".join(parts)


def _number(value: float) -> str:
    """Two decimals at most; what would round to nothing is said to be less."""
    if 0 < value < 0.01:
        return "&lt;0.01"
    return f"{value:,.2f}".rstrip("0").rstrip(".")
