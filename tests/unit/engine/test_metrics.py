from __future__ import annotations

from appliance.engine.metrics import EngineMetrics
from appliance.engine.protocol import End, Energy, Failed, QueueStatus, Timing, Usage


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


def test_labels_are_kinds_of_things_only() -> None:
    metrics = EngineMetrics()
    metrics.finished(End("stop", Usage(1, 0, 1), Timing(1, 1, 1), Energy(1, "estimated", 1, 1)))
    lines = [line for line in metrics.exposition().decode().splitlines() if "{" in line and not line.startswith("#")]
    assert {part.split("=")[0].split("{")[1] for part in lines} == {"outcome", "kind", "method", "le"}
