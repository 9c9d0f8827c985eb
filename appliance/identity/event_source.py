"""Reads what Keycloak recorded, oldest first, by its administration's interface, as a client that may do only that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from appliance.identity.clients import EVENTS_CLIENT
from appliance.identity.service_reader import ServiceReader

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

USER_EVENTS = "events"
ADMIN_EVENTS = "admin-events"


class EventSource:
    """The events of the realm ``issuer``. ``http`` carries the trust in the site's CA; it is the caller's to close."""

    def __init__(
        self, issuer: str, secret: str, http: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.reader = ServiceReader(issuer, client=EVENTS_CLIENT, secret=secret, what="events", http=http, clock=clock)

    async def page(self, kind: str, since: int, most: int) -> list[dict[str, Any]]:
        """The earliest events of ``kind`` recorded at ``since`` (ms) or later, ``most`` at most, oldest first.

        Raises ``UnavailableError``. Fewer than ``most``: there are no others yet.
        """
        return await self.reader.read(kind, {"dateFrom": since, "direction": "asc", "first": 0, "max": most})
