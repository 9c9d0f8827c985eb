"""Answers as the engine gave them, on disk: a run that was ended asks the engine only what it had not asked.

An answer is kept by what it depends on: the model's digest, every word of the prompt as the gateway wrote it, and how
it is drawn. Whatever a change touches has another prompt, and is asked anew. All around it, gateway, library, log and
scores, is done again each time. What says nothing of how it is drawn (``seed``) is not kept; vectors have a store of
their own (``kept_vectors``).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from appliance.engine.protocol import End
from appliance.engine.wire_events import decode_event, encode_event
from tests.bench.claims import tell

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from appliance.engine.client import EngineClient, ModelInfo
    from appliance.engine.protocol import Event, Request
    from appliance.engine.tiers import EngineTiers

_APART = ("id", "user", "group", "priority", "weight", "kept", "receipt_digest")
"""Fields of a request that say for whom and when, and change no token. A scope says who shares, and no more either."""


class KeptEngine:
    """Implements the gateway's ``Engine``. ``digest`` is of the weights; ``live``: nothing is kept nor taken.

    ``planned`` is how many answers are still to be asked for, as far as it is known; progress is told by it.
    """

    def __init__(self, engine: EngineClient, path: Path, digest: str) -> None:
        self._engine, self._path, self._digest = engine, path, digest
        self.live = False
        self.planned = 0
        self.asked = self.found = 0
        self._waited = 0.0
        self._busy_since: float | None = None
        self._running = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._answers = _read(path)

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events of one request, from the file where they are."""
        key = key_of(request, self._digest)
        if self.live or key is None:
            async for event in self._engine.generate(request):
                yield event
            return
        if key in self._answers:
            self.found += 1
            for line in self._answers[key]:
                yield decode_event(line)
            return
        self._begin()
        lines = []
        try:
            async for event in self._engine.generate(request):
                lines.append(encode_event(event).decode().strip())
                whole = isinstance(event, End)
                if whole:
                    self._keep(key, lines)
                yield event
        finally:
            self._end()

    async def model(self) -> ModelInfo:
        """What the engine serves."""
        return await self._engine.model()

    async def healthy(self) -> bool:
        """Whether it takes requests now."""
        return await self._engine.healthy()

    async def tiers(self) -> EngineTiers:
        """What lies in its memory."""
        return await self._engine.tiers()

    def _begin(self) -> None:
        self._running += 1
        if self._busy_since is None:
            self._busy_since = time.monotonic()

    def _end(self) -> None:
        self._running -= 1
        if self._running == 0 and self._busy_since is not None:
            self._waited += time.monotonic() - self._busy_since
            self._busy_since = None

    def _keep(self, key: str, lines: list[str]) -> None:
        self._answers[key] = lines
        with self._path.open("a") as out:
            out.write(json.dumps({"key": key, "events": lines}) + "\n")
        self.asked += 1
        if self.asked % 10 == 0:
            so_far = self._waited + (time.monotonic() - self._busy_since if self._busy_since is not None else 0.0)
            tell(progress(self.asked, self.found, self.planned, so_far))


def progress(asked: int, found: int, planned: int, seconds: float) -> str:
    """How far it is, and how long the rest takes at the pace of those that were computed. Pure."""
    left = max(0, planned - asked - found)
    minutes = math.ceil(left * seconds / asked / 60)
    return f"  {asked + found}/{planned} answers, {found} of them kept, about {minutes} min left"


def key_of(request: Request, digest: str) -> str | None:
    """What an answer is kept by; None where the same words would be drawn by chance, or none are. Pure."""
    if request.seed is None or request.inputs is not None:
        return None
    told = {name: value for name, value in asdict(request).items() if name not in _APART}
    told["messages"] = [(one.role, one.content) for one in request.messages or ()]
    raw = json.dumps([digest, told], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(raw.encode()).hexdigest()


def _read(path: Path) -> dict[str, list[str]]:
    """What is kept; a line that was cut off is not, and spoils no other."""
    if not path.exists():
        return {}
    raw = path.read_text()
    if raw and not raw.endswith("\n"):
        with path.open("a") as out:
            out.write("\n")
    found = {}
    for line in raw.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        found[told["key"]] = told["events"]
    return found
