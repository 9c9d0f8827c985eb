"""Counting disturbs no writer: it is bounded, goes first, ends with the writer, and is done once for all who ask."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import usage_process
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.log import TileLog
from appliance.audit.reader import LogReader
from appliance.audit.server import create_app
from appliance.audit.usage_process import MAX_WAITING, MEMORY_BYTES, UsageProcess
from appliance.install.services import _OVERHEAD_MIB, MIB
from appliance.site.paths import AUDIT
from tests.audit.bench import EVERY_ROLE, Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from tests.audit.running import Running


@pytest.fixture
def counting(bench: Bench) -> Iterator[UsageProcess]:
    bench.fill(10)
    made = UsageProcess(bench.directory, bench.vkeys)
    yield made
    made.close()


def test_its_process_is_bounded_goes_first_and_last_at_the_processor(counting: UsageProcess) -> None:
    counting.report(None, None).result(60)
    pid = _child()
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if line.startswith("Max data size")).split()[3] == str(
        MEMORY_BYTES
    )
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    assert _OVERHEAD_MIB[AUDIT] * MIB >= MEMORY_BYTES * 2


def _child() -> int:
    (child,) = multiprocessing.active_children()
    assert child.pid
    return child.pid


_WRITER = """
import pathlib, sys
from appliance.audit.note import VerifierKey
from appliance.audit.usage_process import UsageProcess
import multiprocessing
if __name__ == "__main__":
    keys = [VerifierKey.parse(line) for line in sys.argv[2:]]
    counting = UsageProcess(pathlib.Path(sys.argv[1]), keys)  # kept: without it its process ends by itself
    counting.report(None, None).result(60)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    sys.stdin.read()
"""


def test_a_writer_that_is_killed_leaves_no_process_behind(bench: Bench, tmp_path: Path) -> None:
    bench.fill(10)
    script = tmp_path / "writer.py"
    script.write_text(_WRITER)
    argv = [sys.executable, str(script), str(bench.directory), *(key.encode() for key in bench.vkeys)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        pid = int(writer.stdout.readline())
        assert Path(f"/proc/{pid}/stat").exists()
        writer.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class Slow:
    """Jobs that wait until they are told to end."""

    def __init__(self) -> None:
        self.begun: list[Future[dict[str, Any]]] = []

    def begin(self, *_: date | None) -> Future[dict[str, Any]]:
        self.begun.append(Future())
        return self.begun[-1]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(UsageProcess, "_begin", lambda _, *asked: made.begin(*asked))
    return made


def test_who_asks_for_what_is_being_counted_gets_that_and_few_others_wait(counting: UsageProcess, slow: Slow) -> None:
    first = counting.report(None, None)
    assert counting.report(None, None) is first
    for day in range(1, MAX_WAITING):
        counting.report(date(2026, 11, day), None)
    with pytest.raises(AuditUnavailableError, match="being counted"):
        counting.report(date(2026, 11, 30), None)
    assert counting.report(None, None) is first
    first.set_result({})
    assert counting.report(None, None) is not first
    assert len(slow.begun) == MAX_WAITING + 1


@pytest.mark.anyio
async def test_whoever_goes_away_takes_nothing_from_others_who_asked_for_the_same(
    bench: Bench, serve: Callable[[ASGIApp], Running], slow: Slow
) -> None:
    bench.fill(10)
    running = serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), EVERY_ROLE))
    async with LogReader(running.socket) as one, LogReader(running.socket) as other:
        asking = [asyncio.create_task(reader.usage(None, None)) for reader in (one, other)]
        async with asyncio.timeout(30):
            while not slow.begun:  # noqa: ASYNC110 - of another thread
                await asyncio.sleep(0.01)
        asking[0].cancel()
        await asyncio.sleep(0.05)
        slow.begun[0].set_result({"total": 1})
        assert await asking[1] == {"total": 1}
    assert len(slow.begun) == 1


@pytest.mark.anyio
async def test_a_log_that_does_not_fit_is_said_and_written_to_all_the_same(
    bench: Bench, serve: Callable[[ASGIApp], Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.fill(300)
    monkeypatch.setattr(usage_process, "MEMORY_BYTES", 1 << 20)
    running = serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), EVERY_ROLE))
    async with LogReader(running.socket) as reader:
        with pytest.raises(AuditUnavailableError, match="cannot be counted"):
            await reader.usage(None, None)
        assert (await reader.state())["size"] == 300
