"""Events as earlier releases wrote them: with OCSF's words beside its numbers, and a request's id in three places."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from appliance.audit.spelled import at, spelled

if TYPE_CHECKING:
    from appliance.audit.ocsf import Event


def former(event: Event) -> Event:
    """``event`` in those words; where it has no such object at all, nothing is said in one."""
    made = copy.deepcopy(event)
    for place, said in list(spelled(made)):
        inside = at(made, place[:-1])
        if isinstance(inside, dict):
            inside.setdefault(place[-1], said)
    return made


def in_words(event: Event) -> Event:
    """OCSF's words for the class, activity and status of ``event``, whichever release wrote it."""
    return {place[0]: said for place, said in spelled(event) if len(place) == 1}
