"""The engine's socket in front of a forked and confined llama-server: wait for its model, serve, drain, leave."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import structlog

from appliance.engine.energy import DeclaredDraw
from appliance.engine.errors import EngineUnavailableError, ModelLoadError
from appliance.engine.listening import server
from appliance.engine.llama_server.adapter import LlamaServerEngine
from appliance.engine.llama_server.places import Places
from appliance.engine.llama_server.prompt import RemotePrompts
from appliance.engine.llama_server.upstream import Upstream
from appliance.engine.metrics import EngineMetrics
from appliance.engine.server import create_app
from appliance.engine.template import ChatTemplate

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import Callable
    from pathlib import Path

    import uvicorn

    from appliance.site.served import Model

DRAIN_BOUND_S = 30.0
_BACKLOG = 128
_POLL_S = 0.05
_log = structlog.get_logger("engine")


def serve(  # noqa: PLR0913 - what the launcher has ready, named at the one call
    *,
    child: sockets.socket,
    private: Path,
    listener: sockets.socket,
    clients: frozenset[int],
    template: str,
    described: dict[str, Any],
    config: Model,
) -> None:
    """Serve until SIGTERM or SIGINT; ``child`` is the bond with the server, which listens on ``private``.

    Raises ``ModelLoadError``, and ``EngineUnavailableError`` when the server ended by itself. Blocks.
    """
    stops = tuple(described["record"].get("template", {}).get("stop", ()))
    compiled = ChatTemplate(template, stops)
    face = _Face(child, Upstream(private), Places(config.slots, config.queue), compiled, config)
    sizes = {"context_tokens": config.context_tokens, "parallel": config.slots, "threads": config.threads}
    known = {**described, **sizes}
    face.computes_with(described["variant"])
    asyncio.run(face.run(listener, clients, lambda: known))


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

    def computes_with(self, variant: str) -> None:
        """Tell of the CPU code that computes."""
        self._metrics.computes_with(variant)

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
