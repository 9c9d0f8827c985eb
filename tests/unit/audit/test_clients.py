"""The clients: many callers become few frames, and every failure says that the entry does not count."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import struct
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from appliance.audit import wire
from appliance.audit.client import AuditClient, SyncAuditClient
from appliance.audit.errors import (
    AuditUnavailableError,
    EntryRefusedError,
    EntryTooLargeError,
    IdReusedError,
    LogFullError,
    NotYoursError,
)
from appliance.audit.frames import MAX_PAYLOAD, PREFACE_BYTES, frame, read_preface
from appliance.audit.log import TileLog
from appliance.audit.server import create_app
from appliance.audit.tiles import decode_entries
from tests.audit.bench import EVERY_ROLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from tests.audit.bench import Bench
    from tests.audit.running import Running

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def _scripted(socket: Path, *replies: bytes | None) -> AsyncIterator[list[list[bytes]]]:
    """A writer that answers frames as told (None: by cutting the connection); the entries of each frame it was sent."""
    seen: list[list[bytes]] = []
    queue = list(replies)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            read_preface(await reader.readexactly(PREFACE_BYTES))
            while True:
                length, number = struct.unpack(">II", await reader.readexactly(8))
                seen.append(decode_entries(await reader.readexactly(length), 1024)[0])
                reply = queue.pop(0) if len(queue) > 1 else queue[0]
                if reply is None:
                    break
                writer.write(frame(number, reply))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    serving: set[asyncio.Task[None]] = set()
    server = await asyncio.start_unix_server(lambda *both: serving.add(asyncio.create_task(serve(*both))), str(socket))
    yield seen
    server.close()
    await asyncio.gather(*serving)


def _error(status: int, code: str) -> bytes:
    error = {"code": code, "message": "the cause", "hint": "the hint"}
    return json.dumps({"status": status, "error": error}).encode()


def _reply(**answer: object) -> bytes:
    return json.dumps({"status": 200, **answer}).encode()


async def test_an_entry_gets_its_position_and_checkpoint(bench: Bench, service: Running) -> None:
    async with AuditClient(service.socket) as client:
        position = await client.append(bench.event("a"), id="gateway/a")
        again = await client.append(bench.event("a"), id="gateway/a")
        proof = await client.proof(0)
        assert await client.checkpoint() == position.checkpoint
        assert await client.healthy()
    assert (position.index, position.size) == (0, 1)
    assert again == position
    assert proof.checkpoint == position.checkpoint


async def test_concurrent_callers_share_few_frames(bench: Bench, tmp_path: Path) -> None:
    part = wire.ENOUGH_ENTRIES
    reply = _reply(positions=list(range(part)), size=part, checkpoint="n")
    async with _scripted(tmp_path / "sock", reply) as seen, AuditClient(tmp_path / "sock") as client:
        names = [f"gateway/e{n}" for n in range(4 * part)]
        positions = await asyncio.gather(*(client.append(bench.event(name), id=name) for name in names))
    assert [position.index for position in positions] == 4 * list(range(part))
    assert [len(entries) for entries in seen] == 4 * [part]


async def test_a_refused_entry_does_not_take_its_neighbours_with_it(bench: Bench, service: Running) -> None:
    async with AuditClient(service.socket) as client:
        await client.append(bench.event("a"), id="gateway/a")
        outcomes = await asyncio.gather(
            client.append(bench.event("b"), id="gateway/b"),
            client.append(bench.event("a", severity_id=3), id="gateway/a"),
            client.append(bench.event("c"), id="gateway/c"),
            client.append(bench.event("d", comment=[7] * 40_000), id="gateway/d"),
            client.append(bench.event("e", comment=float("nan")), id="gateway/e"),
            return_exceptions=True,
        )
    kinds = [type(one).__name__ for one in outcomes]
    assert kinds == ["Position", "IdReusedError", "Position", "EntryTooLargeError", "EntryRefusedError"]


async def test_a_caller_that_is_cancelled_disturbs_nobody(bench: Bench, service: Running) -> None:
    async with AuditClient(service.socket) as client:
        tasks = [asyncio.create_task(client.append(bench.event(f"e{n}"), id=f"gateway/e{n}")) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        kept = await asyncio.gather(*tasks[1::2])
        assert len({position.index for position in kept}) == 10
        assert (await client.append(bench.event("last"), id="gateway/last")).size > 10


async def test_no_writer_means_unavailable(bench: Bench, tmp_path: Path) -> None:
    async with AuditClient(tmp_path / "nobody") as client:
        with pytest.raises(AuditUnavailableError, match="does not answer"):
            await client.append(bench.event("a"), id="gateway/a")
        with pytest.raises(AuditUnavailableError):
            await client.proof(0)
        assert not await client.healthy()


async def test_a_restarted_writer_is_found_again(bench: Bench, serve: Callable[[ASGIApp], Running]) -> None:
    first = serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), EVERY_ROLE))
    async with AuditClient(first.socket) as client:
        await client.append(bench.event("a"), id="gateway/a")
        first.stop()
        serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), EVERY_ROLE))
        assert (await client.append(bench.event("b"), id="gateway/b")).index == 1
        assert (await client.append(bench.event("a"), id="gateway/a")).index == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (_error(507, "log_full"), LogFullError),
        (_error(503, "unavailable"), AuditUnavailableError),
        (_error(503, "log_inconsistent"), AuditUnavailableError),
        (_error(409, "id_reused"), IdReusedError),
        (_error(403, "not_yours"), NotYoursError),
        (_error(413, "entry_too_large"), EntryTooLargeError),
        (_error(422, "entry_refused"), EntryRefusedError),
        (_error(400, "bad_request"), EntryRefusedError),
        (_error(418, "teapot"), AuditUnavailableError),
        (b"no json", AuditUnavailableError),
        (b"\xff\xfe", AuditUnavailableError),
        (b"[1]", AuditUnavailableError),
        (b"{}", AuditUnavailableError),
        (b'{"status": "200", "positions": [0], "size": 1, "checkpoint": ""}', AuditUnavailableError),
        (_reply(), AuditUnavailableError),
        (_reply(positions=[]), AuditUnavailableError),
        (_reply(positions=[0, 1], size=2, checkpoint=""), AuditUnavailableError),
        (_reply(positions=["x"], size=1, checkpoint=""), AuditUnavailableError),
        (_reply(positions=[1], size=1, checkpoint=""), AuditUnavailableError),
        (_reply(positions=[0]), AuditUnavailableError),
        (b'{"status": 200, "positions": [0], "size": Infinity, "checkpoint": ""}', AuditUnavailableError),
        (None, AuditUnavailableError),
        (b"x" * (MAX_PAYLOAD + 1), AuditUnavailableError),
    ],
)
async def test_whatever_is_no_clear_yes_is_a_no(
    bench: Bench, tmp_path: Path, answer: bytes | None, expected: type[Exception]
) -> None:
    async with _scripted(tmp_path / "sock", answer), AuditClient(tmp_path / "sock") as client:
        with pytest.raises(expected):
            await client.append(bench.event("a"), id="gateway/a")


async def test_a_bad_answer_to_many_is_asked_again_one_by_one(bench: Bench, tmp_path: Path) -> None:
    replies = _error(422, "entry_refused"), _reply(positions=[0], size=1, checkpoint="n")
    async with _scripted(tmp_path / "sock", *replies) as seen, AuditClient(tmp_path / "sock") as client:
        first = asyncio.create_task(client.append(bench.event("a"), id="gateway/a"))
        second = asyncio.create_task(client.append(bench.event("b"), id="gateway/b"))
        outcomes = await asyncio.gather(first, second)
    assert [one.index for one in outcomes] == [0, 0]
    assert [len(entries) for entries in seen] == [2, 1, 1]


async def test_what_a_broken_connection_left_unanswered_is_sent_once_more(bench: Bench, tmp_path: Path) -> None:
    replies = None, _reply(positions=[7], size=8, checkpoint="n")
    async with _scripted(tmp_path / "sock", *replies) as seen, AuditClient(tmp_path / "sock") as client:
        assert (await client.append(bench.event("a"), id="gateway/a")).index == 7
    assert seen[0] == seen[1]


async def test_a_defect_in_reading_an_answer_leaves_nobody_waiting(
    bench: Bench, service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AuditClient(service.socket) as client:
        await client.append(bench.event("a"), id="gateway/a")  # the connection is there

        def defect(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr(wire, "read_reply", defect)
            with pytest.raises(AuditUnavailableError, match="ZeroDivisionError"):
                await asyncio.wait_for(client.append(bench.event("b"), id="gateway/b"), 10)
        assert (await client.append(bench.event("b"), id="gateway/b")).index == 1, "it was logged, and is found"
        await asyncio.wait_for(client.aclose(), 10)


async def test_a_closed_client_leaves_nobody_waiting(bench: Bench, service: Running) -> None:
    client = AuditClient(service.socket)
    waiting = asyncio.create_task(client.append(bench.event("a"), id="gateway/a"))
    await asyncio.sleep(0)
    await client.aclose()
    assert (await waiting).index == 0


def test_the_sync_client_does_the_same(bench: Bench, service: Running) -> None:
    with SyncAuditClient(service.socket) as client:
        position = client.append(bench.event("a"), id="gateway/a")
        assert client.append(bench.event("a"), id="gateway/a") == position
        assert client.checkpoint() == position.checkpoint
        with pytest.raises(IdReusedError):
            client.append(bench.event("a", severity_id=3), id="gateway/a")


def test_the_sync_client_says_when_nobody_answers(bench: Bench, tmp_path: Path) -> None:
    with SyncAuditClient(tmp_path / "nobody") as client:
        with pytest.raises(AuditUnavailableError):
            client.append(bench.event("a"), id="gateway/a")
        with pytest.raises(AuditUnavailableError):
            client.checkpoint()


def test_the_socket_is_for_owner_and_group_only(service: Running) -> None:
    assert service.socket.stat().st_mode & 0o777 == 0o660


def test_the_sync_client_tells_who_was_refused_what_was_not_theirs(bench: Bench, service: Running) -> None:
    with SyncAuditClient(service.socket) as client:
        assert client.health().refused == {}
        with pytest.raises(NotYoursError, match="may not append request as 'operator/a'"):
            client.append(bench.event("a"), id="operator/a")
        assert client.health().refused == {os.getuid(): 1}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"not_yours": []},
        {"not_yours": {"x": 1}},
        {"not_yours": {"1": None}},
        {"not_yours": {}, "clock_behind": "x"},
    ],
)
def test_a_senseless_count_of_refusals_is_an_error_and_no_count(
    serve: Callable[[ASGIApp], Running], answer: dict[str, Any]
) -> None:
    async def healthz(_: Request) -> Response:
        return JSONResponse(answer)

    running = serve(Starlette(routes=[Route("/healthz", healthz)]))
    with SyncAuditClient(running.socket) as client, pytest.raises(AuditUnavailableError, match="no sense"):
        client.health()
