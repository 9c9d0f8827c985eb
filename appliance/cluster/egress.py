"""What tried to leave a cluster, or to reach what it may not: hosts' firewalls and network policies in one list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from appliance.cluster.reading import FAILED, of_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from appliance.cluster.standing import Standing
    from appliance.cluster.status import Readings

By = Literal["firewall", "policy"]
_NOTED = ("refused_out", "refused_through")
"""Counters whose packets are noted in rows as well."""


@dataclass(frozen=True)
class Attempt:
    """Packets of one kind that were refused. ``source`` is `namespace/pod`, a host's name, or another address.

    ``by`` says who refused; ``last_seen`` is ISO 8601, UTC, by the host's clock.
    """

    host: str
    source: str
    destination: str
    protocol: str
    port: int
    count: int
    last_seen: str
    by: By


@dataclass(frozen=True)
class _Names:
    """Who has which address: hosts, and pods with the time since when."""

    hosts: Mapping[str, str]
    pods: Mapping[str, tuple[str, str]]

    def of(self, address: str, seen: str) -> str:
        """A pod is named only if it was there at ``seen``: before, another one may have had its address."""
        name, since = self.pods.get(address, ("", ""))
        return name if name and since and since[:19] <= seen[:19] else self.hosts.get(address, address)


def attempts(readings: Readings, known: Standing) -> tuple[Attempt, ...]:
    """Everything that the hosts tell, the latest first."""
    names = _Names({host.address: host.name for host in known.state.hosts}, _pods(readings, known))
    found = [each for host, reading in readings.items() for each in _of(host, reading, names)]
    return tuple(sorted(found, key=lambda each: (each.last_seen, each.source, each.destination), reverse=True))


def _of(host: str, reading: Mapping[str, Any], names: _Names) -> Iterator[Attempt]:
    for row in (reading.get("firewall") or {}).get("tried", ()):
        seen = datetime.fromtimestamp(row["last_seen"], UTC).isoformat(timespec="seconds")
        ends = (names.of(row["source"], seen), row["destination"])
        yield Attempt(host, *ends, row["protocol"], row["port"], row["count"], seen, "firewall")
    for row in reading.get("denied") or ():
        seen = f"{row['last_seen'][:19]}+00:00"
        ends = (names.of(row["source"], seen), names.of(row["destination"], seen))
        yield Attempt(host, *ends, row["protocol"], row["port"], row["count"], seen, "policy")


def _pods(readings: Readings, known: Standing) -> dict[str, tuple[str, str]]:
    """Pods by address; those that share their host's are not told apart from it, and those that ended have none."""
    told = of_cluster(known, readings)
    pods = [pod for pod in (told["pods"] if told else ()) if pod["own_network"] and not pod["ended"]]
    return {pod["address"]: (f"{pod['namespace']}/{pod['name']}", pod["started"]) for pod in pods if pod["address"]}


def counters(readings: Readings) -> dict[str, dict[str, int]]:
    """Packets that each host's firewall refused, by direction."""
    return {host: reading["firewall"]["counters"] for host, reading in readings.items() if reading.get("firewall")}


def silent(readings: Readings, known: Standing) -> dict[str, str]:
    """Hosts of which it is not known whether anything tried to leave, and why."""
    return {host.name: why for host in known.state.hosts if (why := _silence(readings.get(host.name)))}


def _silence(reading: Mapping[str, Any] | None) -> str:
    if reading is None:
        return "it was not asked, or did not answer in time"
    if FAILED in reading:
        return str(reading[FAILED])
    missing = []
    if reading.get("firewall") is None:
        missing.append("its firewall's table is not there")
    if reading.get("denied") is None:
        missing.append("the network's agent does not run there, which writes denied flows")
    return "; ".join(missing)


def incomplete(readings: Readings) -> Iterator[str]:
    """Where hosts refused more than they can tell of, a line each."""
    for host, reading in readings.items():
        firewall = reading.get("firewall") or {"counters": {}, "tried": (), "room": 1}
        listed = sum(row["count"] for row in firewall["tried"])
        more = sum(firewall["counters"].get(name, 0) for name in _NOTED) - listed
        if len(firewall["tried"]) >= firewall["room"]:
            yield f"{host}: the firewall's list is full at {firewall['room']} rows; further sources are only counted"
        if more > 0:
            yield f"{host}: {more} more packets were refused than are listed: rows last 7 days, and are of TCP and UDP"
        if reading.get("denied_rotated"):
            yield f"{host}: denied flows filled their file; the earliest may be gone"
