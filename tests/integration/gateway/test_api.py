from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.doubles import site

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio
CHAT = {"model": "small", "messages": [{"role": "user", "content": "what is this?"}]}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def chat(client: httpx.AsyncClient, token: str = "analyst", **changes: Any) -> httpx.Response:
    return await client.post("/v1/chat/completions", json={**CHAT, **changes}, headers=bearer(token))


async def test_the_token_is_checked_before_a_byte_of_the_body_is_read(client: httpx.AsyncClient, house: Any) -> None:
    del client
    reader, writer = await asyncio.open_unix_connection(house.sockets[0])
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:8443\r\nAuthorization: Bearer forged\r\n"
    writer.write(f"{head}Content-Length: 1000\r\n\r\n".encode())
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer.lower()
    writer.close()
    await writer.wait_closed()


async def test_a_flood_of_bad_tokens_cannot_fill_the_log(client: httpx.AsyncClient, house: Any) -> None:
    for n in range(60):
        assert (await chat(client, f"forged-{n}")).status_code == 401
    assert 10 <= len(house.log.of_kind("refusal")) <= 20
    text = house.gateways[0].metrics.text().decode()
    assert 'sovereign_refusals_total{code="invalid_token",status="401"} 60.0' in text


async def test_no_token_at_all_leaves_no_entry(client: httpx.AsyncClient, house: Any) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        assert (await client.get("/v1/models", headers=headers)).status_code == 401
    assert house.log.entries == []


async def test_models_are_those_that_the_caller_may_use(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/models", headers=bearer("clerk"))).json()
    assert [model["id"] for model in listed["data"]] == ["small"]
    assert (await client.get("/v1/models/small", headers=bearer("clerk"))).json()["id"] == "small"
    assert (await client.get("/v1/models/large", headers=bearer("clerk"))).status_code == 404
    assert (await client.get("/v1/models", headers=bearer("stranger"))).json()["data"] == []


async def test_refusals_have_their_status_and_their_entry(client: httpx.AsyncClient, house: Any) -> None:
    assert (await chat(client, "clerk", model="large")).status_code == 403
    assert (await chat(client, "clerk", n=9)).status_code == 422
    assert (await chat(client, "clerk", messages=[])).json()["error"]["param"] == "messages"
    codes = [event["status_code"] for event in house.log.of_kind("refusal")]
    assert codes == ["model_not_allowed", "invalid_request", "invalid_request"]
    assert house.engine.requests == []


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 422),
        (b"\xff\xfe", 422),
        (b'{"model":"small","model":"large","messages":[]}', 422),
        (b"[" * 100_000, 422),
        (b'"' + b"x" * (1 << 20) + b'"', 413),
    ],
    ids=["cut", "not-utf8", "twice", "deep", "large"],
)
async def test_bodies_that_are_no_requests_are_refused_in_openais_shape(
    client: httpx.AsyncClient, content: bytes, status: int
) -> None:
    headers = {**bearer("analyst"), "Content-Type": "application/json"}
    refused = await client.post("/v1/chat/completions", content=content, headers=headers)
    assert refused.status_code == status
    assert set(refused.json()["error"]) == {"message", "type", "code", "param"}


async def test_a_body_of_another_type_is_refused(client: httpx.AsyncClient) -> None:
    headers = {**bearer("analyst"), "Content-Type": "text/plain"}
    refused = await client.post("/v1/chat/completions", content=json.dumps(CHAT), headers=headers)
    assert refused.json()["error"]["code"] == "unsupported_media_type"


async def test_without_a_log_the_api_answers_503_and_no_token(client: httpx.AsyncClient, house: Any) -> None:
    house.log.up = False
    for stream in (False, True):
        refused = await chat(client, stream=stream)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "audit_unavailable"


async def test_a_disconnected_caller_stops_the_engine_streaming_or_not(client: httpx.AsyncClient, house: Any) -> None:
    house.engine.go = asyncio.Event()
    for n, stream in enumerate((False, True), start=1):
        task = asyncio.create_task(chat(client, stream=stream))
        while len(house.engine.requests) < n:  # noqa: ASYNC110 - bounded by the test run
            await asyncio.sleep(0.005)
        task.cancel()
        while house.engine.closed < n:  # noqa: ASYNC110 - bounded by the test run
            await asyncio.sleep(0.005)
    await house.answers_are_over()
    outcomes = [event["unmapped"]["sovereign"]["outcome"] for event in house.log.of_kind("answer")]
    assert outcomes == ["cancelled", "cancelled"]


async def test_sampling_reaches_the_engine_and_the_receipt(client: httpx.AsyncClient, house: Any) -> None:
    answer = await chat(client, temperature=0.25, top_p=0.5, seed=42, max_tokens=2, stop=["\n"])
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    receipt = answer.json()["sovereign"]["receipt"]
    assert receipt["sampler"] == {"temperature": 0.25, "top_p": 0.5, "seed": 42, "max_tokens": 2}
    asked = house.engine.requests[0]
    assert (asked.seed, asked.stop, asked.group) == (42, ("\n",), "analysts")
    assert asked.user != "sub-analyst"


async def test_every_response_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/", "/api/session", "/v1/models", "/nowhere", "/static/nothing.js"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert "form-action 'self' http://localhost:8444;" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] in {"no-store", "no-cache"}
        assert "server" not in headers


async def test_a_foreign_host_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/", headers={"Host": "evil.test"})).status_code == 400


async def test_a_defect_is_a_fixed_sentence(client: httpx.AsyncClient, house: Any, caplog: Any) -> None:
    house.gateways[0].sessions = None
    client.cookies.set("sovereign-session", "x")
    answer = await client.get("/api/session")
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "NoneType" not in answer.text
    assert "content-security-policy" in answer.headers
    caplog.clear()


async def test_terminals_learn_where_to_sign_in(client: httpx.AsyncClient) -> None:
    found = (await client.get("/.well-known/sovereign")).json()
    assert found == {"issuer": site().issuer, "cli_client_id": "sovereign-cli", "api_version": 1}


async def test_a_draining_gateway_takes_nothing_new_and_finishes_what_it_has(house: Any) -> None:
    house.engine.go = asyncio.Event()
    async with house.open() as client:
        first = asyncio.create_task(chat(client))
        while not house.engine.requests:  # noqa: ASYNC110 - bounded by the test run
            await asyncio.sleep(0.005)
        draining = asyncio.create_task(house.gateways[0].running.drain(30))
        await asyncio.sleep(0)
        refused = await chat(client)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        house.engine.go.set()
        assert (await first).status_code == 200
        await draining


async def test_a_shutdown_that_cannot_wait_closes_the_log_entry_as_interrupted(house: Any) -> None:
    house.engine.go = asyncio.Event()
    async with house.open() as client:
        task = asyncio.create_task(chat(client))
        while not house.engine.requests:  # noqa: ASYNC110 - bounded by the test run
            await asyncio.sleep(0.005)
        await house.gateways[0].running.drain(0)
        answer = await task
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "interrupted")
        entry = house.log.of_kind("answer")[0]["unmapped"]["sovereign"]
        assert entry["outcome"] == "interrupted"


async def test_an_embedding_model_makes_vectors_and_nothing_else(client: httpx.AsyncClient, house: Any) -> None:
    house.engine.role = "embedding"
    asked = {"model": "small", "input": ["one", "two"]}
    given = await client.post("/v1/embeddings", json=asked, headers=bearer("analyst"))
    assert given.status_code == 200, given.text
    body = given.json()
    assert [one["embedding"] for one in body["data"]] == [[1.0, 0.0], [1.0, 0.0]]
    assert [one["index"] for one in body["data"]] == [0, 1]
    assert body["sovereign"]["receipt"]["log"]["answer_index"] == 1
    assert house.log.kinds() == ["request", "answer"]
    packed = await client.post("/v1/embeddings", json={**asked, "encoding_format": "base64"}, headers=bearer("analyst"))
    assert packed.json()["data"][0]["embedding"] == "AACAPwAAAAA="
    wrong = await client.post("/v1/embeddings", json={**asked, "dimensions": 3}, headers=bearer("analyst"))
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "invalid_dimensions")
    refused = await chat(client)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "model_not_capable")


async def test_a_chat_model_makes_no_vectors(client: httpx.AsyncClient, house: Any) -> None:
    refused = await client.post("/v1/embeddings", json={"model": "small", "input": "one"}, headers=bearer("analyst"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "model_not_capable")
    assert house.engine.requests == []
    assert house.log.kinds() == ["refusal"]
