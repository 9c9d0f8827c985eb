"""Which requests of the log have begun and not ended, read off the ids of its entries. Pure.

A gateway logs a request under ``gateway/INSTANCE/REQUEST/request`` and how it ended under ``…/end``: one id for every
way of ending, so that the log holds one end at most, whoever writes it. Logs from before instances named a request
``gateway/REQUEST/request``, and its end ``…/answer`` or ``…/refusal``; those count as of no instance.
"""

from __future__ import annotations

import re

BEGUN = "request"
ENDED = "end"
_ID = re.compile(r"(gateway/(?:([0-9a-f]{16})/)?[0-9A-Za-z_.:-]{1,64})/(request|end|answer|refusal)")


def step(entry_id: str) -> tuple[str, bool] | None:
    """The request that ``entry_id`` is a step of, and whether it begins it (else it ends it); None for other ids."""
    found = _ID.fullmatch(entry_id)
    return (found[1], found[3] == BEGUN) if found else None


def instance(request: str) -> str:
    """The instance that a request is of; empty for one from before there were instances."""
    found = _ID.fullmatch(f"{request}/{BEGUN}")
    return (found[2] or "") if found else ""


def end_id(request: str) -> str:
    """The id of the entry that ends ``request``."""
    return f"{request}/{ENDED}"
