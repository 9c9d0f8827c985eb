"""The hierarchy of memories of a site, as its operator sees it. Reading only.

Engines are asked on their sockets, as `status` asks them; the gateway's counts and the library's size come from the
management port, where no group has a name. So groups are one row here; the page names them to whoever administers.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from appliance.engine.tiers import read as read_tiers
from appliance.errors import UsageError
from appliance.install.accounts import load_accounts
from appliance.install.probe import Probe, fetch_json
from appliance.install.services import site_services, standby_services
from appliance.install.supervision import choose_supervision
from appliance.memory.hierarchy import Hierarchy, Silent, folded, hierarchy
from appliance.memory.totals import read as read_totals
from appliance.site.load import load_site
from appliance.site.paths import GATEWAY, engine_service, standby_service

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.engine.tiers import EngineTiers
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

_MUTE = Silent("not_known", "it does not say in time what its memory holds, or more than is read")


@dataclass(frozen=True)
class MemoryStatus:
    """The hierarchy, and whether the site runs at all: ``up`` is False where neither gateway nor any engine does."""

    site: str
    up: bool
    hierarchy: Hierarchy

    @property
    def ok(self) -> bool:
        """Whether everybody said what they hold."""
        engines = all(engine.state == "running" for engine in self.hierarchy.engines)
        return engines and self.hierarchy.since is not None and self.hierarchy.library.known

    def data(self) -> dict[str, object]:
        """As JSON data."""
        return {"ok": self.ok, "site": self.site, "up": self.up, **self.hierarchy.data()}


def memory_status(paths: SitePaths) -> MemoryStatus:
    """Ask everybody. Raises ``UsageError`` when nothing is installed there."""
    if not paths.site_yaml.exists():
        raise UsageError(f"nothing is installed at {paths.root}", "name the site's root with --site, or install one")
    config = load_site(paths.site_yaml)
    accounts = load_accounts(paths)
    services = (*site_services(config, paths, accounts), *standby_services(config, paths, accounts))
    states = choose_supervision(paths).states(services)
    probes = {service.name: service.probe for service in services if states[service.name].pid is not None}
    port = Probe("http", f"127.0.0.1:{config.listen.management_port}", "/memory") if GATEWAY in probes else None
    running = any(name == GATEWAY or name.startswith(_ENGINES) for name in probes)
    return told_by(config, port, lambda model: _engine(paths, model, probes), up=running)


def told_by(
    config: SiteConfig, gateway: Probe | None, engine: Callable[[str], EngineTiers | Silent], *, up: bool
) -> MemoryStatus:
    """What the management port ``gateway``, and ``engine`` of each model, say; all are asked side by side."""
    names = [model.name for model in config.models]
    with ThreadPoolExecutor(len(names) + 1) as asking:  # one that hangs costs the others nothing
        counting = asking.submit(fetch_json, gateway) if gateway is not None else None
        engines = dict(zip(names, asking.map(engine, names), strict=True))
        told = read_totals(counting.result()) if counting is not None else None
    counted, library = told if told is not None else (None, None)
    found = hierarchy(engines, counted, library, groups=(), now=datetime.now(UTC))
    return MemoryStatus(config.name, up, folded(found))


_ENGINES = engine_service("")


def _engine(paths: SitePaths, model: str, probes: dict[str, Probe]) -> EngineTiers | Silent:
    """What the model's engine says; the one that stands in while the model is changed, if that answers now."""
    name = engine_service(model)
    if paths.diverted(model).exists() and standby_service(model) in probes:
        name = standby_service(model)
    if name not in probes:
        return Silent("not_running")
    return engine_tiers(Probe(probes[name].kind, probes[name].target, "/memory"))


def engine_tiers(probe: Probe) -> EngineTiers | Silent:
    """What the engine behind ``probe`` says that it holds; it is not believed where that cannot be."""
    said = fetch_json(probe)
    if said is None:
        return _MUTE
    try:
        return read_tiers(said)
    except ValueError as error:
        return Silent("not_known", str(error))
