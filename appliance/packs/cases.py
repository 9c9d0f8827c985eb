"""A pack's cases as the loop asks them. Pure.

A case has the same id wherever the same pack is used, so results of two runs are of the same cases; what it asks is in
its digest, so a case that was reworded in a later version is another.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from appliance.learning.cases import Case

if TYPE_CHECKING:
    from appliance.packs.content import Pack

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://sovereign.invalid/pack-case")


def cases_of(pack: Pack, group: str) -> list[Case]:
    """The pack's cases, asked in the name of ``group``."""
    return [Case(uuid.uuid5(_SPACE, f"{pack.name}/{one.id}"), 1, one.content(group)) for one in pack.cases]
