"""A group in which a pack is rolled out, and people whose arm is known."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import text, update

from appliance.gateway.pack_choices import ChoiceStore, Chosen
from appliance.gateway.pseudonyms import subject_of
from appliance.gateway.rollout_store import RolloutStore
from appliance.gateway.rollout_values import Rollout
from appliance.gateway.schema import rollout, rollout_answer
from appliance.learning.arms import place
from appliance.packs.permits import Permit, write_permits
from appliance.packs.record import NONE, read_record, write_record
from appliance.packs.shelf import keep
from tests import packs
from tests.gateway.doubles import principal, site
from tests.integration.gateway.conftest import KEYS, House

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import httpx

    from appliance.site.config import SiteConfig

OLD = packs.pack()
NEW = packs.pack(name="newer", persona="You serve the newer.")
GROUPS = [{"name": "analysts", "models": ["small"]}, {"name": "clerks", "models": ["small"]}]
CLIENTS = [
    {"id": "evaluator", "groups": ["analysts", "clerks"], "evaluates": True},
    {"id": "robot", "groups": ["analysts"]},
]
SETTINGS: dict[str, Any] = {"settle_minutes": 0, "of_person": 1, "people": 2, "answers": 2, "hours": 1}


def config(**changes: Any) -> SiteConfig:
    return site(groups=GROUPS, service_clients=CLIENTS, learning={"rollout": {**SETTINGS, **changes}})


@dataclass
class Rolling:
    """A rollout from ``OLD`` to ``NEW`` among analysts."""

    house: House
    number: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def store(self) -> RolloutStore:
        return RolloutStore(self.house.pool)

    async def begin(self, *, stages: Sequence[int] = (10, 50, 100), stage: int = 0, permit: int | None = None) -> None:
        """As ``learn rollout start`` does; ``permit``: percent that the file permits."""
        for found in (OLD, NEW):
            keep(self.house.packs, found.to_bytes(), packs.signed(found))
        await choose(self.house, "analysts", OLD.digest)
        most = stages[stage] if permit is None else permit
        made = Permit(id=str(self.number), former=OLD.digest, change=NEW.digest, most=most)
        write_permits(self.house.packs, {"analysts": made})
        now = datetime.now(UTC)
        about: dict[str, Any] = {"kind": "pack", "former": OLD.digest, "change": NEW.digest, "begun_by": "uid 0"}
        about |= {"stages": tuple(stages), "stage": stage, "state": "running", "verdict": None, "figures": None}
        moments = {"created": now, "stage_since": now, "changed": now}
        await self.store.begin(Rollout(id=self.number, group="analysts", **about, **moments))

    async def now(self) -> Rollout:
        """Its row."""
        (found,) = [one for one in await self.store.listed(["analysts"]) if one.id == self.number]
        return found

    def person(self, share: float, *, new: bool, known: Sequence[str] = ()) -> str:
        """The token of somebody whose place is below ``share``, or is not, and who is none of ``known``."""
        for number in range(10_000):
            name = f"analyst{number}"
            below = place(KEYS.pseudonym, self.number, subject_of(f"sub-{name}", KEYS.pseudonym)) < share
            if below == new and name not in known:
                self.house.door.people[name] = principal(name, "analysts")
                return name
        raise AssertionError("nobody stands there")

    def people(self, count: int, share: float, *, new: bool) -> list[str]:
        """So many of them."""
        found: list[str] = []
        for _ in range(count):
            found.append(self.person(share, new=new, known=found))
        return found

    async def mark(self, who: str, verdict: str = "down") -> None:
        """As if the person had marked each answer at once."""
        mine = rollout_answer.c.subject == subject_of(f"sub-{who}", KEYS.pseudonym)
        async with self.house.pool.begin() as connection:
            await connection.execute(
                update(rollout_answer).where(mine).values(verdict=verdict, marked=rollout_answer.c.at)
            )

    async def fares_worse(self, ask: Callable[[str], Awaitable[httpx.Response]]) -> str:
        """Eight people of the new arm mark their answers down and eight of the old do not: it goes back by itself.

        The last one of the new arm.
        """
        for new, old in zip(self.people(8, 0.1, new=True), self.people(8, 0.1, new=False), strict=True):
            for who in (old, new):
                assert (await ask(who)).status_code == 200
            await self.mark(new)
        await self.house.gateways[-1].watch.look()
        assert (await self.now()).state == "back"
        return new

    async def ago(self, **duration: float) -> None:
        """Move the stage's beginning into the past."""
        async with self.house.pool.begin() as connection:
            then = datetime.now(UTC) - timedelta(**duration)
            await connection.execute(update(rollout).where(rollout.c.id == self.number).values(stage_since=then))

    async def lost(self, statement: str) -> None:
        """What somebody does to the database by hand."""
        async with self.house.pool.begin() as connection:
            await connection.execute(text(statement))


async def choose(house: House, group: str, pack: str) -> None:
    """As ``sovereign pack use`` does: file and database."""
    before = read_record(house.packs)
    chosen = Chosen(group, pack, (NONE,), "officer", datetime.now(UTC))
    await ChoiceStore(house.pool).put(chosen, lambda _: write_record(house.packs, {**before, group: pack}))


async def ask(api: httpx.AsyncClient, person: str, content: str = "Hello?", **headers: str) -> httpx.Response:
    body = {"model": "small", "messages": [{"role": "user", "content": content}]}
    return await api.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {person}", **headers})


async def under(api: httpx.AsyncClient, person: str, **headers: str) -> tuple[str, str | None]:
    """Digest of the pack that an answer's receipt names, and its arm."""
    answer = await ask(api, person, **headers)
    assert answer.status_code == 200, answer.text
    receipt = answer.json()["sovereign"]["receipt"]
    return receipt.get("pack", {}).get("digest", NONE), receipt.get("rollout", {}).get("arm")
