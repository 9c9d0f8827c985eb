"""Housekeeping while the gateway runs: what has expired is deleted. Any gateway may do it, several do no harm.

Whatever the database says to it, the gateway goes on; it is counted, and tried again.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from appliance.errors import UnavailableError
from appliance.gateway.database import DATABASE_DOWN
from appliance.memory import sweeping

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from appliance.gateway.assembly import Gateway

_log = structlog.get_logger(__name__)
EVERY_SECONDS = 600.0
OWED_SECONDS = 5.0
ROLLOUT_SECONDS = 10.0
VECTORS_SECONDS = 60.0


async def keep_up(gateway: Gateway, every: float = EVERY_SECONDS) -> None:
    """Forget expired sessions, logout marks and quota windows, for ever."""
    tasks: dict[str, Callable[[], Awaitable[object]]] = {
        "sessions": gateway.sessions.forget_expired,
        "quotas": gateway.quotas.forget_old,
    }
    while True:
        for name, task in tasks.items():
            await _tried(gateway, name, task)
        await asyncio.sleep(every)


async def sweep_up(gateway: Gateway, every: float = EVERY_SECONDS) -> None:
    """Overwrite what was deleted of documents in the database's files, for ever.

    Apart from ``keep_up``, since tables are written anew; once each time, since questions wait for it.
    """
    while True:
        await _tried(gateway, "documents", partial(sweeping.sweep, gateway.database, 1))
        await asyncio.sleep(every)


async def vector_up(gateway: Gateway, every: float = VECTORS_SECONDS) -> None:
    """Give documents the vectors that they lack, for ever; at once where one was brought here."""
    while True:
        await _tried(gateway, "vectors", gateway.vectors.make)
        await gateway.vectors.wait(every)


async def watch_over(gateway: Gateway, every: float = ROLLOUT_SECONDS) -> None:
    """Let rollouts go on or back by themselves, for ever."""
    while True:
        await _tried(gateway, "rollouts", gateway.watch.look)
        await asyncio.sleep(every)


async def _tried(gateway: Gateway, name: str, task: Callable[[], Awaitable[object]]) -> None:
    try:
        await task()
    except (*DATABASE_DOWN, SQLAlchemyError, UnavailableError) as error:
        gateway.metrics.upkeep_failures.labels(name).inc()
        _log.warning("upkeep failed", task=name, cause=type(error).__name__)


async def pay_up(gateway: Gateway, every: float = OWED_SECONDS) -> None:
    """Write ends of requests that the log could not take before, for ever."""
    while True:
        await gateway.ledger.pay()
        await asyncio.sleep(every)
