"""What people struck or took back stays so, whatever the next nights bring; and the way back stays open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from appliance.cli.memory_night import Waiting
from appliance.gateway.brief_store import KEPT
from appliance.gateway.errors import ConflictError, NotFoundError
from appliance.memory.briefs import fingerprint
from tests.integration.gateway.test_briefs import BAY, CANTEEN, PARKING, VISIT
from tests.memory.library import House as Importing
from tests.memory.nights import Bed, CutOffError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
NOTHING = "no sentence here stands alone"


@pytest.fixture
def bed(house: House, tmp_path: Path) -> Bed:
    return Bed(house.pool, tmp_path)


@pytest.fixture
async def library(house: House) -> Importing:
    found = Importing(house.pool, house.embedding)
    await found.take("parking.txt", PARKING, "analysts", title="Parking")
    return found


async def test_what_was_taken_back_is_told_again_by_somebodys_word_only(library: Importing, bed: Bed) -> None:
    await bed.night()
    await bed.back()
    await library.take("nothing.txt", NOTHING, "analysts", title="Nothing")  # another night, the same sentences
    run = await bed.night()
    assert (run.state, "taken back" in (run.cause or ""), await bed.told()) == ("compiled", True, [])
    assert len(bed.judged) == 1
    await bed.store.put_in_force(run, accepted=True)
    assert await bed.told() == [BAY, VISIT]


async def test_another_brief_than_the_one_taken_back_is_judged_as_any(library: Importing, bed: Bed) -> None:
    await bed.night()
    await bed.back()
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    assert (await bed.night()).state == "in_force"
    assert CANTEEN in await bed.told()


@pytest.mark.usefixtures("library")
async def test_a_brief_that_waited_while_another_was_taken_back_is_compiled_anew_and_not_lost(
    library: Importing, bed: Bed
) -> None:
    await bed.night()
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    bed.killed_at = "enter update"
    with pytest.raises(CutOffError):
        await bed.night()
    await bed.back()
    bed.killed_at = None
    run = await bed.night()
    assert (run.state, run.against) == ("in_force", None)
    assert set(await bed.told()) == {BAY, VISIT, CANTEEN}
    assert bed.judged[-1][0] is None  # against what is told now


async def test_a_brief_that_lost_its_turn_in_the_night_is_compiled_anew_the_next(library: Importing, bed: Bed) -> None:
    await bed.night()
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    judge = bed._judge

    async def meanwhile(*args: object) -> object:
        await bed.back()
        return await judge(*args)  # type: ignore[arg-type]  # as it was called

    bed._judge = meanwhile  # type: ignore[assignment, method-assign]  # for one night
    assert (await bed.night()).state == "replaced"
    bed._judge = judge  # type: ignore[method-assign]
    assert (await bed.night()).state == "in_force"
    assert CANTEEN in await bed.told()


@pytest.mark.usefixtures("library")
async def test_who_takes_back_twice_takes_back_one_and_what_nobody_looked_at_stays(
    library: Importing, bed: Bed
) -> None:
    await bed.night()
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    seen = await bed.night()
    done = await asyncio.gather(*(bed.store.back("analysts", seen.id) for _ in range(2)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Brief", "ConflictError"]
    assert await bed.told() == [BAY, VISIT]
    with pytest.raises(ConflictError):
        await bed.store.back("analysts", seen.id)
    await bed.back()
    with pytest.raises(NotFoundError):
        await bed.store.back("analysts", seen.id)


async def test_the_brief_before_is_kept_however_many_nights_bring_nothing_that_is_told(
    library: Importing, bed: Bed
) -> None:
    await bed.night()
    await library.take("canteen.txt", CANTEEN, "analysts", title="Canteen")
    await bed.night()
    for _ in range(KEPT + 2):
        await bed.store.begin("analysts")
    assert len(await bed.states()) == KEPT + 2
    assert await bed.back() is not None
    assert await bed.told() == [BAY, VISIT]


async def test_a_struck_sentence_comes_back_from_no_other_document(library: Importing, bed: Bed) -> None:
    await library.take("copy.txt", PARKING, "analysts", title="Copy")
    await bed.night()
    found = await bed.store.in_force("analysts")
    assert found is not None
    assert [one.text for one in found.lines] == [BAY, VISIT]
    line = found.lines[0]
    await bed.store.strike(found.run.id, "analysts", fingerprint("analysts", line.spot.source, line.text))
    bed.verdict = Waiting("few cases")
    await library.take("third.txt", f"{BAY.upper()} {BAY}", "analysts", title="Third")
    run = await bed.night()
    waiting = await bed.store.one(run.id, ["analysts"])
    for told in ([one.text for one in waiting.lines], await bed.told()):
        assert not [one for one in told if one.casefold() == BAY.casefold()]


async def test_what_one_group_struck_another_is_told(library: Importing, bed: Bed) -> None:
    await library.take("parking.txt", PARKING, "analysts", "clerks", title="Parking")
    await bed.night()
    await bed.night("clerks")
    found = await bed.store.in_force("analysts")
    assert found is not None
    for line in found.lines:
        await bed.store.strike(found.run.id, "analysts", fingerprint("analysts", line.spot.source, line.text))
    assert (await bed.told(), await bed.told("clerks")) == ([], [BAY, VISIT])
