"""The hosts' firewall lets through what the cluster needs, and each of it from where it comes alone."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest

from tests.unit.roles.plugins import ANSIBLE

HOSTS = {"node1": "10.1.0.1", "node2": "10.1.0.2", "node3": "10.1.0.3", "node4": "10.1.0.4"}
MEMBERS = ["node1", "node2", "node3"]


def rules(host: str, shared: str = "10.1.0.20", endpoint: str = "", **connection: Any) -> list[str]:
    """The rules of a host, a line each, without comments."""
    # StrictUndefined, and Ansible's filter `extract` as the template uses it.
    made = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False)
    made.filters["extract"] = lambda name, all_, field: all_[name][field]
    source = (ANSIBLE / "roles/firewall/templates/firewall.nft.j2").read_text()
    told: dict[str, Any] = {
        "groups": {"cluster": list(HOSTS), "control_plane": MEMBERS},
        "hostvars": {name: {"ansible_host": address} for name, address in HOSTS.items()},
        "inventory_hostname": host,
        "control_plane_virtual_address": shared,
        "control_plane_endpoint": f"{endpoint or shared or HOSTS['node1']}:6443",
        "firewall_administration": ["10.1.0.9/32"],
        "firewall_services": [],
        "firewall_destinations": [],
        "pod_subnet": "10.88.0.0/16",
        "service_subnet": "10.96.0.0/16",
        **connection,
    }
    return [line.partition("#")[0].strip() for line in made.from_string(source).render(told).splitlines()]


@pytest.mark.parametrize("host", MEMBERS)
def test_who_shares_the_address_is_heard_by_the_others_and_no_worker_is(host: str) -> None:
    told = rules(host)
    assert [line for line in told if "vrrp" in line] == [
        "ip protocol vrrp ip saddr @sharing accept",
        "ip protocol vrrp ip daddr @sharing accept",
    ]
    at = told.index("set sharing {")
    assert told[at + 2] == "elements = { 10.1.0.1, 10.1.0.2, 10.1.0.3 }"
    assert told.index("ip protocol vrrp ip saddr @sharing accept") < told.index("ip saddr @hosts jump between_hosts")


def test_nobody_else_speaks_of_a_shared_address() -> None:
    for told in (rules("node4"), rules("node1", shared="")):
        assert not [line for line in told if "vrrp" in line or "sharing" in line]
        assert "ip saddr @hosts jump between_hosts" in told


def test_a_balancer_of_the_site_s_own_reaches_the_api_and_nothing_else_and_is_reached_by_every_host() -> None:
    for host in HOSTS:
        told = rules(host, shared="", endpoint="10.1.0.30")
        said = [line for line in told if "10.1.0.30" in line]
        reached = ["tcp dport 6443 ip saddr 10.1.0.30 accept"] if host in MEMBERS else []
        assert said == [*reached, "tcp dport 6443 ip daddr 10.1.0.30 accept"]
        assert not [line for line in told if "vrrp" in line]
        if reached:
            assert told.index("chain input {") < told.index(reached[0]) < told.index("chain forward {")
        assert told.index("chain output {") < told.index(said[-1]) < told.index("jump note", told.index(said[-1]))


@pytest.mark.parametrize("endpoint", ["", "10.1.0.1"])
@pytest.mark.parametrize("shared", ["", "10.1.0.20"])
def test_an_address_that_hosts_have_is_no_balancer_s(shared: str, endpoint: str) -> None:
    for host in HOSTS:
        single = [line for line in rules(host, shared, "" if shared else endpoint) if "dport 6443 ip" in line]
        assert single == (["tcp dport 6443 ip saddr @administration accept"] if host in MEMBERS else [])


def test_braces_close_and_the_api_is_administered_at_the_control_plane_alone() -> None:
    for host in HOSTS:
        text = "\n".join(rules(host))
        assert text.count("{") == text.count("}")
        assert ("tcp dport 6443 ip saddr @administration accept" in text) == (host in MEMBERS)


def test_whoever_administers_reaches_ssh_where_the_site_file_says_that_it_listens_and_nowhere_else() -> None:
    for told, port in ((rules("node1"), 22), (rules("node4", ansible_port=2222), 2222)):
        administration = [line for line in told if "saddr @administration" in line and "dport" in line]
        assert f"tcp dport {port} ip saddr @administration accept" in administration
        assert {line.split()[2] for line in administration} <= {str(port), "6443"}
