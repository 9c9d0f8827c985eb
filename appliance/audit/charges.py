"""What groups are charged for what they used, at the prices of the site: by tokens, by energy, or by both. Pure.

Amounts are exact decimals until they are shown, so that they add up the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from appliance.audit.tally import ranked

if TYPE_CHECKING:
    from appliance.audit.tally import Tally, UsageReport

_JOULES_PER_KWH = 3_600_000
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Prices:
    """What 1,000 tokens (prompt and answer alike) and a kilowatt hour cost; ``currency`` is only a word."""

    currency: str
    per_1000_tokens: Decimal
    per_kwh: Decimal

    def of(self, tally: Tally) -> Decimal:
        """What ``tally`` costs, to a hundredth."""
        tokens = self.per_1000_tokens * tally.tokens / 1000
        energy = self.per_kwh * Decimal(repr(tally.joules)) / _JOULES_PER_KWH
        return (tokens + energy).quantize(_CENT, ROUND_HALF_EVEN)


def charges(report: UsageReport, prices: Prices) -> list[tuple[str, Decimal]]:
    """Each group and what it is charged; a request is charged to the group by which it was allowed."""
    return [(group, prices.of(tally)) for group, tally in ranked(report.by_group)]


def charges_json(report: UsageReport, prices: Prices) -> dict[str, object]:
    """As JSON-ready data; amounts are texts, so that no reader rounds them."""
    return {
        "currency": prices.currency,
        "per_1000_tokens": str(prices.per_1000_tokens),
        "per_kwh": str(prices.per_kwh),
        "by_group": {group: str(amount) for group, amount in charges(report, prices)},
        "total": str(sum((amount for _, amount in charges(report, prices)), Decimal())),
    }
