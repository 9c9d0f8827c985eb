"""A log of its own for every test, and the acts that tests do with it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import events
from appliance.audit.entry import encode_entry
from appliance.audit.keys import CheckpointKeys
from appliance.audit.log import TileLog
from appliance.audit.roles import GATEWAY, OPERATOR, Roles, engine
from appliance.audit.verify import LogReport, verify_log
from appliance.site.peer_protocol import PEER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from appliance.audit.note import VerifierKey
    from appliance.audit.storage import Storage
    from appliance.site.peers import Peer

EVERY_ROLE = Roles({os.getuid(): (GATEWAY, OPERATOR, engine("demo"))})
"""A site where one user runs everything."""
MOMENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@dataclass
class Bench:
    """One log directory, its keys, and whoever writes it at the moment."""

    directory: Path
    keys: CheckpointKeys = field(default_factory=CheckpointKeys.generate)
    origin: str = "site.example/audit"
    logs: list[TileLog] = field(default_factory=list)

    @property
    def vkeys(self) -> tuple[VerifierKey, ...]:
        return self.keys.vkeys(self.origin)

    def event(self, name: str, **changes: object) -> dict[str, Any]:
        made = events.request(
            request_id=name,
            subject="0f1e2d",
            groups=("analysts",),
            model_digest="sha256:" + "a5" * 32,
            model_name="demo",
            prompt_commitment="sha256:" + "00" * 32,
            at=MOMENT,
        )
        return made | changes

    def record(self, name: str, **changes: object) -> tuple[str, bytes]:
        return name, encode_entry(self.event(name, **changes), name)

    def records(self, *numbers: int) -> list[tuple[str, bytes]]:
        return [self.record(f"e{number}") for number in numbers]

    def open(self, storage: Storage | None = None) -> TileLog:
        log = TileLog(self.directory, self.origin, self.keys, storage=storage)
        self.logs.append(log)
        return log

    def close(self) -> None:
        while self.logs:
            self.logs.pop().close()

    def fill(self, count: int, *, batch: int = 0, start: int = 0) -> None:
        """Write ``count`` entries named e<number>, in one batch or in batches of ``batch``, and close the log."""
        log = self.open()
        log.open()
        for first in range(start, start + count, batch or max(count, 1)):
            log.append(self.records(*range(first, min(first + (batch or count), start + count))))
        self.close()

    def verify(self, **options: Any) -> LogReport:
        return verify_log(self.directory, vkeys=self.vkeys, **options)

    def snapshot(self) -> dict[str, bytes]:
        """Every file of the log but the index of ids, by relative path."""
        files = (path for path in sorted(self.directory.rglob("*")) if path.is_file())
        named = {str(path.relative_to(self.directory)): path for path in files}
        return {name: path.read_bytes() for name, path in named.items() if not name.startswith("ids.sqlite")}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """In memory where the machine has such a file system: fsync is called all the same, and costs nothing there."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        made = Bench(Path(folder) / "log")
        yield made
        made.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def introduced(app: ASGIApp, peer: Peer | None) -> ASGIApp:
    """``app`` as behind a ``PeerProtocol`` whose connections ``peer`` opened; without one, behind another server."""

    async def serving(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope | {"state": {PEER: peer} if peer else {}}, receive, send)

    return serving
