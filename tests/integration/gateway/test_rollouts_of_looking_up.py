"""How documents are looked up goes to a share of a group, in answers from documents alone, and back by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from appliance.gateway.evaluation import CHANGE_HEADER, HEADER
from appliance.gateway.looking import Looking
from appliance.gateway.rollout_values import Rollout
from appliance.identity.tokens import Principal
from appliance.packs.permits import Permit, write_permits
from appliance.packs.shelf import keep
from tests import packs
from tests.gateway.doubles import site
from tests.integration.gateway.rollout_bed import CLIENTS, SETTINGS, Rolling, choose
from tests.memory.library import House as Importing

if TYPE_CHECKING:
    import httpx

    from appliance.site.config import SiteConfig
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
FORMER, MADE = Looking(1, "abstain"), Looking(2, "answer")
QUESTION = "How long may visitors park in the bay of the yard?"
STRANGE = "Why is the zebra violet?"


def config(**group: Any) -> SiteConfig:
    return site(
        groups=[{"name": "analysts", "models": ["small"], **group}, {"name": "clerks", "models": ["small"]}],
        models=[{"name": "small"}, {"name": "minilm"}],
        documents={"model": "minilm", "passages": 1},
        service_clients=CLIENTS,
        learning={
            "rollout": SETTINGS,
            "changes": [{"name": "more", "group": "analysts", "documents": {"passages": 2, "nothing_fits": "answer"}}],
        },
    )


@pytest.fixture(autouse=True)
async def library(house: House) -> Importing:
    found = Importing(house.pool, house.embedding)
    for number in range(3):
        said = f"Visitors may park in bay {number} of the yard for {number} hours."
        await found.take(f"{number}.txt", said, "analysts", title=f"Bay {number}")
    return found


async def begin(house: House, *, stage: int = 0, most: int = 10) -> Rolling:
    house.packs.mkdir(exist_ok=True)
    rolling = Rolling(house)
    ends = {"former": FORMER.digest, "change": MADE.digest}
    write_permits(house.packs, {"analysts": Permit(id=str(rolling.number), most=most, **ends)})
    now = datetime.now(UTC)
    about: dict[str, Any] = {"kind": "documents", "begun_by": "uid 0", "stages": (10, 50, 100), "stage": stage, **ends}
    about |= {"state": "running", "verdict": None, "figures": None, "created": now, "stage_since": now, "changed": now}
    await rolling.store.begin(Rollout(id=rolling.number, group="analysts", **about))
    return rolling


async def ask(api: httpx.AsyncClient, who: str, question: str = QUESTION, **more: Any) -> httpx.Response:
    body = {"model": "small", "messages": [{"role": "user", "content": question}], "documents": {}, **more}
    headers = {"Authorization": f"Bearer {who}", **body.pop("headers", {})}
    return await api.post("/v1/chat/completions", json=body, headers=headers)


async def under(api: httpx.AsyncClient, who: str, **more: Any) -> tuple[int, str, str | None]:
    """How many passages the answer was given, by which settings, and the arm."""
    answer = await ask(api, who, **more)
    assert answer.status_code == 200, answer.text
    receipt = answer.json()["sovereign"]["receipt"]
    found = receipt["documents"]
    return len(found["passages"]), found["settings"], receipt.get("rollout", {}).get("arm")


async def test_each_arm_is_given_passages_by_its_own_settings_and_stays_there(house: House) -> None:
    rolling = await begin(house)
    new, old = rolling.person(0.1, new=True), rolling.person(0.1, new=False)
    async with house.open(config()) as api:
        for _ in range(2):
            assert await under(api, new) == (2, MADE.digest, "new")
            assert await under(api, old) == (1, FORMER.digest, "old")
        outcomes = [(await ask(api, who, STRANGE)).json()["sovereign"]["citations"]["outcome"] for who in (new, old)]
    assert outcomes == ["nothing_fits", "abstained"]
    said = [one["unmapped"]["sovereign"]["rollout"] for one in house.log.of_kind("answer")]
    assert said[:4] == [f"{rolling.number} new", f"{rolling.number} old"] * 2


async def test_answers_without_documents_are_in_no_arm_and_in_no_comparison(house: House) -> None:
    rolling = await begin(house)
    async with house.open(config()) as api:
        body = {"model": "small", "messages": [{"role": "user", "content": QUESTION}]}
        headers = {"Authorization": f"Bearer {rolling.person(0.1, new=True)}"}
        answer = (await api.post("/v1/chat/completions", json=body, headers=headers)).json()
    assert "rollout" not in answer["sovereign"]["receipt"]
    assert await house.count("rollout_answer") == 0


async def test_people_who_fare_worse_take_the_settings_back_by_themselves(house: House) -> None:
    rolling = await begin(house)
    async with house.open(config()) as api:
        new = await rolling.fares_worse(partial(ask, api))
        assert await under(api, new) == (1, FORMER.digest, None)
    (decided,) = house.log.of_kind("rollout_decision")
    figures = decided["unmapped"]["sovereign"]["figures"]
    assert (figures["kind"], figures["act"]) == ("documents", "back")


@pytest.mark.parametrize(
    ("stage", "group"),
    [
        pytest.param(1, {}, id="more people than the record permits"),
        pytest.param(0, {"documents": {"passages": 4}}, id="others in force than it began with"),
    ],
)
async def test_a_row_that_does_not_agree_changes_nobodys_answer_and_goes_back(
    house: House, stage: int, group: dict[str, Any]
) -> None:
    rolling = await begin(house, stage=stage)
    new = rolling.person(0.1, new=True)
    async with house.open(config(**group)) as api:
        passages, _, arm = await under(api, new)
        assert (passages, arm) == (3 if group else 1, None)
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "back"


async def test_in_the_last_stage_the_groups_own_settings_may_be_the_change(house: House) -> None:
    rolling = await begin(house, stage=2, most=100)
    async with house.open(config(documents={"passages": 2, "nothing_fits": "answer"})) as api:
        assert await under(api, rolling.person(1.0, new=True)) == (2, MADE.digest, "new")
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "running"


async def test_a_pack_goes_along_with_it(house: House) -> None:
    rolling = await begin(house)
    found = packs.pack()
    keep(house.packs, found.to_bytes(), packs.signed(found))
    await choose(house, "analysts", found.digest)
    async with house.open(config()) as api:
        assert await under(api, rolling.person(0.1, new=True)) == (2, MADE.digest, "new")
        await house.gateways[-1].watch.look()
    assert (await rolling.now()).state == "running"


async def test_only_an_evaluation_tries_it_and_other_groups_notice_nothing(house: House, library: Importing) -> None:
    await library.take("clerks.txt", "Visitors may park in bay nine of the yard.", "clerks")
    base = vars(house.door.people["analyst"])
    evaluator = {**base, "client_id": "evaluator", "groups": ("analysts", "clerks"), "roles": ()}
    house.door.people["evaluator"] = Principal(**evaluator)
    tried = {HEADER: "analysts", CHANGE_HEADER: "more"}
    async with house.open(config()) as api:
        assert await under(api, "evaluator", headers=tried) == (2, MADE.digest, None)
        assert await under(api, "analyst") == (1, FORMER.digest, None)
        assert await under(api, "clerk") == (1, FORMER.digest, None)
        assert (await ask(api, "analyst", headers={CHANGE_HEADER: "more"})).status_code == 403
        elsewhere = await ask(api, "evaluator", headers={HEADER: "clerks", CHANGE_HEADER: "more"})
        assert elsewhere.json()["error"]["code"] == "no_such_change"
