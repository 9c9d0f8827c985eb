"""Somebody fills the log's disk, with requests or with anything else: answers stop, and the record stays whole."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.client import Position
from appliance.audit.entry import encode_entry
from appliance.audit.errors import LogFullError
from tests.audit.filling_storage import FillingStorage
from tests.audit.logged import find

if TYPE_CHECKING:
    import httpx

    from appliance.audit.log import TileLog
    from tests.audit.bench import Bench

ROOM = 40_000
CHAT = {"model": "small", "messages": [{"role": "user", "content": "what is this?"}]}


def flood(bench: Bench, log: TileLog) -> int:
    """How many entries there were when the disk was full."""
    for held in range(1, 10_000, 8):
        try:
            log.append(bench.records(*range(held, held + 8)))
        except LogFullError:
            return held
    raise AssertionError("the disk never filled")


def test_37_a_flood_that_fills_the_disk_costs_nothing_that_was_acknowledged(bench: Bench) -> None:
    storage = FillingStorage(bench.directory)
    log = bench.open(storage)
    log.append(bench.records(0))
    storage.room = ROOM
    acknowledged = flood(bench, log)
    assert acknowledged > 1, "the flood began to fit"
    before = bench.snapshot()
    for _ in range(20):
        with pytest.raises(LogFullError):
            log.append(bench.records(acknowledged))
    assert bench.snapshot() == before
    assert bench.verify().size == acknowledged
    storage.room = None
    log.append(bench.records(acknowledged))
    found = find(log, [bench.record(f"e{one}") for one in range(acknowledged)])
    assert found == {f"e{one}": one for one in range(acknowledged)}
    bench.verify()
    storage.disk.close()


class SmallDisk:
    """The writer as the gateway knows it, over a real log on a disk that is ``full``, or not."""

    instance = "0123456789abcdef"

    def __init__(self, log: TileLog, storage: FillingStorage) -> None:
        self.log, self.storage = log, storage

    async def append(self, event: dict[str, Any], *, id: str, proven: bool = False) -> Position:  # noqa: A002 - the protocol's name
        raw = encode_entry(event, id)
        (index,) = self.log.append([(id, raw)])
        assert self.log.signed is not None
        proof = self.log.prove([index])[0] if proven else []
        hashes = tuple(base64.b64encode(one).decode() for one in proof)
        return Position(index, self.log.signed.head.size, self.log.signed.note, raw, hashes)

    async def healthy(self) -> bool:
        return self.storage.room is None


@pytest.mark.anyio
async def test_37_while_the_disk_is_full_there_is_no_answer_off_the_record(bench: Bench, house: Any) -> None:
    async def ask(client: httpx.AsyncClient, *, stream: bool) -> httpx.Response:
        body = {**CHAT, "stream": stream}
        return await client.post("/v1/chat/completions", json=body, headers={"Authorization": "Bearer analyst"})

    storage = FillingStorage(bench.directory)
    log = bench.open(storage)
    log.open()
    house.log = SmallDisk(log, storage)
    async with house.open() as client:
        assert (await ask(client, stream=False)).status_code == 200
        await house.answers_are_over()
        before, storage.room = bench.snapshot(), 0
        for stream in (False, True):
            refused = await ask(client, stream=stream)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "audit_unavailable")
            assert not any(word.strip() in refused.text for word in house.engine.words if word.strip().isalpha())
        assert bench.snapshot() == before
        storage.room = None
        assert (await ask(client, stream=False)).status_code == 200
        await house.answers_are_over()
    kinds: list[str] = []
    bench.verify(visit=lambda _, entries: kinds.extend(json.loads(e)["unmapped"]["sovereign"]["kind"] for e in entries))
    assert kinds.count("request") == kinds.count("answer") == 2
    storage.disk.close()
