"""What the administrator's machine remembers of a cluster: whose its hosts are, which it ever touched, and their way.

A way between two releases is one record from before its first change until it is whole: roles, `upgrade`, `rollback`
and `status` read it here, and nobody guesses it from what runs.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airgap_bundle import durable
from appliance.errors import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from pathlib import Path

    from appliance.site.cluster import Host


@dataclass(frozen=True)
class KnownHost:
    """A host that was touched, and has not been cleaned since."""

    name: str
    address: str


KUBERNETES, RELEASE, FORMER = "Kubernetes", "network and assistant", "letting go of the former release"
"""Steps of a way, in their order."""


@dataclass(frozen=True)
class Way:
    """A way that is not whole, between ``before``, which is in force, and ``other``.

    ``heading`` is where the last run went, one of both, and ``back`` says that it was a rollback; ``step`` is what it
    was at. ``mark`` names the way on the cluster, where what the former release had is kept under it; a way that an
    earlier version of this program began has none.
    """

    mark: str
    before: str
    other: str
    heading: str
    back: bool
    step: str = KUBERNETES

    @property
    def turning(self) -> str:
        """The other end: where a run that turns round goes."""
        return self.other if self.heading == self.before else self.before

    def towards(self, release: str, *, back: bool) -> Way:
        """The same way, gone on with or turned round; its hosts go through it from the first step."""
        return replace(self, heading=release, back=back, step=KUBERNETES)


@dataclass(frozen=True)
class ClusterState:
    """``identity`` is written to every host before anything else; ``site_file`` is the one of the last run.

    ``release`` is what the last run that went through brought; empty before. ``way`` is the one that a run is on, or
    was when it was cut off. ``history`` names every release that was in force, the last one last, and ``digests`` the
    images that are admitted: those of ``release``, and of both ends of the way. ``state_host`` has database and log
    since then, or is where a restore brings them; empty: there is no assistant, or an earlier version of this program
    did not note it. ``cleaned`` is the host of the log once a removal cleaned it; empty: none did since a run.
    """

    identity: str
    site_file: str
    hosts: tuple[KnownHost, ...] = ()
    release: str = ""
    way: Way | None = None
    history: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    state_host: str = ""
    cleaned: str = ""

    def touching(self, site_file: Path, hosts: Iterable[Host]) -> ClusterState:
        """The state before a run: what it may touch is remembered first."""
        found = {host.name: KnownHost(host.name, host.address) for host in hosts}
        before = tuple(host for host in self.hosts if host.name not in found)
        return replace(self, site_file=str(site_file), hosts=(*before, *found.values()), cleaned="")

    def going_to(self, release: str, digests: Iterable[str] = (), *, back: bool = False) -> ClusterState:
        """The state from before the first change of a way to ``release`` until it is whole.

        ``digests`` are images of both: whatever way is gone from here, none that may run is refused.
        """
        begun = self.way or Way("", self.release, release, release, back)
        way = replace(begun.towards(release, back=back), mark=begun.mark or secrets.token_hex(8))
        return replace(self, way=way, digests=tuple(sorted({*self.digests, *digests})))

    def at(self, step: str) -> ClusterState:
        """The same at that step of the way, where it is on one."""
        return replace(self, way=replace(self.way, step=step)) if self.way is not None else self

    def onward(self) -> str:
        """The two commands that end the way, in words; empty where there is none."""
        if self.way is None:
            return ""
        way = self.way
        on = "`sovereign rollback`" if way.back else f"`sovereign upgrade` with the bundle of {way.heading}"
        if way.turning == way.heading:  # an earlier version of this program noted one end alone
            return f"{on} goes on"
        turn = f"`sovereign upgrade` with the bundle of {way.turning}"
        if not way.back and way.turning == way.before:  # to what is in force, which is where it goes unnamed
            turn = "`sovereign rollback`"
        elif way.turning in self.ran:
            turn = f"`sovereign rollback {way.turning}`"
        return f"{on} goes on, and {turn} goes back to {way.turning}"

    def leaving(self, hosts: Iterable[Host]) -> tuple[KnownHost, ...]:
        """Hosts of an earlier run that the site file no longer names."""
        named = {host.name for host in hosts}
        return tuple(host for host in self.hosts if host.name not in named)

    def settled(
        self,
        hosts: Iterable[Host],
        release: str,
        digests: Iterable[str] = (),
        *,
        silent: Container[str] = (),
        state_host: str = "",
    ) -> ClusterState:
        """The state after a run that went through: hosts that left are clean, but for those that were ``silent``.

        ``state_host`` is where that run had the assistant's state; empty: there was no assistant.
        """
        named = tuple(KnownHost(h.name, h.address) for h in hosts)
        known = (*(host for host in self.leaving(hosts) if host.name in silent), *named)
        ran = (*(version for version in self.ran if version != release), release)
        settled = replace(self, hosts=known, release=release, way=None, history=ran, digests=tuple(digests))
        return replace(settled, state_host=state_host or self.state_host)

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
        release = str(value.get("release", ""))
        state_host, cleaned = (str(value.get(name, "")) for name in ("state_host", "cleaned"))
        way = _way(value, release, history)
        return ClusterState(*words, hosts, release, way, history, digests, state_host, cleaned)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeploymentError(
            f"{path} cannot be read: {error}",
            "restore it from a backup; /etc/sovereign/site.json on a host has the identity",
        ) from error


def _way(value: Mapping[str, Any], release: str, history: tuple[str, ...]) -> Way | None:
    """Earlier versions of this program noted ``changing`` alone: the release that the last run went to."""
    found = value.get("way")
    if found is not None:
        mark, before, other, heading, step = (
            str(found[name]) for name in ("mark", "before", "other", "heading", "step")
        )
        return Way(mark, before, other, heading, bool(found["back"]), step)
    changing = str(value.get("changing", ""))
    return Way("", release, changing, changing, changing in (*history, release)) if changing else None


def begin_state(site_file: Path) -> ClusterState:
    """The state of a new cluster."""
    return ClusterState(secrets.token_hex(16), str(site_file))


def write_state(path: Path, state: ClusterState) -> None:
    """Whole or as before, also after a power cut. Raises ``StoreError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.replace(path, json.dumps({"schema": 1, **asdict(state)}, indent=1).encode() + b"\n")
