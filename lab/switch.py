"""The lab's network: a bridge in a network namespace of its own, where nothing could be its uplink.

Whoever works from the administrator's side (ssh, Ansible, a browser) enters the namespace; there is no other way in.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.process import Process

if TYPE_CHECKING:
    from collections.abc import Sequence

BRIDGE = "lab0"
SUBNET = "10.77.0"
GATEWAY = f"{SUBNET}.1"
READY_SECONDS = 10


@dataclass(frozen=True)
class Switch:
    """``keeper`` is the process that holds the namespace."""

    keeper: Process

    @classmethod
    def start(cls) -> Switch:
        """Make the namespace and its bridge. Raises ``CalledProcessError`` and leaves nothing when that fails."""
        child = subprocess.Popen(
            ["unshare", "--net", "--", "sleep", "infinity"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        switch = cls(Process.of(child.pid))
        child.returncode = 0  # it outlives this process
        try:
            switch._wait_entered()
            switch._wire()
        except BaseException:
            switch.stop()
            raise
        return switch

    def _wait_entered(self) -> None:
        ours, theirs = Path("/proc/self/ns/net"), Path(f"/proc/{self.keeper.pid}/ns/net")
        deadline = time.monotonic() + READY_SECONDS
        while theirs.readlink() == ours.readlink():
            assert time.monotonic() < deadline, "the lab's network namespace did not come up"
            time.sleep(0.01)

    def _wire(self) -> None:
        for argv in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "link", "add", BRIDGE, "type", "bridge"],
            ["ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE],
            ["ip", "link", "set", BRIDGE, "up"],
        ):
            subprocess.run(self.inside(argv), check=True)

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs ``argv`` on the administrator's side of the bridge."""
        return ["nsenter", "--net", "--target", str(self.keeper.pid), "--", *argv]

    def stop(self) -> None:
        """Let the namespace go; the kernel removes it with its last process."""
        self.keeper.kill()
        self.keeper.wait(READY_SECONDS)
        self.keeper.reap()
