"""Filters that judge what the preflight's probe read: pure functions from readings to findings."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Finding = dict[str, str]
Readings = dict[str, dict[str, Any]]
GIB = 1 << 30
_MINIMAL_PYTHON = [3, 9]
_REFUSALS = (
    ("HOST IDENTIFICATION HAS CHANGED", "its host key has changed", "compare the key at the host's own console"),
    ("Host key verification failed", "its host key is not the one noted", "compare the key at the host's own console"),
    ("Permission denied", "it refuses the administrator's key", "add the public key to the host's authorized_keys"),
)


class FilterModule:
    """Registers the filters with Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name of each filter and its function."""
        return {"preflight_findings": findings, "preflight_table": table}


def findings(probes: Mapping[str, Mapping[str, Any]], rules: Mapping[str, Any]) -> list[Finding]:
    """Every finding of every host, hosts in the inventory's order.

    ``probes``: per host what the task that ran the probe registered, ``address`` and ``node_name``. ``rules``: see the
    role's argument specification.
    """
    found: list[Finding] = []
    readings: Readings = {}
    for host, probe in probes.items():
        may_leave = rules["stands"] and host != rules["state_host"] and len(probes) > 1
        reading, trouble = _reading(host, probe, may_leave=may_leave)
        found += trouble
        if reading is not None:
            readings[host] = reading
            found += [*_of_itself(host, reading, rules), *_of_its_past(host, reading, rules)]
    found += [*_of_names(probes, readings), *_of_networks(readings, rules), *_of_control_plane(probes, readings, rules)]
    found += [*_of_seats(readings, rules), *_of_what_stands(readings, rules)]
    order = list(probes)
    return sorted(found, key=lambda f: order.index(f["host"]) if f["host"] in order else len(order))


def table(found: list[Finding]) -> str:
    """The findings as text, a line each."""
    widths = [max(len(f[column]) for f in found) for column in ("host", "check")]
    lines = [f"{f['host']:{widths[0]}}  {f['check']:{widths[1]}}  {f['found']}; hint: {f['hint']}" for f in found]
    return "\n".join([f"{len(found)} finding{'s' if len(found) != 1 else ''}; nothing was changed", *lines])


def _finding(host: str, check: str, found: str, hint: str) -> Finding:
    return {"host": host, "check": check, "found": found, "hint": hint}


def _reading(host: str, probe: Mapping[str, Any], *, may_leave: bool) -> tuple[dict[str, Any] | None, list[Finding]]:
    """What the probe printed, or the finding that says why it could not; ``may_leave``: the cluster goes on without."""
    if probe.get("unreachable"):
        said = str(probe.get("msg", ""))
        for sign, what, hint in _REFUSALS:
            if sign in said:
                return None, [_finding(host, "access", what, hint)]
        last = said.strip().splitlines()[-1] if said.strip() else "no answer"
        hint = "check that it is on, its address, and that sshd answers"
        hint += "; one that stays away leaves by the site file, and comes back by it" if may_leave else ""
        return None, [_finding(host, "reachable", last, hint)]
    try:
        return dict(json.loads(probe["stdout"])), []
    except (KeyError, ValueError):
        said = str(probe.get("stderr") or probe.get("module_stderr") or probe.get("msg") or "no output").strip()
        return None, [_finding(host, "python", said.splitlines()[-1], "install the distribution's python3")]


def _of_itself(host: str, seen: Mapping[str, Any], rules: Mapping[str, Any]) -> Iterator[Finding]:
    """What a host lacks on its own."""
    skew = float(seen["skew_seconds"])
    folder, free = min(seen["free_bytes"].items(), key=lambda item: item[1])
    ours = _is_ours(seen, rules)
    needed = int(rules["spare_bytes"]) + _lacking(seen, rules["images"]) if ours else int(rules["disk_bytes"])
    needed += int(rules["more_bytes"])
    checks = (
        (
            abs(skew) > float(rules["clock_seconds"]),
            "clock",
            f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine",
            "set its clock; certificates depend on it",
        ),
        (seen["swap"], "swap", f"on: {', '.join(seen['swap'])}", "swapoff -a, and take it out of /etc/fstab"),
        (
            free < needed,
            "disk",
            f"{free / GIB:.1f} GiB free at {folder}, {needed / GIB:.1f} needed",
            "make room or mount a larger disk there",
        ),
        (
            seen["memory_mib"] < int(rules["memory_mib"]),
            "memory",
            f"{seen['memory_mib']} of {rules['memory_mib']} MiB",
            "give it more memory",
        ),
        (seen["cores"] < int(rules["cores"]), "cores", f"{seen['cores']} of {rules['cores']}", "give it more cores"),
        (
            seen["cgroup_version"] not in [int(v) for v in rules["cgroup_versions"]],
            "cgroups",
            f"version {seen['cgroup_version']}",
            "boot it with the unified hierarchy",
        ),
        (
            seen["missing_commands"],
            "programs",
            f"missing: {', '.join(seen['missing_commands'])}",
            "install the distribution's packages for them",
        ),
        (not seen["systemd"], "systemd", "it is not what runs this host", "use a distribution with systemd"),
        (
            seen["uid"] != 0,
            "root",
            "the administrator does not become root",
            "let the account use sudo, or name root",
        ),
        (
            seen["python"] < _MINIMAL_PYTHON,
            "python",
            f"version {'.'.join(str(n) for n in seen['python'])}",
            "3.9 or newer is needed",
        ),
        (
            not seen["service_route"],
            "route",
            f"no route covers the service network {rules['service_subnet']}",
            "give it a default route, even one that leads nowhere",
        ),
    )
    for applies, check, what, hint in checks:
        if applies:
            yield _finding(host, check, what, hint)


def _lacking(seen: Mapping[str, Any], images: Iterable[Mapping[str, Any]]) -> int:
    """What the release's images take on a host that may have some: as they are sent, and once more as imported."""
    sent, imported = set(seen["blobs"]), set(seen["images"])
    sizes: dict[str, int] = {}
    unpacked: set[str] = set()
    for image in images:
        sizes |= image["blobs"]
        unpacked |= set(image["blobs"]) if image["digest"] in imported else set()
    return sum(size * ((name not in sent) + (name not in unpacked)) for name, size in sizes.items())


def _is_ours(seen: Mapping[str, Any], rules: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads(seen["site"])["id"] == rules["site_id"])
    except (ValueError, KeyError, TypeError):
        return False


def _of_its_past(host: str, seen: Mapping[str, Any], rules: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether the host belongs to someone else or to another release, or something listens where the cluster will."""
    if _is_ours(seen, rules):
        if seen["kubernetes"] not in {"", rules["kubernetes_version"], *rules["kubernetes_met"]}:
            what = f"it runs {seen['kubernetes']}, the release has {rules['kubernetes_version']}"
            yield _finding(host, "kubernetes", what, "`sovereign upgrade` takes a cluster to another Kubernetes")
        return
    if seen["site"] or seen["cluster_traces"]:
        trace = "/etc/sovereign/site.json" if seen["site"] else seen["cluster_traces"][0]
        yield _finding(
            host, "cluster", f"already in another one ({trace})", "remove it there first, and clean the host"
        )
        return
    if seen["taken_ports"]:
        ports = ", ".join(str(port) for port in seen["taken_ports"])
        yield _finding(host, "ports", f"taken: {ports}", "stop what listens there")


def _of_names(probes: Mapping[str, Mapping[str, Any]], readings: Readings) -> Iterator[Finding]:
    """Names, addresses and machine ids that more than one host has."""
    kinds = {
        "address": ({host: str(probe.get("address")) for host, probe in probes.items()}, "give each host its own"),
        "name": ({host: str(probe.get("node_name")) for host, probe in probes.items()}, "give each host its own"),
        "hostname": ({host: r["hostname"] for host, r in readings.items()}, "give each host a name of its own"),
        "machine id": ({h: r["machine_id"] for h, r in readings.items()}, "make a new /etc/machine-id on the copy"),
    }
    for check, (values, hint) in kinds.items():
        first: dict[str, str] = {}
        for host, value in values.items():
            if value in first:
                yield _finding(host, check, f"{value} is also that of {first[value]}", hint)
            first.setdefault(value, host)


def _of_control_plane(
    probes: Mapping[str, Mapping[str, Any]], readings: Readings, rules: Mapping[str, Any]
) -> Iterator[Finding]:
    """What the hosts that begin, enter or share the control plane lack for its address, and an endpoint that moved."""
    shared, members = str(rules["shared_address"]), [host for host in rules["members"] if host in readings]
    for host, probe in probes.items():
        if shared and probe.get("address") == shared:
            yield _finding(host, "shared address", f"{shared} is the host's own", "choose one that no host has")
    for host in members:
        seen = readings[host]["shares"]
        if seen["endpoint"] not in {"", rules["endpoint"]} and _is_ours(readings[host], rules):
            what = f"the cluster answers at {seen['endpoint']}, the site file has {rules['endpoint']}"
            yield _finding(host, "endpoint", what, "put the old one back: a cluster keeps its endpoint for life")
        if not shared:
            continue
        if rules["interface"] not in seen["interfaces"]:
            what = f"no interface {rules['interface']} for {shared}"
            yield _finding(host, "shared address", what, f"it has {', '.join(seen['interfaces'])}")
        if not seen["keepalived"]:
            yield _finding(host, "programs", "missing: keepalived", "install the distribution's package of that name")
        if seen["keepalived_of_others"]:
            what = "its keepalived has settings that are not the appliance's"
            yield _finding(host, "keepalived", what, "take hosts that share no other address, or give an `endpoint`")
        own = [ipaddress.ip_interface(given).network for given in readings[host]["networks"]]
        if not any(ipaddress.ip_address(shared) in network for network in own):
            yield _finding(host, "shared address", f"{shared} is in none of its networks", "choose one of its network")


def _of_seats(readings: Readings, rules: Mapping[str, Any]) -> Iterator[Finding]:
    """Hosts whose role the site file changes: none takes another one while it is in a cluster that stands.

    Where none does, as in a restore, a worker that is left of the former one may begin the control plane.
    """
    for host, seen in readings.items():
        wanted = "control-plane" if host in rules["members"] else "worker"
        may = {"", wanted} if rules["stands"] else {"", wanted, "worker"}
        if _is_ours(seen, rules) and seen["seat"] not in may:
            what = f"it is in the cluster as {seen['seat']}, the site file has it as {wanted}"
            yield _finding(host, "role", what, "take it out of the site file, install, and name it again afterwards")


def _of_what_stands(readings: Readings, rules: Mapping[str, Any]) -> Iterator[Finding]:
    """What an installation that went through left, and is not there: a run would begin it anew, and empty."""
    if not rules["stands"]:
        return
    members = [host for host in rules["members"] if host in readings]
    seats = [readings[host]["seat"] for host in members if _is_ours(readings[host], rules)]
    if members == list(rules["members"]) and "control-plane" not in seats:  # one that does not answer may be it
        what = "none of the control plane's hosts is in the cluster that was installed"
        hint = "name one that is, and move them one after the other; where all are lost, `sovereign restore`"
        yield _finding(members[0], "control plane", what, hint)
    host = rules["state_host"]
    if host in readings and not readings[host]["state"]:
        what = "the site's database and log are not there"
        yield _finding(host, "state", what, "put its disk back, or `sovereign restore` them from a backup")


def _of_networks(readings: Readings, rules: Mapping[str, Any]) -> Iterator[Finding]:
    """Networks of pods and services that meet each other, or one that a host is in."""
    pods, services = (ipaddress.ip_network(str(rules[key])) for key in ("pod_subnet", "service_subnet"))
    if pods.overlaps(services):
        what = f"pods {pods} and services {services} overlap"
        yield _finding("all", "networks", what, "choose networks that do not meet")
    for host, seen in readings.items():
        for given in seen["networks"]:
            own = ipaddress.ip_interface(given).network
            for kind, network in (("pods", pods), ("services", services)):
                if own.overlaps(network):
                    what = f"{kind} {network} overlaps the host's own {own}"
                    yield _finding(host, "networks", what, "choose networks that no host is in")
