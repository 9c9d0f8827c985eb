"""Who is who in the assistant's pods: users by number, ports of links, and where a site lies there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.site.paths import COLLECTOR, GATEWAY, SitePaths, engine_service

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig

IN_PODS = SitePaths(Path("/site"))
RUN = f"/run/{IN_PODS.run.name}"
VOLUMES = Path("/var/lib/sovereign/volumes")
GATEWAY_USER = 20010
AUDIT_PORT = 9201
COLLECTOR_USER, COLLECTOR_PORT = 20040, 9202
_FIRST_ENGINE_USER, _FIRST_ENGINE_PORT = 20100, 9300


@dataclass(frozen=True)
class EngineSeat:
    """The user that an engine and its link run as, and the port at which that link reaches the log."""

    model: str
    user: int
    port: int


def engine_seats(config: SiteConfig) -> tuple[EngineSeat, ...]:
    """A seat for every model, in the order of the site file."""
    return tuple(
        EngineSeat(model.name, _FIRST_ENGINE_USER + i, _FIRST_ENGINE_PORT + i) for i, model in enumerate(config.models)
    )


def uids(config: SiteConfig) -> dict[str, int]:
    """Users of the services that write to the log, for `uids.json`."""
    engines = {engine_service(seat.model): seat.user for seat in engine_seats(config)}
    return {GATEWAY: GATEWAY_USER, COLLECTOR: COLLECTOR_USER, **engines}
