"""What journeys look at on hosts, and what they try from them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.lab import Lab
    from lab.machine import Running

NODES = ("node1", "node2")
BEYOND = "203.0.113.9"
"""An address that is nobody's; the hosts' default route leads to the administrator's side of the bridge."""
VOLATILE = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/log", "/var/lib/systemd", "/root/.ansible")
MORE = (
    "cat /etc/passwd /etc/group; systemctl list-unit-files --no-legend --state=enabled,disabled,masked; "
    "ip -o link | cut -d: -f2 | cut -d@ -f1; cut -d' ' -f2,3 /proc/self/mounts | grep -v '^/run'"
)
COUNT = """
import selectors, socket, sys
packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
wanted, count, ready = socket.inet_aton(sys.argv[1]), 0, selectors.DefaultSelector()
ready.register(packets, selectors.EVENT_READ)
ready.register(sys.stdin, selectors.EVENT_READ)
while True:
    asked = [key for key, _ in ready.select() if key.fileobj is sys.stdin]
    while ready.select(0) and packets in [key.fileobj for key, _ in ready.select(0)]:
        count += packets.recv(64)[16:20] == wanted
    if asked:
        if not sys.stdin.readline():
            break
        print(count, flush=True)
"""
TRY = """
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as probe:
    probe.settimeout(2)
    try:
        probe.connect((host, port))
        probe.send(b"x")
        print("through")
    except OSError as error:
        print(type(error).__name__)
"""


def contents(lab: Lab, names: Sequence[str] = NODES) -> dict[str, set[str]]:
    """What an installation could leave behind on each host: files with mode and size, users, units, mounts, network."""
    pruned = " -o ".join(f"-path {folder}" for folder in VOLATILE)
    files = rf"find / \( {pruned} \) -prune -o -type f -printf '%p %m %s\n' -o -type l -printf '%p %l\n'"
    shown = f"{files}; nft list ruleset; {MORE}"
    return {name: set(lab.host(name).run(["sh", "-c", shown]).stdout.splitlines()) for name in names}


def assert_same(after: dict[str, set[str]], before: dict[str, set[str]]) -> None:
    """Assert that ``contents`` are the same; a failure names what came and what went."""
    changed = {name: sorted(after[name] ^ before[name])[:40] for name in before if after[name] != before[name]}
    assert not changed, changed


def attempt(host: Running, kind: str, address: str, port: int, enter: Sequence[str] = ()) -> str:
    """`through`, or what went wrong; ``enter`` goes before the command line, into a pod's network for one."""
    return host.run([*enter, "python3", "-", kind, address, str(port)], stdin=TRY).stdout.strip()


class Beyond:
    """Counts, on the administrator's side of the bridge, every packet that comes for ``BEYOND``."""

    def __init__(self, lab: Lab) -> None:
        argv = lab.from_outside([sys.executable, "-c", COUNT, BEYOND])
        self._counter = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.arrived == 0

    @property
    def arrived(self) -> int:
        """How many packets came so far."""
        assert self._counter.stdin is not None
        assert self._counter.stdout is not None
        self._counter.stdin.write("\n")
        self._counter.stdin.flush()
        return int(self._counter.stdout.readline())

    def end(self) -> None:
        self._counter.communicate()


def tried(host: Running) -> set[tuple[str, str, int]]:
    """What the host's firewall noted as having tried to leave."""
    listed = json.loads(host.run(["nft", "-j", "list", "set", "inet", "sovereign", "tried"]).stdout)
    elements = next(part["set"] for part in listed["nftables"] if "set" in part).get("elem", [])
    return {tuple(element["elem"]["val"]["concat"][1:]) for element in elements}
