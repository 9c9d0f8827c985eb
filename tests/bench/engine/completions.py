"""Two ways to the same chunks: llama-server's OpenAI stream, and our engine's socket through the thin adapter."""

from __future__ import annotations

import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from appliance.engine.wire import encode_request
from appliance.engine.wire_events import decode_event
from tests.bench.engine import shape
from tests.bench.engine.lines import encoded, posted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


class FailedError(Exception):
    """The server said that it could not answer."""


@dataclass(frozen=True)
class Answer:
    """One request as its client saw it; times in seconds since it was sent."""

    first_s: float
    total_s: float
    prompt_tokens: int
    cached_tokens: int
    tokens: int


class Completions(Protocol):
    """Answers OpenAI-shaped bodies with OpenAI-shaped chunks."""

    def chunks(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Chunks of the streamed answer, usage in the last. Closing early cancels the request."""
        ...


class LlamaServerCompletions:
    """Implements ``Completions`` on the llama-server at ``socket``."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def chunks(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """See ``Completions``."""
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        async with posted(self._socket, "/v1/completions", encoded(asked)) as lines:
            async for line in lines:
                if line.startswith(b"data: ") and line != b"data: [DONE]":
                    yield json.loads(line[6:])
                elif line.startswith(b"error"):
                    yield {"error": line.decode()}


class EngineCompletions:
    """Implements ``Completions`` on the engine at ``socket``, whichever implementation runs there."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def chunks(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """See ``Completions``."""
        async with posted(self._socket, "/generate", encode_request(shape.request(body))) as lines:
            async for line in lines:
                chunk = shape.chunk(decode_event(line.decode("ascii")))
                if chunk is not None:
                    yield chunk


async def ask(completions: Completions, body: dict[str, Any]) -> Answer:
    """Answer ``body`` and time it. Raises ``FailedError``, and what the way there raises."""
    begun = time.perf_counter()
    first = 0.0
    usage: dict[str, Any] | None = None
    async with aclosing(completions.chunks(body)) as chunks:
        async for chunk in chunks:
            if "error" in chunk:
                raise FailedError(str(chunk["error"])[:200])
            if not first and chunk["choices"]:
                first = time.perf_counter() - begun
            usage = chunk.get("usage") or usage
    if usage is None:
        raise FailedError("the answer had no end")
    cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    return Answer(first, time.perf_counter() - begun, usage["prompt_tokens"], cached, usage["completion_tokens"])
