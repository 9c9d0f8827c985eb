"""A service that was taken over writes to the log: only what is its own, whatever it says and however it connects."""

from __future__ import annotations

import json
import os
import socket as sockets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit import events
from appliance.audit.client import SyncAuditClient
from appliance.audit.wire import post_body
from tests.audit.bench import Bench
from tests.audit.processes import writers
from tests.audit.samples import EVENTS
from tests.other_users import as_uid, ask, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Log = Callable[[], dict[str, bytes]]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
GATEWAY, ENGINE, OTHER_ENGINE, COLLECTOR, STRANGER = 61_001, 61_002, 61_003, 61_004, 61_009
ROLES = {
    "gateway": GATEWAY,
    "identity": GATEWAY,
    "engine/demo": ENGINE,
    "engine/other": OTHER_ENGINE,
    "operator": 0,
    "cluster": COLLECTOR,
}
OWN = {
    GATEWAY: (
        "gateway/x",
        {
            *("sign_in", "sign_out", "request", "answer", "refusal"),
            *("log_read", "memory_read", "document_change", "feedback", "expert_act", "rollout_decision"),
        },
    ),
    ENGINE: ("engine/demo/x", {"model_load"}),
    COLLECTOR: ("cluster/x", {"api_call", "network_refusal", "cluster_reading"}),
    0: ("operator/x", {"install_step", "model_change", "admin_change", "learning_decision"}),
}
EVENT = {kind: event for kind, (event, _, _) in EVENTS.items()}


@pytest.fixture(scope="module")
def writer() -> Iterator[Path]:
    """The socket of a running writer, in a folder that every user may reach; its log lies beside it."""
    with tempfile.TemporaryDirectory(prefix="audit-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with writers(Bench(folder / "log"), folder, folder / "sock", ROLES) as start:
            start()
            yield folder / "sock"


@pytest.fixture
def log(writer: Path) -> Callable[[], dict[str, bytes]]:
    """Every byte of the log, whenever asked."""
    made = Bench(writer.with_name("log"))

    def everything() -> dict[str, bytes]:
        with SyncAuditClient(writer) as client:
            client.checkpoint()  # what is in the journal goes into tiles
        return made.snapshot()

    return everything


def append(socket: Path, *entries: tuple[str, dict[str, Any]], headers: str = "") -> bytes:
    body = post_body([(entry_id, json.dumps(event).encode()) for entry_id, event in entries])
    with connect(socket) as connection:
        return ask(connection, f"POST /append HTTP/1.1{headers}", body)


def refused(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/1.1 403") and b'"code":"not_yours"' in answer


@pytest.mark.parametrize("uid", [*OWN, STRANGER])
def test_no_uid_appends_another_writers_kind_even_under_an_id_of_its_own(writer: Path, log: Log, uid: int) -> None:
    own_id, own_kinds = OWN.get(uid, ("gateway/x", set()))
    before = log()
    for kind in set(EVENT) - own_kinds:
        assert refused(as_uid(uid, lambda kind=kind: append(writer, (own_id, EVENT[kind])))), kind
        assert refused(as_uid(uid, lambda kind=kind: append(writer, (f"writer/{kind}", EVENT[kind])))), kind
    assert log() == before


def test_an_engine_occupies_no_id_of_the_installers_journal(writer: Path, log: Log) -> None:
    taken = "operator/sovereign/demo/install/7"
    before = log()
    for kind in ("install_step", "model_load"):
        assert refused(as_uid(ENGINE, lambda kind=kind: append(writer, (taken, EVENT[kind]))))
    assert log() == before
    with SyncAuditClient(writer) as operator:
        assert operator.append(EVENT["install_step"], id=taken).index == 0


def test_what_keycloak_said_is_told_by_gateways_alone_and_under_ids_of_its_own(writer: Path, log: Log) -> None:
    """A gateway reads Keycloak's events; an engine that was taken over makes none up, and takes none of their ids."""
    told = {kind: event for kind, event in EVENT.items() if kind.startswith("identity_") or kind == "account_change"}
    before = log()
    for kind, event in told.items():
        assert refused(as_uid(ENGINE, lambda event=event: append(writer, ("identity/event/1", event)))), kind
        assert refused(as_uid(GATEWAY, lambda event=event: append(writer, ("gateway/1", event)))), kind
    assert refused(as_uid(GATEWAY, lambda: append(writer, ("identity/event/1", EVENT["sign_in"]))))
    assert log() == before
    for kind, event in told.items():
        own = f"identity/{kind}"
        assert as_uid(GATEWAY, lambda own=own, event=event: append(writer, (own, event))).startswith(b"HTTP/1.1 200")


def test_an_engine_neither_speaks_for_another_engine_nor_of_its_model(writer: Path, log: Log) -> None:
    other = events.model_load(model_name="other", model_digest="sha256:bad")
    before = log()
    assert refused(as_uid(ENGINE, lambda: append(writer, ("engine/other/load/1", other))))
    assert refused(as_uid(ENGINE, lambda: append(writer, ("engine/demo/load/1", other))))
    assert log() == before
    assert as_uid(OTHER_ENGINE, lambda: append(writer, ("engine/other/load/1", other))).startswith(b"HTTP/1.1 200")


def test_a_sign_in_dressed_as_a_model_load_is_refused(writer: Path, log: Log) -> None:
    dressed = EVENT["sign_in"] | {field: EVENT["model_load"][field] for field in ("unmapped", "app", "ai_model")}
    before = log()
    assert refused(as_uid(ENGINE, lambda: append(writer, ("engine/demo/load/1", dressed))))
    assert log() == before


def test_one_foreign_entry_takes_the_whole_post_with_it(writer: Path, log: Log) -> None:
    mine, foreign = ("engine/demo/load/1", EVENT["model_load"]), ("engine/demo/load/2", EVENT["sign_in"])
    before = log()
    assert refused(as_uid(ENGINE, lambda: append(writer, mine, foreign)))
    assert refused(as_uid(ENGINE, lambda: append(writer, foreign, mine)))
    assert log() == before


def test_a_refusal_does_not_tell_whether_the_id_is_taken(writer: Path) -> None:
    as_uid(GATEWAY, lambda: append(writer, ("gateway/taken", EVENT["sign_in"])))
    answers = {
        name: as_uid(ENGINE, lambda name=name: append(writer, (f"gateway/{name}", EVENT["sign_in"])))
        for name in ("taken", "other")
    }
    assert refused(answers["taken"])
    body = answers["taken"].partition(b"\r\n\r\n")[2]
    assert body.replace(b"taken", b"other") == answers["other"].partition(b"\r\n\r\n")[2]


def test_nothing_that_a_request_says_changes_who_sent_it(writer: Path, log: Log) -> None:
    said = "".join(
        f"\r\n{name}: {value}"
        for name, value in {
            "Forwarded": "for=unix:;by=root", "X-Forwarded-For": "127.0.0.1", "X-Real-Uid": "0",
            "sovereign.peer": "0", "state": "{}", "Authorization": "Basic cm9vdDo=",
        }.items()
    )  # fmt: skip
    before = log()
    entry = ("operator/x", EVENT["install_step"])
    assert refused(as_uid(ENGINE, lambda: append(writer, entry, headers=said)))
    assert log() == before


def test_a_connection_speaks_for_whoever_opened_it_and_not_for_who_holds_it(writer: Path, log: Log) -> None:
    """A process of root holds what the engine opened, by SCM_RIGHTS: it stays the engine's. And the other way round."""
    ours, theirs = sockets.socketpair()

    def hand_over() -> bytes:
        with connect(writer) as opened:
            sockets.send_fds(theirs, [b"."], [opened.fileno()])
        return b"handed over"

    entry = post_body([("operator/x", json.dumps(EVENT["install_step"]).encode())])
    before = log()
    with ours, theirs:
        assert as_uid(ENGINE, hand_over) == b"handed over"
        _, (descriptor,), _, _ = sockets.recv_fds(ours, 1, 1)
    with sockets.socket(fileno=descriptor) as passed:
        assert refused(ask(passed, "POST /append HTTP/1.1", entry))
    assert log() == before
    with connect(writer) as opened_by_root:
        answer = as_uid(ENGINE, lambda: ask(opened_by_root, "POST /append HTTP/1.1", entry))
    assert answer.startswith(b"HTTP/1.1 200")  # whoever is given root's connection was given root's word


def test_several_requests_on_one_connection_are_all_their_openers(writer: Path, log: Log) -> None:
    body = post_body([("operator/x", json.dumps(EVENT["install_step"]).encode())])
    head = f"POST /append HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def pipelined() -> bytes:
        with connect(writer) as connection:
            connection.sendall(head + body + head + body)
            return ask(connection, "GET /checkpoint HTTP/1.1")

    before = log()
    answer = as_uid(ENGINE, pipelined)
    assert answer.count(b"HTTP/1.1 403") == 2
    assert answer.count(b"HTTP/1.1 200") == 1
    assert log() == before


def test_who_may_not_write_may_read_and_every_refusal_is_counted(writer: Path) -> None:
    for _ in range(3):
        assert refused(as_uid(STRANGER, lambda: append(writer, ("gateway/x", EVENT["sign_in"]))))

    def read(path: str) -> bytes:
        with connect(writer) as connection:
            return ask(connection, f"GET {path} HTTP/1.1")

    assert as_uid(STRANGER, lambda: read("/checkpoint")).startswith(b"HTTP/1.1 200")
    healthy = as_uid(STRANGER, lambda: read("/healthz"))
    assert json.loads(healthy.partition(b"\r\n\r\n")[2])["not_yours"][str(STRANGER)] >= 3


@pytest.mark.parametrize("uid", OWN)
def test_each_writer_does_append_what_is_its_own(writer: Path, uid: int) -> None:
    own_id, kinds = OWN[uid]
    for kind in kinds:
        entry = (f"{own_id}/{kind}", EVENT[kind])
        assert as_uid(uid, lambda entry=entry: append(writer, entry)).startswith(b"HTTP/1.1 200"), kind
