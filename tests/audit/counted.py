"""A log of a thousand entries in blocks of 256, a folder of figures, and which blocks a report reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import blocks, events
from appliance.audit.entry import encode_entry
from appliance.audit.tally_cache import KEY, TallyCache, open_cache
from appliance.audit.usage import build_report

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.tally import UsageReport
    from tests.audit.bench import Bench

LEVEL = 1  # blocks of 256 entries: a log of a thousand has three
COUNT = 1000
START = datetime(2026, 11, 1, tzinfo=UTC)


def records(count: int) -> list[tuple[str, bytes]]:
    made = []
    for number in range(count):
        at = START + timedelta(minutes=37 * number if number % 50 else 0)  # now and then a clock goes back
        who = {"subject": f"s{number % 17}", "groups": (f"g{number % 3}",), "model_digest": "d", "model_name": "demo"}
        kind = number % 5
        name = f"e{number}"
        event: dict[str, Any]
        if kind == 0:
            event = events.model_load(model_name=f"m{number}", model_digest="d", at=at)
        elif kind == 1:
            event = events.refusal(request_id=name, reason_code=f"r{number % 4}", status=429, at=at)
        elif kind == 2:
            event = events.sign_in(subject=f"s{number % 17}", success=number % 3 == 0, at=at)
        else:
            event = events.answer(
                request_id=name, **who, outcome="stop", prompt_tokens=number, completion_tokens=7,
                joules=0.1 * number, duration_ms=1.0, answer_commitment="c", at=at,
            )  # fmt: skip
        made.append((name, encode_entry(event, name)))
    return made


@pytest.fixture
def log(bench: Bench) -> Bench:
    bench.open().append(records(COUNT))
    return bench


@pytest.fixture
def cache(tmp_path: Path) -> TallyCache:
    return open_cache(tmp_path / "cache")


def report(bench: Bench, cache: TallyCache | None = None, **options: Any) -> UsageReport:
    return build_report(bench.directory, vkeys=bench.vkeys, known=cache, level=LEVEL, **options)


def read_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which blocks are counted from here on."""
    counted: list[int] = []

    def counting(tiles: Any, number: int, level: int) -> Any:
        counted.append(number)
        return blocks.count_block(tiles, number, level)

    monkeypatch.setattr("appliance.audit.usage.count_block", counting)
    return counted


def kept(cache: TallyCache) -> list[Path]:
    return sorted(path for path in cache.directory.iterdir() if path.name != KEY)
