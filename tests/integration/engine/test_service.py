"""The engine as a process of its own, on a Unix socket, with the real model."""

from __future__ import annotations

import asyncio
import re
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.engine.client import EngineClient, EngineDrainingError, EngineRefusedError, EngineUnavailableError
from appliance.engine.protocol import Admitted, End, Event, Message, Request, Token
from appliance.install.confinement import reported, threads_of
from appliance.site.layers import LAYERS
from tests.engine.confined import unprivileged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

PROGRAM = """
import os, sys
from pathlib import Path
from appliance.engine.launch import serve
from appliance.site.served import Model
serve(
    weights_fd=os.open(sys.argv[1], os.O_RDONLY),
    template="{% for m in messages %}User: {{ m.content }}\\n{% endfor %}Assistant:",
    receipt={"digest": "sha256:a5fd"},
    record={"name": "gemma3-270m", "template": {"stop": ["\\nUser:"]}},
    config=Model(name="gemma3-270m", context_tokens=1024, threads=1, queue=2, memory_mib=int(sys.argv[3])),
    socket=Path(sys.argv[2]),
    clients=frozenset({os.getuid()}),
)
"""


def _start(model: Path, socket: Path, memory_mib: int = 900) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-c", PROGRAM, str(model), str(socket), str(memory_mib)]
    return subprocess.Popen(unprivileged(program))


async def _healthy(socket: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    async with EngineClient(socket) as client:
        while not await client.healthy():
            assert process.poll() is None, "the engine ended instead of serving"
            assert time.monotonic() < deadline, "the engine did not come up"
            await asyncio.sleep(0.1)


@pytest.fixture
def engine(model_file: Path, tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A serving engine: its socket and its process."""
    socket = tmp_path / "sock"
    process = _start(model_file, socket)
    try:
        asyncio.run(_healthy(socket, process))
        yield socket, process
    finally:
        process.kill()
        process.wait()


def _talk(socket: Path, work: Callable[[EngineClient], Awaitable[None]]) -> None:
    async def main() -> None:
        async with EngineClient(socket) as client:
            await work(client)

    asyncio.run(main())


def _ask(prompt: str | None, **more: object) -> Request:
    fields = {"id": "1", "user": "analyst", "group": "g", "temperature": 0.0, "max_tokens": 16, "prompt": prompt}
    return Request(**{**fields, **more})  # type: ignore[arg-type]


def test_a_conversation_streams_over_the_socket(engine: tuple[Path, subprocess.Popen[bytes]]) -> None:
    async def work(client: EngineClient) -> None:
        messages = (Message("user", "Name a colour."),)
        events = [event async for event in client.generate(_ask(None, messages=messages, seed=3))]
        assert isinstance(events[0], Admitted)
        assert events[0].seed == 3
        assert len([event for event in events if isinstance(event, Token)]) > 1
        last = events[-1]
        assert isinstance(last, End)
        assert last.usage.prompt_tokens == events[0].prompt_tokens
        assert last.usage.cached_tokens == 0
        assert last.timing.first_token_ms > 0
        assert last.energy.method == "estimated"
        assert (await client.model()).context_tokens == 1024

    _talk(engine[0], work)


@pytest.mark.parametrize("drawn", [{}, {"top_p": 0.9}, {"top_k": 40}, {"json_schema": {"type": "boolean"}}])
def test_every_way_of_drawing_works_in_a_sealed_process(
    engine: tuple[Path, subprocess.Popen[bytes]], drawn: dict[str, object]
) -> None:
    async def work(client: EngineClient) -> None:
        request = _ask("The capital of France is", temperature=0.8, max_tokens=4, **drawn)
        events = [event async for event in client.generate(request)]
        assert isinstance(events[-1], End)
        assert any(isinstance(event, Token) for event in events)

    _talk(engine[0], work)


def test_the_engine_answers_under_every_layer_and_so_do_all_its_threads(
    engine: tuple[Path, subprocess.Popen[bytes]],
) -> None:
    async def work(client: EngineClient) -> None:
        events = [event async for event in client.generate(_ask("The capital of France is"))]
        assert isinstance(events[-1], End)

    _talk(engine[0], work)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(engine[0]))) as http:
        said = reported(http.get("http://engine/model").json())
        metrics = http.get("http://engine/metrics").text
    assert {name: layer.state for name, layer in said.items()} == dict.fromkeys(LAYERS, "holds")
    assert all(f'engine_confined{{layer="{name}"}} 1.0' in metrics for name in LAYERS)
    threads = threads_of(engine[1].pid)
    assert len(threads) > 1
    assert {(thread["NoNewPrivs"], thread["Seccomp"], thread["Seccomp_filters"]) for thread in threads} == {
        ("1", "2", "2")
    }


def test_the_socket_is_open_to_owner_and_group_only(engine: tuple[Path, subprocess.Popen[bytes]]) -> None:
    assert stat.S_IMODE(engine[0].stat().st_mode) == 0o660


def test_concurrent_streams_are_each_answered_whole(engine: tuple[Path, subprocess.Popen[bytes]]) -> None:
    """Side by side, rounding differs from alone (a batch of another size): the answers begin alike and are whole."""

    async def work(client: EngineClient) -> None:
        async def events(prompt: str) -> list[Event]:
            return [event async for event in client.generate(_ask(prompt))]

        prompts = ["One, two, three,", "The capital of France is", "Monday, Tuesday,"]
        alone = [await events(prompt) for prompt in prompts]
        for apart, beside in zip(alone, await asyncio.gather(*map(events, prompts)), strict=True):
            first, second = ([e.text for e in answer if isinstance(e, Token)][:3] for answer in (apart, beside))
            assert first == second
            last = beside[-1]
            assert isinstance(last, End)
            assert last.usage.completion_tokens == 16

    _talk(engine[0], work)


def test_a_replay_gives_the_same_answer_whatever_else_is_asked(engine: tuple[Path, subprocess.Popen[bytes]]) -> None:
    async def work(client: EngineClient) -> None:
        async def text(*, replay: bool) -> str:
            request = _ask("The capital of France is", replay=replay, user=f"user {replay}")
            events = [event async for event in client.generate(request)]
            return "".join(event.text for event in events if isinstance(event, Token))

        alone = await text(replay=True)
        beside = await asyncio.gather(text(replay=False), text(replay=True), text(replay=False))
        assert beside[1] == alone

    _talk(engine[0], work)


def test_what_the_site_wrote_is_computed_once_and_what_a_user_wrote_is_theirs(
    engine: tuple[Path, subprocess.Popen[bytes]],
) -> None:
    rules = Message("system", "Rule one: answer from the document. " * 12, scope="site")

    async def work(client: EngineClient) -> None:
        async def cached(user: str, *messages: Message) -> int:
            request = _ask(None, messages=messages, user=user, max_tokens=2)
            last = [event async for event in client.generate(request)][-1]
            assert isinstance(last, End)
            return last.usage.cached_tokens

        secret = Message("user", "My word is swordfish. " * 12)
        assert await cached("analyst", rules, secret) == 0
        shared = await cached("officer", rules, secret)
        assert 90 < shared < 110
        assert await cached("analyst", rules, secret) > shared + 60
        assert await cached("deputy", Message("user", rules.content)) <= 3

    _talk(engine[0], work)


def test_a_client_that_leaves_in_the_middle_frees_the_engine(engine: tuple[Path, subprocess.Popen[bytes]]) -> None:
    async def work(client: EngineClient) -> None:
        events = client.generate(_ask("Once upon a time", max_tokens=900))
        async for event in events:
            if isinstance(event, Token):
                break
        await events.aclose()
        for _ in range(1200):
            if (await client.model()).queue["running"] == 0:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the engine still computes for nobody")

    _talk(engine[0], work)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(engine[0]))) as http:
        text = http.get("http://engine/metrics").text
    assert 'engine_requests_total{outcome="cancelled"} 1.0' in text
    found = re.search(r"^engine_resident_bytes (\S+)$", text, re.MULTILINE)
    assert found is not None
    assert float(found.group(1)) > 2e8


def test_a_prompt_beyond_the_context_is_refused_over_the_socket(engine: tuple[Path, subprocess.Popen[bytes]]) -> None:
    async def work(client: EngineClient) -> None:
        with pytest.raises(EngineRefusedError) as refused:
            async for _ in client.generate(_ask("word " * 2000)):
                pass
        assert refused.value.code == "context_length_exceeded"

    _talk(engine[0], work)


def test_sigterm_lets_the_running_answer_finish_and_ends_the_process_in_order(
    engine: tuple[Path, subprocess.Popen[bytes]],
) -> None:
    socket, process = engine

    async def work(client: EngineClient) -> None:
        events: list[Event] = []
        async for event in client.generate(_ask("Once upon a time", max_tokens=60)):
            if isinstance(event, Token) and not any(isinstance(e, Token) for e in events):
                process.send_signal(signal.SIGTERM)
                while await client.healthy():  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.01)
                with pytest.raises((EngineDrainingError, EngineUnavailableError)):
                    async for _ in client.generate(_ask("too late")):
                        pass
            events.append(event)
        last = events[-1]
        assert isinstance(last, End)
        assert last.finish_reason == "length"

    _talk(socket, work)
    assert process.wait(30) == 0
    assert not socket.exists()


def test_a_second_engine_on_a_live_socket_is_refused_and_harms_nothing(
    engine: tuple[Path, subprocess.Popen[bytes]], model_file: Path
) -> None:
    second = _start(model_file, engine[0])
    assert second.wait(120) != 0

    async def work(client: EngineClient) -> None:
        assert await client.healthy()

    _talk(engine[0], work)


def test_an_engine_that_still_loads_keeps_its_socket_from_a_second_one(model_file: Path, tmp_path: Path) -> None:
    socket = tmp_path / "sock"
    first = _start(model_file, socket)
    try:
        while not socket.exists():
            assert first.poll() is None
            time.sleep(0.01)
        inode = socket.stat().st_ino
        assert _start(model_file, socket).wait(120) != 0
        assert socket.stat().st_ino == inode
        asyncio.run(_healthy(socket, first))
    finally:
        first.kill()
        first.wait()


def test_a_stale_socket_file_is_replaced(model_file: Path, tmp_path: Path) -> None:
    socket = tmp_path / "sock"
    process = _start(model_file, socket)
    asyncio.run(_healthy(socket, process))
    process.kill()
    process.wait()
    assert socket.exists()
    again = _start(model_file, socket)
    try:
        asyncio.run(_healthy(socket, again))
    finally:
        again.kill()
        again.wait()


def test_an_engine_over_its_budget_does_not_start(model_file: Path, tmp_path: Path) -> None:
    assert _start(model_file, tmp_path / "sock", memory_mib=300).wait(120) != 0
