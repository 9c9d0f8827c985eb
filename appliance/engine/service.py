"""The engine once it is confined (``launch``): load, listen, serve, drain, leave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import structlog

from appliance.engine import llama_backend, pace
from appliance.engine.batching import BatchingEngine
from appliance.engine.embedding.engine import TOGETHER, EmbeddingEngine
from appliance.engine.energy import DeclaredDraw, MeasuredDraw
from appliance.engine.errors import MemoryBudgetError, ModelLoadError
from appliance.engine.first_token import require_token
from appliance.engine.kv.arena import Arena
from appliance.engine.kv.shelf import KvShelf, identity_of
from appliance.engine.listening import server
from appliance.engine.llama import LlamaContext
from appliance.engine.llama_embedder import LlamaEmbedder
from appliance.engine.memory import MIB
from appliance.engine.metrics import EngineMetrics
from appliance.engine.prompt import PromptReader
from appliance.engine.server import create_app
from appliance.engine.stacks import bound_stacks
from appliance.engine.steady import SETTLES_S
from appliance.engine.template import ChatTemplate
from appliance.engine.tiers import EngineTiers

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import Callable, Coroutine, Mapping

    import uvicorn

    from appliance.engine.confinement.layers import Confinement
    from appliance.engine.energy import Draw
    from appliance.engine.kv.disk import Disk
    from appliance.engine.memory import ResidentMemory
    from appliance.engine.nvml import Counters
    from appliance.engine.protocol import Engine
    from appliance.site.served import Model

DRAIN_BOUND_S = 30.0
_WATCH_S = 1.0
_BACKLOG = 128
_READINGS_OVER_BUDGET = 5
_log = structlog.get_logger("engine")


def serve(  # noqa: PLR0913 - what a process needs to begin, named at the one call
    *,
    weights_fd: int,
    template: str,
    receipt: dict[str, Any],
    record: dict[str, Any],
    config: Model,
    listener: sockets.socket,
    clients: frozenset[int],
    confinement: Confinement,
    resident: ResidentMemory,
    disk: Disk | None = None,
    adapters: Mapping[str, int] = MappingProxyType({}),
    counters: Counters | None = None,
    variant: str = "",
) -> None:
    """Serve one verified model on the bound ``listener`` until SIGTERM or SIGINT; then drain for ``DRAIN_BOUND_S``.

    Connections by other uids than ``clients`` are cut off before a byte is read: nobody else asks a model.

    ``weights_fd`` is the descriptor whose bytes were verified, and stays open while the model is mapped; ``variant``
    names the CPU code that is loaded. Raises ``MemoryBudgetError`` and ``ModelLoadError``. Blocks.
    """
    bound_stacks()
    metrics = EngineMetrics()
    metrics.confined(confinement)
    metrics.computes_with(variant, llama_backend.device())
    draw = _draw(config, counters)
    if record.get("role") == "embedding":
        if disk is not None:
            os.close(disk.descriptor)  # there is nothing to keep
        loaded = _embedding(weights_fd, config, metrics, draw)
    else:
        loaded = _answering(
            weights_fd,
            template=ChatTemplate(template, _template_stops(record)),
            receipt=receipt,
            config=config,
            metrics=metrics,
            draw=draw,
            disk=disk,
            adapters=adapters,
        )
    engine = loaded.engine
    try:
        said = {"record": record, "receipt": receipt, **loaded.sizes, "threads": config.threads, "variant": variant}
        if (device := llama_backend.device()) is not None:
            said["device"] = device.to_json()
        said["confinement"] = confinement.to_json()
        app = create_app(
            engine,
            metrics,
            healthy=lambda: engine.alive,
            describe=lambda: {**said, **_pinned(engine)},
            tiers=loaded.tiers,
        )
        engine.start()
        try:
            listener.listen(_BACKLOG)
            _log.info("serving", model=config.name, **loaded.sizes)
            watch = _watch_memory(metrics, resident, config.memory_mib)
            asyncio.run(_run(server(app, clients), listener, engine, watch))
        finally:
            engine.stop()
    finally:
        loaded.close()


@dataclass(frozen=True)
class _Loaded:
    """An engine on a model that is in memory; ``sizes`` is what ``GET /model`` says of it.

    ``tiers`` is what ``GET /memory`` says, where the engine knows.
    """

    engine: BatchingEngine | EmbeddingEngine
    sizes: dict[str, int]
    close: Callable[[], None]
    tiers: Callable[[], EngineTiers] | None = None


def _answering(  # noqa: PLR0913 - as serve
    weights_fd: int,
    *,
    template: ChatTemplate,
    receipt: dict[str, Any],
    config: Model,
    metrics: EngineMetrics,
    draw: Draw,
    disk: Disk | None,
    adapters: Mapping[str, int],
) -> _Loaded:
    context = LlamaContext(
        weights_fd,
        context_tokens=config.context_tokens,
        threads=config.threads,
        budget_mib=config.memory_mib,
        slots=config.parallel,
        adapters=adapters,
    )
    try:
        require_token(context)
    except ModelLoadError:
        context.close()
        raise
    engine = BatchingEngine(
        context,
        PromptReader(context, template),
        slots=context.slots,
        queue_limit=config.queue,
        draw=draw,
        metrics=metrics,
        shelf=_shelf(disk, receipt, context),
        pinned_tokens=config.pinned_tokens,
        limits=pace.of(llama_backend.device()),
    )
    sizes = {"context_tokens": context.context_tokens, "parallel": context.slots, "cells": context.cells}
    sizes["batch_tokens"] = context.batch_tokens
    return _Loaded(engine, sizes, context.close, lambda: engine.tiers(context.cell_bytes))


def _embedding(weights_fd: int, config: Model, metrics: EngineMetrics, draw: Draw) -> _Loaded:
    model = LlamaEmbedder(
        weights_fd, context_tokens=config.context_tokens, threads=config.threads, budget_mib=config.memory_mib
    )
    engine = EmbeddingEngine(model, queue_limit=config.queue, draw=draw, metrics=metrics)
    sizes = {"context_tokens": model.text_tokens, "dimensions": model.dimensions, "parallel": TOGETHER}
    sizes["batch_tokens"], began = model.batch_tokens, time.monotonic()
    return _Loaded(engine, sizes, model.close, lambda: EngineTiers(time.monotonic() - began, 0, (), None))


def _pinned(engine: BatchingEngine | EmbeddingEngine) -> dict[str, Any]:
    """What ``GET /model`` says of instructions that stay in memory."""
    if not isinstance(engine, BatchingEngine):
        return {}
    count, tokens = engine.pinned
    return {"pinned": {"instructions": count, "tokens": tokens, "most": engine.most_pinned}}


def _draw(config: Model, counters: Counters | None) -> Draw:
    declared = DeclaredDraw(busy=config.watts_busy, idle=config.watts_idle)
    settles_s = 0.0 if config.gpu is None else SETTLES_S
    return declared if counters is None else MeasuredDraw(counters, config.watts_idle, declared, settles_s)


def _shelf(disk: Disk | None, receipt: dict[str, Any], context: LlamaContext) -> KvShelf | None:
    if disk is None:
        return None
    made = {name: adapter.get("digest") for name, adapter in receipt.get("adapters", {}).items()}
    adapters = json.dumps(made, sort_keys=True)
    identity = identity_of(model=str(receipt.get("digest", "")), adapters=adapters, **context.facts())
    try:
        return KvShelf(Arena(disk.descriptor), disk.key, identity)
    except OSError as error:
        _log.warning("kv_not_kept", reason=error.strerror)
        return None


def _template_stops(record: dict[str, Any]) -> tuple[str, ...]:
    """Stop strings that belong to the template. Raises ``ModelLoadError`` when the record's are no strings."""
    stops = record.get("template", {}).get("stop", [])
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise ModelLoadError("the model record's template.stop is not a list of texts")
    return tuple(stops)


async def _run(
    server: uvicorn.Server, listener: sockets.socket, engine: Engine, watch: Coroutine[None, None, None]
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    watching = asyncio.create_task(watch)
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await engine.drain(DRAIN_BOUND_S)
    server.should_exit = True
    await serving
    stopped.cancel()
    if watching.done():
        watching.result()
    watching.cancel()


async def _watch_memory(metrics: EngineMetrics, memory: ResidentMemory, budget_mib: int) -> None:
    """Returns never; raises ``MemoryBudgetError`` after some readings in a row above the budget."""
    over = 0
    while True:
        resident = memory.read()
        metrics.resident(resident)
        over = over + 1 if resident > budget_mib * MIB else 0
        if over >= _READINGS_OVER_BUDGET:
            _log.error("over_memory_budget", resident_mib=resident // MIB, memory_mib=budget_mib)
            raise MemoryBudgetError(
                f"the engine uses {resident // MIB} MiB and memory_mib grants {budget_mib}",
                "raise memory_mib of this model in site.yaml",
            )
        await asyncio.sleep(_WATCH_S)
