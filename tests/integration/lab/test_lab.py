"""Lab hosts are real, reachable by ssh from one side only, know of no world beyond their bridge, and leave nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import guard, state
from lab.lab import Lab, scratch_folder
from lab.state import Seat
from tests.integration.lab.conftest import Traces, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Prints for each "address port" whether something answers there: a connection, or a refusal by the addressed machine.
ANSWERS = """
import errno, json, socket, sys
said = {}
for target in sys.argv[1:]:
    host, port = target.rsplit(":", 1)
    with socket.socket() as probe:
        probe.settimeout(2)
        said[target] = errno.errorcode.get(probe.connect_ex((host, int(port))), "OK")
print(json.dumps(said))
"""
SILENT = {"EAGAIN", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"}


@pytest.fixture
def scratch() -> Iterator[Path]:
    folder = scratch_folder()
    yield folder
    shutil.rmtree(folder)


def ssh(lab: Lab, name: str, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(lab.ssh(name, command), capture_output=True, text=True, check=False, input=stdin)


def said(lab: Lab, name: str, *command: str, stdin: str | None = None) -> str:
    done = ssh(lab, name, *command, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def answers(lab: Lab, name: str, *targets: str) -> dict[str, str]:
    return dict(json.loads(said(lab, name, "python3", "-", *targets, stdin=ANSWERS)))


@pytest.fixture
def outside_listener() -> Iterator[str]:
    """A port of this machine that everyone who reaches it gets an answer from."""
    with socket.create_server(("0.0.0.0", 0), backlog=16) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing: merely asks which address would be used
            own = str(probe.getsockname()[0])
        socket.create_connection((own, server.getsockname()[1]), timeout=2).close()
        yield f"{own}:{server.getsockname()[1]}"


@pytest.mark.parametrize("name", ["node1", "node2"])
def test_ssh_lets_the_administrator_in(lab: Lab, name: str) -> None:
    assert said(lab, name, "hostname") == name
    assert said(lab, name, "id", "-u") == "0"


def test_ssh_refuses_another_key(lab: Lab, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "stranger")], check=True)
    known = lab.access.known_hosts
    options = ["-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
    argv = ["ssh", "-F", "none", "-i", str(tmp_path / "stranger"), *options, "root@10.77.0.11", "true"]
    done = subprocess.run(lab.from_outside(argv), capture_output=True, text=True, check=False)
    assert (done.returncode, "Permission denied" in done.stderr) == (255, True)


def test_every_host_has_a_host_key_of_its_own(lab: Lab) -> None:
    keys = [said(lab, name, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[1] for name in ("node1", "node2")]
    assert len(set(keys)) == 2
    assert len(lab.access.known_hosts.read_text().splitlines()) == 2


def test_hosts_reach_each_other(lab: Lab) -> None:
    assert answers(lab, "node1", "10.77.0.12:22") == {"10.77.0.12:22": "OK"}


@pytest.mark.parametrize("name", ["node1", "node2"])
def test_no_address_beyond_the_bridge_answers(lab: Lab, name: str, outside_listener: str) -> None:
    targets = [outside_listener, "192.0.2.1:80", "198.51.100.1:443", "8.8.8.8:53", "1.1.1.1:443"]
    found = answers(lab, name, *targets)
    assert set(found) == set(targets)
    assert set(found.values()) <= SILENT


def test_this_machine_has_no_link_and_no_namespace_by_name_to_a_running_lab(lab: Lab, before: Traces) -> None:
    assert lab.host("node1").leader is not None
    now = Traces.now()
    assert (now.links, now.namespaces, now.mounts) == (before.links, before.namespaces, before.mounts)


@pytest.mark.parametrize("name", ["node1", "node2"])
def test_dns_resolves_nothing(lab: Lab, name: str) -> None:
    ask = "import socket, sys; print(socket.getaddrinfo(sys.argv[1], 443)[0][4][0])"
    assert said(lab, name, "python3", "-", "localhost", stdin=ask) in {"127.0.0.1", "::1"}
    for asked in ("example.org", "registry.k8s.io"):
        refused = ssh(lab, name, "python3", "-", asked, stdin=ask)
        assert (refused.returncode, "gaierror" in refused.stderr) == (1, True)


def test_a_host_cannot_change_the_machine(lab: Lab) -> None:
    machine = settings()
    for number, name in enumerate(guard.PRIVATE):
        said(lab, "node1", "tee", f"/proc/sys/{name}", stdin=str(number))
        assert said(lab, "node1", "cat", f"/proc/sys/{name}") == str(number)
    for name in ("kernel/pid_max", "fs/protected_fifos", "vm/swappiness"):
        refused = ssh(lab, "node1", "tee", f"/proc/sys/{name}", stdin=Path("/proc/sys", name).read_text())
        assert "Read-only file system" in refused.stderr
    said(lab, "node1", "tee", "/proc/sys/net/ipv4/ip_forward", stdin="1")
    assert settings() == machine


def test_a_host_has_what_a_cluster_needs(lab: Lab) -> None:
    assert said(lab, "node1", "stat", "-f", "-c", "%T", "/sys/fs/bpf") == "bpf_fs"
    assert said(lab, "node1", "findmnt", "-n", "-o", "PROPAGATION", "/") == "shared"
    assert said(lab, "node1", "sh", "-c", "'test -c /dev/kmsg && test -w /sys/fs/cgroup/memory && echo both'") == "both"
    inside = set(said(lab, "node1", "ls", "/sys/fs/cgroup/memory").split())
    assert "bash" not in inside
    mine, theirs = (Path(f"/proc/{p}/cgroup").read_text() for p in (os.getpid(), lab.host("node1").leader))
    assert (
        len({line.split(":")[2] for line in theirs.splitlines()} & {line.split(":")[2] for line in mine.splitlines()})
        == 0
    )


def test_a_power_cut_takes_exactly_one_host_and_its_disk_comes_back(lab: Lab) -> None:
    said(lab, "node1", "sh", "-c", "'echo kept > /etc/kept; sync /etc/kept'")
    boot = {name: said(lab, name, "cat", "/proc/sys/kernel/random/boot_id") for name in ("node1", "node2")}
    other = lab.state().seat("node2")
    lab.cut_power("node1")
    assert ssh(lab, "node1", "true").returncode == 255
    assert lab.state().seat("node2") == other
    assert said(lab, "node2", "cat", "/proc/sys/kernel/random/boot_id") == boot["node2"]
    lab.start("node1")
    assert said(lab, "node1", "cat", "/etc/kept") == "kept"
    assert said(lab, "node1", "cat", "/proc/sys/kernel/random/boot_id") != boot["node1"]


def test_a_host_that_replaces_another_has_its_name_and_nothing_of_its_disk(lab: Lab) -> None:
    said(lab, "node1", "touch", "/etc/of-the-former")
    other = lab.state().seat("node2")
    lab.replace("node1")
    assert lab.state().seat("node2") == other
    assert said(lab, "node1", "hostname") == "node1"
    assert ssh(lab, "node1", "test", "-e", "/etc/of-the-former").returncode == 1


def test_a_second_lab_up_changes_nothing(lab: Lab) -> None:
    running = lab.state()
    assert lab.up(2) == running


def test_labs_beside_each_other_do_not_meet(lab: Lab, scratch: Path) -> None:
    other = Lab(scratch / "other")
    try:
        other.up(1)
        assert said(other, "node1", "hostname") == "node1"
        assert set(answers(other, "node1", "10.77.0.12:22").values()) <= SILENT
    finally:
        other.down()
    assert said(lab, "node2", "hostname") == "node2"


def test_lab_down_removes_what_a_killed_lab_up_left(before: Traces, scratch: Path) -> None:
    broken = Lab(scratch / "broken")
    others = Traces.now()
    try:
        broken.up(1)
        node = broken.state().seat("node1").node
        state.write(
            broken.folder / "state.json", broken.state().with_seat(Seat(node))
        )  # killed before the pid was noted
    finally:
        broken.down()
    assert not broken.folder.exists()
    assert Traces.now() == others
    assert others.settings == before.settings


def test_the_command_brings_hosts_up_and_leaves_nothing(scratch: Path) -> None:
    untouched = Traces.now()
    command = [sys.executable, "-m", "lab", "--folder", str(scratch / "lab")]
    try:
        shown = subprocess.run([*command, "up", "1"], capture_output=True, text=True, check=True).stdout
        assert shown == "node1  10.77.0.11  up\n"
        entered = subprocess.run([*command, "ssh", "node1", "hostname"], capture_output=True, text=True, check=True)
        assert entered.stdout == "node1\n"
    finally:
        subprocess.run([*command, "down"], check=True)
    assert Traces.now() == untouched
    assert list(scratch.iterdir()) == []
