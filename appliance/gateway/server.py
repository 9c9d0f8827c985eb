"""The gateway as a process: two listeners, one shutdown.

On SIGTERM or SIGINT it takes no new answers, waits for those under way, interrupts the rest (their log entries are
still written), and only then closes its listeners.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from appliance.audit.client import AuditClient
from appliance.audit.reader import LogReader
from appliance.engine.client import EngineClient
from appliance.errors import DeploymentError
from appliance.gateway import database
from appliance.gateway.access import WEB_CLIENT
from appliance.gateway.app import create_app
from appliance.gateway.assembly import Gateway, Keys, Parts
from appliance.gateway.connections import BoundedHeadProtocol
from appliance.gateway.issuer import issuer_client
from appliance.gateway.management import create_management_app
from appliance.gateway.schema_upgrade import migrate
from appliance.gateway.standby import EngineWithStandby
from appliance.gateway.upkeep import keep_up, pay_up, sweep_up, vector_up, watch_over
from appliance.identity.account_source import AccountSource
from appliance.identity.clients import events_secret, names_secret, shows_names
from appliance.identity.event_source import EventSource
from appliance.identity.oidc import OidcClient
from appliance.identity.tokens import TokenVerifier
from appliance.site.paths import AUDIT, DATABASE, engine_service, standby_service

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from starlette.applications import Starlette

    from appliance.site.config import SiteConfig
    from appliance.site.credentials import Credentials
    from appliance.site.paths import SitePaths

_log = structlog.get_logger(__name__)
AUDIENCE = "sovereign-api"
DRAIN_SECONDS = 30.0
_MAX_CONNECTIONS = 2048
_KEEP_ALIVE_SECONDS = 15
_CLOSING_SECONDS = 5
_KEY_BYTES = 32
_LOOPBACK = "127.0.0.1"


def serve(*, config: SiteConfig, paths: SitePaths, credentials: Credentials) -> None:
    """Serve page, API and management port until told to stop. Blocks.

    Raises ``DeploymentError``: a credential is missing or of the wrong size, a port is taken, the database does not
    answer (the service manager tries again).
    """
    configure_logs()
    asyncio.run(_serve(config, paths, credentials))


async def _serve(config: SiteConfig, paths: SitePaths, credentials: Credentials) -> None:
    async with parts(config, paths, credentials) as made:
        await migrate(made.database)
        app = create_app(made)
        gateway: Gateway = app.state.gateway
        tls = tls_context(paths, credentials) if config.tls.mode == "site-ca" else None
        with (
            _listener(config.listen.host, config.listen.gateway_port) as public,
            _listener(_LOOPBACK, config.listen.management_port) as private,
        ):
            servers = {
                server(app, tls): public,
                server(create_management_app(gateway), None): private,
            }
            await run(gateway, servers)


async def _engine(stack: contextlib.AsyncExitStack, paths: SitePaths, model: str) -> EngineWithStandby:
    own, standby = (paths.socket(name) for name in (engine_service(model), standby_service(model)))
    return EngineWithStandby(
        await stack.enter_async_context(EngineClient(own)),
        await stack.enter_async_context(EngineClient(standby)),
        paths.diverted(model).exists,
    )


@contextlib.asynccontextmanager
async def parts(config: SiteConfig, paths: SitePaths, credentials: Credentials) -> AsyncGenerator[Parts, None]:
    """The real neighbours, closed at the end in reverse order."""
    async with contextlib.AsyncExitStack() as stack:
        pool = database.connect(paths.run / DATABASE, config.listen.database_port, credentials.text("db_password"))
        stack.push_async_callback(pool.dispose)
        http = await stack.enter_async_context(issuer_client(config, paths))
        audit = await stack.enter_async_context(AuditClient(paths.socket(AUDIT)))
        engines = {model.name: await _engine(stack, paths, model.name) for model in config.models}
        secret = credentials.text("oidc_client_secret")
        yield Parts(
            site=config,
            database=pool,
            engines=engines,
            audit=audit,
            verifier=TokenVerifier(config.issuer, AUDIENCE, http),
            sign_in=OidcClient(config.issuer, WEB_CLIENT, secret, http),
            keys=Keys(
                content=_key(credentials, "content_key"),
                session=_key(credentials, "session_key"),
                pseudonym=_key(credentials, "pseudonym_key"),
            ),
            log_reader=await stack.enter_async_context(LogReader(paths.socket(AUDIT))),
            events=EventSource(config.issuer, events_secret(secret), http),
            accounts=AccountSource(config.issuer, names_secret(secret), http) if shows_names(config) else None,
            packs=paths.packs,
        )


async def run(gateway: Gateway, servers: dict[uvicorn.Server, socket.socket], drain: float = DRAIN_SECONDS) -> None:
    """Serve until a signal, then drain and close. A listener that ends by itself ends the rest."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    serving = [asyncio.create_task(one.serve(sockets=[bound])) for one, bound in servers.items()]
    upkeep = [asyncio.create_task(one(gateway)) for one in (keep_up, sweep_up, pay_up, watch_over, vector_up)]
    if gateway.identity_events:
        upkeep.append(asyncio.create_task(gateway.identity_events.follow()))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({stopped, *upkeep, *serving}, return_when=asyncio.FIRST_COMPLETED)
    _log.info("stopping", running=gateway.running.count)
    await gateway.running.drain(drain)
    await gateway.ledger.pay()
    for one in servers:
        one.should_exit = True
    stopped.cancel()
    for keeping in upkeep:
        keeping.cancel()
    results = await asyncio.gather(*serving, *upkeep, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


def tls_context(paths: SitePaths, credentials: Credentials) -> ssl.SSLContext:
    """TLS 1.2 or newer with the gateway's certificate. Raises ``DeploymentError``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(paths.tls / "gateway.pem", credentials.directory / "tls.key")
    except (OSError, ssl.SSLError) as error:
        raise DeploymentError(f"the gateway's certificate cannot be used: {error}", "run `sovereign up`") from error
    return context


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: answers drain first, while the listener still refuses politely."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to ``run``."""
        yield


def server(app: Starlette, tls: ssl.SSLContext | None) -> uvicorn.Server:
    """A server with our bounds on connections; sockets come with ``serve``."""
    settings: dict[str, Any] = {} if tls is None else {"ssl_context_factory": lambda _config, _default: tls}
    return _Server(
        uvicorn.Config(
            app,
            http=BoundedHeadProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_CLOSING_SECONDS,
            **settings,
        )
    )


@contextlib.contextmanager
def _listener(host: str, port: int) -> Generator[socket.socket, None, None]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise DeploymentError(
            f"{host}:{port} cannot be listened on: {error.strerror}", "run `sovereign preflight`"
        ) from error
    with bound:
        yield bound


def _key(credentials: Credentials, name: str) -> bytes:
    key = credentials.read(name)
    if len(key) != _KEY_BYTES:
        raise DeploymentError(f"credential {name} has {len(key)} bytes instead of {_KEY_BYTES}", "run `sovereign up`")
    return key


def configure_logs() -> None:
    """JSON lines on stderr. What people wrote is never logged."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
