"""One host of a lab: its place on the bridge, and its tree before it is booted for the first time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import guard, tree
from lab.machine import Machine
from lab.switch import BRIDGE, GATEWAY, SUBNET

if TYPE_CHECKING:
    from pathlib import Path

    from lab.access import Access
    from lab.process import Process

_FIRST = 11
# networkd would wait for udev, which a container has not.
_NETWORK_UNIT = """\
[Unit]
DefaultDependencies=no
Before=network-pre.target network.target sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip link set lo up
ExecStart=ip address replace {address}/24 dev host0
ExecStart=ip link set host0 up
ExecStart=ip route replace default via {gateway}
[Install]
WantedBy=sysinit.target
"""


@dataclass(frozen=True)
class Node:
    """A host named ``name`` at ``address``; its tree lies in ``root``; ``machine`` is its name on this machine."""

    name: str
    address: str
    machine: str
    root: Path

    @classmethod
    def numbered(cls, number: int, *, folder: Path, lab: str) -> Node:
        """The host with this number, from 1, of the lab named ``lab``."""
        name = f"node{number}"
        return cls(name, f"{SUBNET}.{_FIRST - 1 + number}", f"{lab}-{number}", folder / name)

    def create(self, access: Access) -> None:
        """Unpack the base tree and give it address, keys and guard."""
        partial = self.root.with_suffix(".partial")
        if partial.exists():
            tree.remove(partial)
        tree.unpack(tree.base_archive(tree.NODE_PACKAGES), partial, hostname=self.name)
        units = partial / "etc/systemd/system"
        (units / "lab-network.service").write_text(_NETWORK_UNIT.format(address=self.address, gateway=GATEWAY))
        (units / "sysinit.target.wants/lab-network.service").symlink_to("../lab-network.service")
        (partial / "etc/resolv.conf").unlink(missing_ok=True)
        (partial / "etc/resolv.conf").write_text("# there is no name server on this side of the gap\n")
        guard.install(partial)
        access.admit(partial, self.name, self.address)
        partial.rename(self.root)

    def seat(self, keeper: Process) -> Machine:
        """The machine to boot, on the bridge in ``keeper``'s network."""
        options = (f"--network-bridge={BRIDGE}", "--resolv-conf=off", "--bind=/dev/kmsg", "--bind=/dev/fuse")
        return Machine(self.machine, self.root, options, keeper)
