"""One bare host: boot it, run commands in it, cut its power, remove it.

The machine is a systemd-nspawn container with a network namespace that holds only loopback, and with cgroups of its
own in every hierarchy, so that its systemd never touches this machine's root cgroup.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab import machine, tree
from lab.machine import Machine, Running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path


@dataclass
class BareHost:
    """A Debian host named ``name`` whose tree lies in ``root``; ``binds`` are mounted read-only inside."""

    name: str
    root: Path
    binds: dict[Path, str] = field(default_factory=dict)
    _running: Running | None = None

    @property
    def _machine(self) -> Machine:
        binds = (f"--bind-ro={source}:{target}" for source, target in self.binds.items())
        return Machine(self.name, self.root, ("--private-network", *binds))

    def create(self) -> None:
        """Unpack the base tree."""
        tree.unpack(tree.base_archive(), self.root, hostname=self.name)

    def boot(self) -> None:
        """Start the machine and wait until its systemd has finished booting. Raises ``TimeoutError``."""
        self._running = self._machine.start()
        self._running.wait_booted()

    @property
    def leader(self) -> int | None:
        """Process id, outside, of the machine's first process; None while it is down."""
        return self._running.leader if self._running else None

    @property
    def _up(self) -> Running:
        assert self._running is not None, f"{self.name} is down"
        return self._running

    def inside(self, argv: Sequence[str], *, network_only: bool = False) -> list[str]:
        """The command line that runs ``argv`` in the machine, or merely in its network namespace."""
        return self._up.inside(argv, network_only=network_only)

    def run(
        self, argv: Sequence[str], *, check: bool = True, stdin: str | None = None, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine and capture what it prints.

        Raises ``AssertionError`` with both streams when ``check`` holds and the command fails.
        """
        return self._up.run(argv, check=check, stdin=stdin, seconds=seconds)

    def cut_power(self) -> None:
        """Kill the machine as a power cut would: nothing inside gets to finish."""
        if self._running:
            self._running.cut_power()
        self._running = None

    def shut_down(self) -> None:
        """Let the machine shut down in order."""
        if self._running:
            self._running.shut_down()
        self._running = None

    def remove(self) -> None:
        """Stop the machine and remove its tree, console and cgroups."""
        self.cut_power()
        machine.forget(self.name)
        if self.root.exists():
            tree.remove(self.root)
        self._machine.console.unlink(missing_ok=True)
