"""What the administrator's machine remembers of a cluster: whose its hosts are, and which it ever touched."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from airgap_bundle.durable import replace
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

    ``release`` is what the last run that went through brought; empty before.
    """

    identity: str
    site_file: str
    hosts: tuple[KnownHost, ...] = ()
    release: str = ""

    def touching(self, site_file: Path, hosts: Iterable[Host]) -> ClusterState:
        """The state before a run: what it may touch is remembered first."""
        found = {host.name: KnownHost(host.name, host.address) for host in hosts}
        before = tuple(host for host in self.hosts if host.name not in found)
        return ClusterState(self.identity, str(site_file), (*before, *found.values()), self.release)

    def leaving(self, hosts: Iterable[Host]) -> tuple[KnownHost, ...]:
        """Hosts of an earlier run that the site file no longer names."""
        named = {host.name for host in hosts}
        return tuple(host for host in self.hosts if host.name not in named)

    def settled(self, hosts: Iterable[Host], release: str) -> ClusterState:
        """The state after a run that went through: hosts that left are clean."""
        known = tuple(KnownHost(h.name, h.address) for h in hosts)
        return ClusterState(self.identity, self.site_file, known, release)


def read_state(path: Path) -> ClusterState | None:
    """What ``path`` holds; None: nothing was installed from here. Raises ``DeploymentError`` for a damaged file."""
    try:
        value = json.loads(path.read_bytes())
        hosts = tuple(KnownHost(str(host["name"]), str(host["address"])) for host in value["hosts"])
        return ClusterState(str(value["identity"]), str(value["site_file"]), hosts, str(value.get("release", "")))
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
    replace(path, json.dumps({"schema": 1, **asdict(state)}, indent=1).encode() + b"\n")
