"""How a cluster is, out of what its hosts said, and of the certificates on the administrator's disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from appliance.cluster.certificates import Certificate, advice, kept_here, of_host
from appliance.cluster.foreign import foreign_images
from appliance.cluster.observed import unlogged
from appliance.cluster.reading import FAILED, of_cluster
from appliance.install.backup.last import last_backup, warnings_of
from appliance.install.backup.mark import restoring_from
from appliance.install.status_warnings import LOW_DISK_BYTES, SOON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from appliance.cluster.computing import Computing
    from appliance.cluster.standing import Standing
    from appliance.site.paths import SitePaths

Readings = dict[str, "Mapping[str, Any]"]


@dataclass(frozen=True)
class HostStatus:
    """One host. ``why`` says what is wrong with it, empty if nothing is; ``disk_free`` in bytes.

    ``unlogged`` is how many bytes of what its API server noted are not in the audit log yet; None where nobody says it.
    """

    name: str
    address: str
    role: str
    ready: bool
    why: str
    version: str
    disk_free: int | None
    unlogged: int | None


@dataclass(frozen=True)
class WorkloadStatus:
    """A Deployment, StatefulSet or DaemonSet, and the nodes that its pods are on."""

    namespace: str
    kind: str
    name: str
    ready: int
    wanted: int
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Waiting:
    """Something that is not there yet, or no more, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class ClusterStatus:
    """A cluster now. ``warnings`` are things to act on that stop nothing; ``engines`` say with what they compute."""

    site: str
    url: str | None
    endpoint: str
    release: str
    hosts: tuple[HostStatus, ...]
    workloads: tuple[WorkloadStatus, ...]
    waiting: tuple[Waiting, ...]
    certificates: tuple[Certificate, ...]
    warnings: tuple[str, ...]
    engines: tuple[Computing, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every host and every workload is ready, and no certificate has ended."""
        whole = all(host.ready for host in self.hosts) and not self.waiting
        return whole and all(found.days >= 0 for found in self.certificates)

    def data(self) -> dict[str, object]:
        """The status as JSON data."""
        return {"ok": self.ok, **asdict(self)}


def cluster_status(paths: SitePaths, known: Standing, readings: Readings, now: datetime | None = None) -> ClusterStatus:
    """The status at ``now`` (UTC; default: this machine's clock) out of ``readings`` of all hosts."""
    now = now or datetime.now(UTC)
    told = of_cluster(known, readings)
    hosts = tuple(_hosts(known, readings, {n["name"]: n for n in told["nodes"]} if told else {}))
    found = (*kept_here(paths, now), *(c for host, reading in readings.items() for c in of_host(host, reading, now)))
    described = known.described
    return ClusterStatus(
        site=described.name,
        url=described.pods.gateway_url if described.assistant is not None else None,
        endpoint=described.cluster.api_endpoint,
        release=known.state.release,
        hosts=hosts,
        workloads=tuple(_workloads(told)) if told else (),
        waiting=(*_on_its_way(known, readings), *_waiting(known, told)),
        certificates=found,
        warnings=(
            *_warnings(known, hosts, found),
            *foreign_images(known, told),
            *unlogged(readings),
            *_backups(paths, known, now),
        ),
    )


def _hosts(known: Standing, readings: Readings, nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[HostStatus]:
    for host in known.described.cluster.hosts:
        reading = readings.get(host.name, {FAILED: "it was not asked"})
        node = nodes.get(host.name)
        why = "; ".join(_wrong(reading, node, asked=bool(nodes)))
        version = node["version"] if node else ""
        waits = (reading.get("observed") or {}).get("behind")
        yield HostStatus(host.name, host.address, host.role, not why, why, version, reading.get("disk_free"), waits)


def _wrong(reading: Mapping[str, Any], node: Mapping[str, Any] | None, *, asked: bool) -> Iterator[str]:
    if FAILED in reading:
        yield f"no answer: {reading[FAILED]}"
    for unit, state in reading.get("units", {}).items():
        if state != "active":
            yield f"{unit} is {state or 'not there'}"
    if node is None:
        yield "it is not in the cluster" if asked else "no API server answers"
        return
    if not node["ready"]:
        yield "the cluster has not heard of it"
    if not node["schedulable"]:
        yield "it takes no new pods"
    yield from node["pressure"]


def _workloads(told: Mapping[str, Any]) -> Iterator[WorkloadStatus]:
    for found in told["workloads"]:
        place = (found["namespace"], found["kind"], found["name"])
        on = sorted({pod["node"] for pod in told["pods"] if _belongs(pod, found) and pod["node"]})
        yield WorkloadStatus(*place, found["ready"], found["wanted"], tuple(on))


def _belongs(pod: Mapping[str, Any], workload: Mapping[str, Any]) -> bool:
    """A Deployment's pods are its ReplicaSets', whose names are its own and a hash."""
    owner = pod["owner"].rpartition("-")[0] if workload["kind"] == "Deployment" else pod["owner"]
    return (pod["namespace"], owner) == (workload["namespace"], workload["name"])


def _on_its_way(known: Standing, readings: Readings) -> Iterator[Waiting]:
    """A way to another release that is not whole, and where each host is that bears its mark."""
    if (way := known.state.way) is not None:
        from_ = f" from release {way.turning} to" if way.turning != way.heading else " to release"
        yield Waiting(
            f"the {'rollback' if way.back else 'way'}{from_} {way.heading}",
            f"not whole; it was at: {way.step}; {known.state.onward()}",
        )
    for host, reading in readings.items():
        if found := reading.get("changing"):
            yield Waiting(f"{host} on its way to Kubernetes {found['to']}", f"it was at: {found['step']}")


def _waiting(known: Standing, told: Mapping[str, Any] | None) -> Iterator[Waiting]:
    if not known.state.release:
        yield Waiting("the installation", "none went through yet; run it again")
    if told is None:
        yield Waiting("the cluster", f"no API server answers at {known.described.cluster.api_endpoint}")
        return
    for pod in told["pods"]:
        if not pod["ready"]:
            yield Waiting(f"{pod['namespace']}/{pod['name']}", pod["reason"])
    for found in told["workloads"]:
        if found["ready"] < found["wanted"]:
            counted = f"{found['ready']} of {found['wanted']} ready"
            yield Waiting(f"{found['namespace']}/{found['name']} ({found['kind'].lower()})", counted)
    for claim in told["unbound"]:
        yield Waiting(f"{claim['namespace']}/{claim['name']} (storage)", "not bound")


def _backups(paths: SitePaths, known: Standing, now: datetime) -> tuple[str, ...]:
    """Of a site that is restored in part that is what is to be acted on; of one without an assistant nothing is."""
    if restoring_from(paths) is not None:
        return ("the site is restored in part: run `sovereign restore` again, it goes on",)
    if known.described.assistant is None or not known.state.release:
        return ()
    return warnings_of(last_backup(paths), now)


def _warnings(known: Standing, hosts: tuple[HostStatus, ...], found: tuple[Certificate, ...]) -> Iterator[str]:
    for certificate in found:
        if certificate.days < SOON.days:
            ends = "ended" if certificate.days < 0 else f"ends in {certificate.days} days"
            state = ends if certificate.expires else "cannot be read"
            yield f"certificate {certificate.name} of {certificate.where} {state}; {advice(certificate)}"
    for host in hosts:
        if host.disk_free is not None and host.disk_free < LOW_DISK_BYTES:
            yield f"{host.name} has {host.disk_free / 2**30:.1f} GiB of disk left: the kubelet will remove pods"
    for left in known.state.leaving(known.described.cluster.hosts):
        yield f"{left.name} is no longer in the site file and was not cleaned yet; `sovereign install` does it"
