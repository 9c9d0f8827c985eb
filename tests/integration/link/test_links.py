"""A link carries what two processes say to each other, for the links that it names and for nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from appliance.errors import DeploymentError, UsageError
from appliance.install import ca
from appliance.link import ask, check
from appliance.link import relay as relaying
from appliance.link.relay import Relay, _exchange
from appliance.link.tls import AUTHORITY, CHAIN, KEY, contexts
from appliance.link.ways import DOMAIN, Way, load_ways, server_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.network
NOW = datetime.now(UTC)
Authority = ca.Authority


@pytest.fixture(scope="module")
def authority() -> Authority:
    return ca.create_links_authority("a-site", DOMAIN, NOW)


def credentials(folder: Path, authority: Authority, link: str) -> Path:
    """The credentials of ``link``, as its pod has them."""
    issued = ca.issue_link(authority, server_name(link), NOW)
    home = folder / link
    home.mkdir()
    for name, data in ((AUTHORITY, authority.certificate), (CHAIN, issued.chain), (KEY, issued.key)):
        (home / name).write_bytes(data)
    return home


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def echo(path: Path) -> AsyncIterator[list[bytes]]:
    """A neighbour on a Unix socket that says everything back, and remembers what it heard."""
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1 << 16):
            heard.append(piece)
            writer.write(piece)
        writer.close()

    server = await asyncio.start_unix_server(talk, str(path))
    async with server:
        yield heard


@contextlib.asynccontextmanager
async def carrying(way: Way, home: Path | None) -> AsyncIterator[Relay]:
    relay = Relay(way, contexts(home) if home else None)
    async with await relay.listen():
        yield relay
        await relay.end()


@contextlib.asynccontextmanager
async def pair(folder: Path, far: Path, near: Path, callers: tuple[str, ...], answers: str) -> AsyncIterator[Relay]:
    """Two links between a socket here and the neighbour's; the far one."""
    port = free_port()
    entered = Way(at=f"tls:127.0.0.1:{port}", callers=callers, to=f"unix:{folder / 'far'}")
    left = Way(at=f"unix:{folder / 'near'}", to=f"tls:127.0.0.1:{port}", answers=answers)
    async with carrying(entered, far) as relay, carrying(left, near):
        yield relay


async def say(path: Path, data: bytes) -> bytes:
    """What comes back over the socket at ``path`` until as much came as was said, or the connection ended."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    with contextlib.suppress(OSError):
        writer.write(data)
    got = b""
    with contextlib.suppress(OSError):
        while len(got) < len(data) and (piece := await reader.read(1 << 16)):
            got += piece
    writer.close()
    return got


def test_bytes_go_there_and_back_whole(tmp_path: Path, authority: Authority) -> None:
    far, near = (credentials(tmp_path, authority, name) for name in ("audit", "gateway"))
    data = os.urandom(3 << 20)

    async def run() -> None:
        async with echo(tmp_path / "far"), pair(tmp_path, far, near, ("gateway",), "audit") as relay:
            assert await asyncio.gather(*(say(tmp_path / "near", data) for _ in range(8))) == [data] * 8
            assert relay.refused == 0

    asyncio.run(run())


def test_a_link_that_may_not_call_reaches_nobody(tmp_path: Path, authority: Authority) -> None:
    far, near = (credentials(tmp_path, authority, name) for name in ("audit", "engine"))

    async def run() -> None:
        async with echo(tmp_path / "far") as heard, pair(tmp_path, far, near, ("gateway",), "audit") as relay:
            assert await say(tmp_path / "near", b"hello") == b""
            assert (heard, relay.refused) == ([], 1)

    asyncio.run(run())


def test_a_stranger_s_authority_counts_on_neither_side(tmp_path: Path, authority: Authority) -> None:
    other = ca.create_links_authority("a-site", DOMAIN, NOW)
    (tmp_path / "theirs").mkdir()
    ours, theirs = credentials(tmp_path, authority, "audit"), credentials(tmp_path / "theirs", other, "gateway")

    async def run(far: Path, near: Path, callers: str, answers: str) -> None:
        async with echo(tmp_path / "far") as heard, pair(tmp_path, far, near, (callers,), answers):
            assert await say(tmp_path / "near", b"hello") == b""
            assert heard == []

    asyncio.run(run(ours, theirs, "gateway", "audit"))
    (tmp_path / "far").unlink(missing_ok=True)
    asyncio.run(run(theirs, ours, "audit", "gateway"))


def test_who_answers_must_be_who_was_called(tmp_path: Path, authority: Authority) -> None:
    far, near = (credentials(tmp_path, authority, name) for name in ("database", "gateway"))

    async def run() -> None:
        async with echo(tmp_path / "far") as heard, pair(tmp_path, far, near, ("gateway",), "audit"):
            assert await say(tmp_path / "near", b"a secret") == b""
            assert heard == []

    asyncio.run(run())


def test_without_a_certificate_and_below_tls_1_3_nothing_is_opened(tmp_path: Path, authority: Authority) -> None:
    far, port = credentials(tmp_path, authority, "audit"), free_port()
    old = contexts(far)[1]
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    bare = ssl.create_default_context(cafile=str(far / AUTHORITY))

    async def run() -> None:
        way = Way(at=f"tls:127.0.0.1:{port}", callers=("gateway",), to=f"unix:{tmp_path / 'far'}")
        async with echo(tmp_path / "far") as heard, carrying(way, far):
            for context in (old, bare):
                with pytest.raises((OSError, asyncio.IncompleteReadError)):
                    await shaken(context, port)
            assert heard == []

    async def shaken(context: ssl.SSLContext, port: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=server_name("audit")
        )
        writer.write(b"hello")
        try:
            await reader.readexactly(1)
        finally:
            writer.close()

    asyncio.run(run())


@contextlib.asynccontextmanager
async def busy(to: int | None) -> AsyncIterator[int]:
    """A port whose process has no turn for a while after the kernel made the connection; without ``to``, never."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            if to is None:
                await reader.read()
                return
            await asyncio.sleep(3 * CONNECT)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to)
            with contextlib.closing(far_writer):
                await _exchange((reader, far_writer), (far_reader, writer))

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield int(server.sockets[0].getsockname()[1])


CONNECT = 0.3


def test_a_busy_host_may_take_longer_over_the_handshake_than_over_the_connection(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "CONNECT_SECONDS", CONNECT)
    far, near, port = *(credentials(tmp_path, authority, name) for name in ("audit", "gateway")), free_port()

    async def run() -> None:
        entered = Way(at=f"tls:127.0.0.1:{port}", callers=("gateway",), to=f"unix:{tmp_path / 'far'}")
        async with echo(tmp_path / "far"), carrying(entered, far), busy(port) as slow:
            left = Way(at=f"unix:{tmp_path / 'near'}", to=f"tls:127.0.0.1:{slow}", answers="audit")
            async with carrying(left, near) as relay:
                assert await say(tmp_path / "near", b"hello") == b"hello"
                assert relay.refused == 0

    asyncio.run(run())


def test_who_never_answers_the_handshake_is_given_up(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "HANDSHAKE_SECONDS", CONNECT)
    near = credentials(tmp_path, authority, "gateway")

    async def run() -> None:
        async with busy(None) as silent:
            left = Way(at=f"unix:{tmp_path / 'near'}", to=f"tls:127.0.0.1:{silent}", answers="audit")
            async with carrying(left, near) as relay:
                assert await say(tmp_path / "near", b"hello") == b""
                assert relay.refused == 1

    asyncio.run(run())


def test_the_check_of_charts_tells_a_link_from_a_port_that_lets_everybody_in(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    far, port, open_port = credentials(tmp_path, authority, "audit"), free_port(), free_port()

    async def run() -> list[int]:
        way = Way(at=f"tls:127.0.0.1:{port}", callers=("gateway",), to=f"unix:{tmp_path / 'far'}")
        bare = Way(at=f"tcp:127.0.0.1:{open_port}", to=f"unix:{tmp_path / 'far'}")
        async with echo(tmp_path / "far"), carrying(way, far), carrying(bare, None):
            ends = [f"127.0.0.1:{port}", f"127.0.0.1:{open_port}", f"127.0.0.1:{free_port()}"]
            return [await asyncio.to_thread(check.main, [end]) for end in ends]

    assert asyncio.run(run()) == [0, 1, 1]
    told = capsys.readouterr().out.splitlines()
    assert ["turns away" in line for line in told] == [True, False, False]


def test_an_end_on_one_side_is_the_end_on_the_other(tmp_path: Path, authority: Authority) -> None:
    far, near = (credentials(tmp_path, authority, name) for name in ("audit", "gateway"))

    async def run() -> None:
        ended = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            assert await reader.read() == b""
            ended.set()
            writer.close()

        neighbour = await asyncio.start_unix_server(talk, str(tmp_path / "far"))
        async with neighbour, pair(tmp_path, far, near, ("gateway",), "audit"):
            _, writer = await asyncio.open_unix_connection(str(tmp_path / "near"))
            writer.write(b"x")
            await writer.drain()
            writer.close()
            async with asyncio.timeout(10):
                await ended.wait()

    asyncio.run(run())


def test_a_neighbour_that_is_away_is_reached_when_it_is_back(tmp_path: Path, authority: Authority) -> None:
    far, near = (credentials(tmp_path, authority, name) for name in ("audit", "gateway"))

    async def run() -> None:
        async with pair(tmp_path, far, near, ("gateway",), "audit") as relay:
            assert await say(tmp_path / "near", b"hello") == b""
            assert relay.refused == 1
            async with echo(tmp_path / "far"):
                assert await say(tmp_path / "near", b"hello") == b"hello"

    asyncio.run(run())


def test_an_end_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        way = Way(at=f"tcp:127.0.0.1:{taken.getsockname()[1]}", to=f"unix:{tmp_path / 'far'}")

        async def run() -> None:
            await Relay(way, None).listen()

        with pytest.raises(DeploymentError, match="cannot listen at tcp:"):
            asyncio.run(run())


def test_missing_certificates_are_told(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="certificate cannot be used"):
        contexts(tmp_path)


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ({"at": "tls:0.0.0.0:9201", "to": "unix:/run/x"}, "callers are named"),
        ({"at": "tcp:127.0.0.1:9201", "to": "unix:/run/x", "callers": ["gateway"]}, "callers are named"),
        ({"at": "unix:/run/x", "to": "tls:audit:9201"}, "who answers is named"),
        ({"at": "unix:run/x", "to": "tcp:127.0.0.1:1"}, "ways.0.at"),
        ({"at": "unix:/run/x", "to": "tcp:127.0.0.1:1", "more": 1}, "ways.0.more"),
        ({"at": "unix:/run/x", "to": "tls:audit:1", "answers": "Audit!"}, "ways.0.answers"),
    ],
)
def test_a_file_of_ways_tells_its_mistakes(way: dict[str, object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "ways.json"
    path.write_text(json.dumps({"schema": 1, "ways": [way]}))
    with pytest.raises(UsageError) as caught:
        load_ways(path)
    assert said in caught.value.cause
    assert caught.value.hint is not None


def test_a_probe_tells_a_service_that_answers_from_one_that_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readline()).split()[1]
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if asked == b"/healthz" else b"HTTP/1.1 503 no\r\n\r\n")
        writer.close()

    async def run() -> list[int]:
        async with await asyncio.start_unix_server(answer, str(tmp_path / "sock")):
            probes = [["sock", "/healthz"], ["sock", "/readyz"], ["none", "/healthz"]]
            return [await asyncio.to_thread(ask.main, [str(tmp_path / name), path]) for name, path in probes]

    assert asyncio.run(run()) == [0, 1, 1]
    assert "none" in capsys.readouterr().err
