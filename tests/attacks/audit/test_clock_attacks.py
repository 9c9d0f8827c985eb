"""Somebody turns the host's clock back, so that what they do next seems to have been done before: the log says so.

The attacker sets the clock as often and as far as they like, stops and starts the writer, and holds the roles of every
service; not the log's keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import NotYoursError
from appliance.audit.events_operation import clock_behind
from appliance.audit.server import create_app
from appliance.audit.tally_cache import open_cache
from appliance.audit.usage import build_report
from tests.audit.bench import EVERY_ROLE
from tests.audit.turned import HOUR, NOON, Turned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from tests.audit.bench import Bench
    from tests.audit.running import Running

DAY = 24 * HOUR


@pytest.fixture
def turned(bench: Bench) -> Turned:
    made = Turned(bench)
    made.open().append(bench.records(*range(5)))
    return made


@pytest.mark.parametrize("back", [6, HOUR, DAY, 400 * DAY, NOON])
def test_a_clock_turned_back_rewrites_nothing_and_is_in_the_log_before_what_was_done_under_it_is_answered(
    bench: Bench, turned: Turned, back: float
) -> None:
    kept, before = (bench.directory / "checkpoint").read_text(), turned.entries()
    turned.now -= back
    turned.open().append(bench.records(5))
    assert bench.verify(kept=kept).head.time == int(NOON)
    assert turned.entries()[:5] == before
    assert turned.told() == [{"kind": "clock_behind", "seconds": int(back), "signed": int(NOON)}]


def test_turning_it_again_and_again_neither_hides_the_first_time_nor_fills_the_log(
    bench: Bench, turned: Turned
) -> None:
    for number in range(5, 45):
        turned.now = NOON - HOUR - number * (1 if number % 2 else -1)
        log = turned.open() if number % 5 == 0 else bench.logs[-1]
        log.append(bench.records(number))
    assert turned.told() == [{"kind": "clock_behind", "seconds": 3595 + 10, "signed": int(NOON)}]
    assert len(turned.entries()) == 45 + 1


def test_a_report_counts_it(bench: Bench, turned: Turned, tmp_path: Path) -> None:
    turned.now -= HOUR
    turned.open().append(bench.records(5))
    bench.close()
    counted = build_report(bench.directory, vkeys=bench.vkeys, known=open_cache(tmp_path / "figures"))
    assert counted.as_json()["kinds"]["clock_behind"] == 1


def test_nobody_takes_the_id_of_the_entry_beforehand(
    bench: Bench, turned: Turned, serve: Callable[[ASGIApp], Running]
) -> None:
    log = turned.open()
    bench.logs.remove(log)  # the service closes it
    before = bench.snapshot()
    running = serve(create_app(log, EVERY_ROLE))
    with SyncAuditClient(running.socket) as client:
        for event in (bench.event("x"), clock_behind(seconds=1, signed=int(NOON))):
            with pytest.raises(NotYoursError):
                client.append(event, id=f"writer/clock/{int(NOON)}")
        assert bench.snapshot() == before
        turned.now -= HOUR
        client.append(bench.event("y"), id="gateway/y")
        client.checkpoint()
        assert client.health().clock_behind == HOUR
    assert turned.told() == [{"kind": "clock_behind", "seconds": 3600, "signed": int(NOON)}]
