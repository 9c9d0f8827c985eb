"""One engine of a running site: what it serves, and stopping and starting it alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from appliance.errors import DeploymentError
from appliance.install.accounts import load_accounts
from appliance.install.probe import Probe, answers, fetch_json
from appliance.install.services import site_services
from appliance.install.startup import POLL_S
from appliance.install.supervision import choose_supervision
from appliance.site.paths import engine_service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.install.services import Service
    from appliance.install.supervision.interface import Supervision
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


class Engines(Protocol):
    """The engines of one site, by the name of their model."""

    def serves(self, model: str) -> Mapping[str, Any] | None:
        """The model's part of a receipt, as the engine gives it; None when it does not answer."""

    def runs(self, model: str) -> bool:
        """Whether there is a process that has loaded a model, or is about to: ready or not."""

    def stop(self, model: str) -> None:
        """Let answers end, then stop it; nothing where it does not run."""

    def start(self, model: str) -> None:
        """Start it and wait until it is ready. Raises ``DeploymentError`` when it ends or is too late."""


class SupervisedEngines:
    """``Engines`` under the site's service manager."""

    def __init__(self, config: SiteConfig, paths: SitePaths) -> None:
        self._services = {s.name: s for s in site_services(config, paths, load_accounts(paths))}
        self._supervision: Supervision = choose_supervision(paths)

    def serves(self, model: str) -> Mapping[str, Any] | None:
        """As the protocol says. The engine may be hostile: anything but an answer of the right shape is none."""
        probe = self._service(model).probe
        if not answers(probe):
            return None
        said = fetch_json(Probe(probe.kind, probe.target, "/model"))
        receipt = said.get("receipt") if isinstance(said, dict) else None
        return receipt if isinstance(receipt, dict) else None

    def runs(self, model: str) -> bool:
        """As the protocol says; one that its manager will try again counts."""
        service = self._service(model)
        return self._supervision.states([service])[service.name].state != "stopped"

    def stop(self, model: str) -> None:
        """As the protocol says."""
        if self.runs(model):
            self._supervision.stop(self._service(model))

    def start(self, model: str) -> None:
        """As the protocol says. A process that ends is not waited for, though its manager would try it again."""
        service = self._service(model)
        self._supervision.start(service)
        deadline = time.monotonic() + service.start_timeout_s
        first: int | None = None
        while not answers(service.probe):
            pid = self._supervision.states([service])[service.name].pid
            if (first is not None and pid != first) or time.monotonic() > deadline:
                tail, command = self._supervision.complaint(service)
                raise DeploymentError(f"{service.name} does not start{tail}", f"read on with `{command}`")
            first = pid or first
            time.sleep(POLL_S)

    def _service(self, model: str) -> Service:
        return self._services[engine_service(model)]
