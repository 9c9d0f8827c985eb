"""A run's inventory holds the site's secrets: it goes with the run, or else with the next command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.install.own_folder import own_folder

RUN = """
import time
from pathlib import Path
from appliance.cluster import playbook

def stream(argv, *_, **__):
    inventory = Path(argv[argv.index("-i") + 1])
    print(inventory, oct(inventory.parent.stat().st_mode & 0o777), inventory.read_text(), flush=True)
    time.sleep(60)

playbook.process.stream = stream
playbook.run("cluster.yml", {"a": "secret"}, lambda _: None)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def ended_by(number: signal.Signals) -> Path:
    """Where the inventory of a run lay that got this signal in the middle."""
    argv = [sys.executable, "-c", RUN]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        place, mode, told = running.stdout.readline().split(maxsplit=2)
        assert (mode, told.strip()) == ("0o700", '{"a": "secret"}')
        running.send_signal(number)
        assert running.wait() != 0
    return Path(place)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_run_whose_terminal_is_lost_leaves_no_inventory(number: signal.Signals) -> None:
    assert not ended_by(number).parent.exists()


def test_what_a_killed_run_left_goes_with_the_next_command() -> None:
    left = ended_by(signal.SIGKILL)
    assert left.exists()
    os.utime(left.parent, (1_700_000_000, 1_700_000_000))
    with own_folder():
        assert not left.parent.exists()
