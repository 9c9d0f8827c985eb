"""A confined engine that is stopped and started again finds what it computed of the site's words, and answers the same.

The engine is the whole one: process, socket, confinement; its model has random weights and sliding windows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.engine.client import EngineClient
from appliance.engine.protocol import End, Token
from tests.engine.asking import request
from tests.engine.served import Sizes, our_engine
from tests.engine.small_model import write

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.engine.protocol import Request

RULES = "".join(f"Rule {n}: the officer approves {n * 7 % 40}. " for n in range(12))
SIZES = Sizes(context_tokens=1024, parallel=4, memory_mib=400)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.gguf")


def asked(question: str, *, group: bool = False) -> Request:
    shared = {"group_characters" if group else "site_characters": len(RULES)}
    return request(
        id="r", user="analyst", group="clerks", prompt=RULES + question, max_tokens=12, temperature=0.0, **shared
    )


def answer(socket: Path, wanted: Request) -> tuple[str, int]:
    """Text, and how much of the prompt was not computed."""

    async def whole() -> tuple[str, int]:
        text, cached = "", -1
        async with EngineClient(socket) as client:
            async for event in client.generate(wanted):
                if isinstance(event, Token):
                    text += event.text
                if isinstance(event, End):
                    cached = event.usage.cached_tokens
        return text, cached

    return asyncio.run(whole())


def figure(socket: Path, name: str) -> float:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://engine") as http:
        lines = http.get("/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.mark.parametrize("group", [False, True])
def test_what_the_site_or_a_group_wrote_survives_a_restart(small: Path, tmp_path: Path, *, group: bool) -> None:
    with our_engine(small, SIZES, tmp_path) as engine:
        text, cached = answer(engine.socket, asked("What about 7?", group=group))
        assert cached == 0
        assert engine.stop() == 0
    with our_engine(small, SIZES, tmp_path) as engine:
        again, cached = answer(engine.socket, asked("What about 7?", group=group))
        assert cached > len(RULES) * 0.9
        assert again == text
        assert figure(engine.socket, "engine_kv_states ") == 1
        assert figure(engine.socket, 'engine_kv_read{outcome="restored"}') == 1
        assert engine.stop() == 0
    assert b"officer" not in (tmp_path / "kv.arena").read_bytes()


def test_a_killed_engine_loses_at_most_what_it_was_writing(small: Path, tmp_path: Path) -> None:
    with our_engine(small, SIZES, tmp_path) as engine:
        text, _ = answer(engine.socket, asked("What about 7?"))
        answer(engine.socket, asked("And 8?", group=True))
        engine.process.kill()
        engine.process.wait()
    with our_engine(small, SIZES, tmp_path) as engine:
        again, cached = answer(engine.socket, asked("What about 7?"))
        assert again == text
        assert cached > len(RULES) * 0.9


def test_without_a_disk_nothing_is_kept(small: Path) -> None:
    with our_engine(small, SIZES) as engine:
        answer(engine.socket, asked("What about 7?"))
        assert figure(engine.socket, "engine_kv_states ") == 0
