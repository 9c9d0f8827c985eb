"""What a lab has started is found again from its file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab import state
from lab.node import Node
from lab.process import Process
from lab.state import Seat, State

if TYPE_CHECKING:
    from pathlib import Path


def seats(folder: Path, count: int) -> tuple[Seat, ...]:
    return tuple(Seat(Node.numbered(n, folder=folder, lab="labx"), Process(100 + n, 7)) for n in range(1, count + 1))


def test_a_lab_that_was_never_up_has_nothing(tmp_path: Path) -> None:
    assert state.read(tmp_path / "state.json", tmp_path) == State()


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    written = State(Process(42, 4711), (*seats(tmp_path, 2), Seat(Node.numbered(3, folder=tmp_path, lab="labx"))))
    state.write(tmp_path / "state.json", written)
    assert state.read(tmp_path / "state.json", tmp_path) == written
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_hosts_have_addresses_and_machine_names_of_their_own(tmp_path: Path) -> None:
    nodes = [s.node for s in seats(tmp_path, 9)]
    assert len({n.address for n in nodes}) == len({n.machine for n in nodes}) == 9
    assert nodes[0].address == "10.77.0.11"


def test_a_host_is_replaced_not_doubled(tmp_path: Path) -> None:
    first, second = seats(tmp_path, 2)
    known = State(None, (first, second)).with_seat(Seat(first.node))
    assert known.seat("node1").process is None
    assert known.seats[1] == second
    assert known.without("node1").seats == (second,)


def test_an_unknown_host_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no host node7; there are: node1, node2"):
        State(None, seats(tmp_path, 2)).seat("node7")


def test_another_schema_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(AssertionError, match="another version"):
        state.read(tmp_path / "state.json", tmp_path)
