"""The audit service in a thread of its own, on a Unix socket."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import uvicorn

from appliance.audit.listening import listen
from appliance.audit.log import TileLog
from appliance.audit.server import create_app, server_config
from tests.audit.bench import EVERY_ROLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from tests.audit.bench import Bench


class Running:
    """An ASGI app on a Unix socket, in a thread of its own."""

    def __init__(self, app: ASGIApp, socket: Path) -> None:
        self.socket = socket
        self._listener = listen(socket)
        self._server = uvicorn.Server(server_config(app))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[ASGIApp], Running]]:
    running: list[Running] = []

    def start(app: ASGIApp) -> Running:
        running.append(Running(app, tmp_path / "sock"))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def service(bench: Bench, serve: Callable[[ASGIApp], Running]) -> Running:
    return serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), EVERY_ROLE))
