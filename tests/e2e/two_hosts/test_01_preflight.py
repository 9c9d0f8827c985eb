"""Bad hosts are refused before the first change, all of them at once, and stay as they were."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from appliance.cluster.events import Finding
from appliance.cluster.playbook import HostsRefusedError, table
from lab.switch import BRIDGE
from tests.e2e.two_hosts.clusters import LabSite, empty_parts

pytestmark = pytest.mark.cluster
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.lab import Lab

VOLATILE = (
    "-path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log -o -path /var/lib/systemd"
)


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Iterator[LabSite]:
    yield LabSite(lab, tmp_path, empty_parts(tmp_path))
    for name in ("node1", "node2"):
        lab.host(name).run(
            ["sh", "-c", "umount /proc/swaps /var/lib/containerd; rm -rf /var/lib/containerd /etc/kubernetes"],
            check=False,
        )


def files(lab: Lab) -> dict[str, str]:
    """Every file of both hosts with its size and time, and the rules that their kernels hold."""
    shown = rf"find / \( {VOLATILE} \) -prune -o -printf '%p %s %T@ %m\n'; nft list ruleset; ip route; ip -4 -o address"
    return {name: lab.host(name).run(["sh", "-c", shown]).stdout for name in ("node1", "node2")}


def refused(site: LabSite, **fields: object) -> list[tuple[str, str]]:
    with pytest.raises(HostsRefusedError) as caught:
        site.run("preflight.yml", **fields)  # type: ignore[arg-type]
    assert caught.value.exit_code == 4
    return [(finding.host, finding.check) for finding in caught.value.findings]


def test_good_hosts_pass_and_nothing_is_changed(site: LabSite) -> None:
    before = files(site.lab)
    assert sum(site.run("preflight.yml").values()) == 0
    assert not [event for event in site.events if isinstance(event, Finding)]
    assert files(site.lab) == before


def test_all_findings_of_all_hosts_are_in_one_table_and_nothing_is_changed(site: LabSite) -> None:
    first, second = (site.lab.host(name) for name in ("node1", "node2"))
    swaps = "Filename\tType\tSize\tUsed\tPriority\n/swapfile\tfile\t1048572\t0\t-2\n"
    first.run(["sh", "-c", "cat > /run/swaps; mount --bind /run/swaps /proc/swaps"], stdin=swaps)
    first.run(["sh", "-c", "mkdir -p /var/lib/containerd; mount -t tmpfs -o size=64m full /var/lib/containerd"])
    second.run(["sh", "-c", "mkdir -p /etc/kubernetes; echo theirs > /etc/kubernetes/kubelet.conf"])
    before = files(site.lab)
    hosts = [
        {"name": "node1", "address": "10.77.0.11", "role": "control-plane"},
        {"name": "node2", "address": "10.77.0.12"},
        {"name": "node2", "address": "10.77.0.99"},
    ]
    with pytest.raises(HostsRefusedError) as caught:
        site.run("hosts.yml", hosts=hosts, pod_subnet="10.77.0.0/16", service_subnet="10.77.128.0/17")
    found = {(f.host, f.check) for f in caught.value.findings}
    assert found == {
        ("all", "networks"),
        ("node1", "disk"),
        ("node1", "networks"),
        ("node1", "swap"),
        ("node2", "cluster"),
        ("node2", "networks"),
        ("node2#2", "name"),
        ("node2#2", "reachable"),
    }
    assert len(table(caught.value.findings).splitlines()) == len(caught.value.findings) + 1
    assert files(site.lab) == before


def test_a_host_that_is_off_is_found(site: LabSite) -> None:
    known = site.folder / "known_hosts"
    shutil.copy(site.lab.access.known_hosts, known)
    with known.open("a") as more:
        more.write("10.77.0.98 " + site.lab.access.known_hosts.read_text().split(" ", 1)[1])
    hosts = [
        {"name": "node1", "address": "10.77.0.11", "role": "control-plane"},
        {"name": "off", "address": "10.77.0.98"},
    ]
    ssh = {"key": str(site.lab.access.key), "known_hosts": str(known)}
    assert refused(site, hosts=hosts, ssh=ssh) == [("off", "reachable")]


def test_a_host_with_another_key_is_refused(site: LabSite) -> None:
    lines = site.lab.access.known_hosts.read_text().splitlines()
    (own, _), (_, other) = (line.split(" ", 1) for line in lines)
    (site.folder / "known_hosts").write_text(f"{own} {other}\n{lines[1]}\n")
    ssh = {"key": str(site.lab.access.key), "known_hosts": str(site.folder / "known_hosts")}
    assert refused(site, ssh=ssh) == [("node1", "access")]


def test_a_wrong_administrator_s_key_is_found_on_every_host(site: LabSite) -> None:
    stranger = site.folder / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    ssh = {"key": str(stranger), "known_hosts": str(site.lab.access.known_hosts)}
    assert refused(site, ssh=ssh) == [("node1", "access"), ("node2", "access")]


def test_clocks_that_disagree_are_found(site: LabSite) -> None:
    ahead = "{{ now(utc=true, fmt='%s') | int + 3600 }}"
    found = refused(site, settings={"preflight_now": ahead})
    assert found == [("node1", "clock"), ("node2", "clock")]


def test_a_host_of_another_site_is_refused(site: LabSite) -> None:
    mark = json.dumps({"id": "someone-else", "name": "theirs"})
    site.lab.host("node2").run(["sh", "-c", "mkdir -p /etc/sovereign; cat > /etc/sovereign/site.json"], stdin=mark)
    try:
        assert refused(site) == [("node2", "cluster")]
    finally:
        site.lab.host("node2").run(["rm", "-r", "/etc/sovereign"])


def test_an_address_to_be_shared_that_a_stranger_has_is_found_and_a_free_one_is_not(site: LabSite) -> None:
    """The stranger is on the administrator's side of the bridge."""
    shared = {"address": "10.77.0.20", "interface": "host0"}
    assert sum(site.run("preflight.yml", shared_address=shared).values()) == 0
    taken = ["ip", "address", "add", "10.77.0.20/32", "dev", BRIDGE]
    before = files(site.lab)
    subprocess.run(site.lab.from_outside(taken), check=True)
    try:
        assert refused(site, shared_address=shared) == [("all", "shared address")]
    finally:
        subprocess.run(site.lab.from_outside(["ip", "address", "del", "10.77.0.20/32", "dev", BRIDGE]), check=True)
    assert files(site.lab) == before
