"""The gateway over real PostgreSQL and real HTTP (on a Unix socket); engine, log and sign-in obey."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import text

from appliance.gateway import database
from appliance.gateway.app import create_app
from appliance.gateway.assembly import Gateway, Keys, Parts
from appliance.gateway.schema_upgrade import migrate
from appliance.gateway.server import server
from appliance.memory import vector_index, vector_search
from tests.gateway import postgres
from tests.gateway.doubles import MemoryLog, ObedientEngine, OpenBook, OpenDoor, OpenRegister, principal, site
from tests.memory.library import CountingEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.site.config import SiteConfig

ORIGIN = "http://localhost:8443"
KEYS = Keys(content=b"c" * 32, session=b"s" * 32, pseudonym=b"p" * 32)
_TABLES = (
    "gold_case, expert_answer, calibration, ruling, failure, feedback, message, conversation, quota_counter, "
    "logout_replay, session, user_key, passage_vector, passage, word_count, document, sweep_due, group_pack, "
    "brief_strike, brief_line, brief, rollout_answer, rollout"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as running:
        asyncio.run(_migrated(running))
        yield running


async def _migrated(running: postgres.Cluster) -> None:
    pool = pool_of(running)
    await migrate(pool)
    await pool.dispose()


def pool_of(running: postgres.Cluster) -> AsyncEngine:
    return database.connect(running.socket_dir, postgres.PORT, postgres.PASSWORD)


@pytest.fixture
async def pool(cluster: postgres.Cluster) -> AsyncIterator[AsyncEngine]:
    made = pool_of(cluster)
    async with made.begin() as connection:
        await connection.execute(text(f"TRUNCATE {_TABLES}, event_cursor"))
    yield made
    await made.dispose()


@dataclass
class House:
    """A gateway with its neighbours, and a way to talk to it."""

    pool: AsyncEngine
    folder: Path
    engine: ObedientEngine = field(default_factory=ObedientEngine)
    log: MemoryLog = field(default_factory=MemoryLog)
    door: OpenDoor = field(default_factory=OpenDoor)
    reader: OpenBook = field(default_factory=OpenBook)
    register: OpenRegister | None = field(default_factory=OpenRegister)
    large: ObedientEngine = field(default_factory=lambda: ObedientEngine("large"))
    embedding: CountingEngine = field(default_factory=CountingEngine)

    @property
    def packs(self) -> Path:
        """The site's packs."""
        return self.folder / "packs"

    def __post_init__(self) -> None:
        self.door.people |= {
            "analyst": principal("analyst", "analysts", roles=("expert",)),
            "auditor": principal("auditor", "auditors", roles=("auditor",)),
            "custodian": principal("custodian", "auditors", roles=("auditor", "auditor-names")),
            "outsider": principal("outsider", "auditors", roles=("auditor-names",)),
            "clerk": principal("clerk", "clerks"),
            "builder": principal("builder", "clerks", roles=("admin",)),
            "officer": principal("officer", "analysts", roles=("expert",)),
            "deputy": principal("deputy", "analysts", "clerks", roles=("expert",)),
            "stranger": principal("stranger"),
        }
        self.gateways: list[Gateway] = []
        self.sockets: list[str] = []

    @asynccontextmanager
    async def open(self, config: SiteConfig | None = None) -> AsyncGenerator[httpx.AsyncClient, None]:
        """Serve one gateway; several may be open at once over the same database."""
        engines = {"small": self.engine, "large": self.large, "minilm": self.embedding}
        neighbours: dict[str, Any] = {"log_reader": self.reader, "accounts": self.register, "packs": self.packs}
        parts = Parts(config or site(), self.pool, engines, self.log, self.door, self.door, KEYS, **neighbours)
        app = create_app(parts)
        gateway: Gateway = app.state.gateway
        self.gateways.append(gateway)
        socket = self.folder / f"gateway{len(self.gateways)}"
        self.sockets.append(str(socket))
        serving = server(app, None)
        serving.config.uds = str(socket)
        task = asyncio.create_task(serving.serve())
        while not serving.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.005)
        async with AsyncExitStack() as stack:
            transport = httpx.AsyncHTTPTransport(uds=str(socket))
            yield await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=30))
        await gateway.running.drain(5)
        serving.should_exit = True
        await task

    async def answers_are_over(self) -> None:
        """Return when no answer is under way."""
        for gateway in self.gateways:
            await asyncio.gather(*gateway.running._answers, return_exceptions=True)

    async def count(self, table: str) -> int:
        async with self.pool.connect() as connection:
            return (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()

    async def everything(self) -> str:
        """All rows of all tables, as text."""
        tables = f"{_TABLES}, event_cursor".split(", ")
        async with self.pool.connect() as connection:
            rows = [(await connection.execute(text(f"SELECT t::text FROM {one} t"))).scalars().all() for one in tables]
        return "\n".join(row for table in rows for row in table)


@pytest.fixture
async def house(pool: AsyncEngine, tmp_path: Path) -> House:
    return House(pool, tmp_path)


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.open() as opened:
        yield opened


@dataclass
class Page:
    """A browser that is signed in."""

    http: httpx.AsyncClient
    csrf: str = ""

    async def sign_in(self) -> Page:
        """Follow the redirects of a sign-in."""
        there = await self.http.get("/auth/login", params={"next": "/"})
        back = await self.http.get(there.headers["location"])
        assert back.headers["location"] == "/", back.text
        self.csrf = (await self.http.get("/api/session")).json()["csrf"]
        return self

    @property
    def headers(self) -> dict[str, str]:
        return {"X-CSRF-Token": self.csrf, "Origin": ORIGIN}

    async def conversation(self, model: str = "small") -> str:
        made = await self.http.post("/api/conversations", json={"model": model}, headers=self.headers)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def ask(self, conversation: str, question: str) -> list[tuple[str, Any]]:
        """Ask and read the whole stream."""
        answer = await self.http.post(
            f"/api/conversations/{conversation}/messages", json={"content": question}, headers=self.headers
        )
        assert answer.status_code == 200, answer.text
        return events_of(answer.text)

    async def read(self, conversation: str) -> dict[str, Any]:
        found = await self.http.get(f"/api/conversations/{conversation}")
        assert found.status_code == 200, found.text
        body: dict[str, Any] = found.json()
        return body


def events_of(raw: str) -> list[tuple[str, Any]]:
    """Name and value of each event of a stream."""
    found = []
    for block in filter(None, raw.split("\n\n")):
        name, _, data = block.partition("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.fixture
async def page(client: httpx.AsyncClient) -> Page:
    return await Page(client).sign_in()


@pytest.fixture
async def no_index_left(pool: AsyncEngine) -> AsyncIterator[None]:
    """The database is used again."""
    yield
    async with pool.connect() as connection:
        await vector_index.drop(await connection.execution_options(isolation_level="AUTOCOMMIT"))


@pytest.fixture
def many_vectors(monkeypatch: pytest.MonkeyPatch, no_index_left: None) -> None:
    """A hundred are many."""
    del no_index_left
    monkeypatch.setattr(vector_index, "WORTH", 100)
    monkeypatch.setattr(vector_search, "COMPARED", 100)
