"""What the writer says of itself in an answer to GET /healthz, for whoever looks after the site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit import wire

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Health:
    """How often each uid was refused an entry that was not its own, since the writer started; and its clock.

    ``clock_behind``: by how many seconds the host's clock is behind the last signature, beyond the tolerance.
    """

    refused: dict[int, int]
    clock_behind: int


def read_health(response: httpx.Response) -> Health:
    """The writer's health. Raises what the service answered instead."""
    answer = wire.read_answer(response)
    try:
        refused = {int(uid): int(count) for uid, count in answer["not_yours"].items()}
        return Health(refused, int(answer.get("clock_behind", 0)))  # a writer of an earlier release says nothing of it
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise wire.nonsense() from error
