"""The ``Engine`` protocol in front of llama-server.

Everything runs on one event loop but tokenising, which waits for the server on a worker thread. Each admitted request
has a task that computes it and puts its events into a queue; whoever reads the queue may leave at any time, which ends
the task, which closes the connection, which makes the server stop.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Protocol

import structlog

from appliance.engine.errors import EngineRefusedError, EngineUnavailableError
from appliance.engine.grammar import grammar_of
from appliance.engine.llama_server.completion import Piece, Prepared, body, reject_empty
from appliance.engine.protocol import Admitted, End, Event, Failed, FinishReason, Timing, Token, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from appliance.engine.energy import DeclaredDraw
    from appliance.engine.llama_server.places import Place, Places
    from appliance.engine.metrics import EngineMetrics
    from appliance.engine.protocol import QueueStatus, Request

_SEEDS = 0xFFFF_FFFF
_POLL_S = 0.05
_REFUSALS = {
    "empty_prompt": "the prompt holds no token",
    "not_an_embedding_model": "the model answers questions, and makes no vectors",
    "unknown_adapter": "the engine that this site runs is given no adapters",
    "tools_unsupported": "the engine that this site runs offers no tools",
    "logprobs_unsupported": "the engine that this site runs gives no log probabilities",
    "context_length_exceeded": "the prompt has {given} tokens and the model's context holds {limit}, answer included",
}
_log = structlog.get_logger("engine")
_STOPPED = Failed("engine_stopped", "the engine stopped while this request was open")


class Prompts(Protocol):
    """From requests to tokens: ``appliance.engine.llama_server.prompt.RemotePrompts``."""

    def tokens(self, request: Request) -> tuple[int, ...]:
        """Prompt tokens; blocks."""
        ...

    def stops(self, request: Request) -> tuple[str, ...]:
        """Stop strings."""
        ...


class Completions(Protocol):
    """The server's side: ``appliance.engine.llama_server.upstream.Upstream``."""

    def complete(self, asked: dict[str, Any]) -> AbstractAsyncContextManager[AsyncGenerator[Piece | Failed, None]]:
        """Answer what is asked, piece by piece."""
        ...


class LlamaServerEngine:
    """Implements ``appliance.engine.protocol.Engine``; ``context_tokens`` is what one request may hold."""

    def __init__(  # noqa: PLR0913 - its parts, named at the one call
        self,
        server: Completions,
        prompts: Prompts,
        places: Places,
        *,
        context_tokens: int,
        draw: DeclaredDraw,
        metrics: EngineMetrics,
    ) -> None:
        self._server = server
        self._prompts = prompts
        self._places = places
        self._context_tokens = context_tokens
        self._draw = draw
        self._metrics = metrics
        self._open: set[_Answer] = set()

    def status(self) -> QueueStatus:
        """See ``Engine.status``."""
        return self._places.status()

    async def submit(self, request: Request) -> AsyncGenerator[Event, None]:
        """See ``Engine.submit``."""
        seed = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
        prepared = await asyncio.to_thread(self._prepare, request, seed)
        place = self._places.ask()
        answer = _Answer(self._server, place, body(request, prepared), self._draw)
        self._open.add(answer)
        answer.start()
        try:
            yield Admitted(place.position, len(prepared.tokens), seed)
            while True:
                event = await answer.events.get()
                yield event
                if isinstance(event, End | Failed):
                    self._metrics.finished(event)
                    return
        finally:
            self._open.discard(answer)
            await answer.leave()

    def _prepare(self, request: Request, seed: int) -> Prepared:
        """Everything that can refuse a request, before it takes a place."""
        for unable, asked in (
            ("not_an_embedding_model", request.inputs is not None),
            ("unknown_adapter", request.adapter is not None),
            ("logprobs_unsupported", request.top_logprobs is not None),
            ("tools_unsupported", bool(request.tools) and request.tool_choice != "none"),
        ):
            if asked:
                raise EngineRefusedError(unable, _REFUSALS[unable])
        grammar = None if request.json_schema is None else grammar_of(request.json_schema)
        tokens = self._prompts.tokens(request)
        if (code := reject_empty(tokens, self._context_tokens)) is not None:
            raise EngineRefusedError(code, _REFUSALS[code].format(given=len(tokens), limit=self._context_tokens))
        return Prepared(tokens, self._prompts.stops(request), seed, grammar)

    async def drain(self, bound_s: float) -> None:
        """See ``Engine.drain``."""
        self._places.close()
        deadline = time.monotonic() + bound_s
        while (status := self._places.status()).running or status.waiting:
            if time.monotonic() >= deadline:
                for answer in tuple(self._open):
                    answer.cancel()
                return
            await asyncio.sleep(_POLL_S)


class _Answer:
    """One admitted request: the task that computes it, and the events it has for whoever asked."""

    def __init__(self, server: Completions, place: Place, asked: dict[str, Any], draw: DeclaredDraw) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._server = server
        self._place = place
        self._asked = asked
        self._draw = draw
        self._queued = time.monotonic()
        self._started = self._first = 0.0
        self._pieces = 0
        self._task: asyncio.Task[End | Failed] | None = None

    def start(self) -> None:
        """Begin to wait, and to compute once it is this request's turn."""
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._over)

    def cancel(self) -> None:
        """Stop computing; the request ends as cancelled."""
        if self._task is not None:
            self._task.cancel()

    async def leave(self) -> None:
        """Nobody reads any more: stop, and give the place up."""
        self.cancel()
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> End | Failed:
        await self._place.taken()
        self._started = time.monotonic()
        return await self._compute()

    def _over(self, task: asyncio.Task[End | Failed]) -> None:
        """The last event, however the task ended; one that was cancelled may not even have begun."""
        if task.cancelled():
            last: End | Failed = self._end(Piece("", "cancelled", 0, 0, self._pieces))
        elif isinstance(task.exception(), EngineUnavailableError):
            last = _STOPPED
        elif (defect := task.exception()) is not None:
            _log.error("request_failed", exc_info=defect)
            last = _STOPPED
        else:
            last = task.result()
        self._place.leave()
        self.events.put_nowait(last)

    async def _compute(self) -> End | Failed:
        async with self._server.complete(self._asked) as pieces:
            async for piece in pieces:
                if isinstance(piece, Failed):
                    return piece
                self._first = self._first or time.monotonic()
                if piece.text:
                    self._pieces += 1
                    self.events.put_nowait(Token(piece.text))
                if piece.reason is not None:
                    return self._end(piece)
        return _STOPPED

    def _end(self, last: Piece) -> End:
        now = time.monotonic()
        started = self._started or now
        first = self._first or now
        reason: FinishReason = last.reason or "cancelled"
        prompt_tokens = last.prompt_tokens or len(self._asked["prompt"])
        return End(
            finish_reason=reason,
            usage=Usage(prompt_tokens, last.cached_tokens, last.completion_tokens),
            timing=Timing(_ms(started - self._queued), _ms(first - started), _ms(now - first)),
            energy=self._draw.over(self._place.share()),
        )


def _ms(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 3)
