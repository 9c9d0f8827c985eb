"""The site's services as values: what runs, as whom, in which order, and how one knows that it is ready."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.install.probe import Probe
from appliance.site.gpu import gpu
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, IDENTITY, SitePaths, engine_service, standby_service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.install.accounts import Accounts
    from appliance.site.config import SiteConfig
    from appliance.site.served import Model

MIB = 1024 * 1024
_ENGINE_STOP_S = 45
"""An engine lets answers end for 30 seconds (``engine.service.DRAIN_BOUND_S``)."""
READING_MIB = 768
"""Beside a gateway whose people bring documents: the process that reads one, and its copies (``gateway.bringing``)."""
_OVERHEAD_MIB = {DATABASE: 768, IDENTITY: 900, AUDIT: 512, GATEWAY: 512}


@dataclass(frozen=True)
class Service:
    """One process of the site. ``after`` names the services that must be ready before it starts.

    One that is not started ``at_boot`` runs only while somebody has started it. ``devices`` are those that it may open.
    """

    name: str
    title: str
    user: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    probe: Probe
    after: tuple[str, ...]
    memory_mib: int
    networked: bool
    writable: tuple[Path, ...]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: int = 20
    start_timeout_s: int = 120
    at_boot: bool = True
    devices: tuple[Path, ...] = ()


def site_services(config: SiteConfig, paths: SitePaths, accounts: Accounts) -> tuple[Service, ...]:
    """Every service of the site in start order: database → audit, identity → engines → gateway."""
    listen = config.listen
    engines = tuple(engine_service(m.name) for m in config.models)
    database = postgres_probe(config, paths)
    identity = Probe("http", f"127.0.0.1:{listen.identity_management_port}", "/health/ready")
    gateway = Probe("http", f"127.0.0.1:{listen.management_port}", "/readyz")
    service = partial(_service, paths, accounts)
    return (
        service(DATABASE, "PostgreSQL", database, (), networked=True, stop_signal=signal.SIGINT, stop_timeout_s=60),
        service(AUDIT, "audit log writer", _unix(paths, AUDIT), ()),
        service(IDENTITY, "Keycloak", identity, (DATABASE,), networked=True, start_timeout_s=300),
        *(
            service(
                engine_service(m.name),
                f"model {m.name}",
                _unix(paths, engine_service(m.name)),
                (AUDIT,),
                memory_mib=m.memory_mib,
                stop_timeout_s=_ENGINE_STOP_S,
                devices=_devices(m),
            )
            for m in config.models
        ),
        service(
            GATEWAY,
            "gateway",
            gateway,
            (DATABASE, AUDIT, IDENTITY, *engines),
            networked=True,
            memory_mib=_OVERHEAD_MIB[GATEWAY] + READING_MIB * any(g.brings_documents for g in config.groups),
        ),
    )


def postgres_probe(config: SiteConfig, paths: SitePaths) -> Probe:
    """How one knows that PostgreSQL is ready."""
    return Probe("postgres", str(postgres_socket(config, paths)))


def standby_services(config: SiteConfig, paths: SitePaths, accounts: Accounts) -> tuple[Service, ...]:
    """For each model the engine that runs beside its own while the model is changed; nothing starts it but that.

    None for a model whose installation knew of none yet.
    """
    return tuple(
        _service(
            paths,
            accounts,
            standby_service(m.name),
            f"model {m.name}, taking over",
            _unix(paths, standby_service(m.name)),
            (AUDIT,),
            memory_mib=m.memory_mib,
            stop_timeout_s=_ENGINE_STOP_S,
            at_boot=False,
            devices=_devices(m),
        )
        for m in config.models
        if standby_service(m.name) in accounts.users
    )


def _devices(model: Model) -> tuple[Path, ...]:
    """The files of the GPU that a model's engine computes on; none where the host has no such GPU: it will say so."""
    found = None if model.gpu is None else gpu(model.gpu)
    return () if found is None else found.files()


def _unix(paths: SitePaths, name: str) -> Probe:
    return Probe("unix-http", str(paths.socket(name)))


def _service(  # noqa: PLR0913, PLR0917 - what every service has; the rest by keyword
    paths: SitePaths, accounts: Accounts, name: str, title: str, probe: Probe, after: tuple[str, ...], **more: object
) -> Service:
    values: dict[str, object] = {
        "memory_mib": _OVERHEAD_MIB.get(name, 0),
        "networked": False,
        "writable": (paths.data(name), paths.socket(name).parent),
        **more,
    }
    return Service(
        name=name,
        title=title,
        user=accounts.user(name),
        argv=(str(paths.env / "bin" / "sovereign"), "--site", str(paths.root), "serve", name),
        env=_environment(name, paths),
        probe=probe,
        after=after,
        log=paths.log(name),
        **values,  # type: ignore[arg-type]  # the few fields that differ, given by keyword
    )


def postgres_socket(config: SiteConfig, paths: SitePaths) -> Path:
    """The socket file libpq derives from folder and port."""
    return paths.run / DATABASE / f".s.PGSQL.{config.listen.database_port}"


def _environment(name: str, paths: SitePaths) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(paths.data(name)),
        "CREDENTIALS_DIRECTORY": str(paths.credentials(name)),
        "PYTHONDONTWRITEBYTECODE": "1",
        **runtime_environment(paths),
    }


def runtime_environment(paths: SitePaths) -> dict[str, str]:
    """What tells a process without the operator's environment where ``SitePaths.run`` lies."""
    return {} if paths.run.parent == Path("/run") else {"XDG_RUNTIME_DIR": str(paths.run.parent)}
