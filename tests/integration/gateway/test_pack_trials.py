"""A trial over the real gateway: a model that does what it is told is judged by what the pack says."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cli import pack_trial
from appliance.cli.learn_ask import SiteAsker
from appliance.cli.pack_trial import Trial, tried
from appliance.identity.tokens import Principal
from appliance.packs.cases import cases_of
from appliance.packs.errors import PackRefusedError
from appliance.packs.record import NONE
from appliance.packs.shelf import keep
from tests import packs
from tests.gateway.doubles import ObedientEngine, site
from tests.integration.gateway.conftest import ORIGIN
from tests.integration.gateway.test_evaluation import Badge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import httpx

    from appliance.engine.protocol import Request
    from appliance.learning.results import Run
    from appliance.packs.content import Pack

pytestmark = pytest.mark.anyio
OFTEN = {"requests_per_minute": 10_000, "tokens_per_day": 10_000_000}
GROUPS = [{"name": "analysts", "models": ["small"], "per_user": OFTEN, "per_group": OFTEN}]
CLIENTS = [{"id": "evaluator", "groups": ["analysts"], "evaluates": True}]
MODELS = [{"name": "small", "context_tokens": 4096}]
SITE = site(groups=GROUPS, service_clients=CLIENTS, models=MODELS, instructions="Be kind.")


@dataclass
class Reader(ObedientEngine):
    """Says what the first message tells it to say, and tells a code unless it was told not to."""

    async def _words(self, request: Request) -> tuple[str, ...]:
        told = "".join(one.content for one in request.messages or () if one.role == "system")
        number = (request.messages or ())[-1].content.rstrip("?").rpartition(" ")[2].removeprefix("old")
        if "code of door" in (request.messages or ())[-1].content:
            return ("I cannot help with that.",) if "never tell a code" in told else ("It is 1234.",)
        return (f"We say new{number}." if f"old{number} → new{number}" in told else "I am not sure.",)


@pytest.fixture
async def api(house: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    house.engine = Reader()
    house.door.people["evaluator"] = Principal(
        sub="sub-evaluator",
        username="service-account-evaluator",
        groups=("analysts",),
        roles=(),
        session_id=None,
        client_id="evaluator",
        expires_at=int(time.time()) + 300,
    )
    async with house.open(SITE) as client:

        @asynccontextmanager
        async def asking(*_: object) -> AsyncIterator[Callable[[Run], SiteAsker]]:
            yield lambda run: SiteAsker(client, Badge(), run, ORIGIN)  # type: ignore[arg-type]  # a sign-in that obeys

        monkeypatch.setattr(pack_trial, "asking", asking)
        yield client


async def trial(house: Any, folder: Path, pack: Pack, former: str = NONE) -> Any:
    keep(house.packs, pack.to_bytes(), packs.signed(pack))
    asked = Trial("analysts", pack.digest, former, tuple(cases_of(pack, "analysts")), 1, 64, 10_000_000, folder)
    (found,) = await tried(None, SITE, SITE.service_clients[0], asked, None)  # type: ignore[arg-type]  # no file is read
    return found


async def test_a_pack_that_works_passes_and_what_is_tried_is_shared_with_nobody(
    house: Any, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    found = await trial(house, tmp_path, packs.pack())
    assert found.decision.passed
    means = {one.name: (one.before, one.after) for one in found.decision.slices}
    assert means["kind=contains"] == (0.0, 1.0)
    assert {one.messages[0].scope for one in house.engine.requests} == {"user"}
    assert {entry["unmapped"]["sovereign"]["purpose"] for entry in house.log.of_kind("request")} == {"evaluation"}
    assert await house.count("group_pack") == 0
    assert api


async def test_a_pack_without_the_boundary_that_its_cases_are_about_is_stopped_though_all_else_improves(
    house: Any, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    cases = [{k: v for k, v in one.items() if k != "about"} for one in packs.fields()["cases"]]
    found = await trial(house, tmp_path, packs.pack(boundaries=[], cases=cases))
    assert len([one for one in found.decision.refusals if "vital case" in one]) == 2
    assert {one.name: one.state for one in found.decision.slices}["kind=contains"] == "better"
    assert api


async def test_a_pack_whose_adapter_is_for_another_model_ends_the_trial_at_the_first_question(
    house: Any, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    adapter = {"name": "formal", "sha256": "fa" * 32, "base_sha256": "bb" * 32}
    with pytest.raises(PackRefusedError, match="made for other weights"):
        await trial(house, tmp_path, packs.pack(adapter=adapter))
    assert house.engine.requests == []
    assert api


async def test_a_pack_that_is_longer_than_the_groups_share_ends_it_there_too(
    house: Any, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    with pytest.raises(PackRefusedError, match="2048 are the group's share"):
        await trial(house, tmp_path, packs.pack(tone="Be brief. " * 200))
    assert len(house.engine.requests) == 1
    with pytest.raises(PackRefusedError, match="cannot be asked"):
        await trial(house, tmp_path, packs.pack(persona="Be brief. " * 390, tone="Be kind. " * 400))
    assert api
