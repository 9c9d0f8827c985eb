"""What a person's groups allow: pure functions over site.yaml and a token's ``groups`` claim.

A model is allowed when any of the person's groups lists it. A request is charged to exactly one group: of the groups
that list the model, the one with the largest daily token quota per user; the first in site.yaml wins a tie. The
limits per user and per group are that group's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.gateway.errors import ForbiddenError
from appliance.gateway.instructions import NO_INSTRUCTIONS, Instructions
from appliance.gateway.looking import DEFAULT, Looking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appliance.gateway.packs import UnderPack
    from appliance.gateway.rollout_values import Placed
    from appliance.packs.content import Adapter
    from appliance.site.config import SiteConfig
    from appliance.site.groups import Group


@dataclass(frozen=True)
class Grant:
    """Permission to use ``model``, and the group that pays for it.

    ``adapter`` is the model's adapter that the group is answered with, ``instructions`` what it is answered under.
    ``pack`` is where those come from, if they come from one; ``made_for`` the adapter that it names. ``rollout`` is
    where whoever asks stands while their group goes from one to another.
    """

    model: str
    group: Group
    adapter: str | None = None
    instructions: Instructions = NO_INSTRUCTIONS
    pack: UnderPack | None = None
    made_for: Adapter | None = None
    rollout: Placed | None = None
    looking: Looking = DEFAULT
    """How documents are looked up."""


def allowed_models(site: SiteConfig, groups: Iterable[str]) -> tuple[str, ...]:
    """Models that ``groups`` may use, in the order of site.yaml. Groups the site does not know grant nothing."""
    held = frozenset(groups)
    granted = {model for group in site.groups if group.name in held for model in group.models}
    return tuple(model.name for model in site.models if model.name in granted)


def granting(site: SiteConfig, groups: Iterable[str], model: str) -> list[Group]:
    """Those of ``groups`` that list ``model``, in the order of site.yaml; there is one at least.

    Raises ``ForbiddenError``; an unknown model and a foreign one look the same.
    """
    held = frozenset(groups)
    found = [group for group in site.groups if group.name in held and model in group.models]
    if not found or model not in {one.name for one in site.models}:
        raise ForbiddenError(
            f"your groups do not include the use of model {model[:64]!r}",
            "GET /v1/models lists what you may use",
            code="model_not_allowed",
            param="model",
        )
    return found


def grant(site: SiteConfig, groups: Iterable[str], model: str) -> Grant:
    """The grant for ``model``. Raises as ``granting`` does."""
    group = max(granting(site, groups, model), key=lambda group: group.per_user.tokens_per_day)
    known = {one.name: one for one in site.models}
    adapter = group.adapter_among(known[model].adapters)
    words, looking = Instructions.for_group(site, group), Looking.of(site, group)
    return Grant(model, group, adapter, words, looking=looking)


def priority(site: SiteConfig, client_id: str | None) -> int:
    """What the engine is told of urgency: below 0 for a program whose work nobody waits for, else 0."""
    return -sum(
        client.id == client_id and (client.evaluates or client.priority == "batch") for client in site.service_clients
    )
