"""Refusals of callers who are known: each leaves an entry in the log, within the bound of ``rate_bound``."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from appliance.gateway.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from appliance.gateway.assembly import Gateway
    from appliance.gateway.callers import Caller

_LOGGED = frozenset({401, 403, 422, 429})


@asynccontextmanager
async def refusals_logged(gateway: Gateway, caller: Caller, operation: str) -> AsyncGenerator[None, None]:
    """Whatever is refused inside, to a caller who is known, leaves an entry (rate-bound)."""
    try:
        yield
    except HttpError as error:
        if error.status in _LOGGED:
            await gateway.ledger.refusal(error, caller, operation=operation)
        raise
