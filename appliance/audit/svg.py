"""Plots as inline SVG: columns over time and bars by name. No scripts, no style attributes: colours are CSS classes.

Every mark carries a ``<title>`` (a tooltip, and a screen reader's text); the same numbers stand in a table beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH = 720
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 12, 28
_HEIGHT = 200
_ROW = 30
_NAME = 190
_VALUE = 96
_MAX_COLUMN = 48
_MAX_LABELS = 10
_NICE = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True)
class Series:
    """One colour of a column plot: its name, its CSS class and a value per column."""

    name: str
    css: str
    values: Sequence[float]


def columns(title: str, labels: Sequence[str], series: Sequence[Series], show: Callable[[float], str]) -> Markup:
    """Stacked columns, one per label; ``show`` writes a value for the axis and the tooltips."""
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    top = _nice(max(totals, default=0))
    plot = _HEIGHT - _TOP - _BOTTOM
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    bar = min(_MAX_COLUMN, max(1.0, step * 0.72))
    parts = [_grid(top, plot, show)]
    for number, label in enumerate(labels):
        x = _LEFT + step * (number + 0.5)
        base = 0.0
        for one in series:
            value = one.values[number]
            height = plot * value / top
            y = _TOP + plot * (1 - base / top) - height
            tip = escape(f"{label}: {show(value)} {one.name}".rstrip())
            if value:
                parts.append(
                    f'<rect class="{one.css}" x="{x - bar / 2:.1f}" y="{y:.1f}" width="{bar:.1f}" '
                    f'height="{max(height, 1):.1f}"><title>{tip}</title></rect>'
                )
            base += value
        if number % max(1, math.ceil(len(labels) / _MAX_LABELS)) == 0:
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>'
            )
    return _svg(title, _HEIGHT, parts)


def bars(title: str, rows: Sequence[tuple[str, float]], css: str, show: Callable[[float], str]) -> Markup:
    """Horizontal bars, one per (name, value), in the order given."""
    top = max((value for _, value in rows), default=0) or 1
    room = WIDTH - _NAME - _VALUE
    parts = []
    for number, (name, value) in enumerate(rows):
        y = number * _ROW
        length = max(1.0, room * value / top) if value else 0.0
        full, shown = escape(name), escape(show(value))
        parts.append(
            f'<text class="name" x="{_NAME - 10}" y="{y + 19}" text-anchor="end">{escape(_short(name))}'
            f"<title>{full}</title></text>"
            f'<rect class="{css}" x="{_NAME}" y="{y + 6}" width="{length:.1f}" height="18" rx="2">'
            f"<title>{full}: {shown}</title></rect>"
            f'<text class="value" x="{_NAME + length + 8:.1f}" y="{y + 19}">{shown}</text>'
        )
    return _svg(title, max(1, len(rows)) * _ROW, parts)


def _grid(top: float, plot: int, show: Callable[[float], str]) -> str:
    lines = []
    for share in (0.0, 0.5, 1.0):
        y = _TOP + plot * (1 - share)
        css = "axis" if share == 0 else "grid"
        lines.append(
            f'<line class="{css}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(show(top * share))}</text>'
        )
    return "".join(lines)


def _svg(title: str, height: int, parts: Sequence[str]) -> Markup:
    return Markup(  # noqa: S704 - every text in ``parts`` was escaped where it was made
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _nice(value: float) -> float:
    """The next number whose half reads well on an axis."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * factor for factor in _NICE if value <= power * factor)


def _short(name: str, limit: int = 24) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
