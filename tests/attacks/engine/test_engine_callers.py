"""42: asking a model past the gateway. Who may open an engine's socket is not answered for that alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.engine.protocol import Request
from appliance.engine.wire import encode_request
from tests.audit.processes import until
from tests.other_users import as_uid, ask, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
GATEWAY, OTHER_ENGINE, STRANGER = 61_001, 61_003, 61_009
PROGRAM = f"""
import signal, sys
from pathlib import Path
from tests.unit.engine.scripted_context import ScriptedContext, scripted_engine
from tests.unit.engine.served_engine import served
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
with served(scripted_engine(ScriptedContext("the answer")), Path(sys.argv[1]), clients=frozenset({{0, {GATEWAY}}})):
    signal.sigwait([signal.SIGTERM])
"""
QUESTION = encode_request(Request(id="1", user="u", group="g", prompt="hi", seed=7))


@pytest.fixture(scope="module")
def engine() -> Iterator[Path]:
    """The socket of a running engine; its mode and folder let every group member in, as those of a site do."""
    with tempfile.TemporaryDirectory(prefix="engine-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with subprocess.Popen([sys.executable, "-c", PROGRAM, name], cwd=Path(__file__).parents[3]) as process:
            until(lambda: process.poll() is not None or (folder / "s").exists())
            (folder / "s").chmod(0o666)
            yield folder / "s"
            process.terminate()


def generate(socket: Path) -> bytes:
    with connect(socket) as connection:
        try:
            return ask(connection, "POST /generate HTTP/1.1", QUESTION)
        except (ConnectionError, BrokenPipeError):
            return b"cut off"


def metric(socket: Path) -> bytes:
    """How many requests the engine has seen, as its gateway is told."""

    def read() -> bytes:
        with connect(socket) as connection:
            return ask(connection, "GET /metrics HTTP/1.1")

    shown = as_uid(GATEWAY, read)
    assert shown.startswith(b"HTTP/1.1 200")
    return b"\n".join(line for line in shown.splitlines() if line.startswith(b"engine_requests_total"))


@pytest.mark.parametrize("uid", [OTHER_ENGINE, STRANGER])
def test_an_engine_does_not_answer_another_engine_nor_anyone_else(engine: Path, uid: int) -> None:
    before = metric(engine)
    assert as_uid(uid, lambda: generate(engine)) in {b"", b"cut off"}
    assert metric(engine) == before


def test_a_stranger_learns_nothing_about_the_model_either(engine: Path) -> None:
    def read() -> bytes:
        said = b""
        for path in ("/model", "/healthz", "/metrics"):
            with connect(engine) as connection:
                try:
                    said += ask(connection, f"GET {path} HTTP/1.1")
                except (ConnectionError, BrokenPipeError):
                    continue
        return said

    assert as_uid(OTHER_ENGINE, read) == b""


@pytest.mark.parametrize("uid", [GATEWAY, 0])
def test_the_gateway_and_root_are_answered(engine: Path, uid: int) -> None:
    answer = as_uid(uid, lambda: generate(engine))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"stop"' in answer
