"""A lab: hosts on a bridge without an uplink, kept in one folder. It starts only what it later stops."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab import guard, machine, state, tree
from lab.access import Access
from lab.machine import Running
from lab.node import Node
from lab.state import Seat, State
from lab.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST = 9
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
MEMORY_BYTES = 4 << 30


def scratch_folder() -> Path:
    """A new folder for a lab that lives as short as a test: in memory where there is room, else on disk."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
    return Path(tempfile.mkdtemp(prefix="sovereign-lab-", dir=MEMORY if roomy else None))


@dataclass(frozen=True)
class Lab:
    """The lab in ``folder``. Changes to it wait for each other."""

    folder: Path

    @property
    def access(self) -> Access:
        """Keys of the administrator and the hosts."""
        return Access(self.folder / "ssh")

    @property
    def _name(self) -> str:
        """Prefix of its machines' names: labs of other folders may run beside it."""
        return "lab" + hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:6]

    def state(self) -> State:
        """What runs, as last written."""
        return state.read(self.folder / "state.json", self.folder / "hosts")

    def _write(self, new: State) -> State:
        state.write(self.folder / "state.json", new)
        return new

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def up(self, count: int) -> State:
        """Have ``count`` hosts running; those that run are left alone. Raises ``ValueError``, ``TimeoutError``."""
        if not 1 <= count <= MOST:
            raise ValueError(f"a lab has 1 to {MOST} hosts, not {count}")
        with self._alone():
            (self.folder / "hosts").mkdir(exist_ok=True)
            self.access.create()
            current = self.state()
            if current.keeper is None or not current.keeper.alive:
                current = self._write(replace(current, keeper=Switch.start().keeper))
            for number in range(1, count + 1):
                self._switch_on(Node.numbered(number, folder=self.folder / "hosts", lab=self._name))
            for seat in self.state().seats:
                self._settle(seat)
        return self.state()

    def _switch_on(self, node: Node) -> Seat:
        """Create and start one host, unless it runs. Its name is on disk before anything of it exists."""
        current = self.state()
        known = next((s for s in current.seats if s.node.name == node.name), None)
        if known and known.process and known.process.alive:
            return known
        current = self._write(current.with_seat(Seat(node)))
        if not node.root.exists():
            node.create(self.access)
        machine.forget(node.machine)
        assert current.keeper is not None
        seat = Seat(node, node.seat(current.keeper).start().process)
        self._write(current.with_seat(seat))
        return seat

    def _settle(self, seat: Seat) -> None:
        """Wait for a host; one whose guard did not come up is switched off at once."""
        running = self._running(seat)
        running.wait_booted()
        try:
            guard.check(running)
        except AssertionError:
            running.cut_power()
            raise

    def _running(self, seat: Seat) -> Running:
        keeper = self.state().keeper
        assert keeper is not None, "the lab is down"
        assert seat.process is not None, f"{seat.node.name} is off"
        return Running(seat.node.seat(keeper), seat.process)

    def host(self, name: str) -> Running:
        """A host that runs. Raises ``LookupError`` for an unknown one, ``AssertionError`` for one that is off."""
        return self._running(self.state().seat(name))

    def cut_power(self, name: str) -> None:
        """Kill exactly this host, as a power cut would."""
        with self._alone():
            seat = self.state().seat(name)
            if seat.process is not None:
                self._running(seat).cut_power()
            self._write(self.state().with_seat(Seat(seat.node)))

    def start(self, name: str) -> Running:
        """Switch a host on again; its disk is as it was."""
        with self._alone():
            seat = self._switch_on(self.state().seat(name).node)
            self._settle(seat)
        return self._running(seat)

    def replace(self, name: str) -> Running:
        """Have a new host stand where one was: the same name, address and keys, and nothing of its disk."""
        with self._alone():
            node = self.state().seat(name).node
            self._remove(self.state().seat(name))
            self._write(self.state().without(name))
            seat = self._switch_on(node)
            self._settle(seat)
        return self._running(seat)

    def from_outside(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs ``argv`` on the administrator's side of the bridge."""
        keeper = self.state().keeper
        assert keeper is not None, "the lab is down: make lab-up"
        return Switch(keeper).inside(argv)

    def ssh(self, name: str, command: Sequence[str] = ()) -> list[str]:
        """The command line that enters a host by ssh, or runs a command there. Raises ``LookupError``."""
        self.state().seat(name)
        return self.from_outside(["ssh", "-F", str(self.access.config), name, *command])

    def down(self) -> None:
        """Stop every host and remove all that the lab made: trees, keys, cgroups, network, state."""
        if not self.folder.exists():
            return
        with self._alone():
            for seat in self.state().seats:
                self._remove(seat)
                self._write(self.state().without(seat.node.name))
            keeper = self.state().keeper
            if keeper is not None:
                Switch(keeper).stop()
        shutil.rmtree(self.folder)

    def _remove(self, seat: Seat) -> None:
        keeper = self.state().keeper
        for process in (
            seat.process,
            machine.find(seat.node.machine),
        ):  # found: its start was killed before it was noted
            if process is not None and keeper is not None:
                Running(seat.node.seat(keeper), process).cut_power()
        machine.forget(seat.node.machine)
        for left in (seat.node.root, seat.node.root.with_suffix(".partial")):
            if left.exists():
                tree.remove(left)
