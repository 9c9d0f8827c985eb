"""Alternating rounds: each load of a round is put on both contenders, one right after the other, in changing order.

Each load of each round is one measurement, which a later sitting does not make again.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.claims import tell
from tests.bench.engine import loads, texts
from tests.bench.engine.completions import ask
from tests.bench.engine.contenders import OURS, PEER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.bench.engine.completions import Completions
    from tests.bench.engine.contenders import Machine
    from tests.bench.engine.loads import Figures, Scale
    from tests.bench.engine.sittings import Sittings

_seeds = itertools.count(1)


def seeds_from(first: int) -> None:
    """Texts of this process are made from the seed ``first`` on."""
    global _seeds  # noqa: PLW0603 - one row of seeds for all loads, since none may come twice
    _seeds = itertools.count(first)


def planned(names: Sequence[str], rounds: int, sets: Iterable[str]) -> list[str]:
    """The measurements of ``best_flags`` and ``run``, in their order."""
    tried = [f"flags/{name} {chosen}" for name in names for chosen in sets]
    alone = ["heavy_alone"] if "fairness" in names else []
    each = [*names, *alone, "restart"]
    return tried + [f"{kind}/{number}" for number in range(1, rounds + 1) for kind in each]


@dataclass
class Measured:
    """Figures of every round by load and contender; ``flags`` is the peer's best set for each load."""

    flags: dict[str, str]
    tried: dict[str, dict[str, float]]
    figures: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    restarts: list[Figures] = field(default_factory=list)

    def column(self, load: str, contender: str, name: str) -> list[float]:
        """One figure through the rounds."""
        return [found[name] for found in self.figures[load][contender]]

    def keep(self, rounds: int) -> None:
        """Forget what belongs to no whole round."""
        for contenders in self.figures.values():
            for found in contenders.values():
                del found[rounds:]
        del self.restarts[rounds:]


def best_flags(
    machine: Machine, names: Sequence[str], scale: Scale, sets: Iterable[str], sittings: Sittings
) -> Measured:
    """The peer's best set of flags for each load, found on a smaller load of the same kind."""
    small = replace(
        scale,
        single=1,
        single_tokens=scale.single_tokens // 2,
        tokens=scale.tokens // 2,
        trial_s=scale.trial_s / 2,
        heavy=max(2, scale.heavy // 4),
        light=3,
    )
    sets = tuple(sets)
    flags, tried = {}, {}
    for name in names:
        found = {
            chosen: sittings.measurement(
                f"flags/{name} {chosen}", functools.partial(_tried, machine, name, small, chosen)
            )
            for chosen in sets
        }
        tried[name] = found
        sign = -1 if loads.KEY[name].endswith("_s") and not loads.KEY[name].endswith("tok_s") else 1
        flags[name] = max(found, key=lambda chosen: sign * found[chosen])
        shown = ", ".join(f"{chosen}: {value:.2f}" for chosen, value in found.items())
        tell(f"{name}: {PEER} is best with {flags[name]} ({loads.KEY[name]} {shown})")
    return Measured(flags, tried)


def _tried(machine: Machine, name: str, scale: Scale, chosen: str) -> float:
    return once(machine, name, scale, chosen)[loads.KEY[name]]


def once(machine: Machine, name: str, scale: Scale, flags: str | None, start: float | None = None) -> Figures:
    """One load on a contender started for it; ``flags`` names the peer's, ``None`` is ours."""
    load = loads.LOADS[name] if name != "groups" else functools.partial(loads.groups, start=start)
    with machine.ours() if flags is None else machine.peer(flags) as completions:
        return asyncio.run(_warmed(load, completions, scale, next(_seeds)))


async def _warmed(load: loads.Load, completions: Completions, scale: Scale, seed: int) -> Figures:
    """The load after one short request, so that no first page fault is measured."""
    await ask(completions, loads.body(texts.words(seed, 20), 4, "warm"))
    return await load(completions, scale, seed)


def run(machine: Machine, names: Sequence[str], scale: Scale, measured: Measured, sittings: Sittings) -> int:
    """``scale.rounds`` rounds of ``names``, or those that were whole when somebody ended it (Ctrl+C); how many.

    Raises ``KeyboardInterrupt`` where it was ended before one was whole.
    """
    for number in range(scale.rounds):
        try:
            _round(machine, names, scale, measured, sittings)
        except KeyboardInterrupt:
            measured.keep(number)
            if number == 0:
                raise
            tell(f"ended in round {number + 1}: judged by {number}")
            return number
    return scale.rounds


def _round(machine: Machine, names: Sequence[str], scale: Scale, measured: Measured, sittings: Sittings) -> None:
    number = len(measured.restarts)
    for name in names:
        both = sittings.measurement(
            f"{name}/{number + 1}", functools.partial(_both, machine, name, scale, measured, number)
        )
        for contender, found in both.items():
            measured.figures.setdefault(name, {}).setdefault(contender, []).append(found)
    if "fairness" in names:
        alone = sittings.measurement(f"heavy_alone/{number + 1}", functools.partial(_alone, machine, scale))
        measured.figures.setdefault("heavy_alone", {}).setdefault(OURS, []).append(alone)
    again = sittings.measurement(f"restart/{number + 1}", functools.partial(_restarted, machine, scale))
    measured.restarts.append(again)


def _both(machine: Machine, name: str, scale: Scale, measured: Measured, number: int) -> dict[str, Figures]:
    """One load's figures of both contenders, who change places from round to round.

    How fast people come begins at half of what a contender carried in the round before.
    """
    both = {}
    for contender in (OURS, PEER) if number % 2 == 0 else (PEER, OURS):
        before = measured.figures[name][contender][-1].get("rate", 0.0) if number else 0.0
        flags = None if contender == OURS else measured.flags[name]
        both[contender] = once(machine, name, scale, flags, before / 2 or None)
        shown = ", ".join(f"{key} {value:.3g}" for key, value in both[contender].items())
        tell(f"round {number + 1}/{scale.rounds} {name} {contender}: {shown}")
    return both


def _alone(machine: Machine, scale: Scale) -> Figures:
    """The heavy user's work on ours with nobody beside."""
    with machine.ours() as completions:
        found = asyncio.run(_warmed(loads.heavy_alone, completions, scale, next(_seeds)))
    tell(f"the heavy user alone: {found['tok_s']:.3g} tok/s")
    return found


def _restarted(machine: Machine, scale: Scale) -> Figures:
    """Time to first token of a long prefix: computed, and after a restart that may have kept it on disk."""
    prefix = texts.rules(next(_seeds), scale.prefix_rules)
    with tempfile.TemporaryDirectory(prefix="state-") as folder:
        with machine.ours(Path(folder)) as completions:
            computed = asyncio.run(_first(completions, prefix, 1))
        with machine.ours(Path(folder)) as completions:
            again = asyncio.run(_first(completions, prefix, 2))
    found = {
        "computed_s": computed["first_s"],
        "restarted_s": again["first_s"],
        "kept": again["cached_tokens"] / again["prompt_tokens"],
    }
    tell(f"restart: {found}")
    return found


async def _first(completions: Completions, prefix: str, number: int) -> Figures:
    await ask(completions, loads.body(texts.words(next(_seeds), 20), 4, "warm"))
    asked = loads.body(texts.asked(prefix, number), 4, "analyst") | {"site_characters": len(prefix)}
    answer = await ask(completions, asked)
    return {
        "first_s": answer.first_s,
        "cached_tokens": answer.cached_tokens,
        "prompt_tokens": answer.prompt_tokens,
    }
