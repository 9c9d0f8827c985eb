"""Which weights a gate judged, by the name that the site serves them under. Pure.

A model's name stays where a release, a bundle or a promotion brings other weights under it. What a gate knows of is
digests, as receipts name them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from appliance.learning.results import Results
    from appliance.site.rolling import Change

Weights = dict[str, tuple[str, ...]]


class JudgedWeights(NamedTuple):
    """Digests by name: those that may answer as far as a gate knows, and those that it refused."""

    passed: Weights
    refused: Weights


NO_WEIGHTS = JudgedWeights({}, {})
"""Nothing is known of any."""


def judged_weights(before: Results, after: Results, change: Change | None, *, passed: bool) -> JudgedWeights:
    """What gave the answers ``before`` was in force, so nothing is new about it; what gave those ``after`` may pass.

    Under a change of models it is the other model's weights that answered ``after``.
    """
    name = change.by if change is not None and change.by is not None else after.run.model
    was, now = {before.run.model: _answered(before)}, {name: _answered(after)}
    if passed:
        return JudgedWeights({one: _both(was, now, one) for one in was | now}, {})
    refused = tuple(one for one in now[name] if one not in was.get(name, ()))
    return JudgedWeights(was, {name: refused})


def _both(was: Weights, now: Weights, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*now.get(name, ()), *was.get(name, ()))))


def _answered(results: Results) -> tuple[str, ...]:
    return tuple(sorted({row.model for row in results.rows if row.model is not None}))
