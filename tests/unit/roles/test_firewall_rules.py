"""The hosts' firewall lets through what the cluster needs, and each of it from where it comes alone."""

from __future__ import annotations

from typing import Any

import jinja2
import pytest

from tests.unit.roles.plugins import ANSIBLE

HOSTS = {"node1": "10.1.0.1", "node2": "10.1.0.2", "node3": "10.1.0.3", "node4": "10.1.0.4"}
MEMBERS = ["node1", "node2", "node3"]


def rules(host: str, shared: str = "10.1.0.20") -> list[str]:
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
        "firewall_administration": ["10.1.0.9/32"],
        "firewall_services": [],
        "firewall_destinations": [],
        "pod_subnet": "10.88.0.0/16",
        "service_subnet": "10.96.0.0/16",
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


def test_braces_close_and_the_api_is_administered_at_the_control_plane_alone() -> None:
    for host in HOSTS:
        text = "\n".join(rules(host))
        assert text.count("{") == text.count("}")
        assert ("tcp dport 6443 ip saddr @administration accept" in text) == (host in MEMBERS)
