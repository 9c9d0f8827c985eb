"""Names that stand for people: the same in the database, at the engine and in the log."""

from __future__ import annotations

from typing import NewType

from appliance.audit.commitment import pseudonym

Subject = NewType("Subject", str)


def subject_of(keycloak_sub: str, key: bytes) -> Subject:
    """The pseudonym of a Keycloak user; reversible only with ``key``."""
    return Subject(pseudonym(keycloak_sub, key))
