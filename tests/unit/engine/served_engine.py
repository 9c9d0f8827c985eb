"""A scripted engine behind a real server on a real Unix socket, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

from appliance.engine.listening import server
from appliance.engine.metrics import EngineMetrics
from appliance.engine.server import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.engine.serial import SerialEngine


OURSELVES = frozenset({os.getuid()})


@contextlib.contextmanager
def served(
    engine: SerialEngine, path: Path, metrics: EngineMetrics | None = None, clients: frozenset[int] = OURSELVES
) -> Iterator[Path]:
    """Serve ``engine`` on a socket below ``path`` until the block ends."""
    app = create_app(
        engine,
        metrics or EngineMetrics(),
        healthy=lambda: engine.alive,
        describe=lambda: {"record": {"name": "m"}, "receipt": {"digest": "sha256:0"}, "context_tokens": 64},
    )
    serving = server(app, clients)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "s"))
        listener.listen()
        engine.start()
        thread = threading.Thread(target=lambda: asyncio.run(serving.serve(sockets=[listener])))
        thread.start()
        try:
            yield path / "s"
        finally:
            serving.should_exit = True
            thread.join(20)
            engine.stop()
