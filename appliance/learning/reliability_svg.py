"""The reliability diagram as inline SVG: what was said of answers against what share of them was right. Pure.

Points on the diagonal hold what they say; a point's area goes with how many answers it stands for. Every point carries
a ``<title>``; the same numbers stand in a table beside it. No scripts, no style attributes: colours are CSS classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.learning.reliability import Bin

SIDE = 420
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 12, 16, 44
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST_RADIUS = 11.0


def diagram(title: str, named: Sequence[tuple[str, str, Sequence[Bin]]]) -> Markup:
    """Points of each (name, CSS class, bins)."""
    parts = [_axes()]
    for name, css, bins in named:
        most = max((one.count for one in bins), default=1)
        for one in bins:
            radius = max(3.0, _MOST_RADIUS * (one.count / most) ** 0.5)
            tip = escape(f"{name}: said {one.said:.2f}, right {one.right:.2f}, of {one.count} answers")
            parts.append(
                f'<circle class="{css}" cx="{_x(one.said):.1f}" cy="{_y(one.right):.1f}" r="{radius:.1f}">'
                f"<title>{tip}</title></circle>"
            )
    return Markup(  # noqa: S704 - every text in ``parts`` was escaped where it was made
        f'<svg viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _axes() -> str:
    lines = []
    for share in _TICKS:
        x, y = _x(share), _y(share)
        css = "axis" if share == 0 else "grid"
        lines.append(
            f'<line class="{css}" x1="{_x(0):.1f}" x2="{_x(1):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<line class="{css}" x1="{x:.1f}" x2="{x:.1f}" y1="{_y(0):.1f}" y2="{_y(1):.1f}"/>'
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:g}</text>'
            f'<text class="tick" x="{x:.1f}" y="{_y(0) + 18:.1f}" text-anchor="middle">{share:g}</text>'
        )
    lines.append(
        f'<line class="axis" x1="{_x(0):.1f}" y1="{_y(0):.1f}" x2="{_x(1):.1f}" y2="{_y(1):.1f}"/>'
        f'<text class="tick" x="{(_x(0) + _x(1)) / 2:.1f}" y="{SIDE - 6}" text-anchor="middle">what was said</text>'
        f'<text class="tick" x="{_x(0) + 8:.1f}" y="{_y(1) + 16:.1f}">share that was right</text>'
    )
    return "".join(lines)


def _x(share: float) -> float:
    return _LEFT + (SIDE - _LEFT - _RIGHT) * share


def _y(share: float) -> float:
    return _TOP + (SIDE - _TOP - _BOTTOM) * (1 - share)
