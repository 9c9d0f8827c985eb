"""What an operator does on the host, as functions: run the command, wait for services, list files, call the API."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.e2e.one_host.conftest import SITE, SOVEREIGN, TOOLS

if TYPE_CHECKING:
    from pathlib import Path

    from lab.host import BareHost

HEAL_SECONDS = 150


def sovereign(host: BareHost, *arguments: str, check: bool = True) -> tuple[int, str, str]:
    """Run the command on the host: exit code, stdout, stderr."""
    done = host.run([SOVEREIGN, "--site", SITE, *arguments], check=check)
    return done.returncode, done.stdout, done.stderr


def status(host: BareHost) -> dict[str, Any]:
    """`sovereign status` as data."""
    return dict(json.loads(sovereign(host, "status", "--output", "json", check=False)[1]))


def services(host: BareHost) -> dict[str, dict[str, Any]]:
    """What `status` says of each service, by name."""
    return {each["name"]: each for each in status(host)["services"]}


def eventually_up(host: BareHost) -> None:
    """Wait until every service is ready again; fail with what `status` says."""
    deadline = time.monotonic() + HEAL_SECONDS
    while sovereign(host, "status", check=False)[0] != 0:
        assert time.monotonic() < deadline, sovereign(host, "status", check=False)[1]
        time.sleep(1)


def units(host: BareHost, of: str) -> str:
    """What systemd knows of the units that are called so."""
    return host.run(["sh", "-c", f"systemctl list-units --all --no-legend 'sovereign-*{of}*'"]).stdout.strip()


def files_of(host: BareHost) -> set[str]:
    """Every file that an installation could leave behind; not the command itself, nor what the system rotates."""
    volatile = (TOOLS, "/proc", "/sys", "/dev", "/run", "/tmp", "/media", "/var/log", "/var/lib/systemd", "/var/cache")
    prune = " -o ".join(f"-path {folder}" for folder in volatile)
    return set(host.run(["sh", "-c", rf"find / \( {prune} \) -prune -o -print"]).stdout.splitlines())


def call_api(host: BareHost, folder: Path) -> dict[str, Any]:
    """One program's calls, by the unmodified `openai` package, from inside the host's network."""
    ca, secret = folder / "ca.pem", service_secret(host, folder)
    ca.write_text(host.run(["cat", f"{SITE}/tls/ca.pem"]).stdout)
    program = [sys.executable, "-m", "tests.e2e.one_host.openai_client", str(ca), "batch"]
    done = subprocess.run(
        host.inside(program, network_only=True), input=secret, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def service_secret(host: BareHost, folder: Path) -> str:
    """The secret of the program ``batch``; asked for once for each ``folder``, since asking makes another."""
    kept = folder / "secret"
    if not kept.exists():
        host.run(["rm", "-f", "/tmp/batch.secret"])
        sovereign(host, "client", "secret", "batch", "--out", "/tmp/batch.secret")
        kept.write_text(host.run(["cat", "/tmp/batch.secret"]).stdout)
    return kept.read_text()


def answered(host: BareHost, folder: Path) -> dict[str, object]:
    """The model's part of the receipt; a question that was admitted for the former model is asked again."""
    deadline = time.monotonic() + HEAL_SECONDS
    while (found := call_api(host, folder))["status"] != 200:
        assert time.monotonic() < deadline, found
        time.sleep(1)
    return dict(found["receipt"]["model"])
