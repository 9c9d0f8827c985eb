"""Whose work is put off when there is no room. Pure.

Parked cells go first (``prefixes``). Then a request is put off, never ended: it keeps its words and its place, and goes
on later. The choice: work of rank batch before interactive work; then the user who has most at work for the weight of
their group; of that user, the request that began last, since it has least to lose.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol, TypeVar

from appliance.engine.job import BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.job import Job


class Runs(Protocol):
    """A request at work."""

    @property
    def job(self) -> Job:
        """What it is."""
        ...


R = TypeVar("R", bound=Runs)


def victim(running: Sequence[R]) -> R | None:
    """Whom to put off, of ``running`` in order of their beginning; ``None`` where one alone runs."""
    if len(running) < 2:  # noqa: PLR2004 - putting off the only one helps nobody
        return None
    return _heaviest(running)


def victim_for(newcomer: Job, running: Sequence[R]) -> R | None:
    """Whom to put off so that ``newcomer`` begins.

    Batch work gives way to interactive work. Otherwise only a user who has two more requests at work than the newcomer
    gives one up, weights considered, so that requests do not push each other out in turns.
    """
    if newcomer.rank < BATCH and (late := [r for r in running if r.job.rank == BATCH]):
        return late[-1]
    mine = sum(r.job.user == newcomer.user for r in running)
    most = _heaviest([r for r in running if r.job.rank == newcomer.rank])
    if most is None or most.job.user == newcomer.user:
        return None
    theirs = sum(r.job.user == most.job.user for r in running)
    return most if (theirs - 1) / most.job.weight >= (mine + 1) / newcomer.weight else None


def _heaviest(running: Sequence[R]) -> R | None:
    held = Counter(r.job.user for r in running)
    return max(
        enumerate(running),
        key=lambda pair: (pair[1].job.rank, held[pair[1].job.user] / pair[1].job.weight, pair[0]),
        default=(0, None),
    )[1]
