"""Energy by declaration: where no counter can be read, the site states what the host draws.

The figure is marked ``estimated``. A request is charged the draw *above* idle while it computes; the idle draw over
the same time is stated beside it and never mixed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.engine.protocol import Energy


@dataclass(frozen=True)
class DeclaredDraw:
    """Watts of the host while decoding and while idle, as site.yaml declares them."""

    busy: float
    idle: float

    def over(self, seconds: float) -> Energy:
        """Energy of ``seconds`` of computing."""
        return Energy(
            joules=round(max(0.0, self.busy - self.idle) * seconds, 3),
            method="estimated",
            watts=self.busy,
            idle_joules=round(self.idle * seconds, 3),
        )
