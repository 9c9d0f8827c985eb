"""One engine of a running site: what it serves, and stopping and starting it alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from appliance.errors import DeploymentError
from appliance.install.accounts import load_accounts
from appliance.install.preflight.facts import memory
from appliance.install.probe import Probe, answers, fetch_json
from appliance.install.services import MIB, site_services, standby_services
from appliance.install.startup import POLL_S
from appliance.install.supervision import choose_supervision
from appliance.site.paths import engine_service, standby_service

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

    def busy(self, model: str) -> bool:
        """Whether it makes an answer, or somebody waits for one; not where it does not say."""

    def stop(self, model: str) -> None:
        """Let answers end for half a minute, then stop it; nothing where it does not run."""

    def start(self, model: str) -> None:
        """Start it and wait until it is ready. Raises ``DeploymentError`` when it ends or is too late."""

    @property
    def standby(self) -> Engines | None:
        """Those that run beside them while a model is changed; None of these themselves."""

    def lacks(self, model: str) -> str | None:
        """Why no second engine of ``model`` can run beside it now; None: one can."""

    def divert(self, model: str) -> None:
        """From now on the gateway asks the standby."""

    def restore(self, model: str) -> None:
        """From now on the gateway asks the engine itself."""


class SupervisedEngines:
    """``Engines`` under the site's service manager."""

    _named = staticmethod(engine_service)

    def __init__(self, config: SiteConfig, paths: SitePaths) -> None:
        self._paths = paths
        self._services = self._chosen(config)
        self._on_gpu = {one.name for one in config.models if one.gpu is not None}
        self._supervision: Supervision = choose_supervision(paths)
        self.standby: SupervisedEngines | None = self._beside(config)

    def _chosen(self, config: SiteConfig) -> dict[str, Service]:
        return {s.name: s for s in site_services(config, self._paths, load_accounts(self._paths))}

    def _beside(self, config: SiteConfig) -> SupervisedEngines | None:
        """The standby of each model; None for a site that was installed before there were any."""
        known = len(standby_services(config, self._paths, load_accounts(self._paths))) == len(config.models)
        return _Standby(config, self._paths) if known else None

    def serves(self, model: str) -> Mapping[str, Any] | None:
        """As the protocol says. The engine may be hostile: anything but an answer of the right shape is none."""
        receipt = self._said(model).get("receipt")
        return receipt if isinstance(receipt, dict) else None

    def busy(self, model: str) -> bool:
        """As the protocol says."""
        queue = self._said(model).get("queue")
        counts = [queue.get(name) for name in ("running", "waiting")] if isinstance(queue, dict) else []
        return any(isinstance(count, int) and count > 0 for count in counts)

    def _said(self, model: str) -> Mapping[str, Any]:
        probe = self._service(model).probe
        said = fetch_json(Probe(probe.kind, probe.target, "/model")) if answers(probe) else None
        return said if isinstance(said, dict) else {}

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

    def lacks(self, model: str) -> str | None:
        """As the protocol says: the memory that site.yaml grants the model must be there once more.

        How much of a GPU's is free nobody here knows.
        """
        if self.standby is None:
            return "this site was installed before engines could run side by side"
        if model in self._on_gpu:
            return "it is computed on a GPU, whose memory one engine is given"
        needed, free = self._service(model).memory_mib, memory()[1] // MIB
        return None if free >= needed else f"a second engine takes {needed} MiB, and {free} MiB are free"

    def divert(self, model: str) -> None:
        """As the protocol says. The folder is the installer's: no service writes there."""
        self._paths.diverted(model).touch(mode=0o644)

    def restore(self, model: str) -> None:
        """As the protocol says."""
        self._paths.diverted(model).unlink(missing_ok=True)

    def _service(self, model: str) -> Service:
        return self._services[self._named(model)]


class _Standby(SupervisedEngines):
    """Those that run while a model is changed."""

    _named = staticmethod(standby_service)

    def _chosen(self, config: SiteConfig) -> dict[str, Service]:
        return {s.name: s for s in standby_services(config, self._paths, load_accounts(self._paths))}

    def _beside(self, config: SiteConfig) -> None:
        del config
