"""What a lab has started, on disk: so that whoever comes later stops all of that, and nothing else."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lab.node import Node
from lab.process import Process

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = 1


@dataclass(frozen=True)
class Seat:
    """A host and, where it was switched on, its process."""

    node: Node
    process: Process | None = None


@dataclass(frozen=True)
class State:
    """The process that holds the network, and the hosts."""

    keeper: Process | None = None
    seats: tuple[Seat, ...] = ()

    def seat(self, name: str) -> Seat:
        """The host of that name. Raises ``LookupError``."""
        for seat in self.seats:
            if seat.node.name == name:
                return seat
        raise LookupError(f"no host {name}; there are: {', '.join(s.node.name for s in self.seats) or 'none'}")

    def with_seat(self, seat: Seat) -> State:
        """This state with one host added or replaced."""
        others = tuple(s for s in self.seats if s.node.name != seat.node.name)
        return replace(self, seats=tuple(sorted((*others, seat), key=lambda s: s.node.name)))

    def without(self, name: str) -> State:
        """This state without one host."""
        return replace(self, seats=tuple(s for s in self.seats if s.node.name != name))


def read(path: Path, folder: Path) -> State:
    """The state that was written; an empty one when none was. Trees lie in ``folder``."""
    if not path.exists():
        return State()
    data = json.loads(path.read_text())
    assert data["schema"] == SCHEMA, f"{path}: another version of the lab wrote this; run its lab-down"
    return State(
        _process(data["keeper"]),
        tuple(
            Seat(Node(s["name"], s["address"], s["machine"], folder / s["name"]), _process(s["process"]))
            for s in data["hosts"]
        ),
    )


def write(path: Path, state: State) -> None:
    """Replace the state on disk."""
    data = {
        "schema": SCHEMA,
        "keeper": _plain(state.keeper),
        "hosts": [
            {"name": s.node.name, "address": s.node.address, "machine": s.node.machine, "process": _plain(s.process)}
            for s in state.seats
        ],
    }
    partial = path.with_suffix(".partial")
    with partial.open("w") as out:
        json.dump(data, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)


def _process(data: dict[str, int] | None) -> Process | None:
    return Process(data["pid"], data["began"]) if data else None


def _plain(process: Process | None) -> dict[str, Any] | None:
    return {"pid": process.pid, "began": process.began} if process else None
