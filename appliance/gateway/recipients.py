"""Whose experts may be shown an answer: of the groups whose people they are, those that may know what is in it.

An answer from documents may quote them, and so may every later one of its conversation. So a group is asked for its
right to each passage that the model was shown up to there, at the moment of sending, as if its people looked. What a
group's instructions say, and what its adapter learnt, a model repeats as well: of such an answer only groups with the
very same ones are told. What a group's brief says is for that group, as long as all of it stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.gateway.changes import KINDS
from appliance.gateway.entitlements import Grant, granting
from appliance.gateway.errors import NotReadyError, UnprocessableError
from appliance.gateway.instructions import Instructions
from appliance.gateway.rollout_values import Placed
from appliance.learning.arms import Arm
from appliance.packs.errors import PackLostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.gateway.assembly import Gateway
    from appliance.gateway.callers import Caller
    from appliance.gateway.feedback import Ground, Marked
    from appliance.gateway.rollout_values import Rollout
    from appliance.memory.documents import Place
    from appliance.site.groups import Group
    from appliance.site.rolling import Change


async def recipients(gateway: Gateway, caller: Caller, marked: Marked) -> tuple[str, ...]:
    """Groups of the caller's that may use the answer's model and read what it was given from, in site.yaml's order.

    Raises ``ForbiddenError`` where the model is none of theirs any more, ``NotReadyError`` where the library does not
    answer.
    """
    ground = await gateway.feedback.rests_on(caller.subject, marked)
    groups = granting(gateway.site, caller.groups, marked.model)
    if ground is None:
        return ()
    names = [group.name for group in groups if await _told_the_same(gateway, group, ground)]
    names = [name for name in names if await _was_told(gateway, ground, name)]
    if not ground.places:
        return tuple(names)
    return tuple([name for name in names if await _may_read(gateway, list(ground.places), name)])


async def chosen(gateway: Gateway, caller: Caller, marked: Marked, named: str | None) -> str:
    """The group to send to: the one ``named``, or the only one there is. Raises ``UnprocessableError`` otherwise."""
    open_to = await recipients(gateway, caller, marked)
    if not open_to:
        cause = "experts of your groups may not read everything that this answer was given from"
        raise UnprocessableError(cause, "keep it without sending it", code="from_documents", param="send")
    if named is None and len(open_to) > 1:
        cause = f"name the group whose experts are to see it: {', '.join(open_to)}"
        raise UnprocessableError(cause, code="no_group", param="group")
    if named is not None and named not in open_to:
        cause = f"it is not to be seen by experts of {named[:64]!a}"
        raise UnprocessableError(cause, f"name one of {', '.join(open_to)}", code="not_this_group", param="group")
    return named or open_to[0]


async def _told_the_same(gateway: Gateway, group: Group, ground: Ground) -> bool:
    """By what the group is told at this moment, under its pack; a group whose pack is lost is told nothing.

    While a rollout runs, both arms are of the group.
    """
    told = Grant("", group, instructions=Instructions.for_group(gateway.site, group))
    new = await _new_arm(gateway, group.name)
    arms = [told, *(replace(told, rollout=placed) for placed in new)]
    try:
        granted = [await gateway.packs.under(one) for one in arms]
    except NotReadyError:
        return False
    changes = [change for placed in new if (change := await _change(gateway, placed.rollout)) is not None]
    named = [*(one.adapter for one in granted), *(one.adapter for one in changes)]
    adapters = {*group.adapters, *(one for one in named if one)}
    words = {one.instructions.digests().get("group") for one in granted}
    words |= {Instructions(group=one.words).digests().get("group") for one in changes if one.kind == "instructions"}
    return ground.instructions <= words and ground.adapters <= adapters


async def _change(gateway: Gateway, found: Rollout) -> Change | None:
    """The change of site.yaml that the new arm is answered under, if it is one and can be established."""
    try:
        return await gateway.changes.established(found) if found.kind in KINDS else None
    except (PackLostError, NotReadyError):
        return None


async def _new_arm(gateway: Gateway, group: str) -> list[Placed]:
    """Somebody in the new arm of the rollout that runs in ``group``, if one does."""
    found = await gateway.rollouts.store.running(group)
    return [Placed(found, Arm(new=True, drawn=False), person=True)] if found is not None else []


async def _may_read(gateway: Gateway, places: Sequence[Place], group: str) -> bool:
    found = await gateway.documents.still(places, [group])
    if found is None:
        raise NotReadyError("the database does not answer", code="database_unavailable", retry_after=5)
    return all(one is not None for one in found)


async def _was_told(gateway: Gateway, ground: Ground, group: str) -> bool:
    """Whether every brief that the answer was given with is one of the group's, of which nothing was taken since."""
    if not ground.briefs:
        return True
    ids = [one.rollout.change for one in await _new_arm(gateway, group) if one.rollout.kind == "brief"]
    rolled = {await gateway.briefs.digest(number, group) for number in ids}
    return all([one in rolled or await gateway.briefs.store.told_as(group, one) for one in ground.briefs])
