"""llama-server behind our protocol: the real library, the real model, confined, on a Unix socket."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.engine import wheel_files
from appliance.engine.client import EngineClient, EngineRefusedError, EngineUnavailableError
from appliance.engine.llama_server.arguments import SOCKET_NAME
from appliance.engine.llama_server.library import LIBRARY
from appliance.engine.protocol import Admitted, End, Event, Message, Request, Token
from appliance.install.confinement import reported, threads_of
from appliance.site.layers import LAYERS
from tests.engine.confined import unprivileged
from tests.engine.llama_server_build import LlamaServer, build_llama_server
from tests.engine.served import Served, Sizes, adapted_engine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


REFUSING = """
import os, sys
from pathlib import Path
from appliance import errors
from appliance.engine.llama_server.launch import serve
from appliance.site.served import Model
def gate():
    raise getattr(errors, sys.argv[1])("not this one", "ask the builder")
try:
    serve(gate=gate, config=Model(name="m"), socket=Path(sys.argv[2]), clients=frozenset())
except errors.SovereignError as error:
    print(error.cause, error.hint, sep="\\n")
    sys.exit(error.exit_code)
"""


@pytest.fixture(scope="session")
def llama_server() -> LlamaServer:
    """The server, compiled once for this cache."""
    return build_llama_server()


@pytest.fixture(scope="module")
def engine(model_file: Path, llama_server: LlamaServer) -> Iterator[Served]:
    """One that lives through this module."""
    with adapted_engine(model_file, Sizes(), llama_server, slots=2) as served:
        yield served


@pytest.fixture
def own_engine(model_file: Path, llama_server: LlamaServer) -> Iterator[Served]:
    """One that a test may end."""
    with adapted_engine(model_file, Sizes(), llama_server, slots=1) as served:
        yield served


def _talk(served: Served, work: Callable[[EngineClient], Awaitable[None]]) -> None:
    async def main() -> None:
        async with EngineClient(served.socket) as client:
            await work(client)

    asyncio.run(main())


def _ask(prompt: str | None, **more: object) -> Request:
    fields = {"id": "1", "user": "analyst", "group": "g", "temperature": 0.0, "max_tokens": 16, "prompt": prompt}
    return Request(**{**fields, **more})  # type: ignore[arg-type]


async def _events(client: EngineClient, request: Request) -> list[Event]:
    return [event async for event in client.generate(request)]


def _text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def _child_of(pid: int) -> int:
    """The server's process: the one whose parent is ``pid``. Raises ``StopIteration``."""
    return next(
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/stat")
        if path.read_text().rpartition(")")[2].split()[1] == str(pid)
    )


def test_a_conversation_streams_and_is_counted(engine: Served) -> None:
    async def work(client: EngineClient) -> None:
        events = await _events(client, _ask(None, messages=(Message("user", "Name a colour."),), seed=3))
        assert isinstance(events[0], Admitted)
        assert events[0].seed == 3
        assert len([event for event in events if isinstance(event, Token)]) > 1
        last = events[-1]
        assert isinstance(last, End)
        assert last.usage.prompt_tokens == events[0].prompt_tokens
        assert 0 < last.usage.completion_tokens <= 16
        assert last.timing.first_token_ms > 0
        assert last.energy.joules > 0

    _talk(engine, work)


def test_every_layer_holds_for_the_process_that_reads_the_model_and_for_all_its_threads(engine: Served) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(engine.socket))) as http:
        model = http.get("http://engine/model").json()
    assert model["threads"] == Sizes().threads
    said = reported(model)
    assert {name: layer.state for name, layer in said.items()} == dict.fromkeys(LAYERS, "holds")
    child = _child_of(engine.process.pid)
    threads = threads_of(child)
    assert len(threads) > 2
    assert {(t["NoNewPrivs"], t["Seccomp"], t["Seccomp_filters"]) for t in threads} == {("1", "2", "2")}
    ours = {(t["NoNewPrivs"], t["Seccomp"], t["Seccomp_filters"]) for t in threads_of(engine.process.pid)}
    assert ours == {("1", "2", "1")}


def test_neither_process_listens_anywhere_but_on_its_unix_socket(engine: Served) -> None:
    held = set()
    for pid in (engine.process.pid, _child_of(engine.process.pid)):
        links = (str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir())
        held |= {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:")}
    assert held
    for family in ("tcp", "tcp6", "udp", "udp6"):
        rows = Path(f"/proc/{engine.process.pid}/net/{family}").read_text().splitlines()[1:]
        assert not held & {row.split()[9] for row in rows}


def test_the_server_s_own_socket_is_for_its_own_user_alone(engine: Served) -> None:
    private = engine.socket.with_name(SOCKET_NAME)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(engine.socket.stat().st_mode) == 0o660


def test_slots_settings_and_the_page_are_closed_even_to_its_own_user(engine: Served) -> None:
    transport = httpx.HTTPTransport(uds=str(engine.socket.with_name(SOCKET_NAME)))
    with httpx.Client(transport=transport, base_url="http://x") as http:
        assert http.get("/").status_code == 404
        assert http.get("/slots").status_code == 501
        assert http.get("/metrics").status_code == 501
        assert http.post("/props", json={}).status_code == 501
        assert http.post("/slots/0?action=save", json={"filename": "x"}).status_code == 501
        assert http.get("/tools").status_code == 403
        assert http.get("/cors-proxy").status_code == 403


def test_the_same_prompt_of_another_user_is_computed_anew_with_the_same_words(engine: Served) -> None:
    prompt = "The rules of the harbour. " * 12 + "The first rule is"

    async def work(client: EngineClient) -> None:
        answers = [await _events(client, _ask(prompt, user=user)) for user in ("analyst", "officer", "analyst")]
        assert len({_text(events) for events in answers}) == 1
        for events in answers:
            last = events[-1]
            assert isinstance(last, End)
            assert last.usage.cached_tokens == 0

    _talk(engine, work)


def test_more_streams_than_slots_are_each_answered_whole(engine: Served) -> None:
    async def work(client: EngineClient) -> None:
        prompts = ["One, two, three,", "The capital of France is", "Monday, Tuesday,", "Red, green,"]
        together = await asyncio.gather(*(_events(client, _ask(prompt)) for prompt in prompts))
        for prompt, events in zip(prompts, together, strict=True):
            alone = await _events(client, _ask(prompt))
            # Neighbours in a batch move logits within rounding: a close call may turn later on, not the first word.
            assert _text(events).split()[0] == _text(alone).split()[0]
            ends = [found[-1] for found in (events, alone)]
            assert all(isinstance(end, End) and end.usage.completion_tokens > 1 for end in ends)

    _talk(engine, work)


def test_a_schema_is_kept_to_and_a_stop_string_is_no_part_of_the_answer(engine: Served) -> None:
    async def work(client: EngineClient) -> None:
        answer = _text(await _events(client, _ask("Is water wet? Answer:", json_schema={"type": "boolean"})))
        assert answer.strip() in {"true", "false"}
        events = await _events(client, _ask("1, 2, 3, 4,", stop=(" 7",), max_tokens=40))
        assert "7" not in _text(events)
        last = events[-1]
        assert isinstance(last, End)
        assert last.finish_reason == "stop"

    _talk(engine, work)


def test_a_client_that_leaves_in_the_middle_frees_its_slot(engine: Served) -> None:
    async def work(client: EngineClient) -> None:
        events = client.generate(_ask("Once upon a time", max_tokens=900))
        async for event in events:
            if isinstance(event, Token):
                break
        await events.aclose()
        for _ in range(1200):
            if (await client.model()).queue["running"] == 0:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the engine still computes for nobody")
        assert isinstance((await _events(client, _ask("The capital of France is")))[-1], End)

    _talk(engine, work)


def test_a_prompt_beyond_the_context_is_refused(engine: Served) -> None:
    async def work(client: EngineClient) -> None:
        with pytest.raises(EngineRefusedError) as refused:
            await _events(client, _ask("word " * 2000))
        assert refused.value.code == "context_length_exceeded"

    _talk(engine, work)


def test_sigterm_to_both_lets_the_running_answer_finish_and_leaves_no_process(own_engine: Served) -> None:
    child = _child_of(own_engine.process.pid)

    async def work(client: EngineClient) -> None:
        events: list[Event] = []
        async for event in client.generate(_ask("Once upon a time", max_tokens=40)):
            if not events:
                for pid in (own_engine.process.pid, child):
                    os.kill(pid, signal.SIGTERM)
            events.append(event)
        last = events[-1]
        assert isinstance(last, End)
        assert last.finish_reason == "length"

    _talk(own_engine, work)
    assert own_engine.process.wait(30) == 0
    assert not own_engine.socket.exists()
    assert not own_engine.socket.with_name(SOCKET_NAME).exists()
    _await_end(child)


def test_a_server_that_dies_fails_its_request_and_ends_the_engine(own_engine: Served) -> None:
    child = _child_of(own_engine.process.pid)

    async def work(client: EngineClient) -> None:
        events = client.generate(_ask("Once upon a time", max_tokens=900))
        assert isinstance(await anext(events), Admitted)
        os.kill(child, signal.SIGKILL)
        with pytest.raises(EngineUnavailableError):
            [event async for event in events]

    _talk(own_engine, work)
    assert own_engine.process.wait(30) != 0


def test_a_server_whose_engine_dies_leaves_at_once(own_engine: Served) -> None:
    child = _child_of(own_engine.process.pid)
    own_engine.process.kill()
    own_engine.process.wait()
    _await_end(child)


def test_a_file_that_is_no_model_ends_the_start(llama_server: LlamaServer, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GGUF" + bytes(4096))
    with (
        pytest.raises(RuntimeError, match="instead of serving"),
        adapted_engine(wrong, Sizes(), llama_server, slots=1),
    ):
        pass


def test_a_release_without_it_says_so(model_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if wheel_files.listed().get(LIBRARY) is not None:
        pytest.skip("NOT TESTED: the installed wheel has llama-server")
    with pytest.raises(RuntimeError, match="instead of serving"), adapted_engine(model_file, Sizes(), None, slots=1):
        pass
    assert "this release is built without llama-server" in capfd.readouterr().err


def test_a_model_for_vectors_is_refused_before_any_native_code_reads_it(
    model_file: Path, llama_server: LlamaServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(RuntimeError, match="instead of serving"),
        adapted_engine(model_file, Sizes(), llama_server, slots=1, role="embedding"),
    ):
        pass
    assert "llama-server makes no vectors" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [("RefusedError", 3), ("UsageError", 2), ("UnavailableError", 5), ("DeploymentError", 5)],
)
def test_what_the_gate_refuses_is_told_with_its_exit_code_and_nothing_is_left(
    tmp_path: Path, error: str, code: int
) -> None:
    """The gate is in the child: its words and its kind have to come back to whoever started the engine."""
    tmp_path.chmod(0o777)
    done = subprocess.run(
        unprivileged([sys.executable, "-c", REFUSING, error, str(tmp_path / "s")]),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "not this one\nask the builder\n"), done.stderr
    assert list(tmp_path.iterdir()) == []


def _await_end(pid: int) -> None:
    """Until ``pid`` computes no more: gone, or a zombie that nobody has waited for yet."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.05)
    raise AssertionError("the server still runs")
