"""The log is read over the writer's socket by those who may, from its end to its beginning, and never whole."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import multiprocessing
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from appliance.audit import events
from appliance.audit.entry import encode_entry
from appliance.audit.errors import AuditUnavailableError, EntryRefusedError
from appliance.audit.log import TileLog
from appliance.audit.reader import MOST_BUNDLES, LogReader
from appliance.audit.roles import Roles, engine
from appliance.audit.search import Wanted, found_in, read_found
from appliance.audit.server import create_app
from appliance.identity.events import user_entry
from tests.audit.bench import EVERY_ROLE, MOMENT, Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from tests.audit.running import Running

pytestmark = pytest.mark.anyio


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def write(bench: Bench, count: int) -> None:
    """Entries a minute apart: every third a refusal, by two people of two groups."""
    made = []
    for number in range(count):
        at = MOMENT + timedelta(minutes=number)
        who = (
            {"subject": "ab" * 16, "groups": ("analysts",)}
            if number % 2
            else {"subject": "cd" * 16, "groups": ("clerks",)}
        )
        event = (
            events.refusal(
                request_id=f"r{number}", reason_code="quota_exceeded", status=429, model_name="demo", at=at, **who
            )
            if number % 3 == 0
            else bench.event(f"e{number}", time=ms(at))
        )
        made.append((f"e{number}", encode_entry(event, f"e{number}")))
    log = bench.open()
    log.open()
    log.append(made)
    bench.close()


@pytest.fixture
def service(bench: Bench, serve: Callable[[ASGIApp], Running]) -> Callable[[], Running]:
    return lambda: serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), EVERY_ROLE))


async def test_entries_come_page_by_page_latest_first_each_once(bench: Bench, service: Callable[[], Running]) -> None:
    write(bench, 700)
    async with LogReader(service().socket) as reader:
        seen, before = [], None
        while True:
            page = await reader.search(Wanted(), before=before, limit=90)
            seen += [one.index for one in page.found]
            assert page.size == 700
            if page.before is None:
                break
            before = page.before
    assert seen == list(range(699, -1, -1))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(kind="refusal"), [n for n in range(600) if n % 3 == 0]),
        (Wanted(kind="refusal", subject="ab" * 16), [n for n in range(600) if n % 3 == 0 and n % 2]),
        (Wanted(group="clerks", kind="refusal"), [n for n in range(600) if n % 6 == 0]),
        (Wanted(outcome="quota_exceeded"), [n for n in range(600) if n % 3 == 0]),
        (Wanted(outcome="failure", model="demo"), [n for n in range(600) if n % 3 == 0]),
        (Wanted(model="other"), []),
        (
            Wanted(since=ms(MOMENT + timedelta(minutes=100)), until=ms(MOMENT + timedelta(minutes=103))),
            [100, 101, 102],
        ),
    ],
)
async def test_what_is_wanted_is_found_and_nothing_else(
    bench: Bench, service: Callable[[], Running], wanted: Wanted, expected: list[int]
) -> None:
    write(bench, 600)
    async with LogReader(service().socket) as reader:
        page = await reader.search(wanted, limit=1000)
    assert [one.index for one in page.found] == expected[::-1]


async def test_a_backlog_of_keycloaks_does_not_end_a_search_for_what_lies_before_it(
    bench: Bench, service: Callable[[], Running]
) -> None:
    """256 sign-ins of three months ago come in at once, after an outage, between entries of the day."""
    write(bench, 256)
    log = bench.open()
    log.open()
    for number in range(300):
        old = {"id": f"k{number}", "time": ms(MOMENT - timedelta(days=90)) + number, "type": "LOGIN", "userId": "u"}
        named = user_entry(old, lambda _: "ef" * 16, MOMENT + timedelta(minutes=256))
        assert named is not None
        log.append([(named[0], encode_entry(named[1], named[0]))])
    bench.close()
    async with LogReader(service().socket) as reader:
        page = await reader.search(Wanted(since=ms(MOMENT), kind="refusal"), limit=1000)
        logged = await reader.search(Wanted(since=ms(MOMENT), kind="identity_sign_in"), limit=1000)
    assert [one.index for one in page.found] == [n for n in range(255, -1, -1) if n % 3 == 0]
    assert len(logged.found) == 300


async def test_searching_has_nothing_settled(bench: Bench, serve: Callable[[ASGIApp], Running]) -> None:
    """Settling is work that commits wait for; whoever pages through a log must not cause it at every page."""
    write(bench, 300)
    log, settled = TileLog(bench.directory, bench.origin, bench.keys), []
    inner = log.settle

    def counted() -> None:
        settled.append(1)
        inner()

    log.settle = counted  # type: ignore[method-assign]  # the same, counted
    async with LogReader(serve(create_app(log, EVERY_ROLE)).socket) as reader:
        for _ in range(3):
            assert len((await reader.search(Wanted(), limit=300)).found) == 300
        assert settled == []
        await reader.state()
        assert settled == [1]


async def test_a_page_looks_through_a_bounded_part_of_the_log(
    bench: Bench, service: Callable[[], Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.fill(256 * (MOST_BUNDLES + 3))
    asked: list[int] = []
    async with LogReader(service().socket) as reader:
        inner = reader._bundle

        async def counted(index: int) -> list[bytes]:
            asked.append(index)
            return await inner(index)

        monkeypatch.setattr(reader, "_bundle", counted)
        page = await reader.search(Wanted(kind="sign_in"))
        assert (page.found, page.before) == ((), 256 * 3)
        assert len(asked) == MOST_BUNDLES
        assert (await reader.search(Wanted(kind="sign_in"), before=page.before)).before is None


def checks(argv: list[str], folder: Path) -> bool:
    return subprocess.run(argv, capture_output=True, check=False, cwd=folder).returncode == 0


async def test_one_entry_comes_with_the_script_that_checks_it(
    bench: Bench, service: Callable[[], Running], tmp_path: Path
) -> None:
    write(bench, 300)
    async with LogReader(service().socket) as reader:
        data = await reader.export(7, 7)
        with pytest.raises(EntryRefusedError, match="holds 300"):
            await reader.export(300, 300)
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        packed.extractall(tmp_path / "out")
    keys = tmp_path / "vkeys"
    keys.write_text("".join(f"{key.encode()}\n" for key in bench.vkeys))
    argv = [sys.executable, "-I", str(tmp_path / "out/verify.py"), "--vkeys", str(keys)]
    assert checks(argv, tmp_path / "out")
    entries = tmp_path / "out/entries.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b"analysts", b"analystz"))
    assert not checks(argv, tmp_path / "out")


async def test_figures_are_those_of_the_report_also_when_their_process_was_killed(
    bench: Bench, service: Callable[[], Running]
) -> None:
    write(bench, 300)
    async with LogReader(service().socket) as reader:
        day = MOMENT.date().isoformat()
        first = await reader.usage(day, day)
        assert (first["total"]["refusals"], first["refusal_reasons"]) == (100, {"quota_exceeded": 100})
        assert (await reader.usage("2027-01-01", None))["total"]["requests"] == 0
        for process in multiprocessing.active_children():
            process.kill()
            process.join()
        with contextlib.suppress(AuditUnavailableError):  # whoever asks first may see it gone
            await reader.usage(day, day)
        assert await reader.usage(day, day) == first


async def test_a_writer_that_ends_takes_its_counting_process_with_it(
    bench: Bench, serve: Callable[[ASGIApp], Running]
) -> None:
    write(bench, 10)
    running = serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), EVERY_ROLE))
    async with LogReader(running.socket) as reader:
        await reader.usage(None, None)
    children = multiprocessing.active_children()
    assert children
    await asyncio.to_thread(running.stop)
    for child in children:
        await asyncio.to_thread(child.join, 30)
        assert not child.is_alive()


async def test_the_state_names_checkpoint_and_size(bench: Bench, service: Callable[[], Running]) -> None:
    write(bench, 5)
    async with LogReader(service().socket) as reader:
        state = await reader.state()
    assert (state["size"], state["origin"], state["witnesses"]) == (5, bench.origin, [])
    assert state["checkpoint"].startswith(f"{bench.origin}\n5\n")


@pytest.mark.parametrize("path", ["/state", "/size", "/bundle?index=0", "/export?first=0&last=0", "/usage"])
def test_who_only_writes_may_not_read(bench: Bench, serve: Callable[[ASGIApp], Running], path: str) -> None:
    bench.fill(3)
    roles = Roles({os.getuid(): (engine("demo"),)})
    running = serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), roles))
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(running.socket)), base_url="http://audit") as http:
        answer = http.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_yours")


@pytest.mark.parametrize(
    "query", ["/bundle?index=-1", "/bundle?index=9", "/bundle", "/export?first=5&last=4", "/export?first=0&last=9999"]
)
def test_what_makes_no_sense_is_refused(bench: Bench, service: Callable[[], Running], query: str) -> None:
    bench.fill(3)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(service().socket)), base_url="http://audit") as http:
        assert http.get(query).status_code == 400


@pytest.mark.parametrize(
    "entry", [b"", b"[]", b"null", b'{"time":"x","actor":[],"unmapped":{"sovereign":7}}', b"\xff{"]
)
def test_an_entry_of_any_shape_shows_as_what_can_be_read_of_it(entry: bytes) -> None:
    found = read_found(3, entry)
    assert (found.index, found.time, found.kind, found.subject, found.groups) == (3, 0, "(foreign)", None, ())
    assert found_in([entry], 3, Wanted(), 5) == ([found], False)
    json.dumps(found.event)
    assert datetime.fromtimestamp(found.time, UTC).year == 1970
