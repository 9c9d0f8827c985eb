"""`sovereign serve NAME`: one service of the site in the foreground, as its service manager starts it.

This is where the parts meet: each subpackage offers a ``serve`` that knows nothing of the others. The descriptor that
the model gate has verified goes to the engine here, so that no path is opened a second time; and the load is in the
audit log before the engine listens.

Imports lie inside the functions: a process loads the code of its own service and nothing else.
"""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from appliance.cli import serve_pod
from appliance.cli.root import new_app
from appliance.cli.serve_engine import serve_model
from appliance.cli.serve_pod import LINK, serve_collector, serve_link
from appliance.cli.terminal import site_paths
from appliance.errors import UsageError
from appliance.site.credentials import Credentials
from appliance.site.paths import (
    AUDIT,
    COLLECTOR,
    DATABASE,
    GATEWAY,
    IDENTITY,
    NOTHING_TO_SERVE,
    engine_service,
    standby_service,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from appliance.audit.roles import Role, Roles
    from appliance.models.errors import ArtifactError
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

    Service: TypeAlias = Callable[[SiteConfig, SitePaths, Credentials], None]


app = new_app()
serve_pod.register(app)
_STACK_BYTES = 1 << 20


@app.command("serve", hidden=True)
def serve(
    context: typer.Context,
    service: Annotated[
        str, typer.Argument(help="database, identity, audit, gateway, collector, engine-<model> or link-<name>")
    ],
) -> None:
    """Run one service in the foreground (called by the service manager)."""
    paths = site_paths(context)
    if service.startswith(LINK):
        _log_as_json()
        serve_link(service.removeprefix(LINK), paths)
        return
    if service == COLLECTOR:
        _log_as_json()
        serve_collector(paths)
        return
    from appliance.site.load import load_site

    config = load_site(paths.site_yaml)
    _log_as_json()
    run = _SERVICES.get(service) or _engine(service, config, paths)
    run(config, paths, Credentials.from_environment(paths.credentials(service)))


@app.command("await", hidden=True)
def await_service(context: typer.Context, service: Annotated[str, typer.Argument()]) -> None:
    """Wait until a service is ready (called by its unit, in the same sandbox: it reads site.yaml and what serves).

    An engine for which there is no model is not waited for.
    """
    from appliance.install.accounts import accounts_for
    from appliance.install.services import site_services, standby_services
    from appliance.install.startup import await_ready, startable
    from appliance.site.load import load_site

    paths = site_paths(context)
    config = load_site(paths.site_yaml)
    accounts = accounts_for(config)
    services = (*site_services(config, paths, accounts), *standby_services(config, paths, accounts))
    if _lacks(service, config, paths) is not None:
        return  # at once: nothing that comes after it is held up, and its own status says what is the matter
    for found in startable(config, paths, services):
        if found.name == service:
            await_ready(found)
            return
    raise UsageError(f"{service} is no service of this site", "`sovereign status` lists them")


def _log_as_json() -> None:
    """Operational messages as one JSON object per line on stdout, where the service manager keeps them."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _database(config: SiteConfig, paths: SitePaths, _: Credentials) -> None:
    from appliance.install.database import exec_postgres

    exec_postgres(config, paths)


def _identity(config: SiteConfig, paths: SitePaths, credentials: Credentials) -> None:
    from appliance.identity.keycloak_server import exec_keycloak

    exec_keycloak(config, paths, credentials)


def _bound_stacks() -> None:
    """Threads of the pools get small stacks: whole stacks count against the memory of a service, used or not."""
    threading.stack_size(_STACK_BYTES)


def _audit(config: SiteConfig, paths: SitePaths, credentials: Credentials) -> None:
    from appliance.audit.keys import CheckpointKeys
    from appliance.audit.lease_pod import lease_here
    from appliance.audit.server import serve as serve_audit
    from appliance.site.writer import writer_settings

    _bound_stacks()
    settings = writer_settings(config)
    keys = CheckpointKeys.load(credentials.read("checkpoint_ed25519.pem"), credentials.read("checkpoint_mldsa44.pem"))
    serve_audit(
        directory=paths.audit_log,
        socket=paths.socket(AUDIT),
        origin=settings.origin,
        keys=keys,
        roles=_roles(settings.models, paths),
        retention_days=settings.retention_days,
        lease=lease_here(paths.audit_log, ended=lambda: os.kill(os.getpid(), signal.SIGTERM)),
    )


def _roles(models: Sequence[str], paths: SitePaths) -> Roles:
    """Who writes what to the log: each service as its own uid, the operator as root or as who installed the site."""
    from appliance.audit import roles
    from appliance.site.peers import ROOT, overflow_uid, service_uid

    held: list[tuple[int | None, Role]] = [
        (service_uid(paths, GATEWAY), role) for role in (roles.GATEWAY, roles.IDENTITY)
    ]
    held += [(service_uid(paths, COLLECTOR), roles.CLUSTER)]
    held += [(service_uid(paths, engine_service(name)), roles.engine(name)) for name in models]
    held += [(uid, roles.OPERATOR) for uid in {ROOT, paths.run.stat().st_uid} - {overflow_uid()}]
    return roles.Roles.of_holders(held)


def _gateway(config: SiteConfig, paths: SitePaths, credentials: Credentials) -> None:
    from appliance.gateway.server import serve as serve_gateway
    from appliance.install.backup.mark import refuse_half_restored

    refuse_half_restored(paths)

    _bound_stacks()
    serve_gateway(config=config, paths=paths, credentials=credentials)


_SERVICES: dict[str, Service] = {DATABASE: _database, IDENTITY: _identity, AUDIT: _audit, GATEWAY: _gateway}


def _lacks(service: str, config: SiteConfig, paths: SitePaths) -> ArtifactError | None:
    """Why there is no model for the engine ``service``; None for what has one, and for what is no engine."""
    from appliance.models.errors import ArtifactError
    from appliance.models.unservable import unservable

    without = unservable((model.name for model in config.models), paths)
    found = next((error for name, error in without.items() if service == engine_service(name)), None)
    return found if isinstance(found, ArtifactError) else None


def _engine(service: str, config: SiteConfig, paths: SitePaths) -> Service:
    """The engine of the model that ``service`` names. Raises ``UsageError`` when the site serves no such model.

    One that has nothing to load ends with a status of its own, for its unit not to start it again.
    """
    for model in config.models:
        if service in {engine_service(model.name), standby_service(model.name)}:
            if (error := _lacks(service, config, paths)) is not None:
                _log_as_json()
                structlog.get_logger().error("nothing to serve", model=model.name, reason=error.cause, hint=error.hint)
                raise typer.Exit(NOTHING_TO_SERVE)
            return partial(serve_model, model, service)
    known = ", ".join([*_SERVICES, *(engine_service(model.name) for model in config.models)])
    raise UsageError(f"this site has no service {service}", f"it has {known}")
