"""Where the tokens lay that a request need not compute again: each is counted once. Owner thread only.

A token may be held several times over: what the site wrote stands in the site's holding, and again at the beginning of
every conversation that is parked. It is counted for the widest scope that holds it (the site, then the group, then the
person), since it would be there without the others. What was brought back from disk counts for the disk the first time
that it is used, which is what the disk spared; from then on it would be in the cells anyway.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from appliance.engine.prefix_values import Holding
from appliance.engine.protocol import Scope, Spared, Tier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.job import Passage
    from appliance.engine.prefix_values import Credit
    from appliance.engine.prefixes import PrefixCache


def spared(
    cache: PrefixCache, tokens: tuple[int, ...], passages: Sequence[Passage], credit: Credit, *, have: int = 0
) -> tuple[Spared, ...]:
    """Of each token of ``credit`` beyond the first ``have``, where it lay; it counts as used from now on.

    ``passages`` are those of the prompt ``tokens``, the widest scope first. The sum is ``credit.length - have``, or
    nothing where there is nothing beyond.
    """
    counted: Counter[tuple[Tier, Scope]] = Counter()
    upto = have
    for passage in passages:
        holding, length = cache.holding(tokens, passage, credit.length)
        if holding is not None and length > upto:
            _count(counted, holding, upto, length)
            upto = length
    if upto < credit.length and credit.source is not None:
        if isinstance(credit.source, Holding):
            _count(counted, credit.source, upto, credit.length)
        else:
            counted["live", credit.source.owner.scope] += credit.length - upto
    return tuple(Spared(*where, count) for where, count in counted.items() if count)


def _count(counted: Counter[tuple[Tier, Scope]], holding: Holding, first: int, last: int) -> None:
    scope = holding.owner.scope
    fresh = last - min(last, max(first, holding.seen)) if holding.restored else 0
    holding.seen = max(holding.seen, last)
    counted["disk", scope] += fresh
    counted["pinned" if holding.pinned else "parked", scope] += last - first - fresh
