"""A scripted engine behind a real server on a real Unix socket, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from appliance.engine.metrics import EngineMetrics
from appliance.engine.server import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.engine.serial import SerialEngine


@contextlib.contextmanager
def served(engine: SerialEngine, path: Path, metrics: EngineMetrics | None = None) -> Iterator[Path]:
    """Serve ``engine`` on a socket below ``path`` until the block ends."""
    app = create_app(
        engine,
        metrics or EngineMetrics(),
        healthy=lambda: engine.alive,
        describe=lambda: {"record": {"name": "m"}, "receipt": {"digest": "sha256:0"}, "context_tokens": 64},
    )
    server = uvicorn.Server(uvicorn.Config(app, loop="asyncio", http="h11", lifespan="off", log_config=None))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "s"))
        listener.listen()
        engine.start()
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            yield path / "s"
        finally:
            server.should_exit = True
            thread.join(20)
            engine.stop()
