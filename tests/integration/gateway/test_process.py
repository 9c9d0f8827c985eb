"""``serve`` as a process of its own: started, asked, stopped."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.site.paths import SitePaths
from tests.gateway import postgres
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.network
_PROGRAM = """
import sys
from pathlib import Path
from appliance.gateway.server import serve
from appliance.site.credentials import Credentials
from appliance.site.paths import SitePaths
from tests.gateway.doubles import site
root, gateway, management = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
listen = {"hostname": "127.0.0.1", "gateway_port": gateway, "management_port": management, "database_port": 5432}
serve(config=site(listen=listen), paths=SitePaths(root), credentials=Credentials(root / "credentials"))
"""


@pytest.fixture
def paths(tmp_path: Path, cluster: postgres.Cluster) -> Iterator[SitePaths]:
    found = SitePaths(tmp_path)
    (tmp_path / "credentials").mkdir()
    for name in ("content_key", "session_key", "pseudonym_key"):
        (tmp_path / "credentials" / name).write_bytes(name[:1].encode() * 32)
    (tmp_path / "credentials" / "db_password").write_text(postgres.PASSWORD)
    (tmp_path / "credentials" / "oidc_client_secret").write_text("unused")
    found.run.mkdir(parents=True)
    (found.run / "database").symlink_to(cluster.socket_dir)
    yield found
    shutil.rmtree(found.run)


def start(paths: SitePaths, gateway: int, management: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _PROGRAM, str(paths.root), str(gateway), str(management)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_the_process_serves_says_what_is_missing_and_stops_on_sigterm(paths: SitePaths) -> None:
    gateway, management = free_port(), free_port()
    process = start(paths, gateway, management)
    try:
        alive = answer(process, f"http://127.0.0.1:{management}/healthz")
        assert alive.text == "ok\n"
        ready = httpx.get(f"http://127.0.0.1:{management}/readyz")
        checks = ready.json()["checks"]
        assert ready.status_code == 503
        assert (checks["database"], checks["audit"], checks["engine-small"]) == (True, False, False)
        assert "sovereign_answers_running" in httpx.get(f"http://127.0.0.1:{management}/metrics").text
        assert answer(process, f"http://127.0.0.1:{gateway}/").status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert "Traceback" not in log


def test_a_key_of_the_wrong_size_stops_the_start(paths: SitePaths) -> None:
    (paths.root / "credentials" / "content_key").write_bytes(b"short")
    process = start(paths, free_port(), free_port())
    _, log = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "credential content_key has 5 bytes instead of 32" in log


def answer(process: subprocess.Popen[str], url: str) -> httpx.Response:
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx.get(url)
        except httpx.ConnectError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
