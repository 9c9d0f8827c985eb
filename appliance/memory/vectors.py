"""Vectors of texts, made by the site's engine for embeddings. The engine alone knows how many tokens a text has."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import struct
import uuid
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from appliance.engine.errors import EngineBusyError, EngineRefusedError, EngineUnavailableError
from appliance.engine.protocol import Request, Vectors
from appliance.engine.served import receipt_digest
from appliance.errors import UnavailableError
from appliance.memory.errors import ModelBusyError, TooManyTokensError, UnreadableError
from appliance.memory.vector_search import Meaning

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import Event

AT_ONCE = 64
"""Texts of a request: people's questions are computed between the batches."""
MOST_DIMENSIONS = 4000
"""Of a vector that a row of the database holds, 8 KiB with its head."""
Use = Literal["query", "document"]
USES: tuple[Use, ...] = get_args(Use)
_ATTEMPTS = 20
_LAST_S = 1.0
_LONGEST, _MOST = 200, 99  # characters of a prompt, percent: models/record.py
_TOLD = 16  # hexadecimal digits that tell one site's few models apart
_WHICH = re.compile(r"\btext (\d{1,9}) has (\d{1,9}) tokens, and the model takes (\d{1,9})\b")


class Engine(Protocol):
    """The embedding model's engine (``appliance.engine.client.EngineClient``)."""

    def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events of one request."""

    async def model(self) -> ModelInfo:
        """What the engine serves."""


class Embedder:
    """Asks ``engine`` in the name of ``user``, as work that nobody waits for unless ``urgent``.

    An engine that is busy is asked again, ``attempts`` times in all.
    """

    def __init__(self, engine: Engine, user: str, *, urgent: bool = False, attempts: int = _ATTEMPTS) -> None:
        self._engine = engine
        self._user = user
        self._priority = 0 if urgent else -1
        self._attempts = attempts
        self._model: ModelInfo | None = None

    def anew(self) -> Embedder:
        """The same, that asks the engine again what it serves."""
        return Embedder(self._engine, self._user, urgent=self._priority == 0, attempts=self._attempts)

    async def model(self) -> str:
        """What makes the vectors: those of two models cannot be compared, nor those of two ways of asking one.

        The digest of its weights, and of its prompts where its record has any. Raises ``UnavailableError`` when the
        engine does not answer, or serves a model that makes none.
        """
        info = await self._info()
        prompts = {use: _prompt(info, use) for use in USES}
        told = hashlib.sha256(json.dumps(prompts, sort_keys=True).encode()).hexdigest()
        return str(info.receipt["digest"]) + (f" prompts {told[:_TOLD]}" if any(prompts.values()) else "")

    async def dimensions(self) -> int:
        """How many numbers a vector has. Raises as ``model``."""
        return _dimensions(await self._info())

    async def unrelated(self) -> int | None:
        """As ``nearness`` has it, and the model's record says it. Raises as ``model``."""
        said: int | None = (await self._info()).record.get("unrelated_percent")
        return said

    async def meaning(self, question: str) -> Meaning:
        """What ``question`` is looked up by. Raises as ``vectors``."""
        (vector,) = await self.vectors([question], "query")
        return Meaning(vector, await self.model(), await self.unrelated())

    async def vectors(self, texts: Sequence[str], use: Use) -> tuple[str, ...]:
        """A vector for each text, as pgvector writes it: of what is asked (``query``), or what answers (``document``).

        The model's record says what it reads before either. Raises ``UnavailableError`` (``UnreadableError`` where the
        text may be to blame) or ``TooManyTokensError``.
        """
        made: list[str] = []
        before = _prompt(await self._info(), use) if texts else ""
        for start in range(0, len(texts), AT_ONCE):
            part = [before + text for text in texts[start : start + AT_ONCE]]
            try:
                made += [written(vector) for vector in await self._asked(part)]
            except EngineRefusedError as error:
                raise _understood(error, start, len(part)) from error
        return tuple(made)

    async def _asked(self, texts: Sequence[str]) -> tuple[bytes, ...]:
        request = Request(
            id=uuid.uuid4().hex,
            user=self._user,
            group="documents",
            priority=self._priority,
            inputs=tuple(texts),
            receipt_digest=receipt_digest((await self._info()).receipt),
        )
        for _ in range(self._attempts):
            try:
                async with aclosing(self._engine.generate(request)) as events:
                    async for event in events:
                        if isinstance(event, Vectors):
                            await _read_out(events)
                            return _sound(event.vectors, len(texts), _dimensions(await self._info()))
            except EngineBusyError as error:
                await asyncio.sleep(min(error.retry_after, 10))
            except EngineUnavailableError as error:
                raise UnavailableError("the embedding model does not answer", "run `sovereign status`") from error
        raise ModelBusyError

    async def _info(self) -> ModelInfo:
        if self._model is None:
            try:
                found = await self._engine.model()
            except EngineUnavailableError as error:
                raise UnavailableError("the embedding model does not answer", "run `sovereign status`") from error
            if found.record.get("role") != "embedding":
                raise UnavailableError(
                    "the model for documents makes no vectors", "name an embedding model in site.yaml"
                )
            _require_sound(found)
            self._model = found
        return self._model


async def _read_out(events: AsyncGenerator[Event, None]) -> None:
    """To its end, which follows at once: then the next request has the connection again. Nobody waits for longer."""
    with suppress(TimeoutError, EngineUnavailableError):
        async with asyncio.timeout(_LAST_S):
            async for _ in events:
                pass


def _require_sound(found: ModelInfo) -> None:
    """The gate held the record to its shape; what an engine says of it is an engine's word."""
    record = found.record
    prompts, unrelated = record.get("prompts") or {}, record.get("unrelated_percent")
    sound = isinstance(prompts, dict) and all(isinstance(one, str) and len(one) <= _LONGEST for one in prompts.values())
    named = isinstance(found.receipt.get("digest"), str) and 0 < (found.dimensions or 0) <= MOST_DIMENSIONS
    if not sound or not named or not (unrelated is None or (type(unrelated) is int and 0 <= unrelated <= _MOST)):
        raise UnavailableError("the embedding model tells a record that no gate lets pass", "run `sovereign status`")


def _dimensions(info: ModelInfo) -> int:
    assert info.dimensions is not None  # see ``_require_sound``
    return info.dimensions


def _sound(vectors: Sequence[bytes], texts: int, dimensions: int) -> tuple[bytes, ...]:
    """One for each text, all as long as the model's are: those of two lengths cannot be compared."""
    told = len(vectors) == texts and all(len(one) == 4 * dimensions for one in vectors)
    if not told or not all(map(math.isfinite, struct.unpack(f"<{texts * dimensions}f", b"".join(vectors)))):
        raise UnreadableError("the embedding model's answer is not a vector for each text")
    return tuple(vectors)


def _prompt(info: ModelInfo, use: Use) -> str:
    return str((info.record.get("prompts") or {}).get(use, ""))


def written(vector: bytes) -> str:
    """float32, little-endian, as pgvector reads it; rounded to what 16 bits hold."""
    return "[" + ",".join(f"{number:.5g}" for number in struct.unpack(f"<{len(vector) // 4}f", vector)) + "]"


def _understood(error: EngineRefusedError, start: int, texts: int) -> Exception:
    found = _WHICH.search(error.message) if error.code == "context_length_exceeded" else None
    if found is None or int(found[1]) >= texts:
        return UnreadableError(f"the embedding model refused a text: {error.message}")
    return TooManyTokensError(start + int(found[1]), int(found[2]), int(found[3]))
