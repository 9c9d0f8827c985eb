"""Request bodies: read with a cap and a clock, parsed strictly, validated into values.

The cap counts bytes as they arrive; a Content-Length is believed only when it already says too much. The parser
refuses duplicate keys, numbers that are not numbers, lone surrogates and deep nesting before anything is built; a body
of very many small values is refused before it is parsed, because validating each would hold up everybody else.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from airgap_bundle import strict_json
from airgap_bundle.errors import BundleError
from appliance.gateway.errors import MalformedError, TooLargeError, UnprocessableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

MAX_BODY = 1 << 20
MAX_FORM = 64 << 10
MAX_DEPTH = 32
MAX_VALUES = 20_000
READ_SECONDS = 30.0
GRACE_SECONDS = 10.0

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # linear: it never backtracks and always matches
_Model = TypeVar("_Model", bound=BaseModel)


async def read_json(request: Request, model: type[_Model]) -> _Model:
    """The body as a ``model``. Raises ``TooLargeError``, ``UnprocessableError`` or ``MalformedError``."""
    if not _is_json(request.headers.get("content-type", "")):
        raise UnprocessableError("the body must be application/json", code="unsupported_media_type")
    return validated(parsed(await read_bytes(request, MAX_BODY)), model)


async def read_bytes(request: Request, cap: int, seconds: float = READ_SECONDS) -> bytes:
    """The body, at most ``cap`` bytes, complete within ``seconds``."""
    received = bytearray()
    async for chunk in pieces(request, cap, seconds):
        received += chunk
    return bytes(received)


async def pieces(request: Request, cap: int, seconds: float, least: float | None = None) -> AsyncGenerator[bytes, None]:
    """The body as it arrives, at most ``cap`` bytes, complete within ``seconds``. Raises as ``read_bytes`` does.

    ``least``: bytes a second that have to arrive, on the whole, after ``GRACE_SECONDS``.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdecimal() and int(declared[:20]) > cap:
        raise TooLargeError(f"the body is over {cap} bytes")
    received = 0
    stream = aiter(request.stream())
    begun = asyncio.get_running_loop().time()
    while True:
        left = seconds if least is None else min(seconds, GRACE_SECONDS + received / least)
        try:
            async with asyncio.timeout_at(begun + left):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise MalformedError("the body did not arrive in time", code="body_timeout") from error
        except ClientDisconnect as error:
            raise MalformedError("the body ended early", code="body_incomplete") from error
        received += len(chunk)
        if received > cap:
            raise TooLargeError(f"the body is over {cap} bytes")
        yield chunk


def parsed(raw: bytes) -> Any:
    """The JSON value in ``raw``. Raises ``UnprocessableError``."""
    if _STRING.sub(b"", raw).count(b",") >= MAX_VALUES:
        raise UnprocessableError(f"the body holds more than {MAX_VALUES} values", code="invalid_json")
    try:
        return strict_json.loads(raw, max_bytes=MAX_BODY, max_depth=MAX_DEPTH)
    except BundleError as error:
        raise UnprocessableError(f"the body is no acceptable JSON: {error.cause}", code="invalid_json") from error


def validated(value: Any, model: type[_Model]) -> _Model:
    """``value`` as a ``model``. Raises ``UnprocessableError`` naming the first field that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or None
        raise UnprocessableError(f"{path or 'body'}: {_lowered(first['msg'])}", param=path) from error


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
