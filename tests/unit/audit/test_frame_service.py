"""Frames beside HTTP on one socket: the same rules, whatever bytes a connection sends."""

from __future__ import annotations

import json
import os
import socket as sockets
import struct
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from appliance.audit.append_body import MAX_ENTRIES
from appliance.audit.entry import encode_entry
from appliance.audit.frames import MAX_PAYLOAD, frame, preface
from appliance.audit.log import TileLog
from appliance.audit.roles import OPERATOR, Roles
from appliance.audit.server import create_app
from appliance.audit.tiles import encode_entries
from tests.audit.processes import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from tests.audit.bench import Bench
    from tests.audit.running import Running

INSTANCE = "00112233445566ff"


class Caller:
    """Raw bytes to the writer, and what it says."""

    def __init__(self, socket: Path) -> None:
        self._socket = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        self._socket.settimeout(30)
        self._socket.connect(str(socket))
        self._stream = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def reply(self) -> tuple[int, dict[str, Any]] | None:
        """The next frame; None when the writer hung up."""
        head = self._stream.read(8)
        if len(head) < 8:
            return None
        length, number = struct.unpack(">II", head)
        return number, json.loads(self._stream.read(length))

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


@pytest.fixture
def caller(service: Running) -> Iterator[Caller]:
    made = Caller(service.socket)
    yield made
    made.close()


def _entry(bench: Bench, name: str, **changes: Any) -> bytes:
    return encode_entry(bench.event(name, **changes), f"gateway/{name}")


def _health(service: Running) -> dict[str, Any]:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(service.socket)), base_url="http://audit") as http:
        found: dict[str, Any] = http.get("/healthz").json()
        return found


def test_entries_in_frames_are_appended_in_order_and_answered_by_number(bench: Bench, caller: Caller) -> None:
    caller.send(preface(INSTANCE))
    for number in (7, 3, 9):
        caller.send(frame(number, encode_entries([_entry(bench, f"a{number}"), _entry(bench, f"b{number}")])))
    replies = dict(reply for reply in (caller.reply() for _ in range(3)) if reply)
    assert {number: reply["positions"] for number, reply in replies.items()} == {7: [0, 1], 3: [2, 3], 9: [4, 5]}
    assert {reply["status"] for reply in replies.values()} == {200}


def test_bytes_may_come_one_by_one(bench: Bench, caller: Caller) -> None:
    for byte in preface(INSTANCE) + frame(1, encode_entries([_entry(bench, "a")])):
        caller.send(bytes([byte]))
    reply = caller.reply()
    assert reply is not None
    assert reply[1]["positions"] == [0]


def test_http_that_comes_byte_by_byte_stays_http(caller: Caller) -> None:
    for byte in b"GET /healthz HTTP/1.1\r\nHost: audit\r\nConnection: close\r\n\r\n":
        caller.send(bytes([byte]))
    assert caller._stream.read().startswith(b"HTTP/1.1 200")


def test_who_is_connected_is_counted_while_it_is(bench: Bench, service: Running) -> None:
    one = Caller(service.socket)
    one.send(preface(INSTANCE) + frame(1, encode_entries([_entry(bench, "a")])))
    assert one.reply() is not None
    assert _health(service)["instances"] == 1
    one.close()
    until(lambda: not _health(service)["instances"])


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "bad_request"),
        (b"\x00", "bad_request"),
        (b"\x00\x05abc", "bad_request"),
        (b"\x00\x02{}", "entry_refused"),
        (b"\x00\x05hello", "entry_refused"),
        (b"\x00\x00" * (MAX_ENTRIES + 1), "bad_request"),
    ],
)
def test_a_senseless_frame_is_refused_and_the_next_one_is_read(
    bench: Bench, caller: Caller, payload: bytes, code: str
) -> None:
    caller.send(preface(INSTANCE) + frame(1, payload) + frame(2, encode_entries([_entry(bench, "a")])))
    replies = dict(reply for reply in (caller.reply(), caller.reply()) if reply)
    assert replies[1]["error"]["code"] == code
    assert replies[2]["positions"] == [0]


def test_a_frame_is_all_or_nothing(bench: Bench, caller: Caller) -> None:
    good, spaced = _entry(bench, "a"), _entry(bench, "b").replace(b'":', b'": ', 1)
    caller.send(preface(INSTANCE) + frame(1, encode_entries([good, spaced])) + frame(2, encode_entries([good])))
    replies = dict(reply for reply in (caller.reply(), caller.reply()) if reply)
    assert replies[1]["error"]["code"] == "entry_refused"
    assert replies[2]["positions"] == [0]


@pytest.mark.parametrize(
    ("name", "kind"), [("gateway/x/end", "request"), ("gateway/x/request", "refusal"), ("operator/x", "request")]
)
def test_what_is_not_the_senders_to_write_is_refused_and_counted(
    bench: Bench, service: Running, caller: Caller, name: str, kind: str
) -> None:
    event = bench.event("x")
    if kind == "refusal":
        event["unmapped"] = {"sovereign": {"kind": "refusal"}}
    caller.send(preface(INSTANCE) + frame(1, encode_entries([encode_entry(event, name)])))
    reply = caller.reply()
    assert reply is not None
    assert reply[1]["error"]["code"] == "not_yours"
    health = _health(service)
    assert (health["size"], health["not_yours"]) == (0, {str(os.getuid()): 1})


def test_two_meanings_of_one_id_are_a_conflict(bench: Bench, caller: Caller) -> None:
    caller.send(preface(INSTANCE) + frame(1, encode_entries([_entry(bench, "a")])))
    assert caller.reply() is not None
    caller.send(frame(2, encode_entries([_entry(bench, "a", severity_id=3)])))
    reply = caller.reply()
    assert reply is not None
    assert reply[1]["error"]["code"] == "id_reused"


@pytest.mark.parametrize("instance", ["short", "G" * 16, " " * 16, "\n" * 16, "0011223344556677889"])
def test_a_connection_without_a_proper_name_is_turned_away(caller: Caller, instance: str) -> None:
    caller.send(preface(instance).ljust(60, b"x"))
    reply = caller.reply()
    assert reply is not None
    assert (reply[0], reply[1]["error"]["code"]) == (0, "bad_request")
    assert caller.reply() is None


def test_a_frame_that_is_too_long_ends_the_connection_before_it_is_read(service: Running, caller: Caller) -> None:
    caller.send(preface(INSTANCE) + struct.pack(">II", MAX_PAYLOAD + 1, 1))
    reply = caller.reply()
    assert reply is not None
    assert reply[1]["error"]["code"] == "bad_request"
    assert caller.reply() is None
    assert _health(service)["size"] == 0


def test_a_connection_that_breaks_off_in_a_frame_leaves_nothing(bench: Bench, service: Running) -> None:
    one = Caller(service.socket)
    one.send(preface(INSTANCE) + frame(1, encode_entries([_entry(bench, "a")]))[:-1])
    one.close()
    assert _health(service)["size"] == 0


def test_who_may_write_nothing_is_turned_away_at_the_door(bench: Bench, serve: Callable[[ASGIApp], Running]) -> None:
    roles = Roles({os.getuid() + 1: (OPERATOR,)})
    service = serve(create_app(TileLog(bench.directory, bench.origin, bench.keys), roles))
    one = Caller(service.socket)
    one.send(preface(INSTANCE))
    reply = one.reply()
    assert reply is not None
    assert reply[1]["error"]["code"] == "not_yours"
    assert one.reply() is None
    one.close()
    health = _health(service)
    assert (health["not_yours"], health["instances"]) == ({str(os.getuid()): 1}, 0)
