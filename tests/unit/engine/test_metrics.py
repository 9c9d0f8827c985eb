from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from appliance.engine.confinement.layers import Confinement, LayerState
from appliance.engine.keeping import KeptFigures
from appliance.engine.llama_gpu import Device
from appliance.engine.metrics import EngineMetrics
from appliance.engine.protocol import End, Energy, Failed, QueueStatus, Spared, Timing, Usage


def test_a_finished_request_is_counted_by_outcome_tokens_time_and_energy() -> None:
    metrics = EngineMetrics()
    metrics.finished(End("length", Usage(10, 4, 3), Timing(100, 200, 300), Energy(2.5, "estimated", 35, 1)))
    metrics.finished(Failed("decode_failed", "x"))
    metrics.ended("busy")
    metrics.queue(QueueStatus(1, 2, 3, accepting=True))
    metrics.resident(4096)
    metrics.step(0.02, prompt_rows=60, decode_rows=4)
    metrics.room(live=900, parked=3, pinned=70, evicted=2, put_off=1)
    text = metrics.exposition().decode()
    for line in (
        'engine_requests_total{outcome="length"} 1.0',
        'engine_requests_total{outcome="failed"} 1.0',
        'engine_requests_total{outcome="busy"} 1.0',
        'engine_tokens_total{kind="prompt"} 10.0',
        'engine_tokens_total{kind="cached"} 4.0',
        'engine_tokens_total{kind="completion"} 3.0',
        'engine_energy_joules_total{method="estimated"} 2.5',
        'engine_first_token_seconds_bucket{le="0.25"} 1.0',
        "engine_waiting 2.0",
        'engine_rows_total{kind="prompt"} 60.0',
        'engine_rows_total{kind="decode"} 4.0',
        'engine_step_seconds_bucket{le="0.025"} 1.0',
        'engine_made_way_total{kind="evicted"} 2.0',
        'engine_made_way_total{kind="put_off"} 1.0',
        "engine_cells_live 900.0",
        "engine_parked 3.0",
        "engine_resident_bytes 4096.0",
    ):
        assert line in text


LABELS = {
    "engine_requests": {"outcome"},
    "engine_tokens": {"kind"},
    "engine_spared_tokens": {"tier"},
    "engine_energy_joules": {"method"},
    "engine_queue_seconds": {"le"},
    "engine_first_token_seconds": {"le"},
    "engine_decode_seconds": {"le"},
    "engine_rows": {"kind"},
    "engine_step_seconds": {"le"},
    "engine_scheduling_seconds": set(),
    "engine_made_way": {"kind"},
    "engine_cells_live": set(),
    "engine_parked": set(),
    "engine_pinned_tokens": set(),
    "engine_kv_states": set(),
    "engine_kv_bytes": set(),
    "engine_kv_read": {"outcome"},
    "engine_running": set(),
    "engine_waiting": set(),
    "engine_confined": {"layer"},
    "engine_cpu_variant": {"variant"},
    "engine_gpu_memory_bytes": {"device"},
    "engine_resident_bytes": set(),
}


def test_labels_are_kinds_of_things_only() -> None:
    """Every family that there is, each with something in it: one that comes new has to be named here."""
    metrics = EngineMetrics()
    spared = (Spared("pinned", "group", 4),)
    metrics.finished(End("stop", Usage(5, 4, 1), Timing(1, 1, 1), Energy(1, "estimated", 1, 1), spared))
    metrics.ended("busy")
    metrics.step(0.02, prompt_rows=60, decode_rows=4)
    metrics.gave_up()
    metrics.scheduled(0.001)
    metrics.room(live=900, parked=3, pinned=70, evicted=2, put_off=1)
    metrics.kept(KeptFigures(states=1, bytes=2, restored=3, dropped=4))
    metrics.confined(Confinement((LayerState("seccomp", holds=True, detail=""),)))
    metrics.computes_with("haswell", Device("a GPU", memory_bytes=1 << 34, free_bytes=1 << 34))
    metrics.queue(QueueStatus(1, 2, 3, accepting=True))
    metrics.resident(4096)
    families = list(text_string_to_metric_families(metrics.exposition().decode()))
    found = {family.name: {label for s in family.samples for label in s.labels} for family in families}
    assert {name: labels for name, labels in found.items() if not name.endswith("_created")} == LABELS
    assert all(family.samples for family in families)
