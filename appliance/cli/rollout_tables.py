"""Rollouts as an operator reads them: both arms beside each other, and how far the evidence of harm has come."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from appliance.gateway.rollout_values import Rollout
    from appliance.learning.comparing import Comparison, Told

_COUNTS = ("people", "answers", "up", "down", "repeated", "abandoned", "declined", "failed")
_COSTS = {"first_token_s": "first token, s", "seconds": "whole, s", "tokens": "tokens", "joules": "J"}
_WIDTH = 30


def draw(console: Console, found: Sequence[tuple[Rollout, Comparison | None]]) -> None:
    """Those that run with their figures, then what became of others."""
    for one, seen in found:
        if seen is not None:
            _running(console, one, seen)
    ended = [one for one, seen in found if seen is None]
    if ended:
        table = Table("rollout", "group", "kind", "change", "became", "at", "why")
        for one in ended:
            why = str((one.figures or {}).get("reason", ""))
            row = (str(one.id), one.group, _kind(one), one.change[:19], one.state, f"{one.changed:%Y-%m-%d %H:%M}", why)
            table.add_row(*map(Text, row))
        console.print(table)
    if not found:
        console.print("no rollout runs, and none ran", markup=False)


def _kind(one: Rollout) -> str:
    return one.kind.replace("_", " ")


def _running(console: Console, one: Rollout, seen: Comparison) -> None:
    stages = " > ".join(f"[{share}]" if at == one.stage else str(share) for at, share in enumerate(one.stages))
    console.print(f"{one.group}: {_kind(one)} {one.change[:19]} instead of {one.former[:19]}", markup=False)
    console.print(f"rollout {one.id}, stage {stages} percent since {one.stage_since:%Y-%m-%d %H:%M}", markup=False)
    table = Table("", "new arm", "old arm")
    table.add_row("went badly", *(_badly(arm) for arm in (seen.new, seen.old)))
    new, old = asdict(seen.new), asdict(seen.old)
    for name in _COUNTS:
        table.add_row(name, str(new[name]), str(old[name]))
    for name, title in _COSTS.items():
        table.add_row(title, f"{new[name]:.2f}", f"{old[name]:.2f}")
    console.print(table)
    found = seen.evidence
    console.print(
        f"observed people: {found.new} and {found.old}; evidence of harm {found.most:.2f}, back from "
        f"{seen.threshold:.0f} on",
        markup=False,
    )
    if one.verdict is not None or seen.back is not None:
        reason = seen.back or (one.verdict or {}).get("figures", {}).get("reason", "")
        console.print(f"being decided: {reason}", markup=False)
    else:
        enough = "enough was seen to go on" if seen.enough else "too little was seen to go on"
        console.print(f"{enough}; that nothing was seen does not prove that nothing is there", markup=False)


def _badly(arm: Told) -> str:
    """Share, interval, and a bar of it."""
    if not arm.answers:
        return "-"
    share = arm.bad / arm.answers
    bar = "#" * round(share * _WIDTH)
    return f"{share:.3f} ({arm.lower:.3f} {arm.upper:.3f}) {bar}"
