"""llama-server as an engine's process: take the socket, fork the server, give up the rest, serve once it is sealed.

Order: the socket is bound and not listened on; the child is forked while there is one thread; this process confines
itself (it reads no model, but what the server says, and keeps sockets, since it opens one for each request); the child
says that it is sealed; the model is loaded; only then is anyone let in. When either process ends, so does the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import structlog

from appliance.engine.confinement.landlock import View, environment
from appliance.engine.confinement.layers import confine
from appliance.engine.energy import DeclaredDraw
from appliance.engine.errors import ConfinementError, EngineUnavailableError, ModelLoadError
from appliance.engine.launch import bound
from appliance.engine.listening import server
from appliance.engine.llama_server.adapter import LlamaServerEngine
from appliance.engine.llama_server.arguments import SOCKET_NAME, Shape, arguments
from appliance.engine.llama_server.child import Program, fork
from appliance.engine.llama_server.places import Places
from appliance.engine.llama_server.prompt import RemotePrompts
from appliance.engine.llama_server.upstream import Upstream
from appliance.engine.memory import require_weights_fit
from appliance.engine.metrics import EngineMetrics
from appliance.engine.server import create_app
from appliance.engine.template import ChatTemplate

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import Callable, Collection
    from pathlib import Path

    import uvicorn

    from appliance.site.config import Model

DRAIN_BOUND_S = 30.0
SLOTS = 4
_BACKLOG = 128
_POLL_S = 0.05
_REPORT_MAX_BYTES = 65_536
_log = structlog.get_logger("engine")


def serve(  # noqa: PLR0913 - as ``appliance.engine.launch.serve``, and the server's own library
    *,
    library: Path,
    weights_fd: int,
    template: str,
    receipt: dict[str, Any],
    record: dict[str, Any],
    config: Model,
    socket: Path,
    clients: frozenset[int],
    waived: Collection[str] = (),
    slots: int = SLOTS,
) -> None:
    """As ``appliance.engine.launch.serve``, with the llama-server in ``library`` (an absolute path) as the engine.

    ``slots`` requests are computed at once, each with ``context_tokens`` of its own. Blocks.
    """
    require_weights_fit(os.fstat(weights_fd).st_size, config.memory_mib)
    compiled = ChatTemplate(template, tuple(record.get("template", {}).get("stop", ())))
    private = socket.with_name(SOCKET_NAME)
    private.unlink(missing_ok=True)
    shape = Shape(config.context_tokens, slots, config.threads)
    program = Program(
        library, weights_fd, arguments(weights_fd, private, shape), private, config.memory_mib, frozenset(waived)
    )
    with bound(socket) as listener:
        child = fork(program, leave=(listener.fileno(),))
        os.close(weights_fd)
        confine(View(readable=environment(), own=socket.parent), waived)
        layers = _layers(child)
        face = _Face(child, Upstream(private), Places(slots, config.queue), compiled, config)
        described = {
            "record": record,
            "receipt": receipt,
            "context_tokens": config.context_tokens,
            "confinement": layers,
        }
        try:
            asyncio.run(face.run(listener, clients, lambda: described))
        finally:
            private.unlink(missing_ok=True)


def _layers(child: sockets.socket) -> list[dict[str, Any]]:
    """What confines the server, by its own word. Raises ``ConfinementError``, ``ModelLoadError``. Blocks."""
    line = b""
    while not line.endswith(b"\n"):
        part = child.recv(4096)
        if not part or len(line) > _REPORT_MAX_BYTES:
            raise ModelLoadError("llama-server ended before it was confined", "the engine's log names the reason")
        line += part
    said = json.loads(line)
    if "refused" in said:
        raise ConfinementError(said["layer"], said["refused"])
    layers: list[dict[str, Any]] = said["layers"]
    return layers


class _Face:
    """The engine's socket in front of the server, while both live."""

    def __init__(
        self, child: sockets.socket, upstream: Upstream, places: Places, template: ChatTemplate, config: Model
    ) -> None:
        self._child = child
        self._upstream = upstream
        self._places = places
        self._config = config
        self._metrics = EngineMetrics()
        self._engine = LlamaServerEngine(
            upstream,
            RemotePrompts(upstream, template),
            places,
            context_tokens=config.context_tokens,
            draw=DeclaredDraw(busy=config.watts_busy, idle=config.watts_idle),
            metrics=self._metrics,
        )

    async def run(
        self, listener: sockets.socket, clients: frozenset[int], describe: Callable[[], dict[str, Any]]
    ) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises ``ModelLoadError``, ``EngineUnavailableError``."""
        gone = self._watched()
        await self._ready(gone)
        app = create_app(self._engine, self._metrics, healthy=lambda: not gone.is_set(), describe=describe)
        stopping = _signalled()
        listener.listen(_BACKLOG)
        _log.info("serving", model=self._config.name, context_tokens=self._config.context_tokens, by="llama-server")
        await self._until_stopped(server(app, clients), listener, gone, stopping)
        await self._upstream.aclose()
        self._child.close()
        if gone.is_set():
            raise EngineUnavailableError("llama-server stopped by itself", "the engine's log names the reason")

    def _watched(self) -> asyncio.Event:
        """Set once the child has ended."""
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()

        def heard() -> None:
            loop.remove_reader(self._child)
            gone.set()

        self._child.settimeout(0)
        loop.add_reader(self._child, heard)
        return gone

    async def _ready(self, gone: asyncio.Event) -> None:
        while not await self._upstream.ready():
            if gone.is_set():
                raise ModelLoadError("llama-server refuses the model file", "the engine's log names the reason")
            await asyncio.sleep(_POLL_S)

    async def _until_stopped(
        self, server: uvicorn.Server, listener: sockets.socket, gone: asyncio.Event, stopping: asyncio.Event
    ) -> None:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        ends = [asyncio.create_task(event.wait()) for event in (gone, stopping)]
        await asyncio.wait({serving, *ends}, return_when=asyncio.FIRST_COMPLETED)
        await self._engine.drain(0 if gone.is_set() else DRAIN_BOUND_S)
        server.should_exit = True
        await serving
        for end in ends:
            end.cancel()


def _signalled() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping
