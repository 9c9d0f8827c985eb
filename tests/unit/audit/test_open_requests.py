"""Every request in the log gets exactly one end: its gateway's, or the writer's when that gateway is gone."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import events
from appliance.audit.closing import Closer, interrupted
from appliance.audit.entry import decode_entry, encode_entry
from appliance.audit.errors import IdReusedError
from appliance.audit.ids import IdIndex
from appliance.audit.log import TileLog
from appliance.audit.open_requests import instance, step
from appliance.audit.opening import IDS
from appliance.audit.roles import kind_of
from appliance.audit.sessions import Sessions
from appliance.audit.usage import build_report
from appliance.audit.writer import GroupWriter
from tests.audit.bench import MOMENT
from tests.audit.samples import EVENTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.audit.bench import Bench

pytestmark = pytest.mark.anyio
ONE, TWO = "1" * 16, "2" * 16
GRACE = 5.0


@dataclass
class House:
    """A writer, whoever is connected to it, and a clock that tests turn."""

    bench: Bench
    now: float = 0.0

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.writer = GroupWriter(TileLog(self.bench.directory, self.bench.origin, self.bench.keys))
        self.sessions = Sessions(GRACE, lambda: self.now)
        self.closer = Closer(self.writer, self.sessions)

    async def restart(self) -> None:
        await self.writer.close()
        self.begin()

    def request(self, one: str, name: str) -> tuple[str, bytes]:
        return self.bench.record(f"gateway/{one}/{name}/request")

    def end(self, one: str, name: str, outcome: str = "stop") -> tuple[str, bytes]:
        event = _answer(outcome)
        entry_id = f"gateway/{one}/{name}/end"
        return entry_id, encode_entry(event, entry_id)

    async def entries(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        await self.writer.settle()

        def visit(_: int, entries: list[bytes]) -> None:
            for entry in entries:
                entry_id, event = decode_entry(entry)
                assert entry_id not in found
                found[entry_id] = event

        self.bench.verify(visit=visit)
        return found

    async def outcomes(self) -> dict[str, str]:
        ends = {one: event for one, event in (await self.entries()).items() if one.endswith("/end")}
        return {one: event["unmapped"]["sovereign"]["outcome"] for one, event in ends.items()}


def _answer(outcome: str) -> dict[str, Any]:
    return events.answer(
        request_id="r",
        subject="ab",
        groups=(),
        model_digest="sha256:a5",
        model_name="demo",
        outcome=outcome,
        prompt_tokens=1,
        completion_tokens=1,
        joules=1.0,
        duration_ms=1.0,
        answer_commitment="sha256:00",
        at=MOMENT,
    )


@pytest.fixture
async def house(bench: Bench) -> AsyncIterator[House]:
    made = House(bench)
    yield made
    await made.writer.close()


async def test_a_request_of_a_gateway_that_is_gone_is_ended_once(house: House) -> None:
    house.sessions.begin(ONE)
    await house.writer.submit([house.request(ONE, "a"), house.request(ONE, "b"), house.end(ONE, "b")])
    house.sessions.end(ONE)
    house.now += GRACE
    assert [await house.closer.close() for _ in range(3)] == [1, 0, 0]
    assert (await house.outcomes()) == {f"gateway/{ONE}/a/end": "interrupted", f"gateway/{ONE}/b/end": "stop"}


async def test_who_came_back_while_nothing_was_read_is_heard_before_they_are_gone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.audit.closing._HELD_UP_SECONDS", 0.3)
    house.sessions = Sessions(0.5)
    await house.writer.submit([house.request(ONE, "a"), house.request(TWO, "b")])
    running = asyncio.create_task(Closer(house.writer, house.sessions).run())
    await asyncio.sleep(0)
    time.sleep(1)  # noqa: ASYNC251 - a disk that stalls while the loop itself commits
    await asyncio.sleep(0.1)
    house.sessions.begin(ONE)  # its connection lay in the socket's queue all the time
    found: dict[str, str] = {}
    for _ in range(600):
        await asyncio.sleep(0.05)
        if found := await house.outcomes():
            break
    running.cancel()
    assert found == {f"gateway/{TWO}/b/end": "interrupted"}


async def test_nothing_is_ended_while_its_gateway_is_connected_or_may_come_back(house: House) -> None:
    house.sessions.begin(ONE)
    await house.writer.submit([house.request(ONE, "a"), house.request(TWO, "b")])
    house.now += GRACE - 0.1
    house.sessions.begin(TWO)  # back in time, after the writer was started anew
    house.now += 100
    assert await house.closer.close() == 0
    house.sessions.end(ONE)
    house.now += GRACE - 0.1
    assert await house.closer.close() == 0
    house.sessions.begin(ONE)
    house.now += 100
    assert await house.closer.close() == 0
    assert (await house.outcomes()) == {}


async def test_one_connection_of_two_keeps_an_instance_alive(house: House) -> None:
    house.sessions.begin(ONE)
    house.sessions.begin(ONE)
    await house.writer.submit([house.request(ONE, "a")])
    house.sessions.end(ONE)
    house.now += 100
    assert await house.closer.close() == 0
    assert house.sessions.count == 1


async def test_only_the_dead_gateways_requests_are_ended(house: House) -> None:
    for one in (ONE, TWO):
        house.sessions.begin(one)
    await house.writer.submit([house.request(ONE, "a"), house.request(TWO, "a")])
    house.sessions.end(TWO)
    house.now += GRACE
    assert await house.closer.close() == 1
    assert (await house.outcomes()) == {f"gateway/{TWO}/a/end": "interrupted"}


async def test_open_requests_are_known_after_a_restart_of_the_writer(house: House) -> None:
    await house.writer.submit([house.request(ONE, "a"), house.request(ONE, "b"), house.end(ONE, "b")])
    await house.restart()
    assert await house.closer.close() == 0
    house.now += GRACE
    assert await house.closer.close() == 1
    assert (await house.outcomes())[f"gateway/{ONE}/a/end"] == "interrupted"


@pytest.mark.parametrize("damage", ["lost", "behind", "old"])
async def test_open_requests_are_read_from_the_log_where_the_index_does_not_know_them(
    house: House, damage: str
) -> None:
    index = house.bench.directory / IDS
    await house.writer.submit([house.request(ONE, "a"), house.request(ONE, "b"), house.end(ONE, "b")])
    await house.writer.close()
    if damage == "lost":
        index.unlink()
    else:
        ids = IdIndex(index)
        with ids._db:
            ids._db.execute("DELETE FROM open")
            ids._db.execute("UPDATE seen SET size = 0" if damage == "behind" else "PRAGMA user_version = 0")
        ids.close()
    house.begin()
    house.now += GRACE
    assert await house.closer.close() == 1
    assert set(await house.outcomes()) == {f"gateway/{ONE}/a/end", f"gateway/{ONE}/b/end"}


async def test_a_gateway_that_comes_back_too_late_cannot_end_it_a_second_time(house: House) -> None:
    await house.writer.submit([house.request(ONE, "a")])
    house.now += GRACE
    await house.closer.close()
    with pytest.raises(IdReusedError):
        await house.writer.submit([house.end(ONE, "a")])
    assert (await house.outcomes()) == {f"gateway/{ONE}/a/end": "interrupted"}


async def test_a_gateways_own_end_that_comes_at_the_last_moment_stays_the_only_one(house: House) -> None:
    await house.writer.submit([house.request(ONE, "a")])
    house.now += GRACE
    late = house.writer.put([house.end(ONE, "a")])
    assert await house.closer.close() == 0
    await late
    assert (await house.outcomes()) == {f"gateway/{ONE}/a/end": "stop"}
    assert await house.closer.close() == 0


async def test_requests_of_logs_from_before_there_were_instances_are_ended_too(house: House) -> None:
    old = [house.bench.record("gateway/aa/request"), house.bench.record("gateway/bb/request")]
    await house.writer.submit([*old, ("gateway/bb/answer", encode_entry(_answer("stop"), "gateway/bb/answer"))])
    house.now += GRACE
    assert await house.closer.close() == 1
    assert (await house.outcomes()) == {"gateway/aa/end": "interrupted"}


async def test_what_only_looks_like_a_request_is_left_alone(house: House) -> None:
    entry_id = f"gateway/{ONE}/a/request"
    refusal = {one: value for one, value in EVENTS["refusal"][0].items() if one != "uid"}
    await house.writer.submit([(entry_id, encode_entry(refusal, entry_id))])
    house.now += GRACE
    assert await house.closer.close() == 0
    assert set(await house.entries()) == {entry_id}


async def test_many_open_requests_are_ended_in_rounds(house: House) -> None:
    count = 1500
    await house.writer.submit([house.request(ONE, f"r{n}") for n in range(count)])
    house.now += GRACE
    assert [await house.closer.close() for _ in range(3)] == [1024, count - 1024, 0]
    assert len(await house.outcomes()) == count


def test_an_interrupted_request_says_whose_it_was_and_claims_no_cost(bench: Bench) -> None:
    request = bench.event("r1")
    event = interrupted(request, 7, at=MOMENT)
    assert event is not None
    assert kind_of(event) == "answer"
    assert event["actor"] == request["actor"]
    assert event["ai_model"] == request["ai_model"]
    assert event["unmapped"]["sovereign"] == {
        "kind": "answer",
        "outcome": "interrupted",
        "ended_by": "writer",
        "energy_method": "unknown",
        "request_index": 7,
    }
    assert "message_context" not in event
    assert event["metadata"]["correlation_uid"] == "r1"


async def test_a_report_counts_what_was_interrupted(house: House) -> None:
    await house.writer.submit([house.request(ONE, "a")])
    house.now += GRACE
    await house.closer.close()
    await house.writer.settle()
    report = build_report(house.bench.directory, vkeys=house.bench.vkeys)
    assert (report.total.requests, report.total.answers, report.outcomes) == (1, 1, {"interrupted": 1})


@pytest.mark.parametrize(
    ("entry_id", "expected"),
    [
        (f"gateway/{ONE}/r/request", (f"gateway/{ONE}/r", True)),
        (f"gateway/{ONE}/r/end", (f"gateway/{ONE}/r", False)),
        ("gateway/r/request", ("gateway/r", True)),
        ("gateway/r/answer", ("gateway/r", False)),
        ("gateway/r/refusal", ("gateway/r", False)),
        ("gateway/r/sign-in", None),
        ("operator/r/request", None),
        ("xgateway/r/request", None),
        (f"gateway/{ONE}/r/request/end", None),
        ("gateway//request", None),
        ("gateway/r/request\n", None),
    ],
)
def test_ids_say_which_step_of_which_request_they_are(entry_id: str, expected: tuple[str, bool] | None) -> None:
    assert step(entry_id) == expected


def test_an_instance_is_read_off_a_request() -> None:
    assert instance(f"gateway/{ONE}/r") == ONE
    assert instance("gateway/r") == ""


def test_steps_that_the_disk_refused_are_kept_and_written_later(tmp_path: Path) -> None:
    index = IdIndex(tmp_path / "ids")
    index._db.execute("PRAGMA query_only=ON")
    index.add([f"gateway/{ONE}/r/request", f"gateway/{ONE}/s/request", f"gateway/{ONE}/r/end"], 0)
    assert index.open_requests() == {f"gateway/{ONE}/s": 1}
    index._db.execute("PRAGMA query_only=OFF")
    index.add([], 3)
    index.add([f"gateway/{ONE}/s/end"], 3)
    assert index.open_requests() == {}
    index.close()
