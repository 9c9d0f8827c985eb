"""What was refused at Keycloak comes into the log within the bound of ``rate_bound``, as what gateways refuse does.

Anybody who reaches the sign-in page can fail there as often as they like, and the log is kept for months. So whoever
fails in the same way (operation, reason, person, client) leaves ten entries at once and ten a minute after that, by
Keycloak's own times; how many were left out is in their next entry. What succeeded is never left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.audit.ocsf import FAILURE
from appliance.gateway.rate_bound import RateBound

if TYPE_CHECKING:
    from appliance.audit.ocsf import Event


class FailureBound:
    """For events of one kind, told in the order of their times."""

    def __init__(self) -> None:
        self._latest = 0
        self._bound = RateBound(lambda: self._latest / 1000)

    def admit(self, event: Event, at: int) -> Event | None:
        """``event``, which happened at ``at`` (ms), with how many like it were left out before; None: leave it out."""
        self._latest = max(self._latest, at)
        if event["status_id"] != FAILURE:
            return event
        ours = event["unmapped"]["sovereign"]
        user = event["user"] if "user" in event else event["actor"]["user"]
        how = f"{ours['kind']} {ours['operation']} {event.get('status_detail')}"
        left_out = self._bound.admit(how, f"{user['uid']} {ours.get('client_id')}")
        if left_out:
            return event | {"unmapped": {"sovereign": ours | {"left_out": left_out}}}
        return None if left_out is None else event
