"""An engine that was taken over says of its memory what it likes: the gateway and the operator's command stay up.

Whatever comes, that engine is not known, with a reason in our words; the others are shown; nothing is read without end.
"""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engine import client as engine_client
from appliance.engine.client import EngineClient
from appliance.engine.errors import EngineAbsentError, EngineUnavailableError
from appliance.engine.tiers import MAX_BYTES, EngineTiers, encode
from appliance.gateway.hierarchy_look import _tiers
from appliance.install import probe
from appliance.install.probe import Probe, fetch_json
from appliance.memory.hierarchy import Silent
from tests.attacks.engine.lying_engine import breaking, engine, saying, silent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attacks.engine.lying_engine import Answering

pytestmark = [pytest.mark.anyio, pytest.mark.network]
FINE = encode(EngineTiers(1.0, 64, (), None))
ROW = {
    "tier": "pinned",
    "scope": "group",
    "group": "g",
    "count": 1,
    "tokens": 1,
    "size": 1,
    "oldest_s": 1,
    "newest_s": 1,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def body(**changes: Any) -> bytes:
    return json.dumps(json.loads(FINE) | changes).encode()


LIES: dict[str, Answering] = {
    "huge numbers": saying(body(rows=[ROW | {"tokens": 10**400}])),
    "more than it has cells": saying(body(rows=[ROW | {"tokens": 65}])),
    "NaN": saying(FINE.replace(b"1.0", b"NaN")),
    "infinity": saying(FINE.replace(b"1.0", b"1e999")),
    "negative": saying(body(rows=[ROW | {"count": -1}])),
    "wrong types": saying(body(rows=[ROW | {"group": {"name": "g"}}])),
    "too many groups": saying(body(rows=[ROW | {"group": f"{n}", "tokens": 0} for n in range(2000)])),
    "an endless name": saying(body(rows=[ROW | {"group": "g" * 100_000}])),
    **breaking(MAX_BYTES),
    "bytes that are no text": saying(FINE, "X-\xff: \xff\x00\r\nContent-Encoding: \xff\r\n"),
}


REASONS = {
    "huge numbers": "it says of its memory is no JSON",
    "more than it has cells": "its cells hold more than they can",
    "negative": "counts what cannot be",
    "too many groups": "more rows than an engine has",
    "an endless name": "a group that is none",
    "a long body": "it says more than is read",
    "an endless body": "it says more than is read",
    "a zip bomb": "does not tell",
    "nothing at all": "does not say in time",
    "a byte at a time": "does not say in time",
    "half": "breaks off",
    "no HTTP": "speaks no HTTP",
}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_client, "_MEMORY_S", 0.5)


@pytest.mark.parametrize("lie", LIES)
async def test_whatever_an_engine_says_of_its_memory_it_is_unknown_soon_and_the_next_question_is_answered(
    lie: str,
) -> None:
    async with engine(LIES[lie]) as path, EngineClient(path) as client:
        tracemalloc.start()
        began = time.monotonic()
        found = await asyncio.wait_for(_tiers(client), 20)
        seconds, (_, most) = time.monotonic() - began, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(found, Silent)
        assert found.state == "not_known"
        assert REASONS.get(lie, "") in (found.reason or "")
        assert 0 < len(found.reason or "") < 100
        assert most < 16 << 20
        assert seconds < 10
    async with engine(saying(FINE)) as path, EngineClient(path) as client:
        assert await _tiers(client) == EngineTiers(1.0, 64, (), None)


async def test_an_engine_that_hangs_does_not_hold_up_the_others() -> None:
    async with (
        engine(silent) as mute,
        engine(saying(FINE)) as fine,
        EngineClient(mute) as one,
        EngineClient(fine) as two,
    ):
        other = asyncio.create_task(_tiers(one))
        assert isinstance(await asyncio.wait_for(_tiers(two), 20), EngineTiers)
        assert not other.done() or isinstance(other.result(), Silent)
        await other


async def test_an_engine_that_is_not_there_is_told_from_one_that_lies(tmp_path: Path) -> None:
    async with EngineClient(tmp_path / "s") as client:
        with pytest.raises(EngineAbsentError):
            await client.tiers()
        assert await _tiers(client) == Silent("not_running")
    async with engine(LIES["negative"]) as path, EngineClient(path) as client:
        with pytest.raises(EngineUnavailableError) as refused:
            await client.tiers()
        assert not isinstance(refused.value, EngineAbsentError)


# Figures that cannot be are JSON all the same: what is made of them is in tests/unit/install/test_memory_status.py.
READ = {"negative", "more than it has cells", "wrong types", "too many groups", "an endless name"}
# It asks neither for the status nor for headers: the body alone counts.
BODY = {"another status", "bytes that are no text"}


@pytest.mark.parametrize("lie", sorted(set(LIES) - READ - BODY))
async def test_the_operators_command_takes_no_more_of_it(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ANSWER_MAX_S", 0.5)
    async with engine(LIES[lie]) as path:
        tracemalloc.start()
        assert await asyncio.to_thread(fetch_json, Probe("unix-http", str(path), "/memory")) is None
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 16 << 20
