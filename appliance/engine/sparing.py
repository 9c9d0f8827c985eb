"""Where the tokens lay that a request need not compute again: each is counted once. Owner thread only.

A token may be held several times over: what the site wrote stands in the site's holding, and again at the beginning of
every conversation that is parked. It is counted for the widest scope that holds it (the site, then the group, then the
person), since it would be there without the others. What was brought back from disk counts for the disk the first time
that it is used, which is what the disk spared; from then on it would be in the cells anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine.prefix_values import Holding
from appliance.engine.protocol import Spared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.job import Passage
    from appliance.engine.prefix_values import Credit
    from appliance.engine.prefixes import PrefixCache
    from appliance.engine.protocol import Tier


def spared(
    cache: PrefixCache, tokens: tuple[int, ...], passages: Sequence[Passage], credit: Credit, *, have: int = 0
) -> tuple[Spared, ...]:
    """Of each token of ``credit`` beyond the first ``have``, where it lay; it counts as used from now on.

    ``passages`` are those of the prompt ``tokens``, the widest scope first. The value is in order of the prompt, and
    adds up to what ``credit`` has of it beyond ``have``; what ``credit`` has of an answer counts for nothing.
    """
    most, upto = min(credit.length, len(tokens)), have
    found: list[Spared] = []
    for passage in passages:
        holding, length = cache.holding(tokens, passage, most)
        if holding is not None and length > upto:
            found += _of(holding, upto, length)
            upto = length
    if upto < most and credit.source is not None:
        if isinstance(credit.source, Holding):
            found += _of(credit.source, upto, most)
        else:
            found.append(Spared("live", credit.source.owner.scope, most - upto))
    return tuple(one for one in found if one.tokens)


def _of(holding: Holding, first: int, last: int) -> tuple[Spared, Spared]:
    """What the cells had of it before, and then what the disk brought."""
    scope = holding.owner.scope
    tier: Tier = "pinned" if holding.pinned else "parked"
    seen = min(last, max(first, holding.seen)) if holding.restored else last
    holding.seen = max(holding.seen, last)
    return Spared(tier, scope, seen - first), Spared("disk", scope, last - seen)
