"""Housekeeping while the gateway runs: what has expired is deleted. Any gateway may do it, several do no harm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from appliance.gateway.database import DATABASE_DOWN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from appliance.gateway.assembly import Gateway

_log = structlog.get_logger(__name__)
EVERY_SECONDS = 600.0
OWED_SECONDS = 5.0


async def keep_up(gateway: Gateway, every: float = EVERY_SECONDS) -> None:
    """Forget expired sessions, logout marks, quota windows, and what was deleted of documents, for ever."""
    tasks: dict[str, Callable[[], Awaitable[object]]] = {
        "sessions": gateway.sessions.forget_expired,
        "quotas": gateway.quotas.forget_old,
        "documents": gateway.bringing.library.sweep,
    }
    while True:
        for name, task in tasks.items():
            try:
                await task()
            except DATABASE_DOWN as error:
                gateway.metrics.upkeep_failures.labels(name).inc()
                _log.warning("upkeep failed", task=name, cause=type(error).__name__)
        await asyncio.sleep(every)


async def pay_up(gateway: Gateway, every: float = OWED_SECONDS) -> None:
    """Write ends of requests that the log could not take before, for ever."""
    while True:
        await gateway.ledger.pay()
        await asyncio.sleep(every)
