"""What a reader of an answer sees, in order.

``Started``; any ``Text``, ``Called`` and ``Held``; ``Finished`` or ``Failed``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from appliance.engine.protocol import TokenLogprob, ToolCall
    from appliance.gateway.errors import HttpError


@dataclass(frozen=True)
class Started:
    """The engine admitted the request and the log holds it."""


@dataclass(frozen=True)
class Text:
    """A piece of the answer, with the log probabilities of its tokens where they were asked for."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Called:
    """The answer calls a tool: the ``number``-th call of it, from 0."""

    call: ToolCall
    number: int


@dataclass(frozen=True)
class Held:
    """There is more of the answer, which is shown once it was judged: ``tokens`` so far."""

    tokens: int


@dataclass(frozen=True)
class Finished:
    """The answer is over, however it ended (``tally.Tally.outcome``); the receipt is complete."""

    outcome: str
    receipt: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """There is no (more) answer."""

    error: HttpError


Step = Started | Text | Called | Held | Finished | Failed


class Keeper(Protocol):
    """Where an answer is kept, if anywhere. Raises ``HttpError`` when it cannot keep."""

    async def started(self) -> None:
        """The request was admitted and logged; nothing has been handed out yet."""

    async def finished(self, text: str, outcome: str, receipt: dict[str, Any] | None) -> None:
        """All there will be of the answer. Called once for every answer that started."""

    async def closed(self) -> None:
        """Nothing more will come, started or not."""


class Unkept:
    """API answers are not kept."""

    async def started(self) -> None:
        """Nothing to prepare."""

    async def finished(self, text: str, outcome: str, receipt: dict[str, Any] | None) -> None:
        """Nothing to keep."""

    async def closed(self) -> None:
        """Nothing to give back."""
