"""How other services reach an engine: over its Unix socket, and no other way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.engine import bounded
from appliance.engine.errors import (
    EngineAbsentError,
    EngineBusyError,
    EngineDrainingError,
    EngineRefusedError,
    EngineUnavailableError,
)
from appliance.engine.protocol import End, Event, Failed
from appliance.engine.tiers import MAX_BYTES, EngineTiers, decode
from appliance.engine.wire import encode_request
from appliance.engine.wire_events import decode_event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path
    from types import TracebackType

    from appliance.engine.protocol import Request

__all__ = [
    "EngineAbsentError",
    "EngineBusyError",
    "EngineClient",
    "EngineDrainingError",
    "EngineRefusedError",
    "EngineUnavailableError",
    "ModelInfo",
]

IDLE_S = 5.0
"""So long a connection is kept for the next request; an engine keeps it longer (``listening``), so that none is lost
to the moment in which it is closed."""
_CONNECT_S = 5.0
_MEMORY_S = 3.0  # in all, whatever comes by then
_DEPTH = 32  # of what it says of its model
_LAST_S = 0.5  # nobody waits: the answer is there
_MOST = 1 << 31  # tokens or dimensions
_SILENCE_S = 900.0  # a request may wait long behind others; an engine that is gone closes the connection at once


@dataclass(frozen=True)
class ModelInfo:
    """What an engine serves and how busy it is; ``dimensions`` are an embedding model's."""

    record: dict[str, Any]
    receipt: dict[str, Any]
    context_tokens: int
    queue: dict[str, int]
    dimensions: int | None = None


class EngineClient:
    """A client of the engine at ``socket``. Close it, or use it as an async context manager.

    What it serves is told within ``patience_s`` seconds, or it does not answer.
    """

    def __init__(self, socket: Path, patience_s: float = _CONNECT_S) -> None:
        self._patience_s = patience_s
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=str(socket), limits=httpx.Limits(max_connections=None, keepalive_expiry=IDLE_S)
            ),
            base_url="http://engine",
            timeout=httpx.Timeout(_SILENCE_S, connect=_CONNECT_S),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; requests still open on them are cancelled."""
        await self._http.aclose()

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events of ``request``: ``Admitted``, ``Token`` …, ``End``. Closing the iterator cancels it in the engine.

        Raises ``EngineBusyError``, ``EngineRefusedError``, ``EngineDrainingError`` before the first event, and
        ``EngineUnavailableError`` at any time: where the engine itself reports that a request failed, and where it says
        more than an answer to ``request`` can be.
        """
        try:
            content, headers = encode_request(request), {"accept-encoding": "identity"}
            async with self._http.stream("POST", "/generate", content=content, headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    async with asyncio.timeout(_CONNECT_S):
                        raise _refused(response, await bounded.body(response, MAX_BYTES))
                lines = bounded.lines(response, request)
                async for line in lines:
                    event = decode_event(line)
                    if isinstance(event, Failed):
                        raise EngineUnavailableError(f"the engine could not finish: {event.message}")
                    yield event
                    if isinstance(event, End):
                        await _read_out(lines)
                        return
        except (httpx.HTTPError, ValueError, KeyError, TypeError, FormatError, TimeoutError, RecursionError) as error:
            raise EngineUnavailableError(f"the engine does not answer: {error}") from error
        raise EngineUnavailableError("the engine stopped in the middle of an answer")

    async def model(self) -> ModelInfo:
        """What is served. Raises ``EngineUnavailableError``.

        As of its memory, the engine is not believed: it has ``MAX_BYTES`` and a few seconds in all.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                status, body = await self._small("/model")
            if status != httpx.codes.OK:
                raise EngineUnavailableError(f"the engine answered with status {status}")
            return _model(body)
        except TimeoutError as error:
            raise EngineUnavailableError("the engine does not answer in time") from error
        except (httpx.HTTPError, ValueError, KeyError, TypeError, FormatError) as error:
            raise EngineUnavailableError(f"the engine does not answer: {error}") from error

    async def tiers(self) -> EngineTiers:
        """What lies in its memory. Raises ``EngineAbsentError`` where none listens, ``EngineUnavailableError``.

        The engine is not believed: it has ``MAX_BYTES`` and a few seconds, no encoding is undone, and what is said of
        it is in our words.
        """
        try:
            async with asyncio.timeout(_MEMORY_S):
                status, body = await self._small("/memory")
        except TimeoutError as error:
            raise EngineUnavailableError("it does not say in time what its memory holds") from error
        except httpx.ConnectError as error:
            raise EngineAbsentError("no engine listens") from error
        except (httpx.HTTPError, ValueError) as error:
            raise EngineUnavailableError("it breaks off, or speaks no HTTP") from error
        if status != httpx.codes.OK:
            raise EngineUnavailableError("it does not tell what its memory holds")
        try:
            return decode(body)
        except ValueError as error:
            raise EngineUnavailableError(str(error)) from error

    async def healthy(self) -> bool:
        """Whether the engine takes requests now."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                status, _ = await self._small("/healthz")
        except (httpx.HTTPError, ValueError, TimeoutError, EngineUnavailableError):
            return False
        return status == httpx.codes.OK

    async def _small(self, path: str) -> tuple[int, bytes]:
        """Status and body at ``path``. Raises ``EngineUnavailableError`` for more than ``MAX_BYTES``."""
        headers = {"accept-encoding": "identity"}
        async with self._http.stream("GET", path, timeout=self._patience_s, headers=headers) as response:
            return response.status_code, await bounded.body(response, MAX_BYTES)


async def _read_out(lines: AsyncGenerator[str, None]) -> None:
    """Behind the last event nothing comes but the end of the body: then the next request has the connection again."""
    with suppress(httpx.HTTPError, ValueError, TimeoutError, EngineUnavailableError):
        async with asyncio.timeout(_LAST_S):
            await anext(lines, None)


def _model(body: bytes) -> ModelInfo:
    """What ``body`` says. Raises ``FormatError``, ``KeyError`` or ``TypeError`` for what is none of ours."""
    told = strict_json.load_object(body, max_bytes=MAX_BYTES, max_depth=_DEPTH)
    found = ModelInfo(told["record"], told["receipt"], told["context_tokens"], told["queue"], told.get("dimensions"))
    numbers = (found.context_tokens, *(() if found.dimensions is None else (found.dimensions,)))
    if not all(isinstance(part, dict) for part in (found.record, found.receipt, found.queue)):
        raise TypeError("it tells a model that is none")
    if not all(type(number) is int and 0 < number < _MOST for number in numbers):
        raise TypeError("it tells a model of a size that none has")
    return found


def _refused(response: httpx.Response, body: bytes) -> Exception:
    """The error that a status other than 200 stands for."""
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        headers = response.headers
        return EngineBusyError(int(headers.get("retry-after", "1")), int(headers.get("x-queue-position", "0")))
    if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        error = strict_json.load_object(body, max_bytes=MAX_BYTES, max_depth=_DEPTH)["error"]
        return EngineRefusedError(str(error["code"]), str(error["message"]))
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return EngineDrainingError("the engine is about to stop", "ask again in a minute")
    return EngineUnavailableError(f"the engine answered with status {response.status_code}")
