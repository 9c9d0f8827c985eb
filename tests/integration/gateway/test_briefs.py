"""Briefs over a real database: what is told stands in the group's own documents, and a night changes all or nothing."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.cli.memory_night import Waiting
from appliance.errors import RefusedError
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.learning.briefs import may_be_told
from appliance.learning.cases import Content
from appliance.memory.briefs import digest, fingerprint
from tests.integration.gateway.conftest import Page
from tests.integration.gateway.test_experts import as_, send
from tests.memory.library import House as Importing
from tests.memory.library import remains
from tests.memory.nights import GROUPS, REFUSED, Bed, CutOffError, briefed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway import postgres
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
PARKING = "Visitors may park in bay seven of the yard. A visit lasts at most ninety minutes."
SAFE = "The safe in the cellar opens at nine with the code 4711."
CANTEEN = "The canteen serves lunch at noon on working days."
SECRET = "The xylographer keeps the quagga behind the north gate."
BAY, VISIT = PARKING.replace(". ", ".|").split("|")


@pytest.fixture
def bed(house: House, tmp_path: Path) -> Bed:
    return Bed(house.pool, tmp_path)


@pytest.fixture
async def library(house: House) -> Importing:
    found = Importing(house.pool, house.embedding)
    await found.take("parking.txt", PARKING, "analysts", title="Parking")
    await found.take("safe.txt", SAFE, "clerks", title="Safe")
    return found


async def ask(house: House, who: str = "analyst", config: Any = None, **more: Any) -> Any:
    body = {"model": "small", "messages": [{"role": "user", "content": "Where?"}], **more}
    async with house.open(config or briefed()) as client:
        return await client.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {who}"})


def system(house: House) -> tuple[str, str]:
    """What the model was told first, last time, and in which scope."""
    first = (house.engine.requests[-1].messages or ())[0]
    return (first.content, first.scope) if first.role == "system" else ("", "")


@pytest.mark.usefixtures("library")
async def test_a_night_puts_the_groups_own_sentences_in_front_of_its_people_and_the_receipt_names_them(
    house: House, bed: Bed
) -> None:
    assert (await ask(house)).status_code == 200
    assert system(house) == ("You are brief.", "group")
    run = await bed.night()
    assert (run.state, await bed.told()) == ("in_force", [BAY, VISIT])
    answer = (await ask(house)).json()
    told, scope = system(house)
    assert scope == "group"
    assert told.startswith("You are brief.\n\n")
    assert f"> Parking\n> {BAY}\n> {VISIT}" in told
    assert "4711" not in told
    named = answer["sovereign"]["receipt"]["instructions"]
    assert named["brief"] == digest(told.removeprefix("You are brief.\n\n"))
    assert [one[:1] for one in bed.entered] == [("create",), ("update",)]
    assert bed.computed == [("analysts", told.removeprefix("You are brief.\n\n"))]
    assert not any(word in json.dumps([one[2] for one in bed.entered]) for word in ("bay", "visit", "Parking"))


@pytest.mark.usefixtures("library")
async def test_people_of_other_groups_are_told_nothing_of_it(house: House, bed: Bed) -> None:
    await bed.night()
    await bed.night("clerks")
    await ask(house, "clerk")
    told, _ = system(house)
    assert "4711" in told
    assert "bay seven" not in told


async def test_only_what_every_member_of_the_group_may_read_is_chosen_and_a_change_of_groups_takes_it_out(
    library: Importing, bed: Bed
) -> None:
    taken = await library.take("canteen.txt", CANTEEN, "analysts", "clerks", title="Canteen")
    assert taken.document is not None
    await bed.night()
    assert CANTEEN in await bed.told()
    assert SAFE not in await bed.told()
    await library.library.regroup(taken.document.id, ["clerks"])
    assert await bed.told() == [BAY, VISIT]
    await library.library.regroup(taken.document.id, ["analysts"])
    assert CANTEEN in await bed.told()


@pytest.mark.usefixtures("library")
async def test_an_empty_night_says_so_once_and_changes_nothing(bed: Bed) -> None:
    await bed.night()
    before = await bed.store.in_force("analysts")
    for _ in range(3):
        run = await bed.night()
        assert (run.state, run.cause) == ("empty", "nothing changed")
    assert await bed.states() == ["empty", "in_force"]
    assert await bed.store.in_force("analysts") == before
    assert len(bed.judged) == 1


async def test_a_group_without_documents_has_an_empty_night(house: House, bed: Bed) -> None:
    assert (await bed.night()).state == "empty"
    assert (await ask(house)).status_code == 200
    assert system(house) == ("You are brief.", "group")


async def test_what_the_gate_refuses_is_not_told_and_what_was_told_still_is(library: Importing, bed: Bed) -> None:
    await bed.night()
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    bed.verdict = REFUSED
    run = await bed.night()
    assert (run.state, run.cause) == ("refused", "all is worse beyond noise")
    assert await bed.told() == [BAY, VISIT]
    assert bed.entered[-1][3] is False
    assert (await bed.night()).state == "empty"  # the same is not judged every night


async def test_what_is_not_judged_waits_and_is_told_only_by_somebodys_word(library: Importing, bed: Bed) -> None:
    bed.verdict = Waiting("3 cases judge briefs")
    run = await bed.night()
    assert (run.state, run.cause, await bed.told()) == ("compiled", "3 cases judge briefs", [])
    again = await bed.night()
    assert again.id == run.id  # gone on with, not begun anew
    with pytest.raises(ConflictError):
        await bed.store.put_in_force(again)
    await bed.store.put_in_force(again, accepted=True)
    assert await bed.told() == [BAY, VISIT]
    with pytest.raises(ConflictError):
        await bed.store.put_in_force(again, accepted=True)
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    newer = await bed.night()
    assert (newer.state, newer.id != run.id) == ("compiled", True)


@pytest.mark.parametrize("step", ["enter create", "judge", "enter update", "compute"])
async def test_a_night_that_is_cut_off_at_any_step_is_gone_on_with_and_what_was_told_still_is(
    step: str, library: Importing, bed: Bed
) -> None:
    await bed.night()
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    bed.killed_at = step
    with pytest.raises(CutOffError):
        await bed.night()
    told = await bed.told()
    assert told == [BAY, VISIT] if step != "compute" else CANTEEN in told
    bed.killed_at = None
    run = await bed.night()
    assert run.state == ("in_force" if step != "compute" else "empty")
    assert set(await bed.told()) == {BAY, VISIT, CANTEEN}
    assert set(await bed.states()) <= {"in_force", "replaced", "empty"}


async def test_a_document_that_changes_while_a_brief_waits_has_it_compiled_anew(library: Importing, bed: Bed) -> None:
    bed.killed_at = "enter update"
    with pytest.raises(CutOffError):
        await bed.night()
    assert await bed.states() == ["judged"]
    await library.take("parking.txt", "Visitors may park in bay nine of the yard.", "analysts", title="Parking")
    bed.killed_at = None
    assert (await bed.night()).state == "in_force"
    assert await bed.told() == ["Visitors may park in bay nine of the yard."]


async def test_places_of_a_document_that_went_between_choice_and_writing_are_not_written(
    library: Importing, bed: Bed
) -> None:
    inputs = await bed.desk.inputs.of_group("analysts", None)
    run = await bed.store.begin("analysts")
    document = await library.library.known("test:parking.txt")
    assert document is not None
    await library.library.delete(document.id)
    with pytest.raises(RefusedError, match="a document changed"):
        await bed.store.compiled(run, [one.line for one in inputs.offers], inputs.digest, {})
    async with bed.pool.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM brief_line"))).scalar_one() == 0
    assert await bed.states() == ["compiling"]


async def test_a_struck_line_is_gone_at_once_and_never_comes_back(library: Importing, house: House, bed: Bed) -> None:
    await bed.night()
    found = await bed.store.in_force("analysts")
    assert found is not None
    (line,) = (one for one in found.lines if one.text == BAY)
    words = fingerprint("analysts", line.spot.source, line.text)
    await bed.store.strike(found.run.id, "analysts", words)
    answer = (await ask(house)).json()
    told, _ = system(house)
    assert BAY not in told
    assert VISIT in told
    assert answer["sovereign"]["receipt"]["instructions"]["brief"] not in {found.digest, None}
    with pytest.raises(NotFoundError):
        await bed.store.strike(found.run.id, "analysts", words)
    await bed.night()
    await library.take("parking.txt", f"{PARKING} Bicycles stand elsewhere in the yard.", "analysts", title="Rules")
    await bed.night()
    assert BAY not in await bed.told()
    assert VISIT in await bed.told()
    await bed.back()
    assert BAY not in await bed.told()


async def test_back_tells_the_brief_before_and_then_none(library: Importing, bed: Bed) -> None:
    await bed.night()
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    await bed.night()
    assert CANTEEN in await bed.told()
    before = await bed.back()
    assert before is not None
    assert await bed.told() == [BAY, VISIT]
    assert await bed.back() is None
    assert await bed.told() == []
    with pytest.raises(NotFoundError):
        await bed.back()
    assert (await bed.night()).state == "empty"  # what was taken back is not told again the next night


@pytest.mark.parametrize("way", ["deleted", "replaced"])
async def test_a_documents_sentences_go_with_it_and_nothing_of_them_is_left(
    way: str, library: Importing, house: House, bed: Bed, cluster: postgres.Cluster
) -> None:
    taken = await library.take("secret.txt", f"{SECRET} {CANTEEN}", "analysts", title="Zymurgy")
    assert taken.document is not None
    assert taken.document.text_digest is not None
    await bed.night()
    told = await bed.store.in_force("analysts")
    assert told is not None
    assert SECRET in [one.text for one in told.lines]
    (line,) = (one for one in told.lines if one.text == CANTEEN)
    struck = fingerprint("analysts", line.spot.source, line.text)
    await bed.store.strike(told.run.id, "analysts", struck)
    async with bed.pool.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("ANALYZE"))
    if way == "deleted":
        await library.library.delete(taken.document.id)
    else:
        await library.take("secret.txt", "It opens for guests at nine o'clock.", "analysts", title="Rules")
    assert await bed.told() == [BAY, VISIT]  # before anything else was done
    answer = (await ask(house)).json()
    assert "quagga" not in system(house)[0]
    assert "quagga" not in json.dumps(answer)
    assert await library.library.sweep()
    secrets = {"body": b"xylographer", "title": b"zymurgy", "version": taken.document.text_digest.encode()}
    if way == "deleted":
        secrets["strike"] = struck.encode()
    assert remains(cluster, secrets) == set()
    assert (await bed.night()).state in {"in_force", "empty"}
    assert SECRET not in await bed.told()


@pytest.mark.usefixtures("library")
async def test_an_answer_with_tools_and_a_bare_prompt_are_given_without_it(house: House, bed: Bed) -> None:
    """No document can make a model call a tool (ADR 144)."""
    await bed.night()
    tool = {"type": "function", "function": {"name": "send", "parameters": {"type": "object", "properties": {}}}}
    answer = (await ask(house, tools=[tool])).json()
    assert system(house) == ("You are brief.", "group")
    assert "brief" not in answer["sovereign"]["receipt"]["instructions"]
    async with house.open(briefed()) as client:
        body = {"model": "small", "prompt": "Where?"}
        done = await client.post("/v1/completions", json=body, headers={"Authorization": "Bearer analyst"})
    assert "bay seven" not in str(house.engine.requests[-1])
    assert "instructions" not in done.json()["sovereign"]["receipt"]


@pytest.mark.usefixtures("library")
async def test_on_the_page_too_it_is_told_and_a_group_that_has_none_any_more_is_not(house: House, bed: Bed) -> None:
    await bed.night()
    for config, there in ((briefed(), True), (briefed(groups=[{"name": "analysts", "models": ["small"]}]), False)):
        async with house.open(config) as client:
            page = await Page(client).sign_in()
            said = dict(await page.ask(await page.conversation(), "Where?"))
        assert ("brief" in (said["receipt"].get("receipt", said["receipt"]).get("instructions") or {})) is there
        assert (BAY in system(house)[0]) is there


async def test_rulings_that_contradict_each_other_are_not_told_and_are_named(bed: Bed) -> None:
    """Among those that may be told: a quarter, by their ids."""
    made = []
    number = 0
    while len(made) < 3:
        question = "Who signs the yellow form?" if len(made) < 2 else "Where does the red folder lie?"
        said = {"question": question, "kind": "contains", "expected": [f"deputy {number}"], "groups": ["analysts"]}
        content = Content.model_validate({"language": "en", **said})
        found = (await bed.desk.cases.add(content, "uid 0", decided=True)).case
        if may_be_told(found):
            made.append(found)
        else:
            await bed.desk.cases.retire(found.id)
        number += 1
    revived = text("UPDATE gold_case SET state = 'active' WHERE id = ANY(:ids)").bindparams(ids=[c.id for c in made])
    async with bed.pool.begin() as connection:  # as a person's decision left both in force
        await connection.execute(revived)
    inputs = await bed.desk.inputs.of_group("analysts", None)
    assert set(inputs.contradicting) == {str(made[0].id), str(made[1].id)}
    assert [one.line.spot.source for one in inputs.offers] == [made[2].id]
    await bed.night()
    (told,) = await bed.told()
    assert told.startswith("Where does the red folder lie?\ndeputy")
    await bed.desk.cases.retire(made[2].id)
    assert await bed.told() == []


@pytest.mark.usefixtures("library")
async def test_two_nights_at_once_leave_one_brief_in_force(bed: Bed) -> None:
    done = await asyncio.gather(bed.night(), bed.night(), return_exceptions=True)
    assert await bed.told() == [BAY, VISIT]
    assert (await bed.states()).count("in_force") == 1
    failed = [one for one in done if isinstance(one, BaseException)]
    assert all(isinstance(one, ConflictError) for one in failed)


async def test_an_answer_given_with_a_brief_goes_to_its_groups_experts_alone_while_all_of_it_stands(
    library: Importing, house: House, bed: Bed
) -> None:
    await library.take("canteen.txt", CANTEEN, "analysts", "clerks", title="Canteen")
    silent = briefed(groups=[{key: value for key, value in one.items() if key != "instructions"} for one in GROUPS])
    bed.config = silent
    await bed.night()
    async with house.open(silent) as client:
        page = await as_(Page(client), house, "deputy")
        said = dict(await page.ask(await page.conversation(), "Where?"))
        place = f"/api/messages/{said['start']['message_id']}/feedback"
        assert (await client.get(place)).json()["groups"] == ["analysts"]
        await library.take("gate.txt", "The north gate of the yard closes at ten.", "analysts", title="Gate")
        await bed.night()
        assert (await client.get(place)).json()["groups"] == ["analysts"]  # of the brief before all stands
        document = await library.library.known("test:canteen.txt")
        assert document is not None
        await library.library.delete(document.id)
        assert (await client.get(place)).json()["groups"] == []


@pytest.mark.usefixtures("library")
async def test_what_a_person_asked_in_vain_is_weighed_and_stands_in_no_brief_row_or_entry(
    house: House, bed: Bed, cluster: postgres.Cluster
) -> None:
    said = {"question": "How long does a visit of the xylographer last?", "correction": "A zymurgy visit, an hour."}
    async with house.open(briefed()) as client:
        await send(Page(client), house, **said)
    await bed.night()
    assert bed.entered[0] == ("read", "failures of analysts", {"failures": 1}, True)
    (run,) = await bed.store.listed(["analysts"])
    assert run.figures is not None
    assert run.figures["failures"] == 1
    kept = json.dumps([[one[1:3] for one in bed.entered], run.figures, await bed.told(), house.log.entries]).lower()
    assert not [word for word in ("xylographer", "zymurgy") if word in kept]
    assert remains(cluster, {"question": b"xylographer", "correction": b"zymurgy"}) == set()
