"""Journey 01 without a machine of its own: the whole demonstration in a network namespace that holds only loopback.

It needs no root. What it cannot show (a host without the project, systemd, a reboot) `tests/e2e/one_host` shows.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from demo import release
from demo.release import MODEL
from demo.workspace import REPOSITORY, Workspace, sovereign

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.network]
SECONDS = 900
PORT = 18080
_LOOPBACK_ONLY = (
    ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-current-user", "--keep-caps", "--net"]
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Where the demonstration goes; its site is removed afterwards."""
    place = Workspace(tmp_path_factory.mktemp("demo") / "it", PORT)
    yield place
    if place.site.exists():
        sovereign("--site", place.site, "uninstall", "--yes", "--discard-log")


@pytest.fixture(scope="module")
def played(workspace: Workspace) -> subprocess.CompletedProcess[str]:
    """`make demo ONCE=1`, without a route and without a name server; inputs come from the builder's cache."""
    release.build(Workspace(workspace.root.with_name("warm")))  # fetches what the cache lacks, while there is a network
    demo = f"{sys.executable} -m demo --once --port {PORT} --folder {workspace.root}"
    return subprocess.run(
        [*_LOOPBACK_ONLY, "sh", "-c", f"ip link set lo up && ip route && exec {demo}"],
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


def test_no_secret_is_on_a_command_line_or_in_the_output(
    played: subprocess.CompletedProcess[str], workspace: Workspace
) -> None:
    files = (workspace.passphrase_file("keys"), workspace.root / "service-client.secret")
    secrets = [file.read_text().strip() for file in files]
    assert all(secrets)
    assert not [secret for secret in secrets if secret in played.stdout + played.stderr]


@pytest.mark.usefixtures("played")
def test_nothing_is_left_running(workspace: Workspace) -> None:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(workspace.site) not in listed
