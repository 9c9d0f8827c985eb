"""The answers to one call: ``n`` of them, side by side, each a request of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from appliance.gateway import tally
from appliance.gateway.steps import Failed, Finished

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from appliance.gateway.answers import Answer
    from appliance.gateway.steps import Step


class Choices:
    """Answers in the order of their index. ``begun``, then ``steps``, have one reader."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = tuple(answers)
        self._steps = [answer.steps() for answer in self.answers]
        self._first: tuple[Step, ...] = ()

    def stop(self, outcome: str = tally.CANCELLED) -> None:
        """Stop every answer; each still gets its entry in the log."""
        for answer in self.answers:
            answer.stop(outcome)

    async def begun(self) -> None:
        """Return once each has begun. Where one failed the others are stopped, and its error is raised.

        So a status is decided for all of them before the first byte.
        """
        self._first = tuple([await anext(steps) for steps in self._steps])
        failed = next((step for step in self._first if isinstance(step, Failed)), None)
        if failed is not None:
            self.stop()
            raise failed.error

    async def steps(self) -> AsyncGenerator[tuple[int, Step], None]:
        """What comes after ``begun``, as it comes: (index, step), until each answer has had its last."""
        arrived: asyncio.Queue[tuple[int, Step]] = asyncio.Queue()
        for index, step in enumerate(self._first):
            if isinstance(step, Finished):  # stopped before it began
                yield index, step
        open_ = [index for index, step in enumerate(self._first) if not isinstance(step, Finished)]
        readers = [asyncio.create_task(self._read(index, arrived)) for index in open_]
        try:
            left = len(readers)
            while left:
                index, step = await arrived.get()
                yield index, step
                left -= isinstance(step, Finished | Failed)
        finally:
            for reader in readers:
                reader.cancel()

    async def _read(self, index: int, arrived: asyncio.Queue[tuple[int, Step]]) -> None:
        async for step in self._steps[index]:
            arrived.put_nowait((index, step))
