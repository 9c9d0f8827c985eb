"""Reading what an engine says over HTTP to a bound: an engine that was taken over says as much as it likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.engine.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx

    from appliance.engine.protocol import Request

LINE_MAX_BYTES = 8 << 20
"""Of one event: as many vectors as a request may ask for, of 4096 dimensions, take 5.4 MiB."""
_OTHER_EVENTS = 16
_TOKEN_BYTES = 1 << 10
_TOKEN_BYTES_WITH_LOGPROBS = 16 << 10


def most_bytes(request: Request) -> int:
    """As much as an answer to ``request`` can come to, and some more; in bytes."""
    each = _TOKEN_BYTES if request.top_logprobs is None else _TOKEN_BYTES_WITH_LOGPROBS
    return LINE_MAX_BYTES + request.max_tokens * each


def most_events(request: Request) -> int:
    """So many events an answer to ``request`` can have: each token is shown once, and some end a call as well."""
    return 2 * request.max_tokens + _OTHER_EVENTS


async def body(response: httpx.Response, most: int) -> bytes:
    """The body of ``response``. Raises ``EngineUnavailableError`` for more than ``most`` bytes, or an encoded one."""
    whole = bytearray()
    async for part in _raw(response, most):
        whole += part
    return bytes(whole)


async def lines(response: httpx.Response, request: Request) -> AsyncGenerator[str, None]:
    """The lines of ``response`` to ``request`` as they come.

    Raises ``EngineUnavailableError`` for more than there can be, or one that is too long; and ``ValueError``.
    """
    rest, left = bytearray(), most_events(request)
    async for part in _raw(response, most_bytes(request)):
        found = part.split(b"\n")
        left -= len(found) - 1
        if left < 0:
            raise EngineUnavailableError("it says more often something than was asked for")
        for piece in found[:-1]:
            rest += piece
            yield rest.decode("ascii")
            rest = bytearray()
        rest += found[-1]
        if len(rest) > LINE_MAX_BYTES:
            raise EngineUnavailableError("it says more in one line than is read")
    if rest:
        yield rest.decode("ascii")


async def _raw(response: httpx.Response, most: int) -> AsyncGenerator[bytes, None]:
    """The parts of the body, with no encoding undone."""
    if "content-encoding" in response.headers:
        raise EngineUnavailableError("it does not tell it in plain bytes")
    total = 0
    async for part in response.aiter_raw():
        total += len(part)
        if total > most:
            raise EngineUnavailableError("it says more than is read")
        yield part
