"""What engines compute of a brief before anybody asks is what people are told: it follows the group's pack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cli.memory_night import Energy
from appliance.cli.memory_warm import Warm, new_arm
from appliance.gateway.brief_store import BriefStore
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.packs import Packs
from appliance.packs.shelf import keep
from appliance.packs.wording import instructions_of
from tests import packs
from tests.gateway.doubles import site
from tests.integration.gateway.conftest import KEYS
from tests.integration.gateway.rollout_bed import NEW, Rolling
from tests.integration.gateway.test_packs import PACK, choose

if TYPE_CHECKING:
    from appliance.gateway.entitlements import Grant

pytestmark = pytest.mark.anyio
CONFIG = site(
    groups=[
        {"name": "analysts", "models": ["small"], "instructions": "You serve analysts.", "brief": True},
        {"name": "clerks", "models": ["small"], "instructions": "You serve clerks.", "brief": True},
    ]
)


class _Desk:
    def __init__(self, house: Any) -> None:
        self.site, self.paths, self.packs = CONFIG, Path("/nowhere"), Packs(house.pool, house.packs)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Grant]:
    """What engines were to compute."""
    found: list[Grant] = []

    async def compute(_: Warm, granted: Grant) -> None:
        found.append(granted)

    monkeypatch.setattr(Warm, "_computed", compute)
    return found


async def test_a_brief_follows_the_words_of_the_groups_pack(house: Any, computed: list[Grant]) -> None:
    keep(house.packs, PACK.to_bytes(), packs.signed(PACK))
    await choose(house, "analysts", PACK.digest)
    desk: Any = _Desk(house)
    for group in CONFIG.groups:
        await Warm(desk, Energy(0))(group, "A quoted line.")
    under, without = (granted.instructions for granted in computed)
    assert under.group == instructions_of(PACK)
    assert (without.group, without.brief, under.brief) == ("You serve clerks.", "A quoted line.", "A quoted line.")


async def test_while_a_pack_is_rolled_out_the_new_arms_words_are_computed_too(
    house: Any, computed: list[Grant]
) -> None:
    rolling = Rolling(house)
    await rolling.begin()
    desk: Any = _Desk(house)
    desk.store = BriefStore(house.pool, ConversationStore(house.pool, KEYS.content))
    await new_arm(desk, CONFIG.groups[0], await rolling.now())
    (under,) = computed
    assert under.instructions.group == instructions_of(NEW)
    assert under.instructions.scope == "group"


async def test_where_the_pack_is_lost_nothing_is_computed_in_its_place(
    house: Any, computed: list[Grant], capsys: pytest.CaptureFixture[str]
) -> None:
    keep(house.packs, PACK.to_bytes(), packs.signed(PACK))
    await choose(house, "analysts", PACK.digest)
    (house.packs / "groups.json").unlink()
    desk: Any = _Desk(house)
    await Warm(desk, Energy(0))(CONFIG.groups[0], "A quoted line.")
    assert computed == []
    assert "computes the brief of analysts at its first question" in capsys.readouterr().err
