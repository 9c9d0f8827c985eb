"""Hosts are prepared once, let in and out only what was declared, and say what tried to leave."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from appliance.cluster.events import TaskStarted
from appliance.errors import DeploymentError
from tests.e2e.two_hosts.clusters import LabSite, empty_parts
from tests.e2e.two_hosts.hosts import NODES, assert_same, attempt, contents, tried

pytestmark = pytest.mark.cluster
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab
    from lab.machine import Running

HOST_ROLES = ("standing", "host_baseline", "admin_access", "firewall")
SERVE = "import socket,sys; s=socket.create_server(('', int(sys.argv[1])))\nwhile True: s.accept()"


@pytest.fixture(scope="module")
def prepared(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSite]:
    """Both hosts after a first run; afterwards they are as they were before it."""
    folder = tmp_path_factory.mktemp("site")
    site = LabSite(lab, folder, empty_parts(folder), "6c1e-roles")
    before = contents(lab)
    assert min(site.run("hosts.yml").values()) > 5
    yield site
    assert site.run("removal.yml") == {"node1": 1, "node2": 1}
    assert_same(contents(lab), before)
    assert site.run("removal.yml") == {"node1": 0, "node2": 0}


def listening(host: Running, port: int) -> None:
    host.run(["systemctl", "stop", f"probe{port}"], check=False)
    host.run(["systemd-run", "--quiet", "--collect", "--unit", f"probe{port}", "python3", "-c", SERVE, str(port)])
    waiting = f"until ss -Hltn sport = :{port} | grep -q .; do sleep 0.1; done"
    host.run(["sh", "-c", waiting], seconds=60)


def test_a_second_run_changes_nothing(prepared: LabSite) -> None:
    assert prepared.run("hosts.yml") == {"node1": 0, "node2": 0}


def test_every_task_is_told_with_its_role(prepared: LabSite) -> None:
    prepared.run("hosts.yml")
    roles = [event.role for event in prepared.events if isinstance(event, TaskStarted)]
    assert list(dict.fromkeys(roles)) == ["", "validate_inputs", *HOST_ROLES]


def test_a_host_carries_the_site_s_mark_and_the_others_names(prepared: LabSite) -> None:
    for name in NODES:
        host = prepared.lab.host(name)
        assert json.loads(host.run(["cat", "/etc/sovereign/site.json"]).stdout)["id"] == prepared.identity
        assert host.run(["getent", "hosts", "node1"]).stdout.split()[0] in {"10.77.0.11", "127.0.1.1"}
        assert host.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout.strip() == "1"


def test_administration_is_by_key_only(prepared: LabSite) -> None:
    settings = prepared.lab.host("node1").run(["sshd", "-T"]).stdout.splitlines()
    assert {"passwordauthentication no", "kbdinteractiveauthentication no", "permitrootlogin without-password"} <= set(
        settings
    )


def test_hosts_reach_the_cluster_s_ports_of_each_other_and_no_other(prepared: LabSite) -> None:
    first, second = (prepared.lab.host(name) for name in NODES)
    for port in (10250, 8080):
        listening(second, port)
    assert attempt(first, "tcp", "10.77.0.12", 10250) == "through"
    assert attempt(first, "tcp", "10.77.0.12", 8080) != "through"
    assert attempt(first, "tcp", "10.77.0.12", 22) != "through"
    assert attempt(second, "tcp", "127.0.0.1", 8080) == "through"


@pytest.mark.parametrize(("kind", "port"), [("tcp", 443), ("udp", 53)])
def test_what_tries_to_leave_is_stopped_counted_and_named(prepared: LabSite, kind: str, port: int) -> None:
    host = prepared.lab.host("node1")
    assert ("198.51.100.7", kind, port) not in tried(host)
    assert attempt(host, kind, "198.51.100.7", port) != "through"
    assert ("198.51.100.7", kind, port) in tried(host)
    counted = json.loads(host.run(["nft", "-j", "list", "counter", "inet", "sovereign", "refused_out"]).stdout)
    assert next(part["counter"]["packets"] for part in counted["nftables"] if "counter" in part) > 0


def test_what_the_site_declares_may_pass_and_only_for_whom_it_says(prepared: LabSite) -> None:
    services = [{"port": 8443, "sources": ["10.77.0.12/32"]}]
    destinations = [{"port": 123, "protocol": "udp", "addresses": ["10.77.0.1/32"]}]
    first, second = (prepared.lab.host(name) for name in NODES)
    listening(first, 8443)
    assert attempt(second, "udp", "10.77.0.1", 123) != "through"
    prepared.run("hosts.yml", services=services, destinations=destinations)
    assert attempt(second, "udp", "10.77.0.1", 123) == "through"
    assert attempt(second, "udp", "10.77.0.1", 124) != "through"
    prepared.run("hosts.yml")
    assert attempt(second, "udp", "10.77.0.1", 123) != "through"


def test_the_firewall_is_there_after_a_power_cut_before_anything_listens(prepared: LabSite) -> None:
    prepared.lab.cut_power("node2")
    host = prepared.lab.start("node2")
    assert attempt(host, "tcp", "198.51.100.8", 443) != "through"
    assert ("198.51.100.8", "tcp", 443) in tried(host)
    order = host.run(["systemctl", "show", "sovereign-firewall.service", "--property=Before"]).stdout
    assert "network-pre.target" in order
    assert prepared.run("hosts.yml") == {"node1": 0, "node2": 0}


def test_a_failure_names_host_role_task_cause_and_next_step(prepared: LabSite) -> None:
    broken = [{"port": 8443, "sources": ["10.77.0.300/32"]}]
    rules = prepared.lab.host("node1").run(["nft", "list", "ruleset"]).stdout
    with pytest.raises(DeploymentError) as caught:
        prepared.run("hosts.yml", services=broken)
    assert re.match(r"node[12]: firewall: rules: .*10\.77\.0\.300.* \(and 1 more\)$", caught.value.cause)
    assert caught.value.hint is not None
    assert caught.value.exit_code == 5
    assert prepared.lab.host("node1").run(["nft", "list", "ruleset"]).stdout == rules
