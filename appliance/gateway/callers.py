"""Who is asking, as every part of the gateway sees it: a pseudonym and groups, however they signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.gateway.pseudonyms import Subject


@dataclass(frozen=True)
class Caller:
    """An authenticated caller. ``groups`` are as Keycloak states them; entitlements decide what they mean.

    ``weight`` is their groups' share of an engine, where Keycloak has one; else site.yaml's counts.
    """

    subject: Subject
    groups: tuple[str, ...]
    client_id: str | None = None
    weight: float | None = None
