"""Under which pack a group is answered: what file and database agree on, or nobody of the group is answered.

Asked anew for each request, so a change is in force with the next question. What cannot be established refuses the
group's questions with the reason; other groups are answered. A program that evaluates may try another pack, or none,
for its own request alone: nothing of that is kept, and what is pinned for people stays (``Instructions.trial``).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from appliance.gateway.database import needed
from appliance.gateway.errors import NotReadyError, UnprocessableError
from appliance.gateway.instructions import Instructions
from appliance.gateway.pack_choices import ChoiceStore
from appliance.packs.errors import PackLostError
from appliance.packs.permits import Permit, permitted, read_permits
from appliance.packs.record import NONE, agreed, read_record
from appliance.packs.shelf import open_pack, served
from appliance.packs.wording import instructions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.gateway.entitlements import Grant
    from appliance.gateway.rollout_values import Rollout
    from appliance.packs.content import Pack

_PAUSES = (0.05, 0.2)
"""Seconds between looks at file and database that disagree."""
_AT_ONCE = 32
"""Groups that are looked at together for ``status``: they wait far longer than the database takes."""
_ASK = "the site's operator finds it with `sovereign status`"


@dataclass(frozen=True)
class UnderPack:
    """The pack that an answer is given under, as its receipt names it."""

    name: str
    version: str
    digest: str

    def receipt(self) -> dict[str, str]:
        """For the receipt."""
        return {"name": self.name, "version": self.version, "digest": self.digest}


class Packs:
    """Packs of the shelf ``folder``, by what is chosen for each group. Without a folder no record is there."""

    def __init__(self, engine: AsyncEngine, folder: Path | None) -> None:
        self._choices = ChoiceStore(engine)
        self._place = folder

    @property
    def _folder(self) -> Path | None:
        """Asked for anew each time: in a pod the volume may come later than the gateway."""
        return served(self._place) if self._place is not None else None

    async def under(self, granted: Grant) -> Grant:
        """``granted`` under the pack of its group, or of its arm. Raises ``NotReadyError`` where that cannot be told.

        While a rollout runs that the record does not permit, nobody of the group is answered, in whichever arm.
        """
        try:
            chosen = await self.chosen(granted.group.name)
            found = await self._opened(await self._arm(granted, chosen))
        except PackLostError as error:
            raise _lost(granted.group.name, error) from error
        return granted if found is None else _applied(granted, *found)

    async def of_group(self, group: str) -> Pack | None:
        """The pack in force. Raises ``PackLostError``, and ``NotReadyError`` when the database does not answer."""
        found = await self._opened(await self.chosen(group))
        return None if found is None else found[0]

    async def check(self, rollout: Rollout) -> None:
        """Raise ``PackLostError`` unless a rollout of packs is permitted and its pack is there.

        Also where the group was put under another pack meanwhile. ``NotReadyError``: the database does not answer.
        """
        chosen = await self.chosen(rollout.group)
        await asyncio.to_thread(self._permitted, rollout, chosen)
        await self._opened(rollout.change)

    async def permits(self, rollout: Rollout, percent: int) -> bool:
        """Whether the record permits a rollout of packs to ``percent`` of its group."""
        wanted = _permit(rollout, percent)
        try:
            await asyncio.to_thread(self._recorded_permit, rollout.group, wanted)
        except PackLostError:
            return False
        return True

    async def _arm(self, granted: Grant, chosen: str) -> str:
        """The pack of whoever asks: ``chosen`` for the group, or what is rolled out to them."""
        placed = granted.rollout
        if placed is None or placed.rollout.kind != "pack" or chosen == placed.rollout.change:
            return chosen  # in force for everybody, a moment ago
        await asyncio.to_thread(self._permitted, placed.rollout, chosen)
        return placed.rollout.change if placed.arm.new else chosen

    def _permitted(self, rollout: Rollout, chosen: str) -> None:
        if rollout.former != chosen:
            raise PackLostError("another pack is in force than the rollout began with", _ASK)
        self._recorded_permit(rollout.group, _permit(rollout, rollout.share))

    def _recorded_permit(self, group: str, wanted: Permit) -> None:
        permitted(read_permits(self._folder) if self._folder is not None else {}, group, wanted)

    async def tried(self, granted: Grant, named: str) -> Grant:
        """``granted`` under the pack ``named``, or under none, for this request alone.

        Raises ``UnprocessableError`` for a pack that is not here.
        """
        try:
            found = await self._opened(named)
        except PackLostError as error:
            raise UnprocessableError(error.cause, error.hint, code="no_such_pack", param="pack") from error
        applied = granted if found is None else _applied(granted, *found)
        return replace(applied, instructions=replace(applied.instructions, trial=True))

    async def chosen(self, group: str) -> str:
        """Digest or ``none``. Raises ``PackLostError``, and ``NotReadyError`` when the database does not answer.

        A command writes the file a moment before the database has its part: a question that comes in between waits.
        """
        for pause in _PAUSES:
            try:
                return await self._chosen(group)
            except PackLostError:
                await asyncio.sleep(pause)
        return await self._chosen(group)

    async def _chosen(self, group: str) -> str:
        try:
            with needed():
                chosen = await self._choices.pack(group)
        except SQLAlchemyError as error:
            raise PackLostError("the database has no record of packs in use", "run `sovereign status`") from error
        recorded = await asyncio.to_thread(self._recorded)
        return agreed(recorded.get(group), chosen)

    async def standing(self, groups: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Of each of ``groups``: what it answers under, or why its people are not answered; and what is rolled out.

        Groups that disagree wait together: however many they are, whoever asks for the site's status is told in time.
        """
        named = tuple(groups)
        looked = asyncio.Semaphore(_AT_ONCE)

        async def one(group: str) -> dict[str, Any]:
            async with looked:
                return await self._standing(group)

        return dict(zip(named, await asyncio.gather(*map(one, named)), strict=True))

    async def _standing(self, group: str) -> dict[str, Any]:
        try:
            choice = await self.chosen(group)
            await self._opened(choice)
            with needed():
                rolled = await self._choices.rollouts.running(group)
            if rolled is not None and rolled.kind == "pack":
                await asyncio.to_thread(self._permitted, rolled, choice)
        except PackLostError as error:
            return {"pack": None, "refused": error.cause}
        on_its_way = {} if rolled is None else {"rollout": {"kind": rolled.kind, "percent": rolled.share}}
        return {"pack": choice, "refused": None, **on_its_way}

    def _recorded(self) -> Mapping[str, str]:
        return read_record(self._folder) if self._folder is not None else {}

    async def _opened(self, digest: str) -> tuple[Pack, str] | None:
        """The pack, its bytes looked at anew: one that was taken away answers nobody."""
        if digest == NONE:
            return None
        if self._folder is None:
            raise PackLostError("this gateway holds no packs")
        return await asyncio.to_thread(open_pack, self._folder, digest), digest


def _permit(rollout: Rollout, percent: int) -> Permit:
    return Permit(id=str(rollout.id), former=rollout.former, change=rollout.change, most=percent)


def _applied(granted: Grant, pack: Pack, digest: str) -> Grant:
    words = Instructions(granted.instructions.site, instructions_of(pack))
    adapter = granted.adapter if pack.adapter is None else pack.adapter.name
    under = UnderPack(pack.name, pack.version, digest)
    return replace(granted, instructions=words, adapter=adapter, pack=under, made_for=pack.adapter)


def check_adapter(granted: Grant, receipt: Mapping[str, Any]) -> None:
    """Raise ``NotReadyError`` unless the engine serves the very adapter that the pack names, on what it was made for.

    ``receipt`` is what the engine says of its model. Of a pack on trial it is an ``UnprocessableError``.
    """
    wanted = granted.made_for
    if wanted is None:
        return
    served = receipt.get("adapters", {}).get(wanted.name, {}).get("digest")
    if receipt.get("digest") != f"sha256:{wanted.base_sha256}":
        cause = f"the pack's adapter {wanted.name} was made for other weights than those of {granted.model}"
    elif served != f"sha256:{wanted.sha256}":
        cause = f"{granted.model} does not serve the pack's adapter {wanted.name}"
    else:
        return
    if granted.instructions.trial:
        raise UnprocessableError(cause, code="pack_adapter", param="pack")
    raise NotReadyError(cause, _ASK, code="pack_adapter")


def _lost(group: str, error: PackLostError) -> NotReadyError:
    cause = f"what {group} is answered under cannot be established: {error.cause}"
    return NotReadyError(cause, _ASK, code="pack_unavailable")
