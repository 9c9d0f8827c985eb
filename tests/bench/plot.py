"""Columns side by side as SVG, for the figures of a benchmark: a group for each round, a column for each contender."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 260, 96, 40, 30
COLOURS = ("#1f6f8b", "#c97b2d", "#5b7f3b")


def grouped(title: str, unit: str, contenders: Mapping[str, Sequence[float]]) -> str:
    """The plot; every contender has a value for each round, in ``unit``."""
    rounds = max(len(values) for values in contenders.values())
    top = max(max(values) for values in contenders.values()) or 1.0
    group = (WIDTH - LEFT) / rounds
    column = group * 0.8 / len(contenders)
    parts = [_text(LEFT, 16, title), *_axis(top, unit)]
    for place, (name, values) in enumerate(contenders.items()):
        parts.append(_text(LEFT + place * 220, 32, f"■ {name}", COLOURS[place]))
        for number, value in enumerate(values):
            height = (HEIGHT - TOP - BOTTOM) * value / top
            x, y = LEFT + number * group + place * column, HEIGHT - BOTTOM - height
            shape = f'x="{x:.1f}" y="{y:.1f}" width="{column:.1f}" height="{height:.1f}"'
            tip = escape(f"{name}, round {number + 1}: {value:.3f} {unit}")
            parts.append(f'<rect {shape} fill="{COLOURS[place]}"><title>{tip}</title></rect>')
    parts += [_text(LEFT + number * group, HEIGHT - 10, str(number + 1)) for number in range(rounds)]
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">\n{body}\n</svg>\n'


def _axis(top: float, unit: str) -> list[str]:
    base = HEIGHT - BOTTOM
    line = f'<line x1="{LEFT}" y1="{base}" x2="{WIDTH}" y2="{base}" stroke="#888"/>'
    return [line, _text(4, TOP + 8, f"{top:.2f} {unit}"), _text(4, base, f"0 {unit}")]


def _text(x: float, y: float, text: str, colour: str = "#333") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="12" fill="{colour}">{escape(text)}</text>'
    )
