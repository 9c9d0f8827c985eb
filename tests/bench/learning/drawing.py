"""The plots of `make bench-learning`, one below the other. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bench import plot
from tests.bench.learning.answers import SCORERS, means_of
from tests.bench.learning.documents import plotted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.learning.answers import Arm, Scored
    from tests.bench.learning.first_token import Turns

_GAP = 20


def drawn(parts: Mapping[str, Any]) -> str:
    """Whatever of ``looked``, ``scores`` and ``turns`` there is."""
    plots = []
    if (looked := parts.get("looked")) is not None:
        plots.append(plotted(looked.both, looked.words))
    if (scores := parts.get("scores")) is not None:
        plots.append(scored(scores))
    if (turns := parts.get("turns")) is not None:
        plots.append(timed(turns))
    return below(plots)


def scored(found: Mapping[Arm, Sequence[Scored]]) -> str:
    """The answer score of each arm: over all, by language, by stratum, and by scorer."""
    rows = next(iter(found.values()))
    slices = {"all": lambda one: True}  # noqa: ARG005 - one shape for every slice
    for language in sorted({one.fact.language for one in rows}):
        slices[language] = lambda one, language=language: one.fact.language == language
    for stratum in sorted({one.fact.stratum for one in rows}):
        slices[stratum] = lambda one, stratum=stratum: one.fact.stratum == stratum
    columns = {arm: [means_of(filter(which, some)) for which in slices.values()] for arm, some in found.items()}
    for at in range(len(SCORERS)):
        for arm, some in found.items():
            columns[arm].append(sum(one.each[at] for one in some) / max(len(some), 1))
    names = ", ".join(f"{number} {name}" for number, name in enumerate([*slices, *SCORERS], start=1))
    return plot.grouped(f"answer score: {names}", "", columns)


def timed(turns: Turns) -> str:
    """Seconds to the first token, turn by turn."""
    columns = {name: [one.seconds for one in of] for name, of in (("pinned", turns.pinned), ("pasted", turns.pasted))}
    return plot.grouped("first token: the brief pinned, or pasted, by turns", "s", columns)


def below(plots: Sequence[str]) -> str:
    """One picture of several, from the top down."""
    height = plot.HEIGHT + _GAP
    parts = [
        one.replace("<svg ", f'<svg y="{number * height}" width="{plot.WIDTH}" height="{plot.HEIGHT}" ', 1)
        for number, one in enumerate(plots)
    ]
    whole = f"0 0 {plot.WIDTH} {max(len(plots), 1) * height}"
    body = "".join(parts)
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{whole}">\n{ground}\n{body}</svg>\n'
