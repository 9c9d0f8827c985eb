"""Changes that site.yaml names on their way to a group: instructions, models, and how documents are looked up.

The words, which model stands in the place of which, and how documents are looked up, are the operator's in site.yaml
(``learning.changes``). The row and the record of permits (``packs.permits``) name digests: of the words, of the weights
that the engines serve, or of the settings (``looking``).
Where these three do not agree, everybody of the group is answered as site.yaml says, in no arm, and the watch takes the
rollout back: what is in force is always there.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.gateway.errors import NotReadyError, UnprocessableError
from appliance.gateway.instructions import Instructions
from appliance.gateway.looking import Looking
from appliance.packs.errors import PackLostError
from appliance.packs.record import NONE

if TYPE_CHECKING:
    from appliance.engine.client import ModelInfo
    from appliance.gateway.catalogue import Catalogue
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.packs import Packs
    from appliance.gateway.rollout_values import Rollout
    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group
    from appliance.site.rolling import Change

KINDS = frozenset({"instructions", "model", "documents"})


class Changes:
    """The site's changes, as answers are given under them."""

    def __init__(self, site: SiteConfig, catalogue: Catalogue, packs: Packs) -> None:
        self._site, self._catalogue, self._packs = site, catalogue, packs

    async def applied(self, granted: Grant, info: ModelInfo) -> tuple[Grant, ModelInfo]:
        """``granted`` and its model in the arm of whoever asks; without a rollout where none can be established."""
        placed = granted.rollout
        if placed is None or placed.rollout.kind not in KINDS:
            return granted, info
        nothing = replace(granted, rollout=None), info
        try:
            change = await self.established(placed.rollout)
        except (PackLostError, NotReadyError):
            return nothing
        if change.model is not None and change.model != granted.model:
            return nothing
        if _in_the_way(change, pack=granted.pack is not None, adapter=granted.made_for is not None):
            return nothing
        return await self._under(granted, info, change) if placed.arm.new else (granted, info)

    async def tried(self, granted: Grant, info: ModelInfo, named: str) -> tuple[Grant, ModelInfo]:
        """``granted`` under the change ``named``, for this request alone. Raises ``UnprocessableError``."""
        change = self._of(granted.group.name, named)
        if change is None or change.model not in {None, granted.model}:
            raise UnprocessableError(f"{granted.group.name} has no such change of this model", code="no_such_change")
        if change.kind == "instructions" and granted.pack is not None:
            raise UnprocessableError("a pack stands in the place of the group's instructions", code="no_such_change")
        found, model = await self._under(granted, info, change)
        return replace(found, instructions=replace(found.instructions, trial=True)), model

    async def check(self, rollout: Rollout) -> None:
        """Raise as ``established`` does, and ``PackLostError`` where a pack is in force that leaves no room for it."""
        change = await self.established(rollout)
        pack = await self._packs.of_group(rollout.group)
        if _in_the_way(change, pack=pack is not None, adapter=pack is not None and pack.adapter is not None):
            raise PackLostError("a pack is in force whose instructions or adapter stand in the way of the change")

    async def established(self, rollout: Rollout) -> Change:
        """The change that ``rollout`` gives. Raises ``PackLostError``, and ``NotReadyError`` for a silent engine.

        Also where site.yaml puts another in force than it began with; but for the change itself in the last stage,
        which is how it is kept.
        """
        if not await self._packs.permits(rollout, rollout.share):
            raise PackLostError("the record does not permit the rollout")
        group = next((one for one in self._site.groups if one.name == rollout.group), None)
        of_kind = [c for c in self._site.learning.changes if (c.group, c.kind) == (rollout.group, rollout.kind)]
        for change in of_kind if group is not None else ():
            assert group is not None
            former, made = await self._digests(group, change)
            if made == rollout.change and (former == rollout.former or (rollout.last and former == made)):
                return change
        raise PackLostError("site.yaml has no such change, or another is in force than the rollout began with")

    async def _digests(self, group: Group, change: Change) -> tuple[str, str]:
        if change.kind == "documents":
            return settings_digests(self._site, group, change)
        if change.model is None:
            return words_digest(group.instructions), words_digest(change.instructions or "")
        assert change.by is not None
        infos = await asyncio.gather(self._catalogue.model(change.model), self._catalogue.model(change.by))
        former, made = (str(one.receipt["digest"]) for one in infos)
        return former, made

    async def _under(self, granted: Grant, info: ModelInfo, change: Change) -> tuple[Grant, ModelInfo]:
        if change.kind == "documents":
            return replace(granted, looking=granted.looking.changed(change.documents)), info
        if change.model is None:
            words = replace(granted.instructions, group=(change.instructions or "").strip())
            return replace(granted, instructions=words), info
        assert change.by is not None
        served = {one.name: one.adapters for one in self._site.models}[change.by]
        adapter = next((name for name in granted.group.adapters if name in served), None)
        under = granted.adapter if granted.made_for is not None else adapter
        return replace(granted, model=change.by, adapter=under), await self._catalogue.model(change.by)

    def _of(self, group: str, named: str) -> Change | None:
        return next((one for one in self._site.learning.changes if (one.group, one.name) == (group, named)), None)


def _in_the_way(change: Change, *, pack: bool, adapter: bool) -> bool:
    """A pack stands in the place of the group's instructions; its adapter was made for the former model's weights."""
    return {"instructions": pack, "model": adapter, "documents": False}[change.kind]


def settings_digests(site: SiteConfig, group: Group, change: Change) -> tuple[str, str]:
    """Of how documents are looked up for the group now, and under the change."""
    now = Looking.of(site, group)
    return now.digest, now.changed(change.documents).digest


def words_digest(words: str) -> str:
    """Of a group's instructions, as receipts name it; ``none`` for none."""
    return Instructions(group=words.strip()).digests().get("group", NONE)
