"""Looking at the log costs its writer: whoever looks does so once at a time, and a few looks wait."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.gateway.errors import ExhaustedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

MOST = 8
"""Looks of one person that run or wait; the page itself asks for one after the other."""


@dataclass
class _Person:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    looks: int = 0


class Looks:
    """Of one gateway and one event loop."""

    def __init__(self) -> None:
        self._people: dict[str, _Person] = {}

    @asynccontextmanager
    async def turn(self, subject: str) -> AsyncGenerator[None, None]:
        """Inside, nobody else looks as ``subject``. Raises ``ExhaustedError`` when ``MOST`` do or wait to."""
        person = self._people.setdefault(subject, _Person())
        if person.looks >= MOST:
            raise ExhaustedError("you are looking at the log already", code="too_many_looks", retry_after=1)
        person.looks += 1
        try:
            async with person.turn:
                yield
        finally:
            person.looks -= 1
            if not person.looks:
                del self._people[subject]
