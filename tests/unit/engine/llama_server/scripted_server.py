"""A llama-server that says what a test wants: the seam below the adapter, without a process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from appliance.engine.energy import DeclaredDraw
from appliance.engine.llama_server.adapter import LlamaServerEngine
from appliance.engine.llama_server.completion import Piece
from appliance.engine.llama_server.places import Places
from appliance.engine.llama_server.prompt import RemotePrompts
from appliance.engine.metrics import EngineMetrics
from appliance.engine.template import ChatTemplate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from appliance.engine.protocol import Failed

TEMPLATE = "{% for m in messages %}<turn>{{ m.content }}<end>{% endfor %}<turn>"
CONTROL = {"<turn>": 900, "<end>": 901}


class ByteTokenizer:
    """A token for every character, and one for each control text where those are recognised; 1 begins."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool, bool]] = []

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        self.asked.append((text, control, begin))
        tokens, rest = [1] if begin else [], text
        while rest:
            found = next((word for word in CONTROL if control and rest.startswith(word)), None)
            tokens.append(CONTROL[found] if found else ord(rest[0]))
            rest = rest[len(found) if found else 1 :]
        return tokens


class ScriptedServer:
    """Answers everything with ``answer``; holds each answer before its last piece while ``gate`` is not set."""

    def __init__(self, answer: Sequence[Piece | Failed | Exception]) -> None:
        self.answer = answer
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[dict[str, Any]] = []
        self.computing = 0
        self.most = 0

    @asynccontextmanager
    async def complete(self, asked: dict[str, Any]) -> AsyncIterator[AsyncGenerator[Piece | Failed, None]]:
        self.asked.append(asked)
        self.computing += 1
        self.most = max(self.most, self.computing)
        try:
            yield self._pieces()
        finally:
            self.computing -= 1

    async def _pieces(self) -> AsyncGenerator[Piece | Failed, None]:
        for said in self.answer:
            if said is self.answer[-1]:
                await self.gate.wait()
            if isinstance(said, Exception):
                raise said
            yield said


def ended(reason: str = "stop", tokens: int = 2) -> Piece:
    """The last piece of an answer."""
    return Piece("", reason, 3, 0, tokens)  # type: ignore[arg-type]


def adapter(server: ScriptedServer, *, slots: int = 2, limit: int = 2, context_tokens: int = 64) -> LlamaServerEngine:
    """The engine on ``server``."""
    prompts = RemotePrompts(ByteTokenizer(), ChatTemplate(TEMPLATE, ("<end>",)))
    return LlamaServerEngine(
        server,
        prompts,
        Places(slots, limit),
        context_tokens=context_tokens,
        draw=DeclaredDraw(busy=30, idle=10),
        metrics=EngineMetrics(),
    )
