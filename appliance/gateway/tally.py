"""What one answer has come to so far: its text, its cost, how it ended."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.audit.commitment import new_salt
from appliance.gateway.judging import NOT_JUDGED
from appliance.gateway.tools import committed

if TYPE_CHECKING:
    from appliance.engine.protocol import End, Spared, Token, TokenLogprob, ToolCall
    from appliance.gateway.judging import Judged

RUNNING = "running"
STOP = "stop"
LENGTH = "length"
CANCELLED = "cancelled"  # the caller went away, or pressed stop
INTERRUPTED = "interrupted"  # the gateway shut down, or the answer took too long
FAILED = "error"  # the engine broke off


@dataclass
class Tally:
    """Filled by ``Answer`` as events arrive. Without the engine's end event, tokens are what was seen here."""

    salt: bytes = field(default_factory=new_salt)
    outcome: str = RUNNING
    prompt_tokens: int = 0
    cached_tokens: int = 0
    spared: tuple[Spared, ...] = ()
    completion_tokens: int = 0
    joules: float = 0.0
    energy_method: str = "unknown"
    timing: dict[str, Any] | None = None
    energy: dict[str, Any] | None = None
    logprobs: list[TokenLogprob] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    vectors: tuple[bytes, ...] = ()
    rested: dict[str, Any] | None = None
    """What of the answer rests on which passages (``grounding.rested``), where documents were asked for."""
    judged: Judged = NOT_JUDGED
    """How sure it is, and what follows, where that is measured."""
    _parts: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    first_token_seconds: float | None = None

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._parts)

    @property
    def answer(self) -> bytes:
        """What the commitment to the answer is made of: the text in UTF-8, or all vectors one after the other.

        Of an answer that calls tools, text and calls (``tools.committed``).
        """
        if self.calls:
            return committed(self.text, self.calls)
        return b"".join(self.vectors) or self.text.encode()

    @property
    def duration_ms(self) -> float:
        """Wall time since admission."""
        return (time.monotonic() - self._began) * 1000

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, as receipts state them."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
        }

    @property
    def tokens(self) -> int:
        """Tokens that count against quotas."""
        return self.prompt_tokens + self.completion_tokens

    def add(self, event: Token) -> None:
        """One token event arrived."""
        if self.first_token_seconds is None:
            self.first_token_seconds = time.monotonic() - self._began
        self._parts.append(event.text)
        self.logprobs += event.logprobs
        self.completion_tokens += 1

    def replace(self, text: str) -> None:
        """What was generated is not the answer; ``text`` is, of which no token has a probability. It is paid for."""
        self._parts[:] = [text] if text else []
        self.logprobs.clear()
        self.calls.clear()

    def end(self, event: End) -> None:
        """The engine's own account replaces ours."""
        self.outcome = event.finish_reason
        self.prompt_tokens = event.usage.prompt_tokens
        self.cached_tokens = event.usage.cached_tokens
        self.spared = event.spared
        self.completion_tokens = event.usage.completion_tokens
        self.timing = asdict(event.timing)
        self.energy = asdict(event.energy)
        self.joules = event.energy.joules
        self.energy_method = event.energy.method
