"""Archive, prune and restore by the commands, on a log whose writer is a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from appliance.site.paths import AUDIT, SitePaths
from tests.audit.aged import COUNT, fill, steady
from tests.audit.processes import writers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.audit.bench import Bench

RUN = "from appliance.cli.entry import run; run()"
SITE = """\
schema: 1
name: demo
models: [{name: demo}]
groups: [{name: analysts, models: [demo]}]
"""


@pytest.fixture
def site(bench: Bench, tmp_path: Path) -> Iterator[Path]:
    """A site's root with nothing in it but its file, its keys and its log, a year old; its writer runs."""
    root = tmp_path / "site"
    bench.directory, bench.origin = root / "data/audit/log", "sovereign/demo"
    (root / "policies").mkdir(parents=True)
    (root / "site.yaml").write_text(SITE)
    (root / "policies/audit-vkeys").write_text("".join(f"{key.encode()}\n" for key in bench.vkeys))
    fill(bench, steady())
    paths = SitePaths(root)
    with writers(bench, tmp_path, paths.socket(AUDIT), {"operator": os.getuid()}) as begin:
        begin()
        yield root
    shutil.rmtree(paths.run)


def sovereign(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, "--site", str(site), "audit", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_entries_leave_for_a_medium_and_come_back(bench: Bench, site: Path, tmp_path: Path) -> None:
    archive = str(tmp_path / "stick")
    written = told(sovereign(site, "archive", "write", archive, "--output", "json"))
    assert (written["first"], written["end"]) == (0, COUNT)
    assert told(sovereign(site, "archive", "verify", archive, "--output", "json")) == written

    before = bench.snapshot()
    unanswered = sovereign(site, "prune")
    assert (unanswered.returncode, "nothing was pruned" in unanswered.stderr) == (2, True)
    assert "their texts go, their hashes stay" in unanswered.stderr
    assert bench.snapshot() == before

    pruned = told(sovereign(site, "prune", "--yes", "--output", "json"))
    found = told(sovereign(site, "verify", "--output", "json"))
    assert found["pruned"] == {"end": pruned["first"], "entry": pruned["entry"]}
    assert "were pruned (the last of 2026-" in sovereign(site, "verify").stdout
    gone = sovereign(site, "prove", "7")
    assert (gone.returncode, "archive restore" in gone.stderr) == (2, True)
    again = told(sovereign(site, "prune", "--yes", "--output", "json"))
    assert again["pruned"] == 0

    restored = told(sovereign(site, "archive", "restore", archive, "--output", "json"))
    assert restored == {"restored": pruned["pruned"]}
    assert told(sovereign(site, "verify", "--output", "json"))["pruned"] is None
    assert told(sovereign(site, "prove", "7", "--output", "json"))["index"] == 7
    kinds = told(sovereign(site, "report", "--output", "json", "--cache", str(tmp_path / "figures")))["kinds"]
    assert kinds == {"sign_in": COUNT, "log_pruned": 1, "admin_change": 1 + 6}, "what came back, and six looks"
