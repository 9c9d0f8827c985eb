"""A library over a real database, and an embedding engine whose vectors are counts of words."""

from __future__ import annotations

import struct
import tempfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.engine.client import ModelInfo
from appliance.engine.errors import EngineRefusedError
from appliance.engine.protocol import Admitted, Vectors
from appliance.engine.tiers import EngineTiers
from appliance.memory.importing import Imported, Importer, Source
from appliance.memory.retrieval import Retrieval
from appliance.memory.store import Library
from appliance.memory.vectoring import Vectoring
from appliance.memory.vectors import Embedder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.engine.protocol import Event, Request
    from appliance.memory.documents import Arrival, Found
    from appliance.memory.vectoring import Lot
    from tests.gateway import postgres

DIMENSIONS = 32


@dataclass
class CountingEngine:
    """Implements ``appliance.memory.vectors.Engine``: a text's vector counts its words, at most ``bound`` of them."""

    digest: str = "sha256:" + "a" * 64
    bound: int = 400
    role: str = "embedding"
    record: Mapping[str, Any] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        texts = request.inputs or ()
        self.asked.append(len(texts))
        self.told += texts
        for number, text in enumerate(texts):
            if (tokens := len(text.split())) > self.bound:
                raise EngineRefusedError(
                    "context_length_exceeded", f"text {number} has {tokens} tokens, and the model takes {self.bound}"
                )
        yield Admitted(0, 1, 0)
        yield Vectors(tuple(map(counted, texts)))

    async def model(self) -> ModelInfo:
        record: dict[str, Any] = {"role": self.role, **self.record}
        return ModelInfo(record, {"digest": self.digest}, 512, {}, DIMENSIONS)

    async def healthy(self) -> bool:
        return True

    async def tiers(self) -> EngineTiers:
        return EngineTiers(60.0, 0, (), None)


def counted(text: str) -> bytes:
    """How often words of each of 32 sorts stand in ``text``, as a vector of length 1."""
    counts = [0.0] * DIMENSIONS
    for word in text.lower().split():
        counts[zlib.crc32(word.strip(".,?").encode()) % DIMENSIONS] += 1
    length = sum(c * c for c in counts) ** 0.5 or 1.0
    return struct.pack(f"<{DIMENSIONS}f", *(c / length for c in counts))


async def given(vectoring: Vectoring) -> Lot:
    """As many lots as there are; how it ended."""
    while (lot := await vectoring.some()) == "made":
        pass
    return lot


@dataclass
class House:
    """Whoever imports and asks; what was entered in the log."""

    engine: AsyncEngine
    embedding: CountingEngine | None = field(default_factory=CountingEngine)
    entered: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False
    later: bool = False
    """No vectors are made."""

    @property
    def library(self) -> Library:
        return Library(self.engine)

    @property
    def embedder(self) -> Embedder | None:
        return Embedder(self.embedding, "somebody") if self.embedding is not None else None

    async def take(self, name: str, data: bytes | str, *groups: str, title: str | None = None) -> Imported:
        """Import a file of these bytes."""
        with tempfile.TemporaryFile() as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            return await self.take_file(file.fileno(), name, *groups, title=title)

    async def take_file(self, descriptor: int, name: str, *groups: str, title: str | None = None) -> Imported:
        """Import the open file."""
        source = Source(descriptor, name, f"test:{name}", groups or ("analysts",), "uid 0", title)
        taken = await Importer(self.library, self._enter).take(source)
        await self.vectors()
        return taken

    async def vectors(self) -> None:
        """What the gateway does a moment later."""
        if self.embedder is not None and not self.later:
            await given(Vectoring(self.engine, self.embedder))

    async def ask(self, question: str, *groups: str, limit: int = 8) -> tuple[Found, ...]:
        """What people of ``groups`` find; the keeper where none is named."""
        asked = None
        if self.embedder is not None:
            asked = await self.embedder.meaning(question)
        return await Retrieval(self.engine).found(question, asked, groups or None, limit)

    async def _enter(self, arrival: Arrival, detail: str) -> None:
        if self.down:
            raise ConnectionError("the log is down")
        self.entered.append((arrival.digest, detail))


def remains(cluster: postgres.Cluster, secrets: Mapping[str, bytes]) -> set[str]:
    """Which secrets (small letters, or bytes as they are) stand in the database's files.

    The write-ahead log keeps old pages until it is recycled, and is left out. PostgreSQL removes the files of tables
    that were emptied while it is looked at: what is gone keeps nothing.
    """
    found = set()
    for path in (cluster.socket_dir / "data").rglob("*"):
        if "pg_wal" in path.parts or not path.is_file():
            continue
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            continue
        lowered = raw.lower()
        found |= {name for name, word in secrets.items() if word in raw or word in lowered}
    return found
