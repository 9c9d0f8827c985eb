"""Instructions and models go to a share of a group; people stay on their arm; it goes back by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.changes import words_digest
from appliance.gateway.evaluation import CHANGE_HEADER, HEADER, PACK_HEADER
from appliance.gateway.rollout_values import Rollout
from appliance.gateway.rollout_watch import SILENT
from appliance.identity.tokens import Principal
from appliance.packs.permits import Permit, write_permits
from appliance.packs.shelf import keep
from tests import packs
from tests.gateway.doubles import DIGEST, ObedientEngine, site
from tests.integration.gateway.rollout_bed import CLIENTS, SETTINGS, Rolling, ask, choose

if TYPE_CHECKING:
    import httpx

    from appliance.engine.client import ModelInfo
    from appliance.packs.content import Pack
    from appliance.site.config import SiteConfig
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
LARGER = "sha256:" + "1a" * 32
OLD, NEW = "Be kind.", "Be kind and brief."
CHANGES = [
    {"name": "brief", "group": "analysts", "instructions": NEW},
    {"name": "larger", "group": "analysts", "model": "small", "by": "large"},
]


@dataclass
class Larger(ObedientEngine):
    name: str = "large"

    async def model(self) -> ModelInfo:
        found = await super().model()
        return replace(found, receipt=found.receipt | {"digest": LARGER})


def config(words: str = OLD) -> SiteConfig:
    groups = [{"name": "analysts", "models": ["small"], "instructions": words}, {"name": "clerks", "models": ["small"]}]
    return site(groups=groups, service_clients=CLIENTS, learning={"rollout": SETTINGS, "changes": CHANGES})


async def begin(house: House, kind: str, *, stage: int = 0, most: int = 10) -> Rolling:
    house.large = Larger()
    house.packs.mkdir(exist_ok=True)
    rolling = Rolling(house)
    former, change = (words_digest(OLD), words_digest(NEW)) if kind == "instructions" else (DIGEST, LARGER)
    write_permits(house.packs, {"analysts": Permit(id=str(rolling.number), former=former, change=change, most=most)})
    now = datetime.now(UTC)
    about: dict[str, Any] = {"kind": kind, "former": former, "change": change, "begun_by": "uid 0"}
    about |= {"stages": (10, 50, 100), "stage": stage, "state": "running", "verdict": None, "figures": None}
    moments = {"created": now, "stage_since": now, "changed": now}
    await rolling.store.begin(Rollout(id=rolling.number, group="analysts", **about, **moments))
    return rolling


async def under(api: httpx.AsyncClient, who: str, **headers: str) -> tuple[str | None, str, str | None]:
    """Digests of the group's words and of the weights that answered, and the arm."""
    answer = await ask(api, who, **headers)
    assert answer.status_code == 200, answer.text
    receipt = answer.json()["sovereign"]["receipt"]
    words = receipt.get("instructions", {}).get("group")
    return words, receipt["model"]["digest"], receipt.get("rollout", {}).get("arm")


@pytest.mark.parametrize("kind", ["instructions", "model"])
async def test_each_arm_is_answered_under_its_own_and_stays_there_and_the_log_says_so(house: House, kind: str) -> None:
    rolling = await begin(house, kind)
    new, old = rolling.person(0.1, new=True), rolling.person(0.1, new=False)
    words, weights = (NEW, DIGEST) if kind == "instructions" else (OLD, LARGER)
    async with house.open(config()) as api:
        for _ in range(2):
            assert await under(api, new) == (words_digest(words), weights, "new")
            assert await under(api, old) == (words_digest(OLD), DIGEST, "old")
    entries = house.log.of_kind("answer")
    said = [one["unmapped"]["sovereign"]["rollout"] for one in entries]
    assert said == [f"{rolling.number} new", f"{rolling.number} old"] * 2
    assert len(house.large.requests) == (2 if kind == "model" else 0)
    named = [one["ai_model"]["name"] for one in entries]
    assert named == (["large", "small"] * 2 if kind == "model" else ["small"] * 4)


@pytest.mark.parametrize("kind", ["instructions", "model"])
async def test_people_who_fare_worse_take_the_change_back_by_themselves(house: House, kind: str) -> None:
    rolling = await begin(house, kind)
    async with house.open(config()) as api:
        new = await rolling.fares_worse(partial(ask, api))
        assert (await under(api, new))[1:] == (DIGEST, None)
    (decided,) = house.log.of_kind("rollout_decision")
    figures = decided["unmapped"]["sovereign"]["figures"]
    assert (figures["kind"], figures["act"]) == (kind, "back")


@pytest.mark.parametrize("kind", ["instructions", "model"])
async def test_a_row_that_the_record_does_not_permit_changes_nobodys_answer_and_goes_back(
    house: House, kind: str
) -> None:
    """Whoever writes the database alone widens nothing."""
    rolling = await begin(house, kind, stage=1, most=10)
    new = rolling.person(0.5, new=True)
    async with house.open(config()) as api:
        assert await under(api, new) == (words_digest(OLD), DIGEST, None)
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "back"


async def test_words_that_were_edited_meanwhile_are_given_to_nobody(house: House) -> None:
    rolling = await begin(house, "instructions")
    new = rolling.person(0.1, new=True)
    async with house.open(config("Be strict.")) as api:
        assert await under(api, new) == (words_digest("Be strict."), DIGEST, None)
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "back"


async def test_an_engine_that_stays_silent_ends_the_rollout_and_nobody_waits_for_it(house: House) -> None:
    rolling = await begin(house, "model")
    house.large.up = False
    new = rolling.person(0.1, new=True)
    async with house.open(config()) as api:
        assert await under(api, new) == (words_digest(OLD), DIGEST, None)
        watch = house.gateways[-1].watch
        await watch.look()
        watch.silent[rolling.number] = SILENT - 2
        for state in ("running", "back"):
            await watch.look()
            assert (await rolling.now()).state == state
        await watch.look()
        assert watch.silent == {}


async def test_an_engine_that_is_back_in_time_starts_its_count_anew(house: House) -> None:
    rolling = await begin(house, "model")
    house.large.up = False
    async with house.open(config()):
        watch = house.gateways[-1].watch
        await watch.look()
        assert watch.silent == {rolling.number: 1}
        house.large.up = True
        await watch.look()
        assert watch.silent == {}
    assert (await rolling.now()).state == "running"


async def in_force(house: House, found: Pack) -> None:
    keep(house.packs, found.to_bytes(), packs.signed(found))
    await choose(house, "analysts", found.digest)


@pytest.mark.parametrize("kind", ["instructions", "model"])
async def test_a_pack_that_came_into_force_ends_what_it_leaves_no_room_for_and_its_people_are_answered(
    house: House, kind: str
) -> None:
    """Its words stand in the place of instructions; its adapter was made for the former weights."""
    rolling = await begin(house, kind)
    adapter = {"name": "legal", "sha256": "11" * 32, "base_sha256": DIGEST.removeprefix("sha256:")}
    house.engine = ObedientEngine(adapters={"legal": {"digest": "sha256:" + "11" * 32}})
    await in_force(house, packs.pack(adapter=adapter) if kind == "model" else packs.pack())
    new = rolling.person(0.1, new=True)
    async with house.open(config()) as api:
        answer = await ask(api, new)
        assert answer.status_code == 200, answer.text
        assert "rollout" not in answer.json()["sovereign"]["receipt"]
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "back"


async def test_a_pack_without_an_adapter_goes_along_with_another_model(house: House) -> None:
    rolling = await begin(house, "model")
    await in_force(house, packs.pack())
    async with house.open(config()) as api:
        assert (await under(api, rolling.person(0.1, new=True)))[1:] == (LARGER, "new")
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "running"


@pytest.mark.parametrize("kind", ["instructions", "model"])
async def test_nobody_picks_an_arm_nor_asks_the_other_arms_model(house: House, kind: str) -> None:
    """Neither by a name, a header, a field of the request, nor by asking again."""
    rolling = await begin(house, kind)
    old = rolling.person(0.1, new=False)
    async with house.open(config()) as api:
        for headers in (
            {HEADER: "analysts"},
            {CHANGE_HEADER: "brief"},
            {CHANGE_HEADER: "larger"},
            {PACK_HEADER: "none"},
        ):
            assert (await ask(api, old, **headers)).status_code == 403
        bearer = {"Authorization": f"Bearer {old}"}
        body = {"model": "large", "messages": [{"role": "user", "content": "Hello?"}]}
        named = await api.post("/v1/chat/completions", json=body, headers=bearer)
        assert (named.status_code, named.json()["error"]["code"]) == (403, "model_not_allowed")
        assert {one["id"] for one in (await api.get("/v1/models", headers=bearer)).json()["data"]} == {"small"}
        fields = {"model": "small", "rollout": "new", "arm": "new", "change": "larger", "user": "somebody-else"}
        sent = await api.post("/v1/chat/completions", json=body | fields, headers=bearer)
        assert sent.status_code != 200 or sent.json()["sovereign"]["receipt"]["rollout"]["arm"] == "old"
        assert await under(api, old) == (words_digest(OLD), DIGEST, "old")
    assert house.large.requests == []


async def test_in_the_last_stage_the_change_in_force_is_not_lost_until_it_is_kept(house: House) -> None:
    rolling = await begin(house, "instructions", stage=2, most=100)
    async with house.open(config(NEW)) as api:
        assert (await under(api, rolling.person(1.0, new=True)))[0] == words_digest(NEW)
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "running"


async def test_only_an_evaluation_tries_a_change_and_for_itself_alone(house: House) -> None:
    house.large = Larger()
    base = vars(house.door.people["analyst"])
    evaluator = {**base, "client_id": "evaluator", "groups": ("analysts", "clerks"), "roles": ()}
    house.door.people["evaluator"] = Principal(**evaluator)
    async with house.open(config()) as api:
        for change, found in {"brief": (words_digest(NEW), DIGEST), "larger": (words_digest(OLD), LARGER)}.items():
            headers = {HEADER: "analysts", CHANGE_HEADER: change}
            assert await under(api, "evaluator", **headers) == (*found, None)
        refused = await ask(api, "evaluator", **{HEADER: "analysts", CHANGE_HEADER: "unknown"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_such_change")
        chosen = await ask(api, "analyst", **{CHANGE_HEADER: "larger"})
        assert (chosen.status_code, chosen.json()["error"]["code"]) == (403, "not_evaluating")
        assert await under(api, "analyst") == (words_digest(OLD), DIGEST, None)
