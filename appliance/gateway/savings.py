"""What the hierarchy of memories spared answers, counted as their receipts count, since this gateway started.

An answer is counted once its receipt is complete, from the very figures that stand in it: so the tokens of all tiers
together are the ``cached_tokens`` of those receipts. Groups are those that answers were charged to, and are named to
nobody but who administers the site (``memory_routes``); persons are one sum. Keys are the site's own models and groups
and the few names of tiers, so there is a bounded number of them, whatever an engine says.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appliance.memory.hierarchy import Counted, Saved, Scope, Tier

if TYPE_CHECKING:
    from appliance.gateway.jobs import Job
    from appliance.gateway.tally import Tally

_Key = tuple[str, Tier, Scope, str]


class Savings:
    """Of one gateway and one event loop."""

    def __init__(self) -> None:
        self.since = datetime.now(UTC)
        self._hits: Counter[_Key] = Counter()
        self._tokens: Counter[_Key] = Counter()
        self._passages = 0
        self._documents = 0

    def count(self, job: Job, tally: Tally) -> dict[Tier, int]:
        """The answer of ``job`` has its receipt. How many tokens each tier spared it."""
        model, group = job.grant.model, job.grant.group.name
        told: list[tuple[Tier, Scope, int]] = [(one.tier, one.scope, one.tokens) for one in tally.spared]
        if not told and tally.cached_tokens:
            told = [("untold", "untold", tally.cached_tokens)]
        by_tier: dict[Tier, int] = {}
        for tier, scope, tokens in told:
            key: _Key = (model, tier, scope, group if scope == "group" else "")
            self._hits[key] += 1
            self._tokens[key] += tokens
            by_tier[tier] = by_tier.get(tier, 0) + tokens
        if tally.rested is not None:
            passages = tally.rested["passages"]
            self._passages += len(passages)
            self._documents += len({one["document"] for one in passages if one["cited"]})
        return by_tier

    def counted(self) -> Counted:
        """Everything until now."""
        models: dict[str, list[Saved]] = {}
        for (model, tier, scope, group), hits in sorted(self._hits.items()):
            tokens = self._tokens[model, tier, scope, group]
            models.setdefault(model, []).append(Saved(tier, scope, group, hits, tokens))
        return Counted(
            self.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
            {model: tuple(saved) for model, saved in models.items()},
            self._passages,
            self._documents,
        )
