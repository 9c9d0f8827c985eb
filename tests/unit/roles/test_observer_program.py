"""The observer's program says at each turn how far it is and what keeps it from telling, and goes on."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.roles.observers import FOLDER, append, deliver, line, observer
from tests.unit.roles.plugins import ANSIBLE
from tests.unit.roles.test_observer_refused import flow, listing

if TYPE_CHECKING:
    from pathlib import Path


class Program:
    """The program with its files in a folder; ``turns`` runs it for so many turns and gives what each of them said."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        spec = importlib.util.spec_from_file_location("observer_program", ANSIBLE / FOLDER / "__main__.py")
        assert spec is not None
        assert spec.loader is not None
        monkeypatch.setitem(sys.modules, "deliver", deliver)
        monkeypatch.setitem(sys.modules, "observer", observer)
        self.module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.log, self.flows, self.status = (folder / name for name in ("audit.log", "denied.log", "status.json"))
        self.table = folder / "table.json"
        self.table.write_text(listing({}))
        (folder / "observer.json").write_text(json.dumps({"collector": "127.0.0.1:9", "api_server": True}))
        places = {"FOLDER": folder, "STATE": folder / "state.json", "STATUS": self.status, "API_LOG": self.log}
        for name, value in (places | {"FLOWS": self.flows, "FIREWALL": ("cat", str(self.table))}).items():
            monkeypatch.setattr(self.module, name, value)
        self.taken: list[dict[str, Any]] = []
        self.fails = False
        monkeypatch.setattr(self.module, "deliver", self._take)
        self._monkeypatch = monkeypatch

    def _take(self, items: list[dict[str, Any]], *_: object) -> None:
        if self.fails:
            raise ConnectionRefusedError("nobody listens")
        self.taken += items

    def turns(self, count: int) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = []

        def heard(_: float) -> None:
            said.append(json.loads(self.status.read_text()))
            if len(said) == count:
                raise SystemExit

        self._monkeypatch.setattr(self.module, "time", SimpleNamespace(time=time.time, sleep=heard))
        with pytest.raises(SystemExit):
            self.module.main()
        return said


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    return Program(tmp_path, monkeypatch)


def test_calls_and_denied_flows_are_told_where_the_firewall_cannot_be_read_and_that_is_said(program: Program) -> None:
    append(program.log, line(1))
    append(program.flows, flow(1))
    program.table.unlink()
    (said,) = program.turns(1)
    assert "the firewall's table cannot be read" in said["cause"]
    assert {item["kind"] for item in program.taken} == {"reading", "refused", "call"}
    assert said["behind"] == 0


def test_what_waits_is_said_while_nobody_takes_it_and_told_by_the_next_that_runs(program: Program) -> None:
    append(program.log, line(1))
    program.fails = True
    first, second = program.turns(2)
    assert "nobody listens" in first["cause"]
    assert second["behind"] == first["behind"] > 0
    assert second["taken"] == first["taken"] <= first["time"]
    program.fails = False
    assert program.turns(1)[0]["behind"] == 0
    assert [item["call"] for item in program.taken if item["kind"] == "call"] == ["call-1"]


def test_a_backlog_is_told_without_a_rest_and_what_is_left_is_said_between(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer, "LINES", 10)
    append(program.log, *(line(number) for number in range(10 * observer.READINGS * 3)))
    left: list[int] = []
    say = program.module._say
    monkeypatch.setattr(program.module, "_say", lambda status: (left.append(status["behind"]), say(status)))
    program.turns(1)
    assert left == sorted(left, reverse=True)
    assert (len(left), left[-1]) == (4, 0)  # a beginning came first
    assert len(program.taken) >= 10 * observer.READINGS * 3
