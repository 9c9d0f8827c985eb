"""`memory status` on a host: asks what runs, believes nobody, and does not take silence for nothing held."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from appliance.cli.main import app
from appliance.engine.tiers import EngineTiers, Prefill, Row, encode
from appliance.errors import UsageError
from appliance.install import memory_status
from appliance.install.accounts import Accounts
from appliance.install.supervision.interface import Running
from appliance.memory.totals import told
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, IDENTITY, SitePaths
from tests.unit.memory.test_hierarchy import COUNTED, LIBRARY

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.install.probe import Probe

SITE = b"""
schema: 1
name: trial
models: [{name: small}, {name: large}]
groups: [{name: analysts, models: [small, large]}]
"""
MODELS = ("small", "large")
_ENGINES = tuple(f"engine-{name}" for name in MODELS)
HELD = EngineTiers(9.0, 64, (Row("pinned", "group", "analysts", 1, 8, 80, 3.0, 3.0),), Prefill(10, 1.0, "measured"))
ACCOUNTS = Accounts(
    dict.fromkeys((DATABASE, AUDIT, IDENTITY, GATEWAY, *_ENGINES, *(f"standby-{name}" for name in MODELS)), "someone")
)
SAID: dict[str, Any] = {"small": json.loads(encode(HELD)), "large": json.loads(encode(HELD))}


class Host:
    """A host on which ``running`` services run, and every probe gets what ``answers`` says, or nothing."""

    def __init__(self) -> None:
        self.running = {"gateway", "engine-small", "engine-large"}
        self.answers: dict[str, Any] = {"engine-small": SAID["small"], "engine-large": SAID["large"]}
        self.asked: list[Probe] = []

    def states(self, services: Any) -> dict[str, Running]:
        return {s.name: Running("running", 7) if s.name in self.running else Running("stopped") for s in services}

    def fetch(self, probe: Probe) -> Any:
        self.asked.append(probe)
        assert probe.path == "/memory"
        if probe.kind == "http":
            return self.answers.get("gateway", json.loads(json.dumps(told(COUNTED, LIBRARY))))
        return next((said for name, said in self.answers.items() if name in probe.target), None)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    monkeypatch.setattr(memory_status, "choose_supervision", lambda _paths: made)
    monkeypatch.setattr(memory_status, "fetch_json", made.fetch)
    monkeypatch.setattr(memory_status, "load_accounts", lambda _paths: ACCOUNTS)
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    paths = SitePaths(tmp_path / "site")
    paths.site_yaml.parent.mkdir(parents=True)
    paths.site_yaml.write_bytes(SITE)
    return paths.root


def asked(root: Path, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["--site", str(root), "memory", "status", *options])
    return done.exit_code, done.stdout


def data(root: Path) -> tuple[int, dict[str, Any]]:
    code, text = asked(root, "--output", "json")
    return code, json.loads(text)


def test_every_engine_has_its_own_rows_and_groups_have_no_name(host: Host, root: Path) -> None:
    code, found = data(root)
    assert (code, found["ok"], found["up"]) == (0, True, True)
    assert [(e["model"], e["state"]) for e in found["engines"]] == [("small", "running"), ("large", "running")]
    rows = {row["tier"]: row for row in found["engines"][0]["rows"]}
    assert (rows["pinned"]["tokens"], rows["live"]["tokens_saved"]) == (8, 7)
    assert found["library"]["passages_used"] == 12
    assert "analysts" not in json.dumps(found)
    assert "pinned" in asked(root)[1]
    assert len(host.asked) == 6


def test_an_engine_that_is_stopped_is_not_asked_and_is_not_zero(host: Host, root: Path) -> None:
    host.running -= {"engine-large"}
    code, found = data(root)
    assert (code, found["ok"], found["up"]) == (5, False, True)
    assert (found["engines"][1]["state"], found["engines"][1]["rows"]) == ("not_running", [])
    assert not any("engine-large" in probe.target for probe in host.asked)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "it does not say in time what its memory holds, or more than is read"),
        ({}, "what it says of its memory lacks a part"),
        (SAID["small"] | {"cells": -1}, "it counts what cannot be"),
        (SAID["small"] | {"rows": [{"tier": "attic"}]}, "it names a tier, a scope or a method that there is not"),
    ],
)
def test_an_engine_that_says_nonsense_is_not_known_with_a_reason(
    host: Host, root: Path, said: Any, reason: str
) -> None:
    host.answers["engine-large"] = said
    code, found = data(root)
    assert code == 5
    assert (found["engines"][1]["state"], found["engines"][1]["reason"]) == ("not_known", reason)
    assert found["engines"][0]["state"] == "running"


def test_one_that_hangs_does_not_hold_up_the_others(host: Host, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(3)  # breaks unless both engines and the gateway are asked side by side

    def fetch(probe: Probe) -> Any:
        together.wait(10)
        return host.fetch(probe)

    monkeypatch.setattr(memory_status, "fetch_json", fetch)
    assert data(root)[0] == 0


def test_a_gateway_that_does_not_answer_leaves_hits_and_library_unknown(host: Host, root: Path) -> None:
    host.answers["gateway"] = None
    code, found = data(root)
    assert (code, found["since"], found["library"]["known"]) == (5, None, False)
    assert found["engines"][0]["rows"][0]["hits"] is None


def test_a_site_that_is_down_says_so_and_ends_as_status_does(host: Host, root: Path) -> None:
    host.running = set()
    code, text = asked(root)
    assert code == 5
    assert "the site is down: `sovereign up` starts it" in text
    assert host.asked == []


def test_while_a_model_is_changed_the_engine_that_answers_is_asked(host: Host, root: Path) -> None:
    paths = SitePaths(root)
    paths.diverted("small").parent.mkdir(parents=True, exist_ok=True)
    paths.diverted("small").touch()
    host.running |= {"standby-small"}
    host.answers["standby-small"] = SAID["small"] | {"up_s": 1.5}
    assert [engine["up_s"] for engine in data(root)[1]["engines"]] == [1.5, 9.0]
    host.running -= {"standby-small"}
    host.asked.clear()
    assert data(root)[0] == 0, "a mark that was left, with no engine beside: the model's own is asked"
    assert any("engine-small" in probe.target for probe in host.asked)


def test_where_nothing_is_installed_the_command_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is installed"):
        memory_status.memory_status(SitePaths(tmp_path))
