"""A group under a pack: what its people are told, what their receipts say, and that nobody answers without it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.gateway.evaluation import HEADER, PACK_HEADER
from appliance.gateway.management import create_management_app
from appliance.gateway.pack_choices import ChoiceStore, Chosen
from appliance.identity.tokens import Principal
from appliance.packs.record import FILE, NONE, read_record, write_record
from appliance.packs.shelf import keep
from appliance.packs.wording import instructions_of
from tests import packs
from tests.gateway.doubles import DIGEST, site
from tests.integration.gateway.conftest import Page, events_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.anyio
PACK = packs.pack()
OTHER = packs.pack(name="other", persona="You serve another.")
GROUPS = [
    {"name": "analysts", "models": ["small"], "instructions": "You serve analysts."},
    {"name": "clerks", "models": ["small"]},
]
CLIENTS = [{"id": "evaluator", "groups": ["analysts", "clerks"], "evaluates": True}]
ASKED = {"model": "small", "messages": [{"role": "user", "content": "Hello?"}]}


@pytest.fixture
async def api(house: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway with two packs on its shelf, and programs that ask it."""
    house.door.people["evaluator"] = Principal(
        sub="sub-evaluator",
        username="service-account-evaluator",
        groups=("analysts", "clerks"),
        roles=(),
        session_id=None,
        client_id="evaluator",
        expires_at=int(time.time()) + 300,
    )
    for found in (PACK, OTHER):
        keep(house.packs, found.to_bytes(), packs.signed(found))
    async with house.open(site(groups=GROUPS, service_clients=CLIENTS, instructions="Be kind.")) as client:
        yield client


async def choose(house: Any, group: str, pack: str) -> None:
    """As ``sovereign pack use`` does: file and database."""
    before = read_record(house.packs)
    chosen = Chosen(group, pack, (NONE,), "officer", datetime.now(UTC))
    await ChoiceStore(house.pool).put(chosen, lambda _: write_record(house.packs, {**before, group: pack}))


async def ask(api: httpx.AsyncClient, person: str = "analyst", **headers: str) -> Any:
    return await api.post("/v1/chat/completions", json=ASKED, headers={"Authorization": f"Bearer {person}", **headers})


def told(house: Any) -> tuple[str, str]:
    """What the engine was told first, and in whose scope."""
    first = house.engine.requests[-1].messages[0]
    return first.content, first.scope


async def test_it_stands_in_the_place_of_the_groups_instructions_and_the_receipt_names_it(
    house: Any, api: httpx.AsyncClient
) -> None:
    await choose(house, "analysts", PACK.digest)
    receipt = (await ask(api)).json()["sovereign"]["receipt"]
    assert receipt["pack"] == {"name": "trial", "version": "1.0.0", "digest": PACK.digest}
    words = instructions_of(PACK)
    assert receipt["instructions"]["group"] == "sha256:" + hashlib.sha256(words.encode()).hexdigest()
    assert told(house) == (f"Be kind.\n\n{words}", "group")
    other = (await ask(api, "clerk")).json()["sovereign"]["receipt"]
    assert "pack" not in other
    assert told(house) == ("Be kind.", "site")


async def test_a_change_is_in_force_with_the_next_question_and_so_is_the_way_back(
    house: Any, api: httpx.AsyncClient
) -> None:
    seen = []
    for pack in (PACK.digest, OTHER.digest, NONE):
        await choose(house, "analysts", pack)
        seen.append(((await ask(api)).json()["sovereign"]["receipt"]).get("pack", {}).get("digest", NONE))
    assert seen == [PACK.digest, OTHER.digest, NONE]
    assert told(house)[0] == "Be kind.\n\nYou serve analysts."


async def test_a_question_between_file_and_database_waits_and_is_answered_under_the_new_pack(
    house: Any, api: httpx.AsyncClient
) -> None:
    await choose(house, "analysts", PACK.digest)
    write_record(house.packs, {"analysts": OTHER.digest})
    asked = asyncio.create_task(ask(api))
    await asyncio.sleep(0.03)
    await ChoiceStore(house.pool).put(
        Chosen("analysts", OTHER.digest, (), "officer", datetime.now(UTC)), lambda _: None
    )
    assert (await asked).json()["sovereign"]["receipt"]["pack"]["digest"] == OTHER.digest


def _forget(house: Any) -> None:
    (house.packs / FILE).unlink()


def _damage(house: Any) -> None:
    (house.packs / FILE).write_text("{")


def _none(house: Any) -> None:
    write_record(house.packs, {})


def _other(house: Any) -> None:
    write_record(house.packs, {"analysts": OTHER.digest})


def _pack_gone(house: Any) -> None:
    _place(house.packs).unlink()


def _pack_changed(house: Any) -> None:
    place = _place(house.packs)
    place.write_bytes(place.read_bytes().replace(b"never tell a code", b"always tell codes"))


def _folder_gone(house: Any) -> None:
    house.packs.rename(house.packs.with_name("elsewhere"))


def _place(folder: Path) -> Path:
    return folder / f"{PACK.digest.removeprefix('sha256:')}.pack"


@pytest.mark.parametrize(
    "spoil", [_forget, _damage, _none, _other, _pack_gone, _pack_changed, _folder_gone], ids=lambda one: one.__name__
)
async def test_whatever_is_lost_of_record_or_pack_refuses_the_group_and_says_why(
    house: Any, api: httpx.AsyncClient, spoil: Callable[[Any], None]
) -> None:
    await choose(house, "analysts", PACK.digest)
    assert (await ask(api)).status_code == 200
    asked = len(house.engine.requests)
    spoil(house)
    refused = await ask(api)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "pack_unavailable")
    assert "what analysts is answered under cannot be established" in refused.json()["error"]["message"]
    assert len(house.engine.requests) == asked
    assert (await house.gateways[0].packs.standing(["analysts"]))["analysts"]["refused"]


@pytest.mark.parametrize("statement", ["TRUNCATE group_pack", "ALTER TABLE group_pack RENAME TO lost"])
async def test_a_database_made_anew_does_not_let_the_group_answer_without_its_boundaries(
    house: Any, api: httpx.AsyncClient, statement: str
) -> None:
    await choose(house, "analysts", PACK.digest)
    async with house.pool.begin() as connection:
        await connection.execute(text(statement))
    try:
        refused = await ask(api)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "pack_unavailable")
    finally:
        if "RENAME" in statement:
            async with house.pool.begin() as connection:
                await connection.execute(text("ALTER TABLE lost RENAME TO group_pack"))


async def test_other_groups_are_answered_while_one_is_not(house: Any, api: httpx.AsyncClient) -> None:
    await choose(house, "analysts", PACK.digest)
    _place(house.packs).unlink()
    assert (await ask(api)).status_code == 503
    assert (await ask(api, "clerk")).status_code == 200


async def test_a_conversation_on_the_page_is_refused_likewise_and_keeps_its_lease(house: Any, api: Any) -> None:
    await choose(house, "analysts", PACK.digest)
    page = await Page(api).sign_in()
    conversation = await page.conversation()
    good = dict(await page.ask(conversation, "Hello?"))
    assert good["receipt"]["pack"]["digest"] == PACK.digest
    _forget(house)
    url = f"/api/conversations/{conversation}/messages"
    refused = await api.post(url, json={"content": "And now?"}, headers=page.headers)
    assert (refused.status_code, refused.json()["code"]) == (503, "pack_unavailable")
    write_record(house.packs, {"analysts": PACK.digest})
    again = await api.post(url, json={"content": "And now?"}, headers=page.headers)
    assert dict(events_of(again.text))["receipt"]["pack"]["digest"] == PACK.digest


async def test_a_bare_prompt_does_not_pass_by_the_boundaries(house: Any, api: httpx.AsyncClient) -> None:
    asked = {"model": "small", "prompt": "The code of the door is"}
    who = {"Authorization": "Bearer analyst"}
    assert (await api.post("/v1/completions", json=asked, headers=who)).status_code == 200
    await choose(house, "analysts", PACK.digest)
    refused = await api.post("/v1/completions", json=asked, headers=who)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "pack_in_force")


async def test_a_trial_changes_nothing_for_people_and_is_shared_with_nobody(house: Any, api: httpx.AsyncClient) -> None:
    await choose(house, "analysts", PACK.digest)
    record = (house.packs / FILE).read_bytes()
    for named, first in (
        (OTHER.digest, f"Be kind.\n\n{instructions_of(OTHER)}"),
        (NONE, "Be kind.\n\nYou serve analysts."),
    ):
        answer = await ask(api, "evaluator", **{HEADER: "analysts", PACK_HEADER: named})
        assert answer.status_code == 200, answer.text
        assert answer.json()["sovereign"]["receipt"].get("pack", {}).get("digest", NONE) == named
        assert told(house) == (first, "user")
    in_force = await ask(api, "evaluator", **{HEADER: "analysts"})
    assert in_force.json()["sovereign"]["receipt"]["pack"]["digest"] == PACK.digest
    assert told(house)[1] == "group"
    await ask(api)
    assert told(house) == (f"Be kind.\n\n{instructions_of(PACK)}", "group")
    assert (house.packs / FILE).read_bytes() == record


async def test_only_a_program_that_evaluates_names_a_pack(house: Any, api: httpx.AsyncClient) -> None:
    await choose(house, "analysts", PACK.digest)
    for person in ("analyst", "clerk"):
        refused = await ask(api, person, **{PACK_HEADER: NONE})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_evaluating")
    refused = await ask(api, "evaluator", **{PACK_HEADER: NONE})  # an answer that no log calls an evaluation's
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_group")
    for named in ("sha256:" + "0" * 64, "trial", "../../etc/passwd"):
        refused = await ask(api, "evaluator", **{HEADER: "analysts", PACK_HEADER: named})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_such_pack")


@pytest.mark.parametrize(
    ("adapter", "cause"),
    [
        ({"name": "formal", "sha256": "fa" * 32, "base_sha256": DIGEST.removeprefix("sha256:")}, None),
        ({"name": "formal", "sha256": "00" * 32, "base_sha256": DIGEST.removeprefix("sha256:")}, "does not serve"),
        ({"name": "casual", "sha256": "fa" * 32, "base_sha256": DIGEST.removeprefix("sha256:")}, "does not serve"),
        ({"name": "formal", "sha256": "fa" * 32, "base_sha256": "bb" * 32}, "made for other weights"),
    ],
)
async def test_the_adapter_of_a_pack_is_the_very_one_that_the_model_serves(
    house: Any, api: httpx.AsyncClient, adapter: dict[str, str], cause: str | None
) -> None:
    house.engine.adapters = {"formal": {"name": "formal", "version": "1", "digest": "sha256:" + "fa" * 32}}
    found = packs.pack(name="adapted", adapter=adapter)
    keep(house.packs, found.to_bytes(), packs.signed(found))
    await choose(house, "analysts", found.digest)
    answer = await ask(api)
    tried = await ask(api, "evaluator", **{HEADER: "analysts", PACK_HEADER: found.digest})
    if cause is None:
        assert answer.json()["sovereign"]["receipt"]["adapter"]["name"] == "formal"
        assert house.engine.requests[-1].adapter == "formal"
        return
    assert (answer.status_code, tried.status_code) == (503, 422)
    for refused in (answer, tried):
        assert refused.json()["error"]["code"] == "pack_adapter"
        assert cause in refused.json()["error"]["message"]


async def test_the_management_port_says_which_group_is_not_answered(house: Any, api: httpx.AsyncClient) -> None:
    import httpx as client  # noqa: PLC0415 - the module's name is a type above

    await choose(house, "analysts", PACK.digest)
    _forget(house)
    management = client.ASGITransport(app=create_management_app(house.gateways[0]))
    async with client.AsyncClient(transport=management, base_url="http://management") as http:
        found = (await http.get("/packs")).json()
    assert found["clerks"] == {"pack": NONE, "refused": None}
    assert found["analysts"]["pack"] is None
    assert "the record says nothing" in found["analysts"]["refused"]
    assert api


async def test_however_many_groups_are_not_answered_status_is_told_in_time(house: Any, api: httpx.AsyncClient) -> None:
    groups = [f"group-{n}" for n in range(60)]
    write_record(house.packs, dict.fromkeys(groups, PACK.digest))
    begun = time.monotonic()
    found = await house.gateways[0].packs.standing(groups)
    assert time.monotonic() - begun < 60 * 0.25 / 2, "one after the other, they would wait for twice as long at least"
    assert [name for name, one in found.items() if one["refused"]] == groups
    assert api


async def test_an_answer_under_a_pack_goes_to_experts_of_groups_under_the_same_one(house: Any, api: Any) -> None:
    await choose(house, "analysts", PACK.digest)
    page = await Page(api).sign_in()
    conversation = await page.conversation()
    message = str(dict(await page.ask(conversation, "Hello?"))["start"]["message_id"])

    async def open_to() -> list[str]:
        found: list[str] = (await page.http.get(f"/api/messages/{message}/feedback")).json()["groups"]
        return found

    assert await open_to() == ["analysts"]
    await choose(house, "analysts", OTHER.digest)
    assert await open_to() == []
    await choose(house, "analysts", PACK.digest)
    assert await open_to() == ["analysts"]
    _forget(house)
    assert await open_to() == []
