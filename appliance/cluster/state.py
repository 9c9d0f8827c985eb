"""What the administrator's machine remembers of a cluster: whose its hosts are, and which it ever touched."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from airgap_bundle import durable
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from appliance.site.cluster import Host


@dataclass(frozen=True)
class KnownHost:
    """A host that was touched, and has not been cleaned since."""

    name: str
    address: str


@dataclass(frozen=True)
class ClusterState:
    """``identity`` is written to every host before anything else; ``site_file`` is the one of the last run.

    ``release`` is what the last run that went through brought; empty before. ``changing`` is the release that a run is
    on its way to, or was when it was cut off. ``history`` names every release that was in force, the last one last, and
    ``digests`` the images that are admitted: those of ``release``, and of ``changing``.
    """

    identity: str
    site_file: str
    hosts: tuple[KnownHost, ...] = ()
    release: str = ""
    changing: str = ""
    history: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()

    def touching(self, site_file: Path, hosts: Iterable[Host]) -> ClusterState:
        """The state before a run: what it may touch is remembered first."""
        found = {host.name: KnownHost(host.name, host.address) for host in hosts}
        before = tuple(host for host in self.hosts if host.name not in found)
        return replace(self, site_file=str(site_file), hosts=(*before, *found.values()))

    def going_to(self, release: str, digests: Iterable[str] = ()) -> ClusterState:
        """The state from before the first change of a way to ``release`` until it is whole.

        ``digests`` are images of both: whatever way is gone from here, none that may run is refused.
        """
        return replace(self, changing=release, digests=tuple(sorted({*self.digests, *digests})))

    def leaving(self, hosts: Iterable[Host]) -> tuple[KnownHost, ...]:
        """Hosts of an earlier run that the site file no longer names."""
        named = {host.name for host in hosts}
        return tuple(host for host in self.hosts if host.name not in named)

    def settled(self, hosts: Iterable[Host], release: str, digests: Iterable[str] = ()) -> ClusterState:
        """The state after a run that went through: hosts that left are clean."""
        known = tuple(KnownHost(h.name, h.address) for h in hosts)
        ran = (*(version for version in self.ran if version != release), release)
        return replace(self, hosts=known, release=release, changing="", history=ran, digests=tuple(digests))

    @property
    def ran(self) -> tuple[str, ...]:
        """Every release that was in force, the last one last; a state that is older than histories names one."""
        return self.history or ((self.release,) if self.release else ())


def read_state(path: Path) -> ClusterState | None:
    """What ``path`` holds; None: nothing was installed from here. Raises ``DeploymentError`` for a damaged file."""
    try:
        value = json.loads(path.read_bytes())
        hosts = tuple(KnownHost(str(host["name"]), str(host["address"])) for host in value["hosts"])
        words = (str(value["identity"]), str(value["site_file"]))
        history, digests = (tuple(map(str, value.get(name, ()))) for name in ("history", "digests"))
        release, changing = (str(value.get(name, "")) for name in ("release", "changing"))
        return ClusterState(*words, hosts, release, changing, history, digests)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeploymentError(
            f"{path} cannot be read: {error}",
            "restore it from a backup; /etc/sovereign/site.json on a host has the identity",
        ) from error


def begin_state(site_file: Path) -> ClusterState:
    """The state of a new cluster."""
    return ClusterState(secrets.token_hex(16), str(site_file))


def write_state(path: Path, state: ClusterState) -> None:
    """Whole or as before, also after a power cut. Raises ``StoreError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.replace(path, json.dumps({"schema": 1, **asdict(state)}, indent=1).encode() + b"\n")
