"""What the engine counts. Labels name kinds of things, never a person, a group, a prompt or a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from appliance.engine.protocol import End, Failed, QueueStatus

if TYPE_CHECKING:
    from appliance.engine.confinement.layers import Confinement
    from appliance.engine.keeping import KeptFigures
    from appliance.engine.llama_gpu import Device

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class EngineMetrics:
    """One engine's metrics, in a registry of their own. Safe from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._ended = Counter("engine_requests", "Requests by how they ended.", ["outcome"], registry=self._registry)
        self._tokens = Counter("engine_tokens", "Tokens by kind.", ["kind"], registry=self._registry)
        self._spared = Counter(
            "engine_spared_tokens", "Cached tokens by where they lay.", ["tier"], registry=self._registry
        )
        self._joules = Counter("engine_energy_joules", "Energy above idle.", ["method"], registry=self._registry)
        self._waited = self._histogram("engine_queue_seconds", "From admission to the start of work.")
        self._first = self._histogram("engine_first_token_seconds", "From the start of work to the first token.")
        self._decode = self._histogram("engine_decode_seconds", "From the first token to the last.")
        rows = Counter("engine_rows", "Rows of batches by kind.", ["kind"], registry=self._registry)
        self._prompt_rows, self._decode_rows = rows.labels("prompt"), rows.labels("decode")
        self._steps = self._histogram("engine_step_seconds", "Computing one batch.")
        self._scheduling = Counter(
            "engine_scheduling_seconds",
            "Steps' time beside computing and drawing, or while a GPU computes.",
            registry=self._registry,
        )
        self._way = Counter("engine_made_way", "Work that made way for other work.", ["kind"], registry=self._registry)
        self._cells = Gauge("engine_cells_live", "Cells in use, parked ones included.", registry=self._registry)
        self._parked = Gauge("engine_parked", "Beginnings that are kept for later.", registry=self._registry)
        self._pinned = Gauge("engine_pinned_tokens", "Instructions that stay.", registry=self._registry)
        self._kept = Gauge("engine_kv_states", "Beginnings of prompts on disk.", registry=self._registry)
        self._kept_bytes = Gauge("engine_kv_bytes", "Bytes of disk that they take.", registry=self._registry)
        self._brought = Gauge(
            "engine_kv_read", "Beginnings read from disk since the start.", ["outcome"], registry=self._registry
        )
        self._running = Gauge("engine_running", "Requests that are computed now.", registry=self._registry)
        self._waiting = Gauge("engine_waiting", "Requests that wait.", registry=self._registry)
        self._confined = Gauge(
            "engine_confined", "Whether a layer of confinement holds.", ["layer"], registry=self._registry
        )
        self._variant = Gauge(
            "engine_cpu_variant", "The variant of ggml's CPU code that computes.", ["variant"], registry=self._registry
        )
        self._device = Gauge(
            "engine_gpu_memory_bytes", "Memory of the GPU that computes.", ["device"], registry=self._registry
        )
        self._resident = Gauge("engine_resident_bytes", "Resident memory, weights included.", registry=self._registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=_SECONDS, registry=self._registry)

    def ended(self, outcome: str) -> None:
        """A request ended without computing: ``busy``, ``draining``, ``refused``, or ``cancelled`` while it waited."""
        self._ended.labels(outcome).inc()

    def finished(self, last: End | Failed) -> None:
        """A request that was computed is over."""
        if isinstance(last, Failed):
            self._ended.labels("failed").inc()
            return
        self._ended.labels(last.finish_reason).inc()
        self._tokens.labels("prompt").inc(last.usage.prompt_tokens)
        self._tokens.labels("cached").inc(last.usage.cached_tokens)
        self._tokens.labels("completion").inc(last.usage.completion_tokens)
        for one in last.spared:
            self._spared.labels(one.tier).inc(one.tokens)
        self._joules.labels(last.energy.method).inc(last.energy.joules)
        for histogram, milliseconds in (
            (self._waited, last.timing.queue_ms),
            (self._first, last.timing.first_token_ms),
            (self._decode, last.timing.decode_ms),
        ):
            histogram.observe(milliseconds / 1000)

    def step(self, seconds: float, *, prompt_rows: int, decode_rows: int) -> None:
        """A batch was computed."""
        self._steps.observe(seconds)
        self._prompt_rows.inc(prompt_rows)
        self._decode_rows.inc(decode_rows)

    def gave_up(self) -> None:
        """A batch was given up for somebody who came new."""
        self._way.labels("given_up").inc()

    def scheduled(self, seconds: float) -> None:
        """A step took so long beside computing a batch and drawing from it."""
        self._scheduling.inc(max(0.0, seconds))

    def room(self, *, live: int, parked: int, pinned: int, evicted: int, put_off: int) -> None:
        """Cells after a step; ``evicted`` and ``put_off`` count since the step before."""
        self._cells.set(live)
        self._parked.set(parked)
        self._pinned.set(pinned)
        self._way.labels("evicted").inc(evicted)
        self._way.labels("put_off").inc(put_off)

    def kept(self, figures: KeptFigures) -> None:
        """What lies on disk; of what was read, ``restored`` was used and ``dropped`` was not what it should be."""
        self._kept.set(figures.states)
        self._kept_bytes.set(figures.bytes)
        self._brought.labels("restored").set(figures.restored)
        self._brought.labels("dropped").set(figures.dropped)

    def confined(self, confinement: Confinement) -> None:
        """Which layers hold."""
        for layer in confinement.layers:
            self._confined.labels(layer.name).set(layer.holds)

    def computes_with(self, variant: str, device: Device | None = None) -> None:
        """Which of ggml's CPU libraries is loaded, and the GPU that does most of the work, where one does."""
        self._variant.labels(variant).set(1)
        if device is not None:
            self._device.labels(device.name).set(device.memory_bytes)

    def queue(self, status: QueueStatus) -> None:
        """How busy the engine is."""
        self._running.set(status.running)
        self._waiting.set(status.waiting)

    def resident(self, size: int) -> None:
        """Resident memory in bytes."""
        self._resident.set(size)

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)
