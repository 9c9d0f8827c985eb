"""Gateway, log and a confined engine with random weights: receipts and the page of memories say the same.

People of two groups ask, side by side and in conversations; some leave early. What the tiers say they saved is the sum
of the cached tokens of the receipts that were given, in the answers and in the log.
"""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from appliance.engine.client import EngineClient
from appliance.gateway.management import create_management_app
from appliance.gateway.server import server
from appliance.install import memory_status
from appliance.install.accounts import Accounts
from appliance.install.supervision.interface import Running
from appliance.site.paths import SitePaths
from tests.engine.served import Sizes, our_engine
from tests.engine.small_model import write
from tests.gateway.doubles import receipt, site
from tests.integration.gateway.conftest import Page

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
PLAIN: dict[str, Any] = {
    "schema": 1,
    "name": "test",
    "models": [{"name": "small"}],
    "instructions": "".join(f"Rule {n}: the officer approves {n * 7 % 40}. " for n in range(6)),
    "groups": [
        {"name": "analysts", "models": ["small"], "instructions": "Analysts write in short sentences. " * 5},
        {"name": "clerks", "models": ["small"]},
    ],
}
SITE = site(**PLAIN)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "small.gguf")


async def asked(client: httpx.AsyncClient, who: str, *said: str) -> dict[str, Any]:
    """A conversation's next answer: its receipt, and what it says."""
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": words} for n, words in enumerate(said)]
    body = {"model": "small", "messages": messages, "max_tokens": 6, "temperature": 0}
    answer = await client.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {who}"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def left(client: httpx.AsyncClient, who: str) -> None:
    """Somebody who asks for a long answer and goes away after its first words."""
    body = {
        "model": "small",
        "messages": [{"role": "user", "content": "Say it all"}],
        "max_tokens": 400,
        "stream": True,
    }
    headers = {"Authorization": f"Bearer {who}"}
    async with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        async for _ in answer.aiter_lines():
            return


async def commanded(
    house: House, socket: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> memory_status.MemoryStatus:
    """What `memory status` finds on a host where this engine and this gateway's management port are the site's."""
    paths = SitePaths(folder / "site")
    own = paths.socket("engine-small")
    for made in (own.parent, paths.site_yaml.parent):
        made.mkdir(parents=True, exist_ok=True)
    own.symlink_to(socket)
    states = {"engine-small": Running("running", 7), "gateway": Running("running", 8)}
    everything_else = defaultdict(lambda: Running("stopped"), states)
    users = Accounts(defaultdict(lambda: "someone"))
    monkeypatch.setattr(
        memory_status, "choose_supervision", lambda _: SimpleNamespace(states=lambda _: everything_else)
    )
    monkeypatch.setattr(memory_status, "load_accounts", lambda _: users)
    with sockets.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        paths.site_yaml.write_text(yaml.safe_dump({**PLAIN, "listen": {"management_port": port}}))
        serving = server(create_management_app(house.gateways[0]), None)
        task = asyncio.create_task(serving.serve(sockets=[listener]))
        while not serving.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0.005)
        found = await asyncio.to_thread(memory_status.memory_status, paths)
        serving.should_exit = True
        await task
    return found


async def test_tiers_and_receipts_say_the_same_of_a_real_engine(
    house: House, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = Sizes(context_tokens=2048, parallel=4, memory_mib=400)
    with our_engine(small, sizes, tmp_path, receipt=receipt("small")) as engine:
        async with EngineClient(engine.socket) as real:
            house.engine = real  # type: ignore[assignment]  # the real one in the obedient one's place
            house.door.guest = "builder"
            async with house.open(SITE) as client:
                page = await Page(client).sign_in()
                given = [await asked(client, who, "What about 7?") for who in ("analyst", "clerk", "officer")]
                first = given[0]["choices"][0]["message"]["content"]
                given.append(await asked(client, "analyst", "What about 7?", first, "And then?"))
                given += await asyncio.gather(*(asked(client, who, "All at once?") for who in ("analyst", "clerk")))
                await left(client, "officer")
                await house.answers_are_over()
                await asyncio.sleep(0.5)
                found = (await page.http.get("/api/memory")).json()
                told = await commanded(house, engine.socket, tmp_path, monkeypatch)
            await house.answers_are_over()
    cached = sum(one["sovereign"]["receipt"]["usage"]["cached_tokens"] for one in given)
    entered = [one["unmapped"]["sovereign"]["cached_tokens"] for one in house.log.of_kind("answer")]
    chat = found["engines"][0]
    rows = {(row["tier"], row["scope"], row["group"]): row for row in chat["rows"]}
    assert len(entered) == len(given) + 1
    assert sum(row["tokens_saved"] for row in chat["rows"]) == sum(entered) >= cached > 0
    assert rows["pinned", "site", None]["hits"] == 1, "clerks are told the site's words alone"
    assert rows["pinned", "group", "analysts"]["tokens_saved"] > 0
    assert rows["parked", "user", None]["tokens_saved"] > 0
    assert {key[2] for key in rows} == {None, "analysts"}
    assert chat["joules_per_token"] > 0
    (by_command,) = told.hierarchy.engines
    assert (told.ok, told.up, by_command.state, by_command.cells) == (True, True, "running", chat["cells"])
    for name in ("tokens_saved", "hits", "tokens", "count", "size"):
        assert sum(getattr(row, name) or 0 for row in by_command.rows) == sum(row[name] or 0 for row in chat["rows"])
    assert "analysts" not in json.dumps(told.data())
    assert sum(row["tokens"] or 0 for row in chat["rows"] if row["tier"] != "disk") <= chat["cells"]
