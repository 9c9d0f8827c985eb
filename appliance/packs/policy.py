"""Whether the site's policy accepts a pack: who made it, and under which licence it is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.packs.errors import PackRefusedError

if TYPE_CHECKING:
    from appliance.models.policy import ModelPolicy
    from appliance.packs.content import Pack

_HINT = "`packs` of the site's models.yaml says whose packs are accepted, and under which licences"


def require_accepted(pack: Pack, policy: ModelPolicy) -> None:
    """Raise ``PackRefusedError`` where ``policy`` names neither the pack's producer nor its licence."""
    if pack.producer not in policy.packs.producers:
        raise PackRefusedError(f"{pack.name} is by {pack.producer!a:.80}, whose packs this site does not accept", _HINT)
    if pack.licence not in policy.packs.licences:
        raise PackRefusedError(f"{pack.name} is under {pack.licence!a:.80}, which this site does not accept", _HINT)
