"""Vectors of the manuals' passages, on disk by model and text: a library is read in once for all runs of a machine.

What is timed never comes from here: the import of printed manuals and the wait for an answer ask the engine itself.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import TYPE_CHECKING

from appliance.engine.protocol import Vectors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from appliance.engine.client import EngineClient, ModelInfo
    from appliance.engine.protocol import Event, Request

_TABLE = "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, texts INTEGER NOT NULL, vectors BLOB NOT NULL)"


class KeptVectors:
    """Implements ``vectors.Engine`` over ``engine``. A request is kept whole, and only one that was not refused."""

    def __init__(self, engine: EngineClient, path: Path) -> None:
        self._engine = engine
        path.parent.mkdir(parents=True, exist_ok=True)
        self._kept = sqlite3.connect(path, isolation_level=None)
        self._kept.execute("PRAGMA journal_mode = WAL")
        self._kept.execute("PRAGMA synchronous = NORMAL")
        self._kept.execute(_TABLE)

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """The vectors of one request; of its events, the one that holds them."""
        key = key_of(str((await self._engine.model()).receipt["digest"]), request.inputs or ())
        row = self._kept.execute("SELECT texts, vectors FROM kept WHERE key = ?", (key,)).fetchone()
        if row is not None:
            yield _apart(*row)
            return
        async for event in self._engine.generate(request):
            if isinstance(event, Vectors):
                values = (key, len(event.vectors), b"".join(event.vectors))
                self._kept.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", values)
            yield event

    async def model(self) -> ModelInfo:
        """What the engine serves."""
        return await self._engine.model()

    def close(self) -> None:
        """No more is asked."""
        self._kept.close()


def key_of(model: str, texts: tuple[str, ...]) -> str:
    """By what vectors are kept: the weights, and every word in its order. Pure."""
    return hashlib.sha256(json.dumps([model, texts], ensure_ascii=False).encode()).hexdigest()


def _apart(texts: int, joined: bytes) -> Vectors:
    size = len(joined) // texts
    return Vectors(tuple(joined[start : start + size] for start in range(0, len(joined), size)))
