"""The highest load that a server carries within its promise, by climbing. Pure: what a trial is, the caller knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_STEP = 2.0
_FINE_STEPS = 2


@dataclass(frozen=True)
class Trial:
    """One rate that was tried: whether the promise held, and the throughput (tok/s) that came of it."""

    rate: float
    held: bool
    throughput: float


async def climb(
    attempt: Callable[[float], Awaitable[Trial]], start: float, lowest: float, highest: float
) -> list[Trial]:
    """Trials in their order: doubling from ``start`` while the promise holds, else halving until it does; then two
    steps between the last that held and the first that did not. Rates stay within ``lowest`` and ``highest``.
    """
    trials = [await attempt(start)]
    while trials[-1].held and trials[-1].rate * _STEP <= highest:
        trials.append(await attempt(trials[-1].rate * _STEP))
    while not any(trial.held for trial in trials) and trials[-1].rate / _STEP >= lowest:
        trials.append(await attempt(trials[-1].rate / _STEP))
    for _ in range(_FINE_STEPS):
        held = max((trial.rate for trial in trials if trial.held), default=None)
        failed = min((trial.rate for trial in trials if not trial.held), default=None)
        if held is None or failed is None:
            break
        trials.append(await attempt((held * failed) ** 0.5))
    return trials


def best(trials: list[Trial]) -> Trial | None:
    """The trial with the highest throughput of those whose promise held."""
    return max((trial for trial in trials if trial.held), key=lambda trial: trial.throughput, default=None)
