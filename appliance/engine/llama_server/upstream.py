"""Talking to llama-server over its private Unix socket. The only module that does.

Three of its routes are used: ``/health``, ``/tokenize`` and ``/completion``. An answer that is no answer is
``EngineUnavailableError``, as is silence.
"""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from appliance.engine.errors import EngineUnavailableError
from appliance.engine.llama_server.completion import Piece, failure, piece, token_ids
from appliance.engine.protocol import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

_CONNECT_S = 5.0
_SILENCE_S = 900.0
_LINE_MAX_CHARS = 1 << 20


class Upstream:
    """The server at ``socket``. ``tokenize`` may be called from any thread, the rest from one event loop."""

    def __init__(self, socket: Path) -> None:
        options: dict[str, Any] = {
            "base_url": "http://llama-server",
            "timeout": httpx.Timeout(_SILENCE_S, connect=_CONNECT_S, pool=None),
            "trust_env": False,
        }
        way: dict[str, Any] = {
            "uds": str(socket),
            "limits": httpx.Limits(max_connections=None),
            "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # unused; the default one would read files
        }
        self._streams = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(**way), **options)
        self._calls = httpx.Client(transport=httpx.HTTPTransport(**way), **options)

    async def aclose(self) -> None:
        """Close every connection, which cancels what is still computed for them."""
        await self._streams.aclose()
        self._calls.close()

    async def ready(self) -> bool:
        """Whether the model is loaded and requests are taken."""
        try:
            return (await self._streams.get("/health", timeout=_CONNECT_S)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def tokenize(self, text: str, *, control: bool, begin: bool) -> list[int]:
        """Token ids of ``text``; as ``Context.tokenize``. Blocks. Raises ``EngineUnavailableError``."""
        asked = {"content": text, "add_special": begin, "parse_special": control}
        try:
            response = self._calls.post("/tokenize", json=asked)
            return token_ids(response.raise_for_status().content)
        except (httpx.HTTPError, ValueError) as error:
            raise EngineUnavailableError("llama-server does not tokenise") from error

    @asynccontextmanager
    async def complete(self, asked: dict[str, Any]) -> AsyncIterator[AsyncGenerator[Piece | Failed, None]]:
        """The answer's pieces, the last one with its reason. Leaving the block early cancels the computation.

        Iterating raises ``EngineUnavailableError`` when the server stops, or says what is no answer.
        """
        try:
            async with self._streams.stream("POST", "/completion", json=asked) as response:
                yield _pieces(response)
        except httpx.HTTPError as error:
            raise EngineUnavailableError("llama-server does not answer") from error


async def _pieces(response: httpx.Response) -> AsyncGenerator[Piece | Failed, None]:
    try:
        if response.status_code != httpx.codes.OK:
            yield failure((await response.aread()).decode(errors="replace"))
            return
        async for line in response.aiter_lines():
            if len(line) > _LINE_MAX_CHARS:
                raise EngineUnavailableError("llama-server answers with an endless line")
            found = piece(line)
            if found is None:
                continue
            yield found
            if isinstance(found, Failed) or found.reason is not None:
                return
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise EngineUnavailableError("llama-server stopped in the middle of an answer") from error
    raise EngineUnavailableError("llama-server stopped in the middle of an answer")
