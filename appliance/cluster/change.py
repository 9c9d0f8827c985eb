"""A cluster on its way from one release to another: what the roles must know of it besides the release. Pure.

A way that was cut off leaves hosts of both releases, and images of both in use: until the way is whole, whatever way it
is by then, both are admitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.cluster.versions import is_newer, needs_drain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appliance.site.cluster import Host


@dataclass(frozen=True)
class Change:
    """The way to another release.

    ``running`` is the Kubernetes that is in force, ``met`` every version that hosts may run by now, ``wanted`` the one
    they go to. ``digests`` are images of the former release, which are admitted until the way is whole.
    ``may_return``: the former release can read what this one leaves, so it may serve again where a chart fails. What it
    had is kept on the cluster under ``mark``, the way's, from before the first change until the way is whole.
    """

    running: str
    met: tuple[str, ...]
    wanted: str
    digests: tuple[str, ...] = ()
    may_return: bool = True
    mark: str = ""

    @property
    def of_kubernetes(self) -> bool:
        """Whether hosts must go through Kubernetes' own order, one after the other."""
        return any(version != self.wanted for version in self.met)

    @property
    def back(self) -> bool:
        """Whether Kubernetes goes to an older version than some host may run."""
        return any(is_newer(version, self.wanted) for version in self.met)

    def options(self) -> dict[str, Any]:
        """Options of the roles."""
        return {
            "release_changing": True,
            "release_may_return": self.may_return,
            "release_way": self.mark,
            "kubernetes_running": self.running,
            "kubernetes_met": sorted(self.met),
            "kubernetes_drain": any(needs_drain(version, self.wanted) for version in self.met),
        }


def in_turn(hosts: Iterable[Host], *, back: bool) -> tuple[str, ...]:
    """Hosts in the order in which Kubernetes changes on them: an API server is never older than a kubelet."""
    listed = tuple(hosts)
    members = [host.name for host in listed if host.role == "control-plane"]
    others = [host.name for host in listed if host.role != "control-plane"]
    return tuple([*others, *members] if back else [*members, *others])
