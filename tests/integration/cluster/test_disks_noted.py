"""The preflight, as Ansible runs it, notes a host whose audit log and etcd share a disk, and looks at no other one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from appliance.cluster.events import Note
from appliance.cluster.inventory import Site, inventory
from appliance.cluster.playbook import HostsRefusedError, run
from appliance.site.cluster import Cluster
from tests.e2e.two_hosts.clusters import empty_parts

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.cluster.events import Event


@pytest.mark.parametrize(("host", "noted"), [("node1", True), ("node2", False), ("", False)])
def test_the_host_of_the_log_is_noted_where_it_has_etcd_too(tmp_path: Path, host: str, *, noted: bool) -> None:
    """This machine stands for both hosts, and lacks what the refusal is for: notes are told all the same."""
    site = {
        "hosts": [
            {"name": "node1", "address": "192.0.2.1", "role": "control-plane"},
            {"name": "node2", "address": "192.0.2.2"},
        ],
        "ssh": {"key": "key", "known_hosts": "known"},
        "administration": ["192.0.2.9/32"],
    }
    told = inventory(
        Site("a-site", "1b2c", tmp_path),
        Cluster.model_validate_json(json.dumps(site)),
        empty_parts(tmp_path),
        settings={"ansible_connection": "local", "preflight_memory_mib": 1 << 30, "preflight_log_host": host},
    )
    seen: list[Event] = []
    with pytest.raises(HostsRefusedError) as caught:
        run("preflight.yml", told, seen.append)
    notes = [event for event in seen if isinstance(event, Note)]
    assert [(note.host, note.check) for note in notes] == ([("node1", "disks")] if noted else [])
    assert all("the audit log and etcd are on one file system: " in note.found for note in notes)
    assert not any(finding.check == "disks" for finding in caught.value.findings)
