"""Which weights a gate judged, by the name that the site serves them under. Pure.

A model's name stays where a release, a bundle or a promotion brings other weights under it. What a gate knows of is
digests, as receipts name them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.learning.results import Results
    from appliance.site.rolling import Change

Weights = dict[str, tuple[str, ...]]
"""Digests by the model's name."""


class JudgedWeights(NamedTuple):
    """Whose answers a gate held against whose, and what it found of ``after``."""

    before: Weights
    after: Weights
    passed: bool


def judged_weights(before: Results, after: Results, change: Change | None, *, passed: bool) -> JudgedWeights:
    """What is known of weights by two comparable files of results.

    Under a change of models it is the other model's weights that answered ``after``.
    """
    name = change.by if change is not None and change.by is not None else after.run.model
    return JudgedWeights({before.run.model: _answered(before)}, {name: _answered(after)}, passed)


def known_after(known: Mapping[str, Sequence[str]], judged: JudgedWeights) -> Weights:
    """``known`` and what was ``judged``: at first whatever was in force, from then on what passed beside what is known.

    So weights that nobody judged do not become known by serving while something else is judged. What was refused under
    its name is known no more; where it was refused in another model's place, nothing was found of it under its own. No
    digest is known by two names: while a model answers in the place of another, results name that other.
    """
    found = {name: tuple(digests) for name, digests in known.items()}
    for name, digests in judged.before.items():
        if name not in found and (new := _elsewhere_unknown(found, name, digests)):
            found[name] = new
    compared = bool(judged.before) and all(
        digests and set(digests) <= set(found.get(name, ())) for name, digests in judged.before.items()
    )
    for name, digests in judged.after.items():
        if judged.passed and compared:
            new = _elsewhere_unknown(found, name, digests)
            found[name] = tuple(dict.fromkeys((*new, *found.get(name, ()))))
        elif not judged.passed and name in judged.before:
            refused = set(digests) - set(judged.before[name])
            found[name] = tuple(one for one in found.get(name, ()) if one not in refused)
    return found


def _elsewhere_unknown(found: Weights, name: str, digests: Sequence[str]) -> tuple[str, ...]:
    elsewhere = {one for other, those in found.items() if other != name for one in those}
    return tuple(one for one in digests if one not in elsewhere)


def _answered(results: Results) -> tuple[str, ...]:
    return tuple(sorted({row.model for row in results.rows if row.model is not None}))
