"""A brief is judged as a change of instructions is: by the group's own cases, asked with it and without."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from appliance.cli import memory_judge
from appliance.cli.learn_ask import SiteAsker
from appliance.cli.memory_judge import CaseJudge, drop, kept, result_path, site_asking
from appliance.cli.memory_night import Energy, Waiting
from appliance.gateway.evaluation import BRIEF_HEADER, HEADER
from appliance.identity.tokens import Principal
from appliance.learning.briefs import held_out
from appliance.learning.cases import Content
from appliance.memory.briefs import fingerprint
from tests.gateway.doubles import ObedientEngine
from tests.integration.gateway.conftest import ORIGIN
from tests.integration.gateway.test_evaluation import OFTEN, Badge
from tests.memory.library import House as Importing
from tests.memory.nights import GROUPS, Bed, briefed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from appliance.cli.memory_judge import Asking
    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import Request
    from appliance.gateway.brief_values import Brief, Run
    from appliance.learning.briefs import Judged
    from appliance.learning.results import Run as Evaluation
    from appliance.site.groups import Group
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
CLIENTS = [{"id": "evaluator", "groups": ["analysts", "clerks"], "evaluates": True}]
SOUND = "Numbers are answered by themselves in this house of ours."
HARMFUL = "Please guess whenever numbers are asked for in this house."


@dataclass
class Pupil(ObedientEngine):
    """Knows that the answer to "How much is N?" is N, unless a brief tells it to guess."""

    async def _words(self, request: Request) -> tuple[str, ...]:
        told = (request.messages or ())[0].content
        number = (request.messages or ())[-1].content.rstrip("?").rpartition(" ")[2]
        return ("A few.",) if "guess" in told else (f"It is {number}.",)


@dataclass
class Exchanged(Pupil):
    """The same by name, and another model by its digest."""

    async def model(self) -> ModelInfo:
        found = await super().model()
        return replace(found, receipt={**found.receipt, "digest": "sha256:" + "b6" * 32})


@dataclass
class Court(Bed):
    """Nights that are judged by the running site. ``most``: the joules of the next night."""

    house: House | None = None
    asking: Asking | None = None

    async def _judge(self, brief: Brief, before: Brief | None, group: Group) -> Judged | Waiting:
        self.judged.append((before.digest if before is not None else None, brief.digest))
        return await CaseJudge(self.desk, self.energy, self.asking or self._asking)(brief, before, group)

    @asynccontextmanager
    async def _asking(self, run: Evaluation, brief: str) -> AsyncIterator[SiteAsker]:
        assert self.house is not None
        async with self.house.open(self.config) as http:
            yield SiteAsker(http, Badge(), run, ORIGIN, brief)  # type: ignore[arg-type]  # a double

    async def night(self, group: str = "analysts", energy: Energy | None = None) -> Run:
        self.energy = energy or Energy(1e6)
        return await super().night(group, self.energy)


@pytest.fixture
async def court(house: House, tmp_path: Path) -> Court:
    """Thirty cases that judge, and a client that evaluates."""
    house.engine = Pupil()
    house.door.people["evaluator"] = Principal(
        sub="sub-evaluator",
        username="service-account-evaluator",
        groups=("analysts", "clerks"),
        roles=(),
        session_id=None,
        client_id="evaluator",
        expires_at=int(time.time()) + 300,
    )
    (tmp_path / "state").mkdir()
    often = [{**group, "per_user": OFTEN} for group in GROUPS]
    found = Court(house.pool, tmp_path, config=briefed(groups=often, service_clients=CLIENTS), house=house)
    number = 0
    judging = 0
    while judging < 30:
        said = {"question": f"How much is {number}?", "kind": "contains", "expected": [str(number)]}
        content = Content.model_validate({"language": "en", "groups": ["analysts"], **said})
        made = (await found.desk.cases.add(content, "uid 0", decided=True)).case
        if held_out(made):
            judging += 1
        else:
            await found.desk.cases.retire(made.id)  # told in briefs: another test's subject
        number += 1
    return found


async def take(house: House, said: str) -> None:
    await Importing(house.pool, house.embedding).take("numbers.txt", said, "analysts", title="Numbers")


async def test_a_sound_brief_passes_and_is_pinned_for_nobody_before(court: Court, house: House) -> None:
    await take(house, SOUND)
    run = await court.night()
    assert (run.state, run.figures["gate"]["passed"]) == ("in_force", True)  # type: ignore[index]
    assert run.joules > 0
    first = [(r.messages or ())[0] for r in house.engine.requests]
    scopes = {(SOUND in message.content, message.scope) for message in first}
    assert scopes == {(True, "user"), (False, "group")}
    assert {request.priority for request in house.engine.requests} == {-1}
    assert {one["unmapped"]["sovereign"]["purpose"] for one in house.log.of_kind("answer")} == {"evaluation"}
    assert len(house.engine.requests) == 60


async def test_the_running_site_is_asked_as_the_client_that_evaluates_for_the_group(
    court: Court, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command asks: over the site's own URL, with that client's secret out of the vault."""
    signed_in: list[tuple[str, str, str]] = []

    def sign_in(issuer: str, client: str, secret: str, _http: object) -> Badge:
        signed_in.append((issuer, client, secret))
        return Badge()

    monkeypatch.setattr(memory_judge, "issuer_client", lambda config, _paths: house.open(config))
    monkeypatch.setattr(memory_judge, "OidcClient", sign_in)
    config = court.config
    court.asking = site_asking(court.desk.paths, config, config.groups[0], lambda client: f"secret of {client}")
    await take(house, SOUND)
    assert (await court.night()).state == "in_force"
    assert set(signed_in) == {(config.issuer, "evaluator", "secret of evaluator")}
    assert len(house.engine.requests) == 60


async def test_a_brief_that_makes_answers_worse_is_refused_and_not_told(court: Court, house: House) -> None:
    await take(house, HARMFUL)
    run = await court.night()
    assert (run.state, await court.told()) == ("refused", [])
    assert "worse beyond noise" in (run.cause or "")
    assert court.entered[-1][3] is False


async def test_a_night_whose_energy_is_spent_ends_and_the_next_goes_on_where_it_was(court: Court, house: House) -> None:
    await take(house, SOUND)
    first = await court.night(energy=Energy(20.0))
    assert (first.state, await court.told()) == ("compiled", [])
    assert "energy" in (first.cause or "")
    asked = len(house.engine.requests)
    assert 0 < asked < 60
    second = await court.night()
    assert (second.id, second.state) == (first.id, "in_force")
    assert len(house.engine.requests) == 60  # none was asked twice
    assert second.joules > first.joules


async def test_what_is_struck_between_two_nights_has_it_judged_anew(court: Court, house: House) -> None:
    await take(house, f"{SOUND} The gate of the yard is closed at ten at night.")
    first = await court.night(energy=Energy(20.0))
    brief = await court.store.one(first.id, ["analysts"])
    line = brief.lines[0]
    await court.store.strike(first.id, "analysts", fingerprint("analysts", line.spot.source, line.text))
    second = await court.night()
    assert (second.id != first.id, second.state) == (True, "in_force")
    assert line.text not in await court.told()


async def test_a_model_exchanged_between_two_nights_has_the_brief_judged_anew(court: Court, house: House) -> None:
    """What another model answers says nothing of the brief."""
    await take(house, SOUND)
    first = await court.night(energy=Energy(20.0))
    asked = house.engine.requests
    house.engine = Exchanged()
    second = await court.night()
    assert (second.id, second.state, "changed meanwhile" in (second.cause or "")) == (first.id, "compiled", True)
    assert len(asked) + len(house.engine.requests) == 60
    assert (list(kept(court.desk.paths)), await court.told()) == ([], [])
    assert (await court.night()).state == "in_force"
    assert len(house.engine.requests) == 120 - len(asked)


@pytest.mark.parametrize("damage", ["another run", "no results"])
async def test_results_that_cannot_be_gone_on_with_stop_one_night_and_not_every(
    damage: str, court: Court, house: House
) -> None:
    await take(house, SOUND)
    run = await court.night(energy=Energy(20.0))
    path = result_path(court.desk.paths, run.id.hex, "before")
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'"max_tokens":256', b'"max_tokens":255', 1) if damage == "another run" else b"x\n")
    assert path.read_bytes() != raw
    assert (await court.night()).state == "compiled"
    assert list(kept(court.desk.paths)) == []
    assert (await court.night()).state == "in_force"


async def test_too_few_cases_or_no_client_judge_nothing_and_say_what_to_do(court: Court, house: House) -> None:
    await take(house, SOUND)
    court.config = briefed(groups=court.config.model_dump(mode="json")["groups"])
    run = await court.night()
    assert (run.state, "no service client evaluates" in (run.cause or "")) == ("compiled", True)
    for one in (await court.desk.cases.current(["analysts"], ("active",)))[:15]:
        await court.desk.cases.retire(one.case.id)
    run = await court.night()
    assert (run.state, "15 cases judge briefs, and the gate needs 20" in (run.cause or "")) == ("compiled", True)
    assert house.engine.requests == []


async def test_results_are_kept_until_the_run_is_decided(court: Court, house: House) -> None:
    await take(house, SOUND)
    run = await court.night(energy=Energy(20.0))
    paths = court.desk.paths
    assert list(kept(paths)) == [run.id.hex]
    assert result_path(paths, run.id.hex, "before").stat().st_mode & 0o777 == 0o600
    drop(paths, run.id.hex)
    assert list(kept(paths)) == []


@pytest.mark.parametrize(
    ("who", "brief", "code"),
    [
        ("analyst", "none", "not_evaluating"),
        ("evaluator", "x", "no_brief"),
        ("evaluator", "00000000-0000-4000-8000-000000000000", "no_brief"),
    ],
)
async def test_nobody_else_names_a_brief_and_no_other_than_the_groups(
    who: str, brief: str, code: str, court: Court, house: House
) -> None:
    headers = {"Authorization": f"Bearer {who}", BRIEF_HEADER: brief}
    headers |= {HEADER: "analysts"} if who == "evaluator" else {}
    body = {"model": "small", "messages": [{"role": "user", "content": "How much is 1?"}]}
    async with house.open(court.config) as http:
        answer = await http.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.json()["error"]["code"] == code
    assert house.engine.requests == []


async def test_a_brief_of_another_group_cannot_be_tried(court: Court, house: House) -> None:
    await Importing(house.pool, house.embedding).take("safe.txt", "The safe of the clerks opens with 4711.", "clerks")
    run = await court.night("clerks")
    assert run.state == "compiled"
    headers = {"Authorization": "Bearer evaluator", HEADER: "analysts", BRIEF_HEADER: str(run.id)}
    body = {"model": "small", "messages": [{"role": "user", "content": "How much is 1?"}]}
    async with house.open(court.config) as http:
        answer = await http.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.json()["error"]["code"] == "no_brief"
