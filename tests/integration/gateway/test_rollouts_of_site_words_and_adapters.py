"""The site's own words and a model's adapter go to a share of a group; other groups notice nothing; both go back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.changes import words_digest
from appliance.gateway.evaluation import CHANGE_HEADER, HEADER
from appliance.gateway.rollout_values import Kind, Rollout
from appliance.identity.tokens import Principal
from appliance.packs.permits import Permit, write_permits
from appliance.packs.record import NONE
from appliance.packs.shelf import keep
from tests import packs
from tests.gateway.doubles import DIGEST, ObedientEngine, principal, site
from tests.integration.gateway.conftest import Page, events_of
from tests.integration.gateway.rollout_bed import CLIENTS, SETTINGS, Rolling, ask, choose

if TYPE_CHECKING:
    import httpx

    from appliance.site.config import SiteConfig
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
OLD, NEW = "You serve the town.", "You serve the town, and say so."
PLAIN, LEGAL = ({"name": name, "digest": "sha256:" + byte * 32} for name, byte in (("plain", "11"), ("legal", "22")))
MADE_FOR = {"adapter": {"name": "plain", "sha256": "11" * 32, "base_sha256": DIGEST.removeprefix("sha256:")}}
"""Of a pack with an adapter."""


@dataclass(frozen=True)
class Case:
    """A change: its name, its ends as the row has them, and what a site has that put it in force."""

    kind: Kind
    named: str
    former: str
    made: str
    kept: dict[str, Any]

    def of(self, receipt: dict[str, Any]) -> str:
        """What an answer was given under, by its receipt."""
        if self.kind == "site_instructions":
            return str(receipt.get("instructions", {}).get("site", NONE))
        return str(receipt.get("adapter", {}).get("digest", NONE))


WORDS = Case("site_instructions", "said", words_digest(OLD), words_digest(NEW), {"words": NEW})
ADAPTER = Case("adapter", "legal", PLAIN["digest"], LEGAL["digest"], {"adapters": ["legal"]})
BOTH = pytest.mark.parametrize("case", [WORDS, ADAPTER], ids=lambda case: case.kind)
CHANGES = [
    {"name": "said", "group": "analysts", "site_instructions": NEW},
    {"name": "legal", "group": "analysts", "model": "small", "adapter": "legal"},
    {"name": "bare", "group": "analysts", "model": "small", "adapter": ""},
    {"name": "unserved", "group": "analysts", "model": "small", "adapter": "unserved"},
]


def config(words: str = OLD, adapters: list[str] | None = None) -> SiteConfig:
    small = {"name": "small", "adapters": ["plain", "legal", "unserved"]}
    return site(
        instructions=words,
        models=[small, {"name": "large"}],
        groups=[
            {"name": "analysts", "models": ["small", "large"], "adapters": ["plain"] if adapters is None else adapters},
            {"name": "clerks", "models": ["small"], "adapters": ["plain"]},
        ],
        service_clients=CLIENTS,
        learning={"rollout": SETTINGS, "changes": CHANGES},
    )


@pytest.fixture(autouse=True)
def served(house: House) -> None:
    house.engine = ObedientEngine(adapters={"plain": PLAIN, "legal": LEGAL})


async def begin(house: House, case: Case, *, stage: int = 0, most: int = 10) -> Rolling:
    house.packs.mkdir(exist_ok=True)
    rolling = Rolling(house)
    ends = {"former": case.former, "change": case.made}
    write_permits(house.packs, {"analysts": Permit(id=str(rolling.number), most=most, **ends)})
    now = datetime.now(UTC)
    about: dict[str, Any] = {"kind": case.kind, "begun_by": "uid 0", "stages": (10, 50, 100), "stage": stage, **ends}
    about |= {"state": "running", "verdict": None, "figures": None, "created": now, "stage_since": now, "changed": now}
    await rolling.store.begin(Rollout(id=rolling.number, group="analysts", **about))
    return rolling


async def under(case: Case, api: httpx.AsyncClient, who: str, **headers: str) -> tuple[str, str | None]:
    """What the answer was given under, and the arm."""
    answer = await ask(api, who, **headers)
    assert answer.status_code == 200, answer.text
    receipt = answer.json()["sovereign"]["receipt"]
    return case.of(receipt), receipt.get("rollout", {}).get("arm")


@BOTH
async def test_each_arm_is_answered_under_its_own_and_stays_there_and_the_log_says_so(house: House, case: Case) -> None:
    rolling = await begin(house, case)
    new, old = rolling.person(0.1, new=True), rolling.person(0.1, new=False)
    async with house.open(config()) as api:
        for _ in range(2):
            assert await under(case, api, new) == (case.made, "new")
            assert await under(case, api, old) == (case.former, "old")
        assert await under(case, api, "clerk") == (case.former, None)
    said = [one["unmapped"]["sovereign"].get("rollout") for one in house.log.of_kind("answer")]
    assert said == [*[f"{rolling.number} new", f"{rolling.number} old"] * 2, None]


async def test_words_that_some_are_told_are_computed_for_their_group_alone(house: House) -> None:
    """What everybody at a site shares is what everybody is told."""
    rolling = await begin(house, WORDS)
    async with house.open(config()) as api:
        for who in (rolling.person(0.1, new=True), rolling.person(0.1, new=False)):
            await under(WORDS, api, who)
    told = [(one.messages[0].content, one.messages[0].scope) for one in house.engine.requests if one.messages]
    assert told == [(NEW, "group"), (OLD, "site")]


async def test_what_the_new_arm_of_an_adapter_says_may_be_sent_to_the_groups_experts_and_to_no_others(
    house: House,
) -> None:
    """The others' models have not learnt what that adapter repeats."""
    rolling = await begin(house, ADAPTER)
    who = rolling.person(0.1, new=True)
    house.door.people[who] = principal(who, "analysts", "clerks")
    house.door.guest = who
    async with house.open(config()) as api:
        page = await Page(api).sign_in()
        said = {"content": "Hello?"}
        sent = await page.http.post(
            f"/api/conversations/{await page.conversation()}/messages", json=said, headers=page.headers
        )
        told = dict(events_of(sent.text))
        assert ADAPTER.of(told["receipt"]) == ADAPTER.made
        message = told["start"]["message_id"]
        found = (await page.http.get(f"/api/messages/{message}/feedback")).json()
    assert found["groups"] == ["analysts"]


async def test_an_adapters_rollout_is_none_for_who_asks_another_model(house: House) -> None:
    rolling = await begin(house, ADAPTER)
    body = {"model": "large", "messages": [{"role": "user", "content": "Hello?"}]}
    headers = {"Authorization": f"Bearer {rolling.person(0.1, new=True)}"}
    async with house.open(config()) as api:
        answer = (await api.post("/v1/chat/completions", json=body, headers=headers)).json()
    assert "rollout" not in answer["sovereign"]["receipt"]
    assert await house.count("rollout_answer") == 0


@BOTH
async def test_people_who_fare_worse_take_the_change_back_by_themselves(house: House, case: Case) -> None:
    rolling = await begin(house, case)
    async with house.open(config()) as api:
        new = await rolling.fares_worse(partial(ask, api))
        assert await under(case, api, new) == (case.former, None)
    (decided,) = house.log.of_kind("rollout_decision")
    figures = decided["unmapped"]["sovereign"]["figures"]
    assert (figures["kind"], figures["act"]) == (case.kind, "back")


@BOTH
async def test_a_row_that_the_record_does_not_permit_changes_nobodys_answer_and_goes_back(
    house: House, case: Case
) -> None:
    """Whoever writes the database alone widens nothing."""
    rolling = await begin(house, case, stage=1, most=10)
    async with house.open(config()) as api:
        assert await under(case, api, rolling.person(0.5, new=True)) == (case.former, None)
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "back"


async def test_words_that_were_edited_meanwhile_are_given_to_nobody(house: House) -> None:
    rolling = await begin(house, WORDS)
    async with house.open(config("You serve the region.")) as api:
        found = await under(WORDS, api, rolling.person(0.1, new=True))
        assert found == (words_digest("You serve the region."), None)
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "back"


@pytest.mark.parametrize("served", [{"plain": PLAIN}, {"plain": PLAIN, "legal": {"digest": "sha256:" + "33" * 32}}])
async def test_an_adapter_that_is_not_served_or_another_one_is_given_to_nobody(
    house: House, served: dict[str, dict[str, Any]]
) -> None:
    house.engine = ObedientEngine(adapters=served)
    rolling = await begin(house, ADAPTER)
    async with house.open(config()) as api:
        assert await under(ADAPTER, api, rolling.person(0.1, new=True)) == (PLAIN["digest"], None)
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "back"


@BOTH
async def test_in_the_last_stage_the_change_in_force_is_not_lost_until_it_is_kept(house: House, case: Case) -> None:
    rolling = await begin(house, case, stage=2, most=100)
    async with house.open(config(**case.kept)) as api:
        assert await under(case, api, rolling.person(1.0, new=True)) == (case.made, "new")
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "running"


@pytest.mark.parametrize(
    ("case", "about", "state"),
    [(WORDS, {}, "running"), (WORDS, MADE_FOR, "running"), (ADAPTER, {}, "running"), (ADAPTER, MADE_FOR, "back")],
)
async def test_a_pack_stands_in_the_way_of_an_adapter_by_its_own_and_of_the_sites_words_never(
    house: House, case: Case, about: dict[str, Any], state: str
) -> None:
    found = packs.pack(**about)
    keep(house.packs, found.to_bytes(), packs.signed(found))
    await choose(house, "analysts", found.digest)
    rolling = await begin(house, case)
    async with house.open(config()) as api:
        answered = await under(case, api, rolling.person(0.1, new=True))
        await house.gateways[-1].watch.look()
    assert answered == ((case.made, "new") if state == "running" else (case.former, None))
    assert (await rolling.now()).state == state


@BOTH
async def test_only_an_evaluation_tries_it_and_for_its_group_alone(house: House, case: Case) -> None:
    base = vars(house.door.people["analyst"])
    evaluator = {**base, "client_id": "evaluator", "groups": ("analysts", "clerks"), "roles": ()}
    house.door.people["evaluator"] = Principal(**evaluator)
    tried = {HEADER: "analysts", CHANGE_HEADER: case.named}
    async with house.open(config()) as api:
        assert await under(case, api, "evaluator", **tried) == (case.made, None)
        assert await under(case, api, "analyst") == (case.former, None)
        assert (await ask(api, "analyst", **{CHANGE_HEADER: case.named})).status_code == 403
        elsewhere = await ask(api, "evaluator", **{HEADER: "clerks", CHANGE_HEADER: case.named})
        assert elsewhere.json()["error"]["code"] == "no_such_change"


async def test_no_adapter_can_be_tried_in_the_place_of_one_but_not_in_that_of_a_packs(house: House) -> None:
    base = vars(house.door.people["analyst"])
    house.door.people["evaluator"] = Principal(**{**base, "client_id": "evaluator", "groups": ("analysts", "clerks")})
    tried = {HEADER: "analysts", CHANGE_HEADER: "bare"}
    async with house.open(config()) as api:
        assert await under(ADAPTER, api, "evaluator", **tried) == (NONE, None)
        found = packs.pack(**MADE_FOR)
        keep(house.packs, found.to_bytes(), packs.signed(found))
        await choose(house, "analysts", found.digest)
        refused = await ask(api, "evaluator", **tried)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_such_change")
