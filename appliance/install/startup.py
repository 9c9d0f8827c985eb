"""Starting and stopping a site's services in order, each ready before those that need it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError
from appliance.install.energy import open_energy_counters
from appliance.install.layout import make_folders, runtime_folders
from appliance.install.probe import answers
from appliance.install.supervision import choose_supervision
from appliance.install.vault import Vault, hand_over
from appliance.models.unservable import unservable
from appliance.site.paths import engine_service

if TYPE_CHECKING:
    from airgap_bundle.store import VerifiedRelease
    from appliance.install.accounts import Accounts
    from appliance.install.services import Service
    from appliance.install.supervision.interface import Supervision
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

POLL_S = 0.1
ALIVE = "/healthz"
Ready = Callable[[int, int], None]
"""``ready(how_many, of)``, called when a service has become ready."""


def prepare_runtime(config: SiteConfig, paths: SitePaths, accounts: Accounts, vault: Vault) -> None:
    """Make what a reboot takes away: runtime folders, the services' unsealed credentials, readable energy counters."""
    make_folders(runtime_folders(paths, accounts), accounts)
    hand_over(vault, config, paths, accounts)
    open_energy_counters(accounts.gid)


def startable(
    config: SiteConfig, paths: SitePaths, services: Sequence[Service], release: VerifiedRelease | None = None
) -> tuple[Service, ...]:
    """``services`` without engines that would refuse to start: decisions about their model are damaged, or it lacks.

    None of the others waits for them: the gateway, which is ready only with every engine, has come up when it lives.
    ``release`` is the one that is about to be in force, where that is not the active one.
    """
    without = {engine_service(name) for name in unservable((m.name for m in config.models), paths, release)}
    return tuple(_without(s, without) for s in services if s.name not in without)


def _without(service: Service, without: set[str]) -> Service:
    if without.isdisjoint(service.after):
        return service
    after = tuple(name for name in service.after if name not in without)
    return replace(service, after=after, probe=replace(service.probe, path=ALIVE))


def start_services(paths: SitePaths, services: Sequence[Service], ready: Ready) -> tuple[str, ...]:
    """Start what does not run and wait until everything is ready; names of those started.

    A service is started as soon as all it needs is ready, so independent ones come up side by side. Raises
    ``DeploymentError`` with the end of its log when one is not ready in time.
    """
    supervision = choose_supervision(paths)
    supervision.load()
    up = {s.name for s in services if _is_up(s, supervision)}
    waiting = [s for s in services if s.name not in up]
    started: dict[str, float] = {}
    ready(len(up), len(services))
    while waiting:
        for service in waiting:
            if service.name not in started and up.issuperset(service.after):
                supervision.start(service)
                started[service.name] = time.monotonic()
        fresh = {s.name for s in waiting if s.name in started and answers(s.probe)}
        up |= fresh
        waiting = [s for s in waiting if s.name not in fresh]
        if fresh:
            ready(len(up), len(services))
        elif waiting:
            _refuse_late(waiting, started, supervision)
            time.sleep(POLL_S)
    return tuple(started)


def stop_services(paths: SitePaths, services: Sequence[Service]) -> None:
    """Stop every service, those that need others first, then let the service manager go."""
    supervision = choose_supervision(paths)
    for service in reversed(services):
        supervision.stop(service)


def await_ready(service: Service) -> None:
    """Wait until ``service`` is ready. Raises ``DeploymentError`` when it is not in time."""
    deadline = time.monotonic() + service.start_timeout_s
    while not answers(service.probe):
        if time.monotonic() > deadline:
            raise DeploymentError(f"{service.name} is not ready after {service.start_timeout_s} s")
        time.sleep(POLL_S)


def _is_up(service: Service, supervision: Supervision) -> bool:
    """Running under this site's manager and ready: another program on its port does not count."""
    return supervision.states([service])[service.name].pid is not None and answers(service.probe)


def _refuse_late(waiting: Sequence[Service], started: dict[str, float], supervision: Supervision) -> None:
    now = time.monotonic()
    for service in waiting:
        if service.name in started and now - started[service.name] > service.start_timeout_s:
            state = supervision.states([service])[service.name].state
            tail, command = supervision.complaint(service)
            raise DeploymentError(
                f"{service.name} is not ready after {service.start_timeout_s} s ({state}){tail}",
                f"read on with `{command}`, then `sovereign up`",
            )
