"""A whole gateway on a loopback port: real tokens, real PostgreSQL, the real log writer and the engine's real socket
protocol; only the model is a double. It runs in a thread, so that the ``openai`` package is used as anybody uses it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
import pytest
import uvicorn

from appliance.audit.client import AuditClient
from appliance.audit.keys import CheckpointKeys
from appliance.audit.log import TileLog
from appliance.audit.server import create_app as create_audit_app
from appliance.audit.server import server_config
from appliance.engine.client import EngineClient
from appliance.engine.errors import EngineDrainingError
from appliance.engine.metrics import EngineMetrics
from appliance.engine.protocol import QueueStatus, Request
from appliance.engine.server import create_app as create_engine_app
from appliance.gateway import database
from appliance.gateway.app import create_app
from appliance.gateway.assembly import Keys, Parts
from appliance.gateway.schema_upgrade import migrate
from appliance.gateway.server import server
from appliance.identity.oidc import OidcClient
from appliance.identity.tokens import TokenVerifier
from appliance.site.peer_protocol import PeerProtocol
from tests.audit.bench import EVERY_ROLE
from tests.gateway import postgres
from tests.gateway.doubles import ORIGIN, ObedientEngine, receipt, site
from tests.gateway.issuer import AUDIENCE, KeyServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from starlette.applications import Starlette

    from appliance.engine.protocol import Event
    from appliance.gateway.ports import Audit
    from appliance.site.config import SiteConfig

_KEYS = Keys(content=b"c" * 32, session=b"s" * 32, pseudonym=b"p" * 32)


class ModelDouble(ObedientEngine):
    """The obedient engine behind the engine's own protocol."""

    def submit(self, request: Request) -> AsyncGenerator[Event, None]:
        if not self.up:
            raise EngineDrainingError("the engine is about to stop")
        return self.generate(request)

    def status(self) -> QueueStatus:
        return QueueStatus(0, 0, 8, accepting=self.up)

    async def drain(self, bound_s: float) -> None:
        del bound_s


@dataclass
class Site:
    """The running site."""

    url: str
    keys: KeyServer
    model: ModelDouble
    audit_folder: Path
    audit_keys: CheckpointKeys

    def client(self, token: str | None = None) -> openai.OpenAI:
        """The unmodified package, signed in as an analyst unless told otherwise."""
        key = token or self.keys.token("analyst", "analysts")
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)


@dataclass
class _Process:
    folder: Path
    cluster: postgres.Cluster
    port: socket.socket
    ready: threading.Event = field(default_factory=threading.Event)
    site: Site | None = None
    loop: asyncio.AbstractEventLoop | None = None
    stopping: asyncio.Event | None = None
    analysts: dict[str, Any] = field(default_factory=dict)
    audit: Audit | None = None
    engine: EngineClient | None = None

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        number = self.port.getsockname()[1]
        config = site(
            listen={"hostname": "127.0.0.1", "gateway_port": number},
            groups=[
                {"name": "analysts", "models": ["small"], **self.analysts},
                {"name": "clerks", "models": ["small"], "per_user": {"tokens_per_day": 50}},
            ],
        )
        model, keys, audit_keys = ModelDouble(), KeyServer(config.issuer), CheckpointKeys.generate()
        log = TileLog(self.folder / "log", ORIGIN, audit_keys)
        async with AsyncExitStack() as stack:
            await self._listen(stack, "audit", server_config(create_audit_app(log, EVERY_ROLE)))
            engine = uvicorn.Config(engine_app(model), http=PeerProtocol, log_config=None, access_log=False)
            await self._listen(stack, "engine", engine)
            parts = await self._parts(stack, config, keys)
            await migrate(parts.database)
            await _serve(stack, server(create_app(parts), None), self.port)
            self.site = Site(f"http://127.0.0.1:{number}", keys, model, self.folder / "log", audit_keys)
            self.ready.set()
            await self.stopping.wait()

    async def _parts(self, stack: AsyncExitStack, config: SiteConfig, keys: KeyServer) -> Parts:
        pool = database.connect(self.cluster.socket_dir, postgres.PORT, postgres.PASSWORD)
        stack.push_async_callback(pool.dispose)
        http = await stack.enter_async_context(keys.http())
        engine = await stack.enter_async_context(self.engine or EngineClient(self.folder / "engine.sock"))
        return Parts(
            site=config,
            database=pool,
            engines={"small": engine},
            audit=await self._log(stack),
            verifier=TokenVerifier(config.issuer, AUDIENCE, http),
            sign_in=OidcClient(config.issuer, "sovereign-web", "unused", http),
            keys=_KEYS,
        )

    async def _log(self, stack: AsyncExitStack) -> Audit:
        given = self.audit or AuditClient(self.folder / "audit.sock")
        return await stack.enter_async_context(given) if isinstance(given, AuditClient) else given

    async def _listen(self, stack: AsyncExitStack, name: str, settings: uvicorn.Config) -> None:
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(self.folder / f"{name}.sock"))
        bound.listen(64)
        await _serve(stack, uvicorn.Server(settings), bound)


def engine_app(model: ModelDouble) -> Starlette:
    """The engine's HTTP face over the double."""
    return create_engine_app(
        model,
        EngineMetrics(),
        healthy=lambda: model.up,
        describe=lambda: {"record": {"name": "small"}, "receipt": receipt("small"), "context_tokens": 4096},
    )


async def _serve(stack: AsyncExitStack, serving: uvicorn.Server, bound: socket.socket) -> None:
    serving.config.load()
    task = asyncio.create_task(serving._serve([bound]))

    async def stop() -> None:
        serving.should_exit = True
        await task
        bound.close()

    stack.push_async_callback(stop)
    while not serving.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("contract")) as site:
        yield site


@contextmanager
def running_site(
    folder: Path, *, audit: Audit | None = None, engine: EngineClient | None = None, **analysts: Any
) -> Iterator[Site]:
    """The site in a thread, its files in ``folder``; ``analysts`` are more fields of that group.

    ``audit`` is asked in the place of the log's writer that runs beside it, and ``engine`` in the place of the model's
    double; clients are opened and closed here.
    """
    with postgres.cluster() as cluster, socket.create_server(("127.0.0.1", 0)) as port:
        process = _Process(folder, cluster, port, analysts=analysts, audit=audit, engine=engine)
        thread = threading.Thread(target=process.run)
        thread.start()
        assert process.ready.wait(60)
        assert process.site is not None
        assert process.loop is not None
        assert process.stopping is not None
        try:
            yield process.site
        finally:
            process.loop.call_soon_threadsafe(process.stopping.set)
            thread.join(60)


@pytest.fixture
def client(running: Site) -> Iterator[openai.OpenAI]:
    with running.client() as made:
        yield made
