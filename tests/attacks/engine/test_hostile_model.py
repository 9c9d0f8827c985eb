"""A process in the engine's place tries to dial out, to read the site, to write, and to reach other processes.

The same attempts are made without confinement first: what does not work there proves nothing here.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from appliance.site.layers import LAYERS
from tests.engine import hostile_model
from tests.engine.confined import unprivileged

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the attempts are written for x86-64")
Confined = tuple[dict[str, Any], dict[str, Any], Path]
"""The process's report, its victim's, and the folder with the site in it."""

REFUSALS = {"EPERM", "EACCES", "ENOSYS"}
REAL = {  # worked without confinement, or the environment of the tests would forbid it anyway
    "inet socket",
    "inet6 socket",
    "netlink socket",
    "inet datagram socket",
    "unix datagram socket",
    "unix stream socket",
    "tcp to the victim",
    "udp to the victim",
    "the victim's abstract socket",
    "the audit log's socket",
    "read the site's secrets",
    "list the site",
    "read the model by its name",
    "read another model",
    "read /etc/passwd",
    "read the victim's environment",
    "read the victim's memory",
    "list processes",
    "write into its own folder",
    "write into /tmp",
    "make a folder",
    "make a symbolic link",
    "make a pipe",
    "fork",
    "start a program",
    "signal the victim",
    "signal a thread of the victim",
    "trace the victim",
    "make itself dumpable",
    "set its own limits",
}


def _folder(tmp_path: Path) -> Path:
    """A site with secrets and models, and the engine's own folder beside it."""
    (tmp_path / "site" / "secrets").mkdir(parents=True)
    (tmp_path / "site" / "secrets" / "site.key").write_text("the site's key")
    (tmp_path / "site" / "secrets" / "site.key").chmod(0o600)
    (tmp_path / "site" / "model.gguf").write_text("the verified model")
    (tmp_path / "other.gguf").write_text("what lies there now")
    (tmp_path / "own").mkdir()
    return tmp_path


def _run(mode: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The process's report, and the victim's."""
    program = unprivileged([sys.executable, hostile_model.__file__, mode, str(folder)])
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(program, capture_output=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    written = folder / "victim.json"
    for _ in range(600):
        if written.exists() and written.read_text():
            break
        time.sleep(0.05)
    return json.loads(done.stdout), json.loads(written.read_text())


@pytest.fixture(scope="module")
def confined(tmp_path_factory: pytest.TempPathFactory) -> Confined:
    folder = _folder(tmp_path_factory.mktemp("c"))
    return *_run("confined", folder), folder


def test_the_attempts_are_real_without_confinement(tmp_path: Path) -> None:
    report, seen = _run("free", _folder(tmp_path))
    assert {name for name in REAL if report["attempts"][name] != "worked"} == set()
    assert [name for name in ("signals", "tcp", "udp", "abstract", "file") if not seen[name]] == []


def test_every_layer_holds(confined: Confined) -> None:
    assert tuple(confined[0]["layers"]) == LAYERS


@pytest.mark.parametrize("where", ["attempts", "thread"])
def test_every_attempt_is_refused_in_every_thread(confined: Confined, where: str) -> None:
    outcomes = confined[0][where]
    assert set(outcomes) >= REAL
    assert {name: outcome for name, outcome in outcomes.items() if outcome not in REFUSALS} == {}


def test_nothing_reaches_another_service(confined: Confined) -> None:
    assert confined[1] == {
        "signals": 0,
        "tcp": 0,
        "udp": 0,
        "abstract": 0,
        "file": 0,
        "memory": hostile_model.SECRET.decode(),
    }


def test_the_site_is_as_it_was(confined: Confined) -> None:
    folder = confined[2]
    assert (folder / "site" / "secrets" / "site.key").read_text() == "the site's key"
    assert (folder / "site" / "secrets" / "site.key").stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in (folder / "site").iterdir()) == ["audit.sock", "model.gguf", "other.gguf", "secrets"]
    assert list((folder / "own").iterdir()) == []


def test_the_verified_descriptor_is_read_and_mapped_whatever_its_name_leads_to(
    confined: Confined,
) -> None:
    assert confined[0]["kept"] == {
        "read": "the verified model",
        "mapped": "the verified model",
        "pair": "still here",
    }
    assert (confined[2] / "site" / "model.gguf").read_text() == "what lies there now"
