"""The service's HTTP: what it answers, and that it answers 200 for durable entries only."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from appliance.audit.append_body import MAX_BODY, MAX_ENTRIES
from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.journal import Journal
from appliance.audit.log import TileLog
from appliance.audit.merkle import inclusion_holds
from appliance.audit.roles import GATEWAY
from appliance.audit.server import create_app
from appliance.audit.storage import DiskStorage
from appliance.audit.tiles import MAX_ENTRY_BYTES
from appliance.site.peers import Peer
from tests.audit.bench import EVERY_ROLE, introduced

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.audit.bench import Bench

pytestmark = pytest.mark.anyio
OURSELVES = Peer(os.getuid(), os.getgid(), os.getpid())


class FullDisk(DiskStorage):
    """A disk that says it is full as long as ``full`` is set."""

    full = False

    def write(self, files: Any) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(files)


@contextlib.asynccontextmanager
async def served(log: TileLog, sender: Peer | None = OURSELVES) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(log, EVERY_ROLE)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(introduced(app, sender)), base_url="http://audit") as http,
    ):
        yield http


@pytest.fixture
async def http(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    async with served(TileLog(bench.directory, bench.origin, bench.keys)) as client:
        yield client


def _post(bench: Bench, *names: str) -> dict[str, Any]:
    return {"entries": [{"id": GATEWAY.id(name), "event": bench.event(name)} for name in names]}


async def test_an_append_answers_with_positions_under_a_durable_checkpoint(
    bench: Bench, http: httpx.AsyncClient
) -> None:
    response = await http.post("/append", json=_post(bench, "a", "b"))
    answer = response.json()
    assert response.status_code == 200
    assert answer["positions"] == [0, 1]
    head = open_checkpoint(answer["checkpoint"].encode(), bench.vkeys)
    assert (head.size, base64.b64encode(head.root).decode()) == (answer["size"], answer["root"])
    assert (await http.get("/checkpoint")).text == answer["checkpoint"]
    assert (bench.directory / "checkpoint").read_text() == answer["checkpoint"]


async def test_the_same_id_answers_the_same_position(bench: Bench, http: httpx.AsyncClient) -> None:
    await http.post("/append", json=_post(bench, "a", "b"))
    assert (await http.post("/append", json=_post(bench, "b", "c", "a"))).json()["positions"] == [1, 2, 0]


async def test_an_id_for_another_event_is_a_conflict(bench: Bench, http: httpx.AsyncClient) -> None:
    await http.post("/append", json=_post(bench, "a"))
    body = {"entries": [{"id": "gateway/a", "event": bench.event("a", severity_id=3)}]}
    response = await http.post("/append", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "id_reused")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"entries": []}',
        b'{"entries": {}}',
        b'{"entries": [{}]}',
        b'{"entries": [{"id": 1, "event": {}}]}',
        b'{"entries": [{"id": "a", "event": []}]}',
        b'{"entries": [], "entries": []}',
        b'{"entries": NaN}',
        b"\xff\xfe",
        b'{"entries": ' + b"[" * 5000,
        b'{"entries": [{"id": "\\ud800", "event": {}}]}',
    ],
)
async def test_a_malformed_body_is_a_bad_request(http: httpx.AsyncClient, body: bytes) -> None:
    response = await http.post("/append", content=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_request")


async def test_too_many_entries_and_too_large_bodies_are_refused(bench: Bench, http: httpx.AsyncClient) -> None:
    many = {"entries": [{"id": "a", "event": {}}] * (MAX_ENTRIES + 1)}
    assert (await http.post("/append", json=many)).status_code == 400
    response = await http.post("/append", content=b" " * (MAX_BODY + 1))
    assert response.status_code == 413
    large = {"entries": [{"id": "gateway/a", "event": bench.event("a", comment=[7] * MAX_ENTRY_BYTES)}]}
    response = await http.post("/append", json=large)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "entry_too_large")
    assert "fewer things" in response.json()["error"]["hint"]


async def test_an_event_without_metadata_is_refused(http: httpx.AsyncClient) -> None:
    response = await http.post("/append", json={"entries": [{"id": "a", "event": {}}]})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "entry_refused")


async def test_a_refused_post_logs_none_of_its_entries(bench: Bench, http: httpx.AsyncClient) -> None:
    body = {"entries": [{"id": "gateway/a", "event": bench.event("a")}, {"id": "b", "event": {}}]}
    assert (await http.post("/append", json=body)).status_code == 422
    assert (await http.get("/healthz")).json() == {
        "status": "ok",
        "size": 0,
        "clock_behind": 0,
        "not_yours": {},
        "instances": 0,
        "open_requests": 0,
    }


async def test_the_checkpoint_and_proofs_are_those_of_the_log(bench: Bench, http: httpx.AsyncClient) -> None:
    await http.post("/append", json=_post(bench, *(f"e{n}" for n in range(300))))
    note = (await http.get("/checkpoint")).text
    head = open_checkpoint(note.encode(), bench.vkeys)
    for index in (0, 255, 256, 299):
        proof = (await http.get("/proof", params={"index": index})).json()
        hashes = [base64.b64decode(one) for one in proof["hashes"]]
        assert (proof["index"], proof["size"], proof["checkpoint"]) == (index, 300, note)
        assert inclusion_holds(index, 300, base64.b64decode(proof["leaf_hash"]), hashes, head.root)


@pytest.mark.parametrize("index", ["", "-1", "1", "one", "0x0", "٣", "1e3", "9" * 400])
async def test_a_proof_of_no_entry_is_a_bad_request(bench: Bench, http: httpx.AsyncClient, index: str) -> None:
    await http.post("/append", json=_post(bench, "a"))
    assert (await http.get("/proof", params={"index": index})).status_code == 400


async def test_a_full_disk_answers_507_once_the_journal_is_full_and_appending_resumes_by_itself(bench: Bench) -> None:
    storage, journal = FullDisk(bench.directory), Journal(bench.directory, 40_000)
    log = TileLog(bench.directory, bench.origin, bench.keys, storage=storage, journal=journal)
    held: list[int] = []
    async with served(log) as http:
        storage.full = True
        while (response := await http.post("/append", json=_post(bench, f"e{len(held)}"))).status_code == 200:
            held += response.json()["positions"]
        assert (response.status_code, response.json()["error"]["code"]) == (507, "log_full")
        assert held == list(range(len(held)))
        assert len(held) > 3
        storage.full = False
        assert (await http.post("/append", json=_post(bench, f"e{len(held)}"))).json()["positions"] == [len(held)]
        assert (await http.get("/proof", params={"index": 0})).status_code == 200
        assert (await http.get("/healthz")).status_code == 200
    assert bench.verify().size == len(held) + 1


async def test_an_inconsistent_log_stops_the_service_at_its_start(bench: Bench) -> None:
    bench.fill(300)
    (bench.directory / "tile/1/000.p/1").write_bytes(bytes(32))
    log = TileLog(bench.directory, bench.origin, bench.keys)
    with pytest.raises(Exception, match="do not hash"):
        async with served(log):
            pass


async def test_unknown_paths_and_methods_are_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/append")).status_code == 405
    assert (await http.get("/tile/0/000")).status_code == 404


async def test_errors_are_json_with_cause_and_hint(http: httpx.AsyncClient) -> None:
    error = json.loads((await http.post("/append", content=b"{")).content)["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["message"] == error["message"][0].lower() + error["message"][1:]


async def test_without_a_peer_in_its_scope_a_request_reads_and_appends_nothing(bench: Bench) -> None:
    async with served(TileLog(bench.directory, bench.origin, bench.keys), sender=None) as http:
        response = await http.post("/append", json=_post(bench, "a"))
        assert (response.status_code, response.json()["error"]["code"]) == (403, "not_yours")
        assert (await http.get("/healthz")).json()["size"] == 0


async def test_who_writes_nothing_is_refused_before_the_body_is_read(bench: Bench) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536

    async with served(TileLog(bench.directory, bench.origin, bench.keys), sender=Peer(os.getuid() + 1, 0, 0)) as http:
        response = await http.post("/append", content=endless())
    assert response.status_code == 403


async def test_an_id_of_another_role_is_refused_whoever_asks(bench: Bench, http: httpx.AsyncClient) -> None:
    body = {"entries": [{"id": "operator/a", "event": bench.event("a")}]}
    before = bench.snapshot()
    response = await http.post("/append", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "not_yours")
    assert bench.snapshot() == before
    assert (await http.get("/healthz")).json()["not_yours"] == {str(os.getuid()): 1}
