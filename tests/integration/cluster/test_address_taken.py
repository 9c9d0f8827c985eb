"""A host's look hears who has an address already, on a real link, and leaves no trace of having asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cluster.inventory import Site, inventory
from appliance.cluster.playbook import HostsRefusedError, run
from appliance.site.cluster import Cluster
from tests.e2e.two_hosts.clusters import empty_parts
from tests.unit.roles.plugins import ANSIBLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="a link of one's own needs root"
)
PROBE = ANSIBLE / "roles/validate_inputs/files/probe.py"
SHARED, STRANGER = "192.0.2.20", "02:00:00:00:00:99"
# The machine on the other end of the link, and the one that looks; $0 is the first one's pid.
WIRED = f"""
mount -t sysfs sysfs /sys
ip link add look0 type veth peer name other0 address {STRANGER} netns $0
ip address add 192.0.2.1/24 dev look0
ip link set look0 up
nsenter --net --target $0 ip link set other0 up
nsenter --net --target $0 ip address add 192.0.2.2/24 dev other0
"""


@pytest.fixture
def other() -> Iterator[int]:
    """A network namespace of its own, by the process that holds it."""
    held = subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "echo up; exec sleep 60"], stdout=subprocess.PIPE)
    assert held.stdout is not None
    assert held.stdout.readline() == b"up\n"
    yield held.pid
    held.kill()
    held.communicate()


def look(other: int, more: str = "", after: str = "true") -> dict[str, Any]:
    """What the look tells of the shared address, once ``more`` was done; ``after`` must succeed afterwards."""
    asked = f'"{sys.executable}" - 0 198.51.100.0/24 sh {SHARED} - && {after}'
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--", "sh", "-ec", f"{WIRED}{more}\n{asked}", str(other)],
        input=PROBE.read_text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[0])["shares"])


def test_a_stranger_who_has_it_is_heard_by_its_hardware_address(other: int) -> None:
    took = f"nsenter --net --target {other} ip address add {SHARED}/32 dev other0"
    unknown = f"! ip neighbour show to {SHARED} | grep . && ! nsenter --net --target {other} ip neighbour | grep ."
    found = look(other, took, unknown)
    assert (found["answers"], found["holds"], found["our_api"]) == ([STRANGER], False, False)


def test_an_address_that_nobody_has_is_answered_by_nobody(other: int) -> None:
    found = look(other)
    assert (found["answers"], found["holds"]) == ([], False)


def test_a_host_that_has_it_itself_says_so_and_hears_a_second_holder(other: int) -> None:
    own = f"ip address add {SHARED}/32 dev look0"
    alone = look(other, own)
    assert (alone["answers"], alone["holds"], len(alone["hardware"])) == ([], True, 1)


def test_a_holder_that_answers_by_a_link_without_an_address_is_heard(other: int) -> None:
    """Linux does: the other machine has the address where nobody asks."""
    more = f"nsenter --net --target {other} ip link add kept0 type bridge\n"
    more += f"nsenter --net --target {other} ip address add {SHARED}/32 dev kept0\n"
    more += f"nsenter --net --target {other} ip link set kept0 up"
    assert look(other, more)["answers"] == [STRANGER]


def test_a_host_tells_the_hardware_addresses_of_links_without_an_address_too(other: int) -> None:
    """By these, too, it is known where it holds the address itself."""
    second = "ip link add more0 address 02:00:00:00:00:98 type bridge"
    assert "02:00:00:00:00:98" in look(other, second)["hardware"]


def test_a_second_holder_is_heard_by_the_first(other: int) -> None:
    own = f"ip address add {SHARED}/32 dev look0"
    both = look(other, f"{own}\nnsenter --net --target {other} ip address add {SHARED}/32 dev other0")
    assert (both["answers"], both["holds"]) == ([STRANGER], True)


def test_a_link_that_does_not_lead_there_is_not_asked(other: int) -> None:
    away = "ip address flush dev look0\nip address add 203.0.113.1/24 dev look0"
    took = f"nsenter --net --target {other} ip address add {SHARED}/32 dev other0"
    assert look(other, f"{away}\n{took}")["answers"] == []


@pytest.mark.parametrize("taken", [False, True])
def test_the_preflight_refuses_an_address_that_somebody_has(other: int, tmp_path: Path, *, taken: bool) -> None:
    """Of what else this machine lacks there are findings as well; it is looked at in place of a host."""
    site = {
        "hosts": [{"name": "node1", "address": "192.0.2.1", "role": "control-plane"}],
        "ssh": {"key": "key", "known_hosts": "known"},
        "administration": ["192.0.2.9/32"],
        "shared_address": {"address": SHARED, "interface": "look0"},
    }
    told = inventory(
        Site("a-site", "1b2c", tmp_path),
        Cluster.model_validate_json(json.dumps(site)),
        empty_parts(tmp_path),
        settings={"ansible_connection": "local", "preflight_memory_mib": 1 << 30},
    )
    took = f"nsenter --net --target $0 ip address add {SHARED}/32 dev other0" if taken else "true"
    wired = ["unshare", "--net", "--mount", "--", "sh", "-ec", f'{WIRED}{took}\nexec "$@"', str(other)]
    with pytest.raises(HostsRefusedError) as caught:
        run("preflight.yml", told, lambda _: None, enter=wired)
    found = {(f.host, f.check): f.found for f in caught.value.findings}
    assert ("node1", "memory") in found
    assert (STRANGER in found.get(("all", "shared address"), "")) is taken
