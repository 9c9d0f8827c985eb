"""The engine that a gateway is measured over: the double that answers at once, in a process of its own.

So nothing that it does is in the gateway's time or in its way. Stopped by SIGTERM.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import uvicorn

from appliance.site.peer_protocol import PeerProtocol
from tests.contract.conftest import ModelDouble, engine_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_S = 60


@contextmanager
def engine(socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process, while it answers on ``socket``. Raises ``RuntimeError`` where it ends before."""
    with subprocess.Popen([sys.executable, "-m", "tests.bench.gateway_engine", str(socket)]) as process:
        try:
            until = time.monotonic() + _START_S
            while not _answers(socket):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("the engine's double does not start")
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()


def _answers(socket: Path) -> bool:
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://engine") as http:
            return http.get("/healthz").is_success
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    app = engine_app(ModelDouble())
    uvicorn.run(app, uds=sys.argv[1], http=PeerProtocol, log_config=None, access_log=False, timeout_keep_alive=30)
