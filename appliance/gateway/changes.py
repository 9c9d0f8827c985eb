"""Changes that site.yaml names on their way to a group: instructions, models, adapters, how documents are looked up.

The words, which model or adapter stands in the place of which, and how documents are looked up, are the operator's in
site.yaml (``learning.changes``). The row and the record of permits (``packs.permits``) name digests: of the words, of
the weights and adapters that the engines serve, or of the settings (``looking``).
Where these three do not agree, everybody of the group is answered as site.yaml says, in no arm, and the watch takes the
rollout back: what is in force is always there.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from appliance.gateway.errors import NotReadyError, UnprocessableError
from appliance.gateway.instructions import Instructions
from appliance.gateway.looking import Looking
from appliance.packs.errors import PackLostError
from appliance.packs.record import NONE
from appliance.site.rolling import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.engine.client import ModelInfo
    from appliance.gateway.catalogue import Catalogue
    from appliance.gateway.entitlements import Grant
    from appliance.gateway.packs import Packs
    from appliance.gateway.rollout_values import Rollout
    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group
    from appliance.site.rolling import Change

KINDS: frozenset[str] = frozenset(get_args(Kind))


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
        if change.kind == "adapter" and granted.made_for is not None:
            raise UnprocessableError("a pack's adapter stands in the place of the group's", code="no_such_change")
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
        raise PackLostError(
            "site.yaml has no such change, its adapter is not served, or another is in force than when it began"
        )

    async def _digests(self, group: Group, change: Change) -> tuple[str, str]:
        if change.kind == "documents":
            return settings_digests(self._site, group, change)
        if change.model is None:
            return words_digests(self._site, group, change)
        if change.by is None:
            served = (await self._catalogue.model(change.model)).receipt
            own = self._own_adapter(group, change.model)
            return _adapter_digest(served, own), _adapter_digest(served, change.adapter)
        infos = await asyncio.gather(self._catalogue.model(change.model), self._catalogue.model(change.by))
        former, made = (str(one.receipt["digest"]) for one in infos)
        return former, made

    async def _under(self, granted: Grant, info: ModelInfo, change: Change) -> tuple[Grant, ModelInfo]:
        if change.kind == "documents":
            return replace(granted, looking=granted.looking.changed(change.documents)), info
        if change.kind == "site_instructions":
            return replace(granted, instructions=granted.instructions.site_changed(change.words)), info
        if change.model is None:
            return replace(granted, instructions=replace(granted.instructions, group=change.words)), info
        if change.by is None:
            return replace(granted, adapter=change.adapter or None), info
        own = self._own_adapter(granted.group, change.by)
        under = granted.adapter if granted.made_for is not None else own
        return replace(granted, model=change.by, adapter=under), await self._catalogue.model(change.by)

    def _own_adapter(self, group: Group, model: str) -> str | None:
        return group.adapter_among(next(one.adapters for one in self._site.models if one.name == model))

    def _of(self, group: str, named: str) -> Change | None:
        return next((one for one in self._site.learning.changes if (one.group, one.name) == (group, named)), None)


def _in_the_way(change: Change, *, pack: bool, adapter: bool) -> bool:
    """A pack stands in the place of the group's instructions; its adapter was made for the former model's weights."""
    return pack if change.kind == "instructions" else adapter and change.model is not None


def words_digests(site: SiteConfig, group: Group, change: Change) -> tuple[str, str]:
    """Of the instructions in force that the change is of, the group's or the site's, and of those that it brings."""
    own = group.instructions if change.kind == "instructions" else site.instructions
    return words_digest(own), words_digest(change.words)


def _adapter_digest(served: Mapping[str, Any], name: str | None) -> str:
    """Of the adapter ``name`` as the engine's receipt has it; ``none`` for none, and empty where it is not served."""
    return str(served.get("adapters", {}).get(name, {}).get("digest", "")) if name else NONE


def settings_digests(site: SiteConfig, group: Group, change: Change) -> tuple[str, str]:
    """Of how documents are looked up for the group now, and under the change."""
    now = Looking.of(site, group)
    return now.digest, now.changed(change.documents).digest


def words_digest(words: str) -> str:
    """Of instructions, as receipts name it; ``none`` for none."""
    return Instructions(group=words.strip()).digests().get("group", NONE)
