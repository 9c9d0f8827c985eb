"""Journey 01 without a machine of its own: the whole demonstration in a network namespace that holds only loopback.

It needs no root. What it cannot show (a host without the project, systemd, a reboot) `tests/e2e/one_host` shows.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from demo import release
from demo.release import MODEL
from demo.workspace import REPOSITORY, Workspace

pytestmark = [pytest.mark.e2e, pytest.mark.network]
SECONDS = 900
_LOOPBACK_ONLY = (
    ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-current-user", "--keep-caps", "--net"]
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """`make demo ONCE=1`, without a route and without a name server; inputs come from the builder's cache."""
    folder = tmp_path_factory.mktemp("demo")
    release.build(Workspace(folder / "warm"))  # fetches what the cache lacks, while there is a network
    command = f"ip link set lo up && ip route && exec {sys.executable} -m demo --once --folder {folder / 'it'}"
    return subprocess.run(
        [*_LOOPBACK_ONLY, "sh", "-c", command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_the_whole_way_works_without_a_network(played: subprocess.CompletedProcess[str]) -> None:
    assert played.returncode == 0, played.stdout[-4000:] + played.stderr[-4000:]


def test_two_people_get_answers_with_receipts(played: subprocess.CompletedProcess[str]) -> None:
    receipts = re.findall(rf"^model: +{re.escape(MODEL)} sha256:[0-9a-f]+", played.stdout, re.MULTILINE)
    positions = [int(n) for n in re.findall(r"^in log: +entries (\d+) and", played.stdout, re.MULTILINE)]
    assert len(receipts) == 2
    assert positions == sorted(set(positions))


def test_the_log_verifies_and_reports_both(played: subprocess.CompletedProcess[str]) -> None:
    assert re.search(r"^the log holds: sovereign/demo", played.stdout, re.MULTILINE)
    assert "analysts" in played.stdout
    assert "officers" in played.stdout


def test_no_secret_is_on_a_command_line_or_in_the_output(played: subprocess.CompletedProcess[str]) -> None:
    folder = Path(re.search(r"--out (\S+)/keys", played.stdout).group(1))  # type: ignore[union-attr]  # asserted by match
    secrets = (folder / "passphrases" / "keys").read_text().split() + (
        folder / "service-client.secret"
    ).read_text().split()
    assert secrets
    assert not [secret for secret in secrets if secret in played.stdout + played.stderr]


def test_nothing_is_left_running(played: subprocess.CompletedProcess[str]) -> None:
    folder = re.search(r"--out (\S+)/keys", played.stdout).group(1)  # type: ignore[union-attr]  # asserted by match
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"{folder}/site" not in listed
