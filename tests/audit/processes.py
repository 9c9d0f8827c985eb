"""The audit writer as a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError, LogFullError
from appliance.audit.sessions import GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.audit.bench import Bench

PROGRAM = """
import sys
from pathlib import Path
from appliance.audit import roles
from appliance.audit.keys import CheckpointKeys
from appliance.audit.server import serve
from appliance.errors import SovereignError
directory, socket, origin, keys, grace, *held = sys.argv[1:]
keys = Path(keys)
known = {role.name: role for role in (roles.GATEWAY, roles.IDENTITY, roles.OPERATOR, roles.CLUSTER)}
holders = [(int(uid), known.get(name) or roles.engine(name.removeprefix("engine/"))) for uid, name in
           (one.split("=") for one in held)]
try:
    serve(
        directory=Path(directory), socket=Path(socket), origin=origin,
        keys=CheckpointKeys.load((keys / "ed25519").read_bytes(), (keys / "mldsa44").read_bytes()),
        roles=roles.Roles.of_holders(holders), grace=float(grace),
    )
except SovereignError as error:
    print(error.cause, file=sys.stderr)
    sys.exit(error.exit_code)
"""
START_SECONDS = 180.0


@contextlib.contextmanager
def writers(
    bench: Bench, folder: Path, socket: Path, roles: Mapping[str, int], *, grace: float = GRACE_SECONDS
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts writers of the bench's log on ``socket``; ``roles`` maps each role's name to the uid that has it."""
    (folder / "ed25519").write_bytes(bench.keys.ed25519_pem())
    (folder / "mldsa44").write_bytes(bench.keys.mldsa44_pem())
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        held = [f"{uid}={name}" for name, uid in roles.items()]
        where = [str(bench.directory), str(socket), bench.origin, str(folder)]
        command = [sys.executable, "-c", PROGRAM, *where, str(grace), *held]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        until(lambda: process.poll() is not None or _answers(socket))
        return process

    try:
        yield begin
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.communicate()


def _answers(socket: Path) -> bool:
    try:
        with SyncAuditClient(socket) as client:
            client.checkpoint()
    except LogFullError:
        return True
    except AuditUnavailableError as error:
        return "answered" in error.cause
    return True


def open_requests(socket: Path) -> int:
    """How many requests in the log of the writer at ``socket`` have no end yet."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://audit") as http:
        return int(http.get("/healthz").json()["open_requests"])


def until(condition: Callable[[], bool], limit: float = START_SECONDS) -> None:
    """Wait for ``condition``."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
